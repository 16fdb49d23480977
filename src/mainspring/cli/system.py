"""The home: up, stop, status, config, version."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from mainspring.cli import homes, render
from mainspring.cli.loops import draw_loops
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import Local, asking, settings_of
from mainspring.ground.clock import SystemClock
from mainspring.ground.errors import (
    BadInputError,
    ConflictError,
    MainspringError,
    UnavailableError,
)
from mainspring.ground.settings import Settings
from mainspring.ground.version import __version__

if TYPE_CHECKING:
    from rich.console import Console

READY_S = 60.0
STOP_S = 60.0  #: the drain takes nine at most, and the rest is the machine's business
POLL_S = 0.05
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def up(
    *,
    port: Annotated[
        int | None, Parameter(help="Where the pages are; 0 takes a free port.")
    ] = None,
    host: Annotated[str | None, Parameter(help="Beyond loopback only with tokens.")] = None,
    detach: Annotated[
        bool, Parameter(negative=(), help="Return once all is healthy, and let it run.")
    ] = False,
    project: Annotated[
        bool, Parameter(negative="--no-project", help="Declare the project's loops.")
    ] = True,
    options: Everywhere = HERE,
) -> None:
    """Start web, engine and endpoints, and keep them running until Ctrl-C or ``stop``."""
    from mainspring.cli.declaring import has_project

    settings = settings_of(options, port=port, host=host)
    if not 0 <= settings.port <= 65535:
        raise BadInputError(f"A port is between 0 and 65535, found {settings.port}.", field="port")
    _prepare(settings)
    command = [
        *(sys.executable, "-P", "-m", "mainspring.cli.supervisor", "--home", settings.home),
        *("--host", settings.host, "--port", str(settings.port)),
        *("--log-days", str(settings.log_days), "--log-mb", str(settings.log_mb)),
        *(["--project"] if project and has_project(settings) else []),
    ]
    environ = {**os.environ, "MAINSPRING_ROOT": settings.root}
    if detach:
        _detached(command, environ, settings, options)
    else:
        # The supervisor takes our place: what lives on is small, and Ctrl-C reaches it.
        os.chdir(settings.root)
        sys.stdout.flush()
        os.execve(sys.executable, command, environ)  # noqa: S606


def _prepare(settings: Settings) -> None:
    """Open the home once, so that what is wrong with it is said here and not in a log.

    Raises:
        ConflictError: if it would be open to the network while no token counts.
    """
    local = Local(settings, create=True)
    try:
        # Behind a proxy of the owner's own user, everybody would look like the owner.
        if settings.host in _LOOPBACK and not settings.hosts:
            local.call("system.version")
            return
        tokens = local.call("tokens.list")
    finally:
        local.close()
    now = SystemClock().now()
    if not any(_counts(token, now) for token in tokens):
        names = ", ".join(dict.fromkeys([settings.host, *settings.hosts]))
        raise ConflictError(
            f"There is no token that counts, so it is not opened to callers of {names}.",
            field="host",
            hint="Make one first: mainspring token create NAME --role admin",
        )


def _counts(token: dict[str, Any], now: float) -> bool:
    expires = token["expires"]
    return token["revoked"] is None and (expires is None or expires > now)


def _detached(
    command: list[str], environ: dict[str, str], settings: Settings, options: Everywhere
) -> None:
    ours, theirs = os.pipe()
    log = Path(settings.home) / "logs" / "supervisor.log"
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    process = subprocess.Popen(  # noqa: S603  our own command
        [*command, "--report", str(theirs)],
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=out,
        cwd=settings.root,
        env=environ,
        pass_fds=[theirs],
        start_new_session=True,
    )
    os.close(theirs)
    os.close(out)
    told = _report(ours, log)
    if "error" in told:
        process.wait()
        error = BadInputError if told.get("exit") == 2 else ConflictError
        raise error(told["message"], field=told.get("field"), hint=told.get("hint"))
    _await_health(told["url"], log)
    render.said(
        options,
        told,
        f"Mainspring is up at {told['url']} (pid {told['pid']}).",
        "End it with: mainspring stop",
    )


def _report(descriptor: int, log: Path) -> dict[str, Any]:
    """Return the one line by which the supervisor says that it is up, or why it is not."""
    with os.fdopen(descriptor, "rb") as handle:
        readable, _, _ = select.select([handle], [], [], READY_S)
        line = handle.readline() if readable else b""
    if not line:
        raise UnavailableError("Mainspring did not come up.", hint=f"What it said is in {log}.")
    found: dict[str, Any] = json.loads(line)
    return found


def _await_health(url: str, log: Path) -> None:
    import urllib.error
    import urllib.request

    # A proxy set for the machine must not get between us and loopback.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        try:
            with direct.open(f"{url}/health", timeout=2) as reply:
                if reply.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass  # not yet; the time runs out below
        time.sleep(POLL_S)
    raise UnavailableError(
        f"{url}/health did not become healthy in {READY_S:.0f} s.",
        hint=f"See {log}, or: mainspring logs --process engine",
    )


def stop(*, options: Everywhere = HERE) -> None:
    """Drain and end everything that ``up`` started. A home that is not up is fine."""
    home = Path(settings_of(options).home)
    pid = homes.read_state(home).get("pid")
    if not homes.is_up(home) or not isinstance(pid, int):
        render.said(options, {"stopped": False, "pid": None}, f"{home} is not up.")
        return
    with contextlib.suppress(ProcessLookupError):  # it ended this moment
        os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + STOP_S
    while homes.is_up(home):
        if time.monotonic() > until:
            raise UnavailableError(
                f"The supervisor (pid {pid}) did not end within {STOP_S:.0f} s.",
                hint=f"End it by force: kill -9 {pid}. Its processes then end by themselves.",
            )
        time.sleep(POLL_S)
    render.said(options, {"stopped": True, "pid": pid}, f"Stopped (pid {pid}).")


def status(*, options: Everywhere = HERE) -> int:
    """Show processes, endpoints, loops and disk use. Exit code 1 if the home is not up."""
    with asking(options) as house:
        found = house.call("system.status")
    here = settings_of(options).url is None
    running = processes(Path(settings_of(options).home)) if here else {}
    if here:
        found["supervisor"] = running
        found["disk"] = disk_use(Path(found["home"]))
    render.answer(options, found, lambda out: _draw_status(out, found, running if here else None))
    return 0 if (running.get("up") if here else found["engine"] == "up") else 1


def processes(home: Path) -> dict[str, Any]:
    """Return what a home runs: the supervisor and its processes with their memory."""
    state = homes.read_state(home)
    if not homes.is_up(home):
        return {"up": False, "processes": []}
    rows: list[dict[str, Any]] = [{"name": "supervisor", "pid": state.get("pid"), "restarts": 0}]
    rows += state.get("processes", [])
    for row in rows:
        row["memory_bytes"] = memory_of(row["pid"]) if row["pid"] else None
    return {**state, "up": True, "processes": rows}


def memory_of(pid: int) -> int | None:
    """Return the memory that is a process's own: resident, shared pages counted by share."""
    for name, key in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        try:
            text = Path(f"/proc/{pid}/{name}").read_text("ascii")
        except (OSError, ValueError):
            continue
        for line in text.splitlines():
            if line.startswith(key):
                return int(line.split()[1]) * 1024
    return None


