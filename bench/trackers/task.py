"""Do one task with one tracker and print what it took, as JSON. Run by ``bench/tracking.py``.

``python task.py TRACKER TASK FOLDER COUNT``: a tracker is a module beside this file with
``start(folder, name)`` -> a run with ``log``, ``params``, ``end`` and ``id``, and, where the
tracker can, ``history``, ``put`` and ``get``. Standard library only: it runs in the
environment of the tracker.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import random
import resource
import signal
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TEN = {f"metric_{index}": float(index) for index in range(10)}
PARAMS = {f"param_{index}": index for index in range(20)}


def points(tracker: Any, folder: Path, count: int) -> dict[str, Any]:
    """Log points one a call, until they can be read."""
    return _logged(tracker, folder, count, lambda run, step: run.log({"loss": step / 7}, step))


def tens(tracker: Any, folder: Path, count: int) -> dict[str, Any]:
    """Log points ten a call, until they can be read."""
    return _logged(tracker, folder, count // 10, lambda run, step: run.log(TEN, step), each=10)


def killed(tracker: Any, folder: Path, count: int) -> dict[str, Any]:
    """Log points and die without a word; ``survived`` counts what is left."""
    run = tracker.start(folder, "killed")
    for step in range(count):
        run.log({"loss": step / 7}, step)
    print(json.dumps({"id": run.id}), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit("still here")


def survived(tracker: Any, folder: Path, run: str) -> dict[str, Any]:
    """Count the points of a run whose process was killed."""
    _needs(tracker, "history")
    try:
        return {"count": len(tracker.history(folder, run, "loss"))}
    except Exception as error:  # noqa: BLE001  what a tracker says of its own loss is the answer
        return {"count": 0, "why": f"{type(error).__name__}: {error}"[:200]}


def short(tracker: Any, folder: Path, count: int) -> dict[str, Any]:
    """Make runs of 20 params and 50 points, until they are finished."""
    start = time.perf_counter()
    for index in range(count):
        run = tracker.start(folder, f"short-{index}")
        run.params(PARAMS)
        for step in range(50):
            run.log({"loss": step / 7}, step)
        run.end()
    _settle(tracker, folder)
    return {"runs_a_second": count / (time.perf_counter() - start)}


def history(tracker: Any, folder: Path, count: int) -> dict[str, Any]:
    """Load the history of one long metric; the time is that of 100,000 points."""
    _needs(tracker, "history")
    run = tracker.start(folder, "long")
    for step in range(count):
        run.log({"loss": step / 7}, step)
    run.end()
    _settle(tracker, folder)
    walls = []
    for _ in range(5):
        start = time.perf_counter()
        found = tracker.history(folder, run.id, "loss")
        walls.append(time.perf_counter() - start)
        if len(found) != count:
            return {"why": f"{len(found)} of {count} points"}
    return {"ms": statistics.median(walls) * 1000 * 100_000 / count}


def artifact(tracker: Any, folder: Path, megabytes: int) -> dict[str, Any]:
    """Put one large file and get it back, its bytes compared."""
    _needs(tracker, "put")
    source = folder / "large.bin"
    source.write_bytes(random.Random(1).randbytes(1 << 20) * megabytes)
    wanted = _digest(source)
    run = tracker.start(folder, "large")
    start = time.perf_counter()
    tracker.put(run, source)
    run.end()
    _settle(tracker, folder)
    into = time.perf_counter() - start
    if not hasattr(tracker, "get"):
        return {"in_mb_s": megabytes / into}
    start = time.perf_counter()
    target = tracker.get(folder, run.id, source.name)
    out = time.perf_counter() - start
    if _digest(Path(target)) != wanted:
        return {"why": "other bytes came back"}
    return {"in_mb_s": megabytes / into, "out_mb_s": megabytes / out}


def importing(tracker: Any, folder: Path, count: int) -> dict[str, Any]:
    """Import the tracker; its module has done so by now."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu_ms": (usage.ru_utime + usage.ru_stime) * 1000}


def _logged(
    tracker: Any, folder: Path, count: int, call: Callable[[Any, int], None], each: int = 1
) -> dict[str, Any]:
    run = tracker.start(folder, "points")
    for step in range(20):
        call(run, step)
    before = _cpu()
    start = time.perf_counter()
    walls = []
    for step in range(20, count):
        at = time.perf_counter()
        call(run, step)
        walls.append(time.perf_counter() - at)
    run.end()
    _settle(tracker, folder)
    wall = time.perf_counter() - start
    done = (count - 20) * each
    return {
        "us_a_call": statistics.median(walls) * 1e6,
        "points_a_second": done / wall,
        "cpu_us_a_point": (_cpu() - before) / done * 1e6,
    }


def _settle(tracker: Any, folder: Path) -> None:
    """Wait until what was logged is in the tracker's store, where it does that later."""
    if hasattr(tracker, "settle"):
        tracker.settle(folder)


def _needs(tracker: Any, what: str) -> None:
    if not hasattr(tracker, what):
        raise SystemExit(f"not measured: {tracker.__name__} has no {what}")


def _cpu() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    below = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + below.ru_utime + below.ru_stime


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(name: str, task: str, folder: str, count: str) -> None:
    """Do the task and print its figures."""
    sys.path.insert(0, str(Path(__file__).parent))
    done = sys.stdout
    sys.stdout = sys.stderr  # trackers talk
    tracker = importlib.import_module(name)
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    argument: Any = count if task == "survived" else int(count)
    if task == "killed":
        sys.stdout = done
    found = globals()[task](tracker, place, argument)
    print(json.dumps({**found, "version": tracker.VERSION}), file=done, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
