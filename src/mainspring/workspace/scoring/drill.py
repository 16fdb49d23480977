"""Rehearse a roll-back under load: on a copy of the endpoint, so that nobody is touched.

The copy is an endpoint's own process on a free port, over a registry of its own in a folder that
goes away afterwards, and the same packages. What moves the champion there is what
``mainspring rollback`` does, so what is measured is the real way: from the transaction to the
last answer of the version that was withdrawn, the package loaded from the objects on the way.
A drill on the endpoint itself would write a roll-back into history, end a running rollout and
tell the loop of harm that was none; it is not offered.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground.errors import ConflictError, UnavailableError
from mainspring.ground.identity import new_id
from mainspring.ground.objects import Evidence, GateResult, Record, Version
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.readiness import evidence, gate, registry
from mainspring.scaling.models import package
from mainspring.scaling.serving import endpoints
from mainspring.workspace import acts
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.processes import read_json
from mainspring.workspace.scoring.load import Asked, Callers

KIND = "rollback_drill"
_MAIN = "mainspring.workspace.scoring.standby"
CALLERS = 4
#: How long callers ask before the first move, and after each.
CALM_S = 0.7
#: After this long a version that should have answered counts as never back.
MOST_S = 30.0
START_S = 60.0
#: A roll-back that takes longer is none that helps; the poll of an endpoint is 0.1 s.
QUICK_S = 5.0
_WITHDRAWN, _RESTORED = 2, 1  # their numbers in the copy: promoted in this order


class Drilled(Record, frozen=True, kw_only=True):
    """What a rehearsed roll-back showed."""

    endpoint: str
    model: str
    withdrawn: int  #: the version that serves
    restored: int  #: the version it was rolled back to
    requests: int
    failed: int  #: answered with anything but 200, or not at all
    per_second: float
    recovery_s: float | None  #: from the command to the last answer of the withdrawn version
    return_s: float | None  #: the same for the way back
    p99_ms: float
    evidence: Evidence


def rollback(ws: Workspace, endpoint: str, to: int | None = None) -> Drilled:
    """Roll a copy of an endpoint back and forward again while callers ask it, and keep what came.

    Without ``to`` it goes to the champion before, as ``mainspring rollback`` would.

    Raises:
        NotFoundError: if there is no such endpoint or version.
        ConflictError: if nobody serves it, there is nothing to go back to, or it answers
            elsewhere.
        UnavailableError: if the copy does not start.
    """
    model, withdrawn, restored = ws.read(Permission.READ, lambda tx: _versions(tx, endpoint, to))
    with _copy(ws, endpoint, model, [restored, withdrawn]) as (other, url):
        rows = _rows(ws, withdrawn[0])
        with Callers(url, rows, CALLERS) as callers:
            began = time.monotonic()
            _calm(callers, _WITHDRAWN)
            back = _moved(other, model, callers, _RESTORED)
            _calm(callers, _RESTORED)
            forth = _moved(other, model, callers, _WITHDRAWN)
            time.sleep(CALM_S)
            took = time.monotonic() - began
        asked = callers.asked
    return _keep(ws, endpoint, withdrawn[0], restored[0], asked, back, forth, took)


Whole = tuple[Version, GateResult]  #: a version and the gate it passed


def _versions(tx: Tx, name: str, to: int | None) -> tuple[str, Whole, Whole]:
    found = endpoints.get(tx, name)
    if found.kind == "fed":
        raise ConflictError(
            f"{name} answers elsewhere, so it cannot be rolled back from here.", field="endpoint"
        )
    number = registry.champion(tx, found.model)
    if number is None:
        raise ConflictError(f"Nobody serves {name} yet.", field="endpoint")
    before = registry.previous_champion(tx, found.model) if to is None else to
    if before is None or before == number:
        raise ConflictError(
            f"There was no champion before {found.model}/{number}, so nothing to go back to.",
            field="endpoint",
            hint="Promote a second version first, or name one that passed its gate: --to NUMBER",
        )
    return found.model, _whole(tx, found.model, number), _whole(tx, found.model, before)


def _whole(tx: Tx, model: str, number: int) -> Whole:
    version = registry.get(tx, model, number)
    passed = next((one for one in gate.results(tx, model, number) if one.passed), None)
    if passed is None:
        raise ConflictError(
            f"{model}/{number} never passed a gate, so no roll-back may go to it.",
            hint=f"Run: mainspring gate run {model}/{number}",
        )
    return version, passed


@contextlib.contextmanager
def _copy(
    ws: Workspace, endpoint: str, model: str, line: Sequence[Whole]
) -> Iterator[tuple[Workspace, str]]:
    """Give a registry in which the versions were champions in this order, served by a process."""
    with tempfile.TemporaryDirectory(prefix="mainspring-drill-") as folder:
        settings = msgspec.structs.replace(
            ws.settings,
            home=folder,
            database=None,
            objects=ws.settings.objects_url,
            url=None,
            token=None,
        )
        other = open_workspace(settings)
        try:
            own = other.acting_as(service("drill"))
            own.write(Permission.WORK, lambda tx: _furnish(tx, endpoint, model, line))
            with serving_process(other, endpoint) as url:
                yield other, url
        finally:
            other.close()


def _furnish(tx: Tx, endpoint: str, model: str, line: Sequence[Whole]) -> None:
    for version, passed in line:
        plain = msgspec.structs.replace(version, model=model, run=None, command=None, number=0)
        made = registry.register(tx, plain)
        mine = msgspec.structs.replace(passed, number=made.number, made=None, until=None)
        gate.store_result(tx, mine)
        registry.promote(tx, model, made.number, reason="For the drill.", at=version.created)
    endpoints.ensure(tx, endpoint, model, at=line[0][0].created)


@contextlib.contextmanager
def serving_process(other: Workspace, endpoint: str) -> Iterator[str]:
    """Serve an endpoint of a home in a process of its own, and give its address."""
    ours, theirs = socket.socketpair()
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MAINSPRING_")}
    place = {
        "MAINSPRING_HOME": other.settings.home,
        "MAINSPRING_OBJECTS": other.settings.objects_url,
        "MAINSPRING_DATABASE": other.settings.database_url,
    }
    log = Path(other.settings.home) / "drill.log"
    with ours, theirs, log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603  our own interpreter and module
            [sys.executable, "-m", _MAIN, endpoint, str(theirs.fileno())],
            env=kept | place,
            cwd=other.settings.root,
            stdout=out,
            stderr=subprocess.STDOUT,
            pass_fds=(theirs.fileno(),),
        )
        try:
            theirs.close()  # or it would never notice that we are gone
            yield _address(other, endpoint, process, log)
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(other: Workspace, endpoint: str, process: subprocess.Popen[bytes], log: Path) -> str:
    file = other.home / "run" / "endpoints" / f"{endpoint}.json"
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        told = read_json(file)
        if told is not None:
            return str(told["url"])
        time.sleep(0.02)
    last = log.read_text("utf-8", "replace").strip().splitlines()[-1:] or ["no word"]
    raise UnavailableError(f"The copy of {endpoint} did not start: {last[0][:300]}")


def _rows(ws: Workspace, version: Version) -> list[dict[str, Any]]:
    """Return raw rows as callers send them: some that the version learnt from."""
    names = [column.name for column in version.signature.columns]
    rows = package.example(version.package, ws.objects).head(200).select(names)
    return [{k: v for k, v in row.items() if v is not None} for row in rows.to_dicts()]


def _calm(callers: Callers, version: int) -> None:
    """Wait until a version has answered for a while."""
    end = time.monotonic() + MOST_S
    while time.monotonic() < end:
        mine = [one for one in callers.asked if one.version == version]
        if mine and time.monotonic() - mine[0].answered > CALM_S:
            return
        time.sleep(0.05)


def _moved(other: Workspace, model: str, callers: Callers, to: int) -> float | None:
    """Move the champion as a person would; return seconds to the last answer of the other."""
    start = time.monotonic()
    acts.roll_back(other, model, "A drill.", to=to)
    end = start + MOST_S
    while time.monotonic() < end:
        since = [one for one in callers.asked if one.answered >= start and one.status == 200]
        mine = [one for one in since if one.version == to]
        # Each caller has been answered by it, so no request of before is on its way.
        if len(mine) >= 2 * CALLERS and all(one.version == to for one in since[-CALLERS:]):
            others = [one.answered for one in since if one.version != to]
            return max([*others, mine[0].answered]) - start
        time.sleep(0.01)
    return None


def _keep(
    ws: Workspace,
    endpoint: str,
    withdrawn: Version,
    restored: Version,
    asked: Sequence[Asked],
    back: float | None,
    forth: float | None,
    took: float,
) -> Drilled:
    failed = [one for one in asked if one.status != 200]
    times = sorted(1000 * (one.answered - one.sent) for one in asked if one.status == 200)
    p99 = times[min(int(0.99 * len(times)), len(times) - 1)] if times else 0.0
    quick = back is not None and back <= QUICK_S and forth is not None and forth <= QUICK_S
    shown = "never" if back is None else f"{back:.2f} s"
    again = "never" if forth is None else f"{forth:.2f} s"
    detail: dict[str, Any] = {
        "withdrawn": withdrawn.number,
        "restored": restored.number,
        "requests": len(asked),
        "failed": len(failed),
        "statuses": sorted({one.status for one in failed}),
        "per_second": len(asked) / took,
        "recovery_s": back,
        "return_s": forth,
        "p99_ms": p99,
        "callers": CALLERS,
        "seconds": took,
        "on": "a copy of the endpoint in a process of its own, with the same packages",
    }
    kept = Evidence(
        id=new_id("ev"),
        kind=KIND,
        subject=f"endpoint:{endpoint}",
        passed=bool(asked) and not failed and quick,
        found=f"{CALLERS} callers sent {len(asked):,} requests to a copy of {endpoint},"
        f" {len(failed)} failed; it went from version {withdrawn.number} back to"
        f" {restored.number} in {shown} and forward again in {again}.",
        at=ws.clock.now(),
        by=ws.who.name,
        detail=detail,
        opens=[f"/endpoints/{endpoint}", f"/models/{withdrawn.model}"],
    )
    # Who may rehearse was asked at the door; keeping what came of it is the house's own doing.
    own = ws.acting_as(service("drill"))
    own.write(Permission.WORK, lambda tx: evidence.record(tx, kept))
    return Drilled(
        endpoint=endpoint,
        model=withdrawn.model,
        withdrawn=withdrawn.number,
        restored=restored.number,
        requests=len(asked),
        failed=len(failed),
        per_second=len(asked) / took,
        recovery_s=back,
        return_s=forth,
        p99_ms=p99,
        evidence=kept,
    )