def disk_use(home: Path) -> dict[str, int]:
    """Return how many bytes each part of a home takes."""
    found = {"database": 0, "objects": 0, "captures": 0, "logs": 0}
    for file in home.glob("mainspring.db*"):
        found["database"] += file.stat().st_size
    for part in ("objects", "captures", "logs"):
        for folder, _, files in os.walk(home / part):
            for name in files:
                try:
                    found[part] += Path(folder, name).stat().st_size
                except OSError:  # a segment may be sealed while we look
                    continue
    return found


def _draw_status(out: Console, found: dict[str, Any], running: dict[str, Any] | None) -> None:
    out.print(render.plain(f"home    {found['home']} ({found['database']})"))
    if running is not None:
        url = f"up at {running['url']}" if running["up"] else "not up (start it: mainspring up)"
        out.print(f"server  {url}")
        use = ", ".join(f"{part} {render.size(count)}" for part, count in found["disk"].items())
        out.print(f"disk    {use}")
    out.print(f"engine  {found['engine']}")
    for where, trace in (found.get("troubles") or {}).items():
        last = trace.strip().splitlines()[-1:] or [""]
        out.print(render.plain(f"trouble {where}: {last[0]}"), style="red")
    out.print()
    if running and running["processes"]:
        rows = [
            (p["name"], p["pid"] or "starting", p["restarts"], render.size(p["memory_bytes"] or 0))
            for p in running["processes"]
        ]
        render.table(out, ("PROCESS", "PID>", "RESTARTS>", "MEMORY>"), rows)
        out.print()
    endpoints = [
        (e["name"], _state(e), _serves(e), e["url"] or "", _captured(e["captures"]))
        for e in found["endpoints"]
    ]
    columns = ("ENDPOINT", "STATE", "SERVES", "OWN ADDRESS", "CAPTURED")
    render.table(out, columns, endpoints, "No endpoints.")
    out.print()
    draw_loops(out, found["loops"])


