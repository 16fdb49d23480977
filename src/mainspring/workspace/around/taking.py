"""Take over the model that a script made: the file it wrote, or what it logged and registered.

A pickle is opened in one case only: a person has said of this very script (its digest) that what
it makes may be, and the bytes are of this very run. The process that opens it has just run the
script itself. Files of skops are built of listed types, and need nobody's word.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from mainspring.experiments import artifacts, logged
from mainspring.experiments.tables import logged_models, tags
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import forms, registry
from mainspring.scaling.models import converting, native_form
from mainspring.scaling.models.model import FittedModel, Model
from mainspring.workspace import tokens
from mainspring.workspace.around.scripts import Script
from mainspring.workspace.opening import Workspace
from mainspring.workspace.registering import keep_files

if TYPE_CHECKING:
    import polars as pl

SKOPS = (".skops",)
PICKLED = (".joblib", ".pkl", ".pickle")
#: How MLflow's clients say which script made a run.
_SOURCE = "mlflow.source.name"


class Found(NamedTuple):
    """A model of another tool's making, and where it came from, in words."""

    package: str  #: digest of its files
    where: str
    ours: bool  #: made by whoever the script is, as far as the store knows


def of_file(file: Path, script: Script, rows: pl.DataFrame, *, trusted: bool) -> FittedModel:
    """Return the model of a file that the script wrote.

    Raises:
        BadInputError: if there is none, or it is pickled and nobody trusts the script.
    """
    if not file.is_file():
        raise BadInputError(
            f"{script.script} wrote no {script.writes}.",
            field="writes",
            hint="Name the model file it writes, from the project's folder.",
        )
    kind, data = file.suffix.lower(), file.read_bytes()
    if kind in SKOPS:
        estimator = native_form.load(data, trusted=trusted)
    elif kind in PICKLED:
        if not trusted:
            raise untrusted(script, f"{script.writes} is pickled")
        estimator = _joblib(data)
    else:
        raise BadInputError(
            f"{script.writes} is of no kind that can be taken over.",
            field="writes",
            hint=f"Known endings: {', '.join((*SKOPS, *PICKLED))}.",
        )
    return adopted(estimator, script, rows)


def adopted(estimator: Any, script: Script, rows: pl.DataFrame) -> FittedModel:
    """Return a fitted estimator with all that a version of it needs, told by these rows."""
    from mainspring.scaling.models import adopting

    names = adopting.columns_of(estimator)
    if names is None:
        names = [name for name in rows.columns if name not in (script.target, script.time)]
    wanted = [*names, script.target, *([script.time] if script.time in rows.columns else [])]
    missing = [name for name in wanted if name not in rows.columns]
    if missing:
        raise BadInputError(
            f"The model wants the column {missing[0]!r}, which the rows do not have.",
            field="rows",
            hint="Put what computes it into the estimator, as a Pipeline: rows are served raw.",
        )
    time = script.time if script.time in rows.columns else None
    made = Model(estimator, target=script.target, columns=list(names), time=time)
    return made.adopt(rows.select(list(dict.fromkeys(wanted))))


def of_package(
    ws: Workspace, found: Found, script: Script, rows: pl.DataFrame, *, trusted: bool
) -> FittedModel:
    """Return the model of a directory that an MLflow client logged.

    Raises:
        BadInputError: naming the flavor or type that cannot be loaded, or the pickle that nobody
            trusts.
    """
    try:
        estimator, notes = converting.estimator(
            found.package, ws.objects, trusted=trusted and found.ours
        )
    except BadInputError as error:
        if trusted or "pickled" not in error.message:
            raise
        raise untrusted(script, f"{found.where} is pickled") from error
    for note in notes:
        print(note)  # noqa: T201  into the step's log
    return adopted(estimator, script, rows)


def logged_by(ws: Workspace, script: Script, main: Path) -> Found:
    """Return what a run of the script registered or logged last, by the path it ran from.

    Raises:
        BadInputError: if it did neither.
    """
    expected = _maker(ws)

    def look(tx: Tx) -> Found | None:
        runs = _runs_of(tx, main)
        made = [one for run in runs for one in registry.of_run(tx, run)]
        named = [one for one in made if one.model == script.model] or made
        if named:
            last = max(named, key=lambda one: one.created)
            where = f"{last.model}/{last.number}"
            return Found(last.origin or last.package, where, last.by == expected)
        several = [one for run in runs for one in _logged_of(tx, run)]
        if not several:
            return None
        last_one = max(several, key=lambda one: one.created)
        files = artifacts.digests(tx, last_one.id, "", of=artifacts.MODELS)
        # Nobody says who logged it: where there are tokens, that may be another's work.
        return Found(keep_files(ws, files), f"the logged model {last_one.name}", not _tokens(tx))

    found = ws.read(Permission.READ, look)
    if found is None:
        raise BadInputError(
            f"{script.script} ended well, and neither logged nor registered a model here.",
            field="script",
            hint="Log it with mlflow.sklearn.log_model, or name the file it writes: writes=FILE.",
        )
    return found


def existing(ws: Workspace, script: Script) -> Found | None:
    """Return the newest version that a client registered, for a loop whose model is there."""

    def look(tx: Tx) -> Found | None:
        if registry.champion(tx, script.model) is not None:
            return None
        try:
            known = registry.versions(tx, script.model)
        except NotFoundError:
            return None
        for one in known:
            if one.source is not None:
                digest = one.origin or one.package
                trusted = forms.trusted(tx, digest) is not None
                return Found(digest, f"{one.model}/{one.number}", trusted)
        return None

    return ws.read(Permission.READ, look)


def untrusted(script: Script, what: str) -> BadInputError:
    """Return the refusal of a pickle, with what a person can do about it."""
    return BadInputError(
        f"{what}, and loading a pickle runs whatever code is in it. Nobody has said that what"
        f" {script.script} makes may be loaded.",
        field="script",
        hint=f"Say so once for the script as it is: mainspring models trust-script"
        f" {script.script} --reason WHY. Or let it write skops.",
    )


# ---------------------------------------------------------------- parts


def _joblib(data: bytes) -> Any:
    import io

    import joblib

    try:
        return joblib.load(io.BytesIO(data))
    # It runs the file's own code, which raises whatever it likes.
    except Exception as error:
        told = f"{type(error).__name__}: {str(error)[:200]}"
        raise BadInputError(
            f"The model file cannot be loaded here: {told}",
            field="writes",
            hint="Its code must be importable here too, or the model be written with skops.",
        ) from error


def _runs_of(tx: Tx, main: Path) -> list[str]:
    asked = select(tags.c.run).where(tags.c.key == _SOURCE, tags.c.value == str(main))
    return [row.run for row in tx.all(asked)]


def _logged_of(tx: Tx, run: str) -> list[logged.LoggedModel]:
    asked = select(logged_models.c.id).where(logged_models.c.run == run)
    return logged.several(tx, [row.id for row in tx.all(asked)])


def _tokens(tx: Tx) -> bool:
    return tokens.exist(tx)


def _maker(ws: Workspace) -> str:
    """Return as whom the script's client is known: by its token, else as the owner."""
    secret = os.environ.get("MLFLOW_TRACKING_TOKEN")
    if not secret:
        return ws.who.name
    found = ws.read(Permission.READ, lambda tx: tokens.verify(tx, secret, ws.clock.now()))
    return "" if found is None else found.name
