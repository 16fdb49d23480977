"""What a graph of models is made of: its stages, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Kind, Record

MOST_STAGES = 50
_WORDS = ("columns", "model", "ensemble", "switch", "score")


class Stage(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stage of a graph; exactly one of columns, model, ensemble, switch and score.

    What a stage gives is a column of the ones after it, named as the stage: the score of the
    positive class, or the value; of more than two classes one column each, ``NAME_CLASS``.
    Members are versions: ``churn/3``, or ``churn@champion``, which is read once, when the graph is
    registered.
    """

    name: str
    columns: dict[str, str] | None = None  #: SQL over the columns so far; they are added
    model: str | None = None  #: one member
    ensemble: list[str] | None = None  #: several members of one kind
    how: Literal["mean", "vote"] = "mean"  #: vote: each member's class counts
    weights: list[float] | None = None  #: of an ensemble's members; equal when left out
    switch: str | None = None  #: SQL over the columns so far; its value chooses the member
    cases: dict[str, str] = {}  #: of a switch: value -> member
    otherwise: str | None = None  #: of a switch: the member for every other value
    score: str | None = None  #: SQL over the columns so far: one number a row

    def members(self) -> Iterator[str]:
        """Yield the members that this stage names."""
        named = [self.model, *(self.ensemble or ()), *self.cases.values(), self.otherwise]
        yield from (one for one in named if one is not None)


class GraphSpec(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A graph of models as it is declared. The last stage gives the answer."""

    stages: list[Stage]
    kind: Kind | None = None  #: of the answer; that of the last members when left out

    def members(self) -> list[str]:
        """Return every member once, in the order in which they are named."""
        return list(dict.fromkeys(one for stage in self.stages for one in stage.members()))


def read(told: Any) -> GraphSpec:
    """Return a declared graph: a mapping with ``stages``, or the list of stages alone.

    Raises:
        BadInputError: naming the stage and what is wrong with it.

    Example:
        >>> told = [{"name": "odds", "model": "churn/3"}, {"name": "half", "score": "odds / 2"}]
        >>> read(told).members()
        ['churn/3']
    """
    plain = {"stages": told} if isinstance(told, Sequence) and not isinstance(told, str) else told
    try:
        spec = msgspec.convert(plain, GraphSpec)
    except msgspec.ValidationError as error:
        raise BadInputError(
            f"The graph cannot be read: {error}",
            field="stages",
            hint="See docs/howto/graphs-of-models.md.",
        ) from error
    if not 0 < len(spec.stages) <= MOST_STAGES:
        raise BadInputError(
            f"A graph has 1 to {MOST_STAGES} stages, found {len(spec.stages)}.", field="stages"
        )
    seen: set[str] = set()
    for stage in spec.stages:
        _check(stage, seen)
        seen.add(stage.name)
    if spec.stages[-1].columns is not None:
        raise _wrong(spec.stages[-1], "is the last one, and gives no score")
    if not spec.members():
        raise BadInputError("The graph names no model.", field="stages")
    return spec


def Graph(stages: Sequence[Mapping[str, Any]], kind: Kind | None = None) -> GraphSpec:  # noqa: N802
    """Declare a graph of models, to be registered with ``ms.register``.

    ``stages`` are mappings with a ``name`` and one of ``columns``, ``model``, ``ensemble``,
    ``switch`` and ``score``; see :class:`Stage`. ``kind`` is that of the answer, where the last
    stage computes it by SQL and it is not that of the models before.

    Raises:
        BadInputError: naming the stage and what is wrong with it.

    Example:
        >>> Graph([{"name": "mean", "ensemble": ["churn/3", "churn@champion"]}]).members()
        ['churn/3', 'churn@champion']
    """
    return read({"stages": [dict(one) for one in stages], "kind": kind})


def file(text: str) -> GraphSpec:
    """Return the graph of a YAML or JSON file.

    Raises:
        BadInputError: if it cannot be read, or is no graph.
    """
    import yaml

    try:
        told = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInputError(f"The file is no YAML: {str(error)[:200]}", field="file") from error
    if not isinstance(told, Mapping | list):
        raise BadInputError("The file holds no graph.", field="file")
    return read(told)


def _check(stage: Stage, seen: set[str]) -> None:
    if not stage.name or len(stage.name) > 100 or stage.name in seen:
        raise _wrong(stage, "has the name of another" if stage.name in seen else "needs a name")
    given = [word for word in _WORDS if getattr(stage, word) is not None]
    if len(given) != 1:
        told = " and ".join(given) or "none"
        raise _wrong(stage, f"is one of {', '.join(_WORDS)}; found {told}")
    if stage.ensemble is not None:
        if len(stage.ensemble) < 2:
            raise _wrong(stage, "is an ensemble of fewer than two models")
        weights = stage.weights or [1.0] * len(stage.ensemble)
        if len(weights) != len(stage.ensemble) or min(weights) < 0 or not sum(weights) > 0:
            raise _wrong(stage, "has weights that are not one a model, at least 0, one above 0")
    elif stage.weights is not None:
        raise _wrong(stage, "has weights and is no ensemble")
    if stage.switch is not None and not (stage.cases or stage.otherwise):
        raise _wrong(stage, "is a switch without cases")
    if stage.switch is None and (stage.cases or stage.otherwise):
        raise _wrong(stage, "has cases and is no switch")


def _wrong(stage: Stage, why: str) -> BadInputError:
    return BadInputError(f"Stage {stage.name[:100]!r} {why}.", field="stages")
