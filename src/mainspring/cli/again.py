"""Make a run again from its record, and say whether the same comes of it."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import Local, Remote, asking
from mainspring.cli.runs import full_id
from mainspring.ground.clock import SystemClock
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

    from mainspring.experiments.capture.facts import EnvironmentFile, SourceFile
    from mainspring.workspace.again import Past, Prepared
    from mainspring.workspace.verdicts import Comparison

_CODES = {"same": 0, "differs": 1, "cannot": 2}
_SENT_S = 30.0  #: what a process sends to a server at its end is there by then
_MOST_SHOWN = 20


def again(
    run: Annotated[str, Parameter(help="The run's id, its first characters, or 'last'.")],
    /,
    *,
    tolerance: Annotated[
        float, Parameter(help="Relative difference up to which metrics count as equal.")
    ] = 1e-9,
    link: Annotated[
        list[str] | None,
        Parameter(
            negative=(), help="A file or folder git does not have, such as data, to be linked."
        ),
    ] = None,
    keep: Annotated[
        bool, Parameter(negative=(), help="Leave the checkout where it is, and say where.")
    ] = False,
    options: Everywhere = HERE,
) -> int:
    """Run a past run again from its record alone, and compare the two.

    Its commit is checked out into a temporary folder, its uncommitted changes are applied, and
    its command is started there with the environment that mattered. Exit code 0 if params,
    metrics and artifacts are the same, 1 if something differs, 2 if it cannot be run again.
    """
    if not 0 <= tolerance < 1:
        raise BadInputError(
            f"tolerance must be 0 or more and below 1, found {tolerance}.", field="tolerance"
        )
    with asking(options) as house:
        name = full_id(house, run)
        place = Path(tempfile.mkdtemp(prefix="mainspring-again-"))
        try:
            found = _made(house, name, place, tolerance, link or [], quiet=options.json)
        finally:
            if not keep:
                shutil.rmtree(place, ignore_errors=True)
    if keep:
        found = msgspec.structs.replace(found, notes=[*found.notes, f"the checkout is in {place}"])
    render.answer(options, msgspec.to_builtins(found), lambda out: _draw(out, found))
    return _CODES[found.verdict]


def _made(
    house: Local | Remote,
    name: str,
    place: Path,
    tolerance: float,
    link: list[str],
    *,
    quiet: bool,
) -> Comparison:
    from mainspring.workspace import again as making
    from mainspring.workspace import verdicts

    past = _past(house, name)
    notes: list[str] = []
    try:
        prepared = making.prepare(past, house.settings, place, linked=link)
        notes = prepared.notes
        begun = SystemClock().now()
        code, tail = _started(prepared, place, quiet=quiet)
        if code != 0:
            notes.append(f"the command ended with exit code {code}")
        try:
            made = verdicts.chosen(past, _runs_made(house, name, begun, code))
        except making.CannotError as error:
            raise making.CannotError(f"{error}{_told(tail)}" if code else str(error)) from error
    except making.CannotError as error:
        return verdicts.cannot(name, str(error), notes)
    return verdicts.compare(past, _past(house, made), tolerance=tolerance, notes=notes)


def _past(house: Local | Remote, run: str) -> Past:
    from mainspring.experiments.capture import facts
    from mainspring.experiments.datasets import Use
    from mainspring.workspace.again import Past

    about = house.call("runs.about", run=run)
    # Measured, not as they stand in the record: there infinities are null in JSON, as NaN is.
    metrics = {one["key"]: one["last"] for one in about["metrics"]}
    files = {one["path"]: one["digest"] for one in house.call("artifacts.list", run=run)}
    source: SourceFile | None = None
    ran_on: EnvironmentFile | None = None
    if facts.SOURCE in files:
        data = _bytes(house, run, facts.SOURCE)
        source = msgspec.json.decode(data, type=facts.SourceFile)
    if facts.ENVIRONMENT in files:
        data = _bytes(house, run, facts.ENVIRONMENT)
        ran_on = msgspec.json.decode(data, type=facts.EnvironmentFile)
    patch = _bytes(house, run, facts.PATCH) if facts.PATCH in files else b""
    record = {**about["run"], "metrics": metrics}
    return Past(
        run=record,
        artifacts=files,
        source=source,
        ran_on=ran_on,
        patch=patch,
        inputs=msgspec.convert(about["inputs"], list[Use]),
    )


def _bytes(house: Local | Remote, run: str, path: str) -> bytes:
    return base64.b64decode(house.call("artifacts.get", run=run, path=path)["data"])


def _started(prepared: Prepared, place: Path, *, quiet: bool) -> tuple[int, str]:
    """Run the command to its end; return its exit code and the last it wrote.

    What it writes goes to standard error too, so that standard output is the answer alone.
    """
    log = place / "output.log"
    with (
        log.open("wb") as file,
        subprocess.Popen(  # noqa: S603  the command of the run, as its user typed it
            prepared.command, cwd=prepared.folder, env=prepared.environ, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as child,
    ):  # fmt: skip
        try:
            for line in child.stdout or ():
                file.write(line)
                if not quiet:
                    sys.stderr.write(render.plain(line.decode("utf-8", "replace")))
                    sys.stderr.flush()
            code = child.wait()
        except BaseException:
            os.killpg(child.pid, signal.SIGTERM)  # Ctrl-C: what it started ends too
            raise
    return code, log.read_bytes()[-4000:].decode("utf-8", "replace")


def _runs_made(house: Local | Remote, run: str, begun: float, code: int) -> list[dict[str, Any]]:
    """Return the runs that the command made.

    Over a server they may arrive a moment after the process has ended.
    """
    until = time.monotonic() + (_SENT_S if isinstance(house, Remote) and code == 0 else 0.0)
    while True:
        made = _listed(house, run, begun)
        ended = made and all(one["status"] != "running" for one in made)
        if ended or time.monotonic() >= until:
            return made
        time.sleep(0.3)


def _listed(house: Local | Remote, run: str, begun: float) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"cursor": None}
    while True:
        page = house.call("runs.list", limit=200, cursor=page["cursor"])
        fresh = [one for one in page["runs"] if one["started"] >= begun]
        found += [one for one in fresh if one["tags"].get("mainspring.again") == run]
        if page["cursor"] is None or len(fresh) < len(page["runs"]):
            return found


def _told(tail: str) -> str:
    lines = [line for line in tail.splitlines() if line.strip()]
    return f"; it said last: {render.plain(lines[-1][:300])}" if lines else ""


def _draw(out: Console, found: Comparison) -> None:
    for what, pairs in (
        ("PARAM", found.params),
        ("METRIC", found.metrics),
        ("ARTIFACT", found.artifacts),
        ("INPUT", found.inputs),
    ):
        rows = [
            (one.key, _short(one.was), _short(one.now), "same" if one.same else "differs")
            for one in sorted(pairs, key=lambda one: one.same)
        ]
        if rows:
            render.table(out, (what, "THEN", "NOW", ""), rows[:_MOST_SHOWN])
            if len(rows) > _MOST_SHOWN:
                out.print(f"and {len(rows) - _MOST_SHOWN} more")
            out.print()
    for line in found.packages[:_MOST_SHOWN]:
        out.print(render.plain(f"package {line}"))
    for line in found.notes:
        out.print(render.plain(f"note: {line}"))
    if found.again is not None:
        out.print(f"made again as {found.again}")
    colour = {"same": "green", "differs": "yellow", "cannot": "red"}[found.verdict]
    out.print(render.plain(f"{found.verdict}: {found.why}"), style=colour)


def _short(value: Any) -> Any:
    """Return a digest by its first characters, anything else as it is."""
    whole = isinstance(value, str) and len(value) == 64 and value.isalnum()
    return value[:12] if whole else "-" if value is None else value
