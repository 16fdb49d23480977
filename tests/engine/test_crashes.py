"""Real processes die by SIGKILL at any point, or sleep too long: nothing is lost or doubled."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from mainspring.engine import reactor
from mainspring.engine.tables import tasks as table
from mainspring.engine.tasks import NewTask
from mainspring.ground import messages as m
from mainspring.ground.objects import LoopSpec
from waiting import WITHIN_S, until

Home = Any
WORKER = Path(__file__).parent / "crash_worker.py"
ROOT = Path(__file__).parents[2]
SPEC = LoopSpec(name="l", model="model", pipeline="p:f", endpoint="e", target="y", kind="binary")
POINTS = [
    "scan.done",
    "claim.committed",
    "handler.before",
    "handler.after",
    "finish.before_commit",
    "task.ended",
    "react.before",
    "react.before_commit",
    "react.committed",
]


def start(url: str, lease_s: float, *more: str, kill_at: str = "") -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "MAINSPRING_KILL_AT": kill_at}
    return subprocess.Popen(
        [sys.executable, str(WORKER), url, str(lease_s), *more], env=environment
    )


def graph(layers: int, width: int) -> list[NewTask]:
    """Layers of tasks, each needing all of the layer before; one always-task at the end."""
    new: list[NewTask] = []
    before: list[str] = []
    for layer in range(layers):
        names = [f"t{layer}.{number}" for number in range(width)]
        # Every death costs an attempt; here they shall all be survived.
        new += [NewTask(id=n, kind="k", group="g", needs=before, max_attempts=99) for n in names]
        before = names
    end = NewTask(id="end", kind="k", group="g", needs=before, always=True, max_attempts=99)
    return [*new, end]


def submit(home: Home, events: int) -> Counter[str]:
    """Put work into the store and return the effects it must have, each once."""
    new = graph(6, 3)
    home.submit(*new)
    home.write(lambda tx: reactor.declare(tx, SPEC, 1.0, champion=1))
    for number in range(events):
        alarm = m.AlarmRef(id=f"a{number}", kind="quality", subject="x")
        event = m.WindowClosed(loop="l", at=2.0 + number, window="w", alarms=[alarm])
        home.write(lambda tx, e=event, n=number: reactor.emit(tx, e, f"w{n}"))
    dismissed = [f"dismiss alarm:a{number}" for number in range(events)]
    return Counter([task.id for task in new] + ["scanned"] + dismissed)


def effects(home: Home) -> Counter[str]:
    from sqlalchemy import column
    from sqlalchemy import table as named

    query = select(column("task")).select_from(named("effects"))
    return Counter(row.task for row in home.read(lambda tx: tx.all(query)))


def test_killed_at_every_point_each_effect_still_happens_exactly_once(
    home: Home, engine_url: str
) -> None:
    wanted = submit(home, events=9)
    points = random.sample(POINTS, len(POINTS))
    print("killed at", points)
    for point in points:
        worker = start(engine_url, 0.5, kill_at=f"{point}:1")
        # It may find that an earlier one left nothing of the kind to do.
        assert worker.wait(WITHIN_S) in (-signal.SIGKILL, 0)
    assert start(engine_url, 0.5).wait(WITHIN_S) == 0
    assert effects(home) == wanted
    assert {row.state for row in home.read(lambda tx: tx.all(select(table.c.state)))} == {"done"}


def test_killed_after_any_number_of_points_each_effect_still_happens_exactly_once(
    home: Home, engine_url: str
) -> None:
    wanted = submit(home, events=5)
    seed = random.randrange(1_000_000)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(5):
        # Two at a time, so that the survivor meets what the other left.
        workers = [start(engine_url, 0.5, kill_at=str(rng.randrange(1, 40))) for _ in range(2)]
        for worker in workers:
            assert worker.wait(WITHIN_S) in (-signal.SIGKILL, 0)
    assert start(engine_url, 0.5).wait(WITHIN_S) == 0
    assert effects(home) == wanted


def test_another_worker_goes_on_within_one_lease(
    home: Home, engine_url: str, tmp_path: Path
) -> None:
    lease_s = 2.0
    gate = tmp_path / "gate"
    home.submit(NewTask(id="a", kind="k", group="g"))
    doomed = start(engine_url, lease_s, str(gate))
    until(gate.with_suffix(".begun").exists)
    heir = home.engine({"k": home.effect}, lease_s=lease_s)
    thread = threading.Thread(target=heir.run_group, args=("g",))
    thread.start()
    doomed.kill()
    killed = time.monotonic()
    doomed.wait()
    thread.join(90)
    # Much more, for a machine that is busy with other things.
    assert time.monotonic() - killed < lease_s + 60.0
    assert effects(home)["a"] == 1
    assert home.get("a").attempt >= 2  # more, where a lease ran out on a machine that stood still


@pytest.mark.skipif(sys.platform == "win32", reason="SIGSTOP is of POSIX")
def test_what_a_worker_brings_after_it_slept_through_its_lease_is_dropped(
    home: Home, engine_url: str, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    home.submit(NewTask(id="a", kind="k", group="g"))
    zombie = start(engine_url, 2.0, str(gate))
    try:
        until(gate.with_suffix(".begun").exists)
        _put_to_sleep(zombie, home)
        gate.touch()
        assert home.engine({"k": home.effect}, lease_s=2.0).run_group("g") == {"done": 1}
        owner = home.get("a").owner
        zombie.send_signal(signal.SIGCONT)
        assert zombie.wait(WITHIN_S) == 0
    finally:
        zombie.kill()
        zombie.wait()
    assert effects(home)["a"] == 1
    assert home.get("a").owner == owner
    assert home.get("a").attempt >= 2


def _put_to_sleep(process: subprocess.Popen[bytes], home: Home) -> None:
    """Stop a process outside of a write: one asleep with SQLite's lock would hold everybody up."""
    for _ in range(100):
        process.send_signal(signal.SIGSTOP)
        # Sent is not stopped: on a busy machine it may still come to the lock after the probe.
        os.waitpid(process.pid, os.WUNTRACED)
        probe = threading.Thread(target=home.write, args=(lambda tx: tx.lease_now(),))
        probe.start()
        probe.join(1)
        if not probe.is_alive():
            return
        process.send_signal(signal.SIGCONT)
        probe.join()
    raise AssertionError("it never stopped writing")
