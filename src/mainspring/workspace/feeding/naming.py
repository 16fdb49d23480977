"""Find out which column of a prediction log is the score, the id, the time, the label."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import msgspec

from mainspring.ground.errors import BadInputError
from mainspring.scaling.models.model import RESERVED

#: The usual names, the most certain first; small letters, what is no letter or digit left out.
USUAL: dict[str, tuple[str, ...]] = {
    "id": (
        "predictionid", "inferenceid", "requestid", "eventid", "rowid", "id", "uuid",
    ),
    "time": (
        "predictedat", "predictiontime", "eventtime", "eventtimestamp", "requesttime",
        "requestedat", "inferencetime", "loggedat", "timestamp", "time", "ts", "datetime",
        "createdat",
    ),
    "score": (
        "score", "scores", "predictionscore", "yscore", "yprob", "yproba", "probability",
        "predictedprobability", "proba", "prob", "predictproba",
    ),
    "prediction": (
        "prediction", "predicted", "ypred", "yhat", "pred", "predictedlabel", "predictedclass",
        "predictedvalue",
    ),
    "label": (
        "label", "groundtruth", "ytrue", "actual", "truth", "outcome", "target",
    ),
    "version": ("modelversion", "modelid"),
}  # fmt: skip

#: How columns of one probability a class may begin.
_PER_CLASS = ("score_", "prob_", "proba_", "probability_", "p_")


class Columns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which column of fed rows is what; the rest are the model's inputs.

    None means: there is none, or it is to be guessed.
    """

    id: str | None = None  #: the user's own prediction id, by which labels arrive
    time: str | None = None  #: event time
    score: list[str] = []  #: the probability, or the value; several: one a class, in order
    prediction: str | None = None  #: the class that was answered, where there is no score
    label: str | None = None  #: the truth, where it is known already
    version: str | None = None  #: which version answered

    def named(self) -> set[str]:
        """Return the columns that are no inputs."""
        single = (self.id, self.time, self.prediction, self.label, self.version)
        return {name for name in (*single, *self.score) if name is not None}


def plain(name: str) -> str:
    """Return a column's name as it is looked up among the usual ones.

    >>> plain("Predicted_At")
    'predictedat'
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())


def find(
    there: Sequence[str],
    given: Columns,
    *,
    inputs: Collection[str] = (),
    target: str = "",
    classes: Sequence[str] = (),
) -> tuple[Columns, list[str]]:
    """Return which column is what, and in words what was guessed.

    ``there`` are the columns of the rows, ``given`` what was said of them, ``inputs`` the names
    that the baseline knows as inputs: they are never guessed to be anything else. ``target`` is
    the label's usual name.

    Raises:
        BadInputError: if a column that was named is not there, or one is named for two things.

    >>> find(["user", "ts", "score"], Columns(id="user"))
    (Columns(id='user', time='ts', score=['score'], prediction=None, label=None, version=None), \
["time is 'ts'", "score is 'score'"])
    """
    _check(there, given)
    free = [name for name in there if name not in given.named() and name not in inputs]
    found: dict[str, object] = {}
    said: list[str] = []
    for role, usual in USUAL.items():
        if getattr(given, role) or (role == "prediction" and (given.score or "score" in found)):
            continue
        if role == "score" and (several := _per_class(free, classes)):
            found[role] = several
            said.append(f"scores are {', '.join(map(repr, several))}")
            free = [one for one in free if one not in several]
            continue
        name = _usual(free, (plain(target), *usual) if role == "label" and target else usual)
        if name is not None:
            found[role] = [name] if role == "score" else name
            said.append(f"{role} is {name!r}")
            free.remove(name)
    return msgspec.structs.replace(given, **found), said


def check_inputs(names: Collection[str]) -> None:
    """Refuse inputs that bear a name captures use themselves.

    Raises:
        BadInputError: naming the first of them.
    """
    taken = sorted(set(names) & RESERVED)
    if taken:
        raise BadInputError(
            f"{taken[0]!r} is a name that captured rows use themselves.",
            field=taken[0],
            hint="Rename the column, or say what it is, such as --id-column or --time-column.",
        )


def _check(there: Sequence[str], given: Columns) -> None:
    for role in Columns.__struct_fields__:
        value = getattr(given, role)
        for name in value if isinstance(value, list) else [value] if value else []:
            if name not in there:
                raise BadInputError(
                    f"There is no column {name!r} for the {role}.",
                    field=role,
                    hint=f"There are {', '.join(there[:30])}.",
                )
    single = [given.id, given.time, given.prediction, given.label, given.version, *given.score]
    used = [name for name in single if name is not None]
    twice = sorted({name for name in used if used.count(name) > 1})
    if twice:
        raise BadInputError(f"Column {twice[0]!r} is named for two things.", field=twice[0])


def _usual(free: Sequence[str], usual: Sequence[str]) -> str | None:
    by_plain = {plain(name): name for name in reversed(free)}
    return next((by_plain[name] for name in usual if name in by_plain), None)


def _per_class(free: Sequence[str], classes: Sequence[str]) -> list[str]:
    for head in _PER_CLASS:
        wanted = [f"{head}{name}" for name in classes]
        if len(wanted) > 1 and set(wanted) <= set(free):
            return wanted
    return []
