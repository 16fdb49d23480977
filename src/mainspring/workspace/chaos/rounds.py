"""Kill the engine and whoever writes, again and again, and ask after every death."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from mainspring.ground.errors import UnavailableError
from mainspring.ground.permissions import Permission
from mainspring.ground.records import Record
from mainspring.ground.settings import Settings
from mainspring.monitoring import labels, windows
from mainspring.scaling.serving import capture
from mainspring.workspace.chaos import load
from mainspring.workspace.chaos.copying import copy_home
from mainspring.workspace.invariants.asking import ask
from mainspring.workspace.opening import Workspace, open_workspace

#: So long a round lasts at least and at most, once the first row is acknowledged.
SHORTEST_S, LONGEST_S = 0.2, 3.0
PATIENCE_S = 120.0


class Round(Record, frozen=True, kw_only=True):
    """One life of engine and writer, ended by SIGKILL."""

    number: int
    lived_s: float
    killed: list[str]
    rows: int  #: acknowledged
    labels: int  #: acknowledged
    broken: list[str]  #: promises, each with what broke it


class Chaos(Record, frozen=True, kw_only=True):
    """What came of it."""

    home: str
    seed: int
    rounds: list[Round]
    rows: int  #: that are kept
    labels: int
    windows: int  #: that were judged
    before: list[str]  #: promises that were broken before anything was killed
    broken: list[str]  #: at the end, once an engine came to rest
    survived: bool


def chaos(
    settings: Settings,
    folder: Path,
    *,
    rounds: int = 5,
    seed: int = 0,
    tell: Callable[[str], None] = lambda _: None,
) -> Chaos:
    """Copy a home into an empty folder, break the copy, and return what it kept.

    Raises:
        BadInputError: if the home cannot be copied.
        UnavailableError: if the copy's engine does not come to rest at the end.
    """
    tell("copying the home")
    copied = copy_home(settings, folder)
    ws = open_workspace(copied)
    try:
        before = _broken(ws)
        if before:  # what was broken before says nothing of what a kill breaks
            tell(f"{len(before)} promises are broken already")
        load.furnish(ws)
        chance, several = random.Random(seed), []  # noqa: S311  moments, no secrets
        for number in range(1, rounds + 1):
            several.append(_round(ws, number, chance, before))
            tell(f"round {number} of {rounds}: killed after {several[-1].lived_s:.1f} s")
        tell("coming to rest")
        _settle(ws)
        lost = _lost(ws, several)
        broken = [line for line in _broken(ws) if line not in before] + lost
        rows, known, judged = _kept(ws)
    finally:
        ws.close()
    return Chaos(
        home=str(folder),
        seed=seed,
        rounds=several,
        rows=rows,
        labels=known,
        windows=judged,
        before=before,
        broken=broken,
        survived=not broken and not any(one.broken for one in several),
    )


def _round(ws: Workspace, number: int, chance: random.Random, before: list[str]) -> Round:
    """Let engine and writer live for a while, and kill both with SIGKILL."""
    lived = chance.uniform(SHORTEST_S, LONGEST_S)
    writing = [ws.settings.home, ws.settings.root, str(number)]
    lives = {
        "engine": _start(ws, ["mainspring.cli.processes", "engine"]),
        "writer": _start(ws, ["mainspring.workspace.chaos.load", *writing]),
    }
    writer = lives["writer"].stdout
    first = writer.readline() if writer is not None else ""  # it takes a while to begin
    time.sleep(lived)
    order = sorted(lives, key=lambda _: chance.random())
    for name in order:
        os.kill(lives[name].pid, signal.SIGKILL)
        time.sleep(chance.uniform(0, 0.05))
    said = {name: one.communicate()[0] for name, one in lives.items()}
    told = Counter[str]()
    for line in [first, *said["writer"].splitlines()]:
        what, _, count = line.strip().partition(" ")
        if what in ("rows", "labels") and count.isdecimal():
            told[what] += int(count)
    return Round(
        number=number,
        lived_s=lived,
        killed=order,
        rows=told["rows"],
        labels=told["labels"],
        broken=[line for line in _broken(ws) if line not in before],
    )


def _start(ws: Workspace, module: list[str]) -> subprocess.Popen[str]:
    known = {key: value for key, value in os.environ.items() if "MAINSPRING_" not in key}
    return subprocess.Popen(  # noqa: S603  our own modules
        [sys.executable, "-P", "-m", *module],
        cwd=ws.settings.root,
        env=known | {"MAINSPRING_HOME": ws.settings.home},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _settle(ws: Workspace) -> None:
    """Let one more engine come to rest, without a kill."""
    from mainspring.workspace.engines import make_engine

    engine = make_engine(ws, "engine")
    end = time.monotonic() + PATIENCE_S
    while True:
        worked = engine.step_once()
        if not worked and engine.quiet():
            return
        if time.monotonic() > end:
            raise UnavailableError(f"The copy did not come to rest within {PATIENCE_S:.0f} s.")


def _broken(ws: Workspace) -> list[str]:
    return [f"{one.name}: {line}" for one in ask(ws) for line in one.broken]


def _kept(ws: Workspace) -> tuple[int, int, int]:
    rows = capture.read(ws.captures(load.NAME), columns=[])
    known = ws.read(Permission.READ, lambda tx: labels.received(tx, load.NAME))
    judged = ws.read(Permission.READ, lambda tx: windows.list_windows(tx, load.NAME, limit=10_000))
    return rows.height, known.labels, len(judged)


def _lost(ws: Workspace, several: list[Round]) -> list[str]:
    """Return what was acknowledged and is not there, and what is there twice."""
    rows, known, _ = _kept(ws)
    wanted = {"rows": sum(r.rows for r in several), "labels": sum(r.labels for r in several)}
    found = [
        f"acknowledged: {wanted[what]} {what}, and {kept} are there."
        for what, kept in (("rows", rows), ("labels", known))
        if kept < wanted[what]
    ]
    ids = capture.read(ws.captures(load.NAME), columns=[])["_id"]
    if ids.n_unique() != ids.len():
        found.append(f"captures: {ids.len() - ids.n_unique()} rows are there twice.")
    return found