def _captured(use: dict[str, Any]) -> str:
    told = f"{render.size(use['bytes'])} of {render.size(use['budget_bytes'])}"
    for key, words in (("dropped_rows", "oldest rows let go"), ("damaged_rows", "rows damaged")):
        told += f", {use[key]:,} {words}" if use.get(key) else ""
    return told


def _state(endpoint: dict[str, Any]) -> str:
    wanted, there = endpoint.get("workers_wanted"), len(endpoint.get("workers", []))
    if wanted is None or there == wanted <= 1:
        return str(endpoint["state"])
    told = f"{there} workers" if there == wanted else f"{there} of {wanted} workers"
    return f"{endpoint['state']}, {told}"


def _serves(endpoint: dict[str, Any]) -> str:
    routing = endpoint["routing"]
    if routing["champion"] is None:
        return f"{endpoint['model']}: no champion yet"
    beside = f" + {routing['challenger']}" if routing["challenger"] else ""
    return f"{endpoint['model']}/{routing['champion']}{beside}"


def config(*, options: Everywhere = HERE) -> None:
    """Show the settings in force. They come from mainspring.toml, MAINSPRING_* and options."""
    settings = settings_of(options)
    found = msgspec.to_builtins(settings) | {
        "database": settings.database_url,
        "objects": settings.objects_url,
        "token": "set" if settings.token else None,
        "openlineage_key": "set" if settings.openlineage_key else None,
        "openlineage_headers": dict.fromkeys(settings.openlineage_headers, "set"),
    }
    found["database"] = _without_password(found["database"])
    render.answer(
        options, found, lambda out: render.table(out, ("KEY", "VALUE"), list(found.items()))
    )


def _without_password(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    return f"{scheme}{mark}{user.partition(':')[0]}{at}{place}" if at else url


def version(*, options: Everywhere = HERE) -> None:
    """Show which version this is, and which one the server is where a URL is given."""
    found: dict[str, Any] = {"version": __version__}
    if settings_of(options).url is not None:
        try:
            with asking(options) as house:
                found["server"] = house.call("system.version")["version"]
        except MainspringError as error:
            found["server"] = None
            found["why"] = error.message
    lines = [f"mainspring {__version__}"]
    if "server" in found:
        lines.append(f"server {found['server'] or found['why']}")
    render.said(options, found, *lines)
