"""Check that everything is in order; each line says what is not and what to do."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from mainspring.cli import homes, render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import Local, settings_of
from mainspring.ground.clock import SystemClock
from mainspring.ground.errors import BadInputError, MainspringError
from mainspring.ground.identity import sha256_file
from mainspring.ground.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

LOW_DISK_BYTES = 1_000_000_000
SAMPLED = 200
LATE_S = 5.0
_PACKAGES = (
    "numpy",
    "polars",
    "sqlalchemy",
    "starlette",
    "uvicorn",
    "scikit-learn",
    "onnxruntime",
)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one check found."""

    check: str
    state: str  #: ok, warn or bad
    found: str
    advice: str = ""


def ok(check: str, found: str) -> Finding:
    """Return a check that found nothing wrong."""
    return Finding(check=check, state="ok", found=found)


def warn(check: str, found: str, advice: str) -> Finding:
    """Return a check that found something to look at."""
    return Finding(check=check, state="warn", found=found, advice=advice)


def bad(check: str, found: str, advice: str) -> Finding:
    """Return a check that found something broken."""
    return Finding(check=check, state="bad", found=found, advice=advice)


def doctor(
    *,
    chaos: Annotated[
        bool,
        Parameter(
            negative=(), help="Copy the home, kill what works on the copy, see what it keeps."
        ),
    ] = False,
    rounds: Annotated[int, Parameter(help="With --chaos: how often to kill.")] = 5,
    seed: Annotated[int, Parameter(help="With --chaos: draws the moments.")] = 0,
    keep: Annotated[
        Path | None, Parameter(help="With --chaos: make the copy in this folder, and leave it.")
    ] = None,
    drill: Annotated[
        bool,
        Parameter(
            negative=(), help="Rehearse a roll-back of each endpoint, on a copy, under load."
        ),
    ] = False,
    options: Everywhere = HERE,
) -> int:
    """Check that everything is in order, and say what is not. Exit code 1 if something is broken.

    Nothing is changed. With --drill a copy of each endpoint is rolled back while callers ask it,
    and forward again; failed requests and seconds to recovery are kept as evidence.

    With --chaos a copy of the home is broken on purpose: an engine and a process that writes rows
    and labels are killed (SIGKILL) again and again; after every death each promise of the store is
    asked for, and at the end whether all that was acknowledged is there. The copy tells nobody
    anything and runs none of the project's code.
    """
    settings = settings_of(options)
    if settings.url:
        raise BadInputError(
            "The doctor looks at a home on this machine, not at a server.",
            field="url",
            hint="Run it where the home is, without --url and MAINSPRING_URL.",
        )
    if chaos:
        from mainspring.cli.chaos import broken_on_purpose

        return broken_on_purpose(settings, rounds, seed, keep, options)
    found = [finding for check in CHECKS for finding in check(settings)]
    if drill:
        from mainspring.cli.rehearsing import rehearsed

        out = render.console(stderr=True)
        shown = (
            out.status("rehearsing roll-backs") if out.is_terminal and not options.json else None
        )
        with shown or nullcontext():
            found += [
                Finding(check="drill", state=state, found=told, advice=advice)
                for state, told, advice in rehearsed(settings)
            ]

    def draw(out: Console) -> None:
        rows = [(f.state, f.check, f.found + (f". {f.advice}" if f.advice else "")) for f in found]
        render.table(out, ("", "CHECK", "FOUND"), rows)

    render.answer(options, msgspec.to_builtins(found), draw)
    return 1 if any(finding.state == "bad" for finding in found) else 0


def _journals(settings: Settings) -> Iterator[Finding]:
    from mainspring.workspace.tracking import looking

    home = Path(settings.home)
    found = looking.damaged(home)
    for text in found:
        yield bad("journals", text, "What follows there is kept; restore the file from a backup.")
    if not found:
        yield ok("journals", "none is damaged")
    for url, size in looking.waiting(home).items():
        yield warn("spool", f"{size:,} bytes wait for {url}", "Send them: mainspring sync")


def _python(_: Settings) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield ok("python", f"{version} at {sys.executable}")
    missing = []
    for name in _PACKAGES:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        yield bad("packages", f"{', '.join(missing)} missing", "Run: pip install mainspring")
    else:
        yield ok("packages", f"{len(_PACKAGES)} needed ones are installed")


def _home(settings: Settings) -> Iterator[Finding]:
    home = Path(settings.home)
    if not home.is_dir():
        yield warn("home", f"there is none at {home}", "It is made by: mainspring up")
        return
    if not os.access(home, os.W_OK | os.X_OK):
        yield bad("home", f"{home} cannot be written", "Give it to the user who runs mainspring.")
        return
    open_to = [
        path
        for path in (
            home,
            home / "run" / "secret",
            home / "secret.key",
            home / "mainspring.db",
            home / "logs",
        )
        if path.exists() and path.stat().st_mode & 0o077
    ]
    if open_to:
        advice = f"Close it: chmod -R go= {home}"
        yield bad("home", f"{open_to[0]} is open to other users", advice)
    else:
        yield ok("home", f"{home}, its owner's alone")


