"""Run a training script on the rows that a loop assembled, and return the model it made."""

from __future__ import annotations

import io
import subprocess
import sys
from collections import deque
from contextlib import closing
from pathlib import Path

import msgspec
import polars as pl

from mainspring.ground.errors import BadInputError
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import load
from mainspring.readiness import forms, registry
from mainspring.scaling.models.model import FittedModel
from mainspring.workspace.around import scratch, server, taking
from mainspring.workspace.around.scripts import Script
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.tables import read

_LAST_LINES = 20


def run(captured: str | None, how: str, file: str) -> FittedModel:
    """Run a script in a copy of its project and take over what it made. For a step.

    ``captured`` is the digest of the rows to learn from; None: the script's own file, as it
    is. ``how`` is a :class:`Script` as JSON, ``file`` the module that declared it. A first
    version is the model that is there already, where there is one that may be loaded.

    Raises:
        RuntimeError: if the script ends with another code than 0, with its last words.
        BadInputError: if it made no model, or a pickle that nobody trusts.
    """
    script = msgspec.json.decode(how, type=Script)
    root = Path(file).resolve().parent
    with closing(open_workspace(load(start=root))) as ws:
        rows = None
        if captured is not None:
            rows = pl.read_parquet(io.BytesIO(ws.objects.get(captured)))
        known = rows if rows is not None else read(root / script.rows, "rows")
        there = _there(ws, root, script, known)
        if there is not None:
            return there
        return _made(ws, root, script, rows, known)


def is_trusted(ws: Workspace, digest: str) -> bool:
    """Return whether a person said that what a script of this digest makes may be loaded."""
    return ws.read(Permission.READ, lambda tx: forms.trusted(tx, digest)) is not None


def _there(ws: Workspace, root: Path, script: Script, rows: pl.DataFrame) -> FittedModel | None:
    """Return the model that is there before the loop's first version, if it may be loaded."""
    champion = ws.read(Permission.READ, lambda tx: registry.champion(tx, script.model))
    if champion is not None:
        return None
    found = taking.existing(ws, script)
    trusted = is_trusted(ws, script.code)
    try:
        if found is not None:
            model = taking.of_package(ws, found, script, rows, trusted=found.ours or trusted)
            _say(f"{found.where} is there already: it becomes the first version as it is.")
            return model
        file = root / script.writes if script.writes else None
        if file is not None and file.is_file() and file.suffix.lower() in taking.SKOPS:
            model = taking.of_file(file, script, rows, trusted=False)
            _say(f"{script.writes} is there already: it becomes the first version as it is.")
            return model
    except BadInputError as error:
        _say(f"What is there cannot be taken over, so {script.script} is run: {error.message}")
    return None


def _made(
    ws: Workspace, root: Path, script: Script, rows: pl.DataFrame | None, known: pl.DataFrame
) -> FittedModel:
    trusted = is_trusted(ws, script.code)
    with scratch.prepared(root, ws.home, script, rows) as (place, here):
        main = place / script.script
        if script.writes is not None:
            _launch(script, main, place, here, {})
            return taking.of_file(place / script.writes, script, known, trusted=trusted)
        with server.reached(ws, script.env) as told:
            _launch(script, main, place, here, told)
        found = taking.logged_by(ws, script, main)
        _say(f"{script.script} made {found.where}.")
        return taking.of_package(ws, found, script, known, trusted=trusted)


def _launch(script: Script, main: Path, place: Path, rows: Path, told: dict[str, str]) -> None:
    """Run the script to its end, its words into the step's log."""
    words = [text.replace("{rows}", str(rows)) for text in script.args]
    last: deque[str] = deque(maxlen=_LAST_LINES)
    command = [script.python or sys.executable, str(main), *words]
    with subprocess.Popen(  # noqa: S603  the user's own script
        command,
        cwd=place,
        env=scratch.variables(script, rows, told),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            last.append(line.rstrip())
            _say(line.rstrip())
    if process.returncode:
        told_last = next((line for line in reversed(last) if line.strip()), "it said nothing")
        raise RuntimeError(f"{script.script} ended with {process.returncode}: {told_last[:300]}")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  into the step's log