def _disk(settings: Settings) -> Iterator[Finding]:
    folder = next(p for p in (Path(settings.home), *Path(settings.home).parents) if p.exists())
    free = shutil.disk_usage(folder).free
    if free < LOW_DISK_BYTES:
        advice = "Make room, or lower capture_budget_mb in mainspring.toml."
        yield warn("disk", f"{render.size(free)} free", advice)
    else:
        yield ok("disk", f"{render.size(free)} free")


def _environments(settings: Settings) -> Iterator[Finding]:
    from mainspring.ground import venvs
    from mainspring.workspace import environments

    found = venvs.listed(environments.cache(Path(settings.home)))
    for note, _ in found:
        if not venvs.is_whole(note):
            told = f"{note.digest[:12]} ({note.came}) lacks something"
            advice = f"It is built again when needed, or: mainspring env remove {note.digest[:12]}"
            yield warn("environments", told, advice)
    if found:
        size = render.size(sum(venvs.size_of(note) for note, _ in found))
        yield ok("environments", f"{len(found)} built, {size}")


def _clock(settings: Settings) -> Iterator[Finding]:
    now = SystemClock().now()
    newest = max(
        (f.stat().st_mtime for f in Path(settings.home).glob("mainspring.db*")), default=0
    )
    if now < 1_704_067_200:  # 2024-01-01: before this was written
        yield bad("clock", f"{render.when(now)} UTC", "Set the machine's clock.")
    elif newest > now + 60:
        advice = "The clock was turned back; set it right before events get the wrong time."
        yield warn("clock", f"the database is from {render.when(newest)}, after now", advice)
    else:
        yield ok("clock", f"{render.when(now)} UTC")


def _database(settings: Settings) -> Iterator[Finding]:
    if settings.database_url.startswith("sqlite"):
        file = Path(settings.database_url.removeprefix("sqlite:///"))
        if not file.exists():
            yield warn("database", "there is none yet", "It is made by: mainspring up")
            return
        try:
            with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
                said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.Error as error:
            said = str(error)
        if said != "ok":
            yield bad("database", f"{file}: {said}", "Stop everything and restore a copy of it.")
            return
        yield ok("database", f"whole, {render.size(file.stat().st_size)}")
    yield from _store(settings)


def _store(settings: Settings) -> Iterator[Finding]:
    house = Local(settings)
    try:
        verdict = house.call("audit.verify")
        yield ok("schema", "current")
        if verdict["ok"]:
            yield ok("audit", f"the chain is whole, {verdict['rows']} lines")
        else:
            what = f"the chain breaks at line {verdict['first_bad']}: {verdict['reason']}"
            yield bad("audit", what, "Somebody changed the log. Compare with a copy.")
        status = house.call("system.status")
        failed = status["runs"]["failed"]
        if failed:
            yield warn("runs", f"{failed} of the newest 50 failed", "See: mainspring runs")
        for where, trace in (status.get("troubles") or {}).items():
            last = (trace.strip().splitlines() or [""])[-1]
            yield bad("engine", f"{where}: {last}", "See: mainspring logs --process engine")
    except MainspringError as error:
        advice = error.hint or "See what it says."
        yield bad("schema", error.message, advice)
    finally:
        house.close()


def _openlineage(settings: Settings) -> Iterator[Finding]:
    """Tell where events of runs go, and whether they arrive."""
    if not settings.openlineage_url or settings.openlineage_disabled:
        return
    from mainspring.workspace.openlineage import sending

    why = sending.reachable(settings)
    if why:
        advice = "Events wait for a week; see: mainspring lineage deliveries"
        yield warn("openlineage", why, advice)
    else:
        yield ok(
            "openlineage", f"{sending.file_of(settings) or sending.url_of(settings)} is there"
        )
    file = settings.database_url.removeprefix("sqlite:///")
    if settings.database_url.startswith("sqlite") and not Path(file).exists():
        return
    house = Local(settings)
    try:
        found = house.call("lineage.deliveries")
    except MainspringError:
        return  # the check of the database says why
    finally:
        house.close()
    for count, what in ((found["waiting"], "wait"), (found["failed"], "were refused")):
        if count and found["error"]:
            advice = "See: mainspring lineage deliveries"
            yield warn("openlineage", f"{count} events {what}: {found['error']}", advice)


def _invariants(settings: Settings) -> Iterator[Finding]:
    """Ask the store for everything it promises."""
    from mainspring.workspace.invariants.asking import ask
    from mainspring.workspace.opening import open_workspace

    file = settings.database_url.removeprefix("sqlite:///")
    if settings.database_url.startswith("sqlite") and not Path(file).exists():
        return
    try:
        with closing(open_workspace(settings)) as ws:
            promises = ask(ws)
    except MainspringError as error:
        yield bad("promises", error.message, error.hint or "See what it says.")
        return
    for promise in promises:
        for what in promise.broken:
            yield bad(promise.name, what, promise.advice)
    kept = [promise.name for promise in promises if not promise.broken]
    if kept:
        yield ok("promises", f"{len(kept)} of {len(promises)} are kept: {', '.join(kept)}")


def _objects(settings: Settings) -> Iterator[Finding]:
    folder = Path(settings.objects_url)
    if "://" in settings.objects_url:
        yield ok("objects", f"at {settings.objects_url}, not sampled")
        return
    checked = 0
    for file in islice((f for f in folder.rglob("*") if f.is_file()), SAMPLED):
        digest = _digest_of(file, folder)
        if digest is None:
            continue
        checked += 1
        try:
            whole = sha256_file(file) == digest
        except OSError as error:
            yield bad("objects", f"{file.name} cannot be read: {error}", "Check the disk.")
            return
        if not whole:
            yield bad("objects", f"{digest[:12]} is damaged", "Restore it, or run its step again.")
            return
    yield ok("objects", f"{checked} looked at, all whole")


def _digest_of(file: Path, folder: Path) -> str | None:
    """Return the digest that an object's place stands for; None for a file on its way."""
    joined = "".join(file.relative_to(folder).parts)
    digest = joined[-64:]
    return digest if len(digest) == 64 and set(digest) <= set("0123456789abcdef") else None


def _server(settings: Settings) -> Iterator[Finding]:
    home = Path(settings.home)
    state = homes.read_state(home)
    if not homes.is_up(home):
        if state:
            what = "the last supervisor did not end by itself"
            yield warn("server", f"not up; {what}", "Nothing to do: up starts again.")
        else:
            yield ok("server", "not up")
        yield from _port(settings)
        return
    yield ok("server", f"up at {state.get('url')}, pid {state.get('pid')}")
    for process in state.get("processes", []):
        if process["restarts"]:
            times = f"{process['name']} was restarted {process['restarts']} times"
            yield warn("processes", times, f"See: mainspring logs --process {process['name']}")
    yield from _heartbeat(home)


def _heartbeat(home: Path) -> Iterator[Finding]:
    try:
        told = msgspec.json.decode((home / "run" / "engine.json").read_bytes())
        late = SystemClock().now() - float(told["at"])
    except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError):
        yield bad(
            "engine", "it has not shown a sign of life", "See: mainspring logs --process engine"
        )
        return
    if late > LATE_S:
        yield bad("engine", f"silent for {late:.0f} s", "See: mainspring logs --process engine")
    else:
        yield ok("engine", f"alive {max(late, 0):.1f} s ago")


def _port(settings: Settings) -> Iterator[Finding]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((settings.host, settings.port))
        except OSError as error:
            advice = "Choose another: mainspring up --port 0"
            yield warn("port", f"{settings.port} on {settings.host}: {error.strerror}", advice)
        else:
            yield ok("port", f"{settings.port} on {settings.host} is free")


def _steps(_: Settings) -> Iterator[Finding]:
    """Tell what holds here of that which systems other than Linux do not have."""
    from mainspring.pipelines.programs import mounting
    from mainspring.workspace.performing import room

    if sys.platform == "linux":
        yield ok("memory of steps", room.bounded())
    else:
        yield warn("memory of steps", "not bounded here", "Run what needs a limit on Linux.")
    why = mounting.refusal()
    if why:
        advice = "Have scripts ask SM_MODEL_DIR and the like, or run the engine as root."
        yield warn("/opt/ml", f"scripts that write it out do not run: {why}", advice)
    else:
        yield ok("/opt/ml", "scripts that write it out find it")


def _locks(settings: Settings) -> Iterator[Finding]:
    run = Path(settings.home) / "run"
    stale = []
    for file in run.glob("endpoints/*.json"):
        try:
            pid = msgspec.json.decode(file.read_bytes()).get("pid")
        except (OSError, msgspec.DecodeError, AttributeError):
            continue
        if isinstance(pid, int) and not homes.is_ours(pid):
            stale.append(file.name)
    if stale:
        what = f"{', '.join(stale)} name processes that are gone"
        yield warn("locks", what, "They are replaced at the next mainspring up.")
    else:
        yield ok("locks", "none is stale")


CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    _python,
    _home,
    _disk,
    _environments,
    _steps,
    _clock,
    _database,
    _openlineage,
    _invariants,
    _objects,
    _journals,
    _server,
    _locks,
)
