"""A step that is killed goes on from its last checkpoint, to the very same result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from mainspring.ground.objects import RunStatus
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.ground.settings import Settings
from mainspring.pipelines import outputs
from mainspring.pipelines.checkpoint_rows import (
    common,
    cut_off,
    forget,
    keep_one,
    newest,
    own_scope,
)
from mainspring.pipelines.tables import checkpoints
from mainspring.workspace import engines, running
from mainspring.workspace.opening import Workspace, open_workspace
from waiting import until

PROJECT = """
import os, signal, time
from pathlib import Path

import numpy as np

import mainspring as ms

HERE = Path(__file__).parent
EPOCHS = 8


def told(words):
    with (HERE / "epochs").open("a") as out:
        out.write(words + "\\n")


@ms.step
def learn(seed: int, how: str) -> dict:
    last = ms.last_checkpoint()
    start, weights = (last.step + 1, last.value) if last else (0, np.full(3, float(seed)))
    for epoch in range(start, EPOCHS):
        weights = np.sin(weights * 1.7 + epoch)
        told(f"{seed} {epoch}")
        if how == "killed" and epoch == 4 and not (HERE / f"killed-{seed}").exists():
            (HERE / f"killed-{seed}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "waits" and epoch == 4 and not (HERE / "waiting").exists():
            (HERE / "waiting").touch()
            time.sleep(600)
        ms.checkpoint(weights, step=epoch)
    return {"weights": weights}


@ms.step(workers=2)
def learn_together(seed: int) -> dict:
    last = ms.last_checkpoint()
    told(f"rank {ms.rank()} from {last.step if last else None}")
    if last is None:
        if ms.rank() == 0:
            for epoch in range(3):
                ms.checkpoint({"epoch": epoch}, step=epoch)
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(600)
    return last.value


@ms.step(workers=4)
def learn_parts(seed: int) -> dict:
    # Each worker has a part of its own; the last one is killed while the others are ahead.
    rank = ms.rank()
    last = ms.last_checkpoint(own=True)
    told(f"rank {rank} from {(last.step, last.value['part']) if last else None}")
    start, part = (last.step + 1, last.value["part"]) if last else (0, seed * rank)
    for epoch in range(start, 6):
        if not last and rank == 3 and epoch == 3:
            while not all((HERE / f"ahead-{other}").exists() for other in range(3)):
                time.sleep(0.02)
            os.kill(os.getpid(), signal.SIGKILL)
        part = part * 3 + epoch
        ms.checkpoint({"part": part}, step=epoch, keep=2, own=True)
    (HERE / f"ahead-{rank}").touch()
    if not last:
        time.sleep(600)
    return {"part": part}


scripted = ms.script("train.sh", outputs=("data",), retries=1)
ganged = ms.script("gang.sh", outputs=(), workers=3, variables={"TOLD": str(HERE)})


@ms.pipeline
def trained():
    return scripted()


@ms.pipeline
def scripts():
    return ganged()


@ms.pipeline
def main(seed: int = 1, how: str = "well"):
    return learn(seed, how)


@ms.pipeline
def together(seed: int = 1):
    return learn_together(seed)


@ms.pipeline
def parts(seed: int = 1):
    return learn_parts(seed)
"""
SCRIPT = """
cd /opt/ml/checkpoints
if [ -e epoch ]; then
  cp epoch ../output/data/
else
  echo 3 > epoch
  echo "It broke after epoch 3." > ../output/failure
  exit 4
fi
"""
# The last worker leaves nothing; the second one's process is killed once what is left is kept.
GANG = """
cd "$SM_CHECKPOINT_DIR"
echo "rank $RANK found $(cat * 2> /dev/null)" >> "$TOLD/epochs"
if [ ! -e "$TOLD/again" ]; then
  if [ "$RANK" != 2 ]; then echo "what rank $RANK left" > epoch; fi
  until [ -e "$TOLD/kept" ]; do sleep 0.05; done
  if [ "$RANK" = 1 ]; then touch "$TOLD/again"; kill -9 $PPID; fi
  sleep 600
fi
"""
DRIVE = """
import sys
from mainspring.ground.settings import Settings
from mainspring.workspace import engines
from mainspring.workspace.opening import open_workspace
root, home, run = sys.argv[1:]
settings = Settings(root=root, home=home, lease_s=30.0)
engines.drive(open_workspace(settings), run)
"""


def opened(folder: Path, url: str | None = None) -> Workspace:
    (folder / "project.py").write_text(PROJECT)
    (folder / "train.sh").write_text(SCRIPT)
    (folder / "gang.sh").write_text(GANG)
    return open_workspace(
        Settings(root=str(folder), home=str(folder / "home"), database=url, lease_s=30.0)
    )


def result(ws: Workspace, run: str, folder: Path) -> Any:
    _, steps = ws.read(Permission.READ, lambda tx: running.state(tx, run))
    assert steps[0].output is not None, steps[0].error
    return outputs.decode(steps[0].output, steps[0].output_type or "", ws.objects, folder)


def left(ws: Workspace) -> int:
    return len(ws.read(Permission.READ, lambda tx: tx.all(select(checkpoints))))


def epochs(folder: Path) -> Counter[str]:
    file = folder / "epochs"
    return Counter(file.read_text().splitlines()) if file.exists() else Counter()


def test_a_step_that_is_killed_goes_on_to_the_same_result(tmp_path: Path) -> None:
    ws = opened(tmp_path)
    run = running.start_run(ws, "main", {"how": "killed"})
    assert engines.drive(ws, run).status is RunStatus.FINISHED
    done = epochs(tmp_path)
    assert done.pop("1 4") == 2, "it was killed before that was kept"
    assert set(done.values()) == {1}, "nothing that was kept is done twice"
    assert len(done) == 7
    made = result(ws, run, tmp_path)["weights"]
    assert left(ws) == 0, "they go when the step is done"
    whole = running.start_run(ws, "main", {"how": "well"})
    engines.drive(ws, whole)
    assert Counter(epochs(tmp_path).values()) == {2: 7, 3: 1}, "other inputs begin anew"
    assert result(ws, whole, tmp_path)["weights"].tobytes() == made.tobytes()
    ws.close()


def test_when_engine_and_step_are_killed_another_run_of_the_same_goes_on(tmp_path: Path) -> None:
    ws = opened(tmp_path)
    run = running.start_run(ws, "main", {"seed": 2, "how": "waits"})
    words = [str(tmp_path), str(tmp_path / "home"), run]
    engine = subprocess.Popen([sys.executable, "-c", DRIVE, *words], start_new_session=True)
    until((tmp_path / "waiting").exists)
    assert left(ws) == 3
    os.kill(engine.pid, signal.SIGKILL)
    engine.wait()
    running.cancel(ws, run)
    engines.drive(ws, run)
    again = running.start_run(ws, "main", {"seed": 2, "how": "waits"})
    assert engines.drive(ws, again).status is RunStatus.FINISHED
    done = epochs(tmp_path)
    assert len(done) == 8
    twice = [epoch for epoch, count in done.items() if count > 1]
    assert twice == ["2 4"], "the epoch that was under way, and no other"
    assert left(ws) == 0
    ws.close()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_both_databases_keep_the_newest(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("new_database")() if database == "postgresql" else None
    ws = opened(tmp_path, url)
    stored = outputs.encode({"epoch": 1}, ws.objects)

    def work(tx: Tx) -> list[int]:
        for number in (1, 2, 3, 3, 4):
            keep_one(tx, "scope", number, stored, run="r", step="s", at=0.0, keep=2)
        for rank, last in ((0, 6), (1, 3)):  # one is ahead of the other
            for number in range(last):
                own = (rank, 2)
                keep_one(tx, "scope", number, stored, run="r", step="s", at=0, keep=2, own=own)
        there = common(tx, "scope", 2)
        assert [[one.step for one in own] for own in there] == [[1, 2], [1, 2]]
        cut_off(tx, "scope", 2, 2)
        assert [one.step for one in newest(tx, own_scope("scope", 0, 2))] == [0, 1, 2]
        assert common(tx, "scope", 3) == [[], [], []], "other numbers of workers share none"
        return [one.step for one in newest(tx, "scope")]

    engine = ws.acting_as(service("engine"))
    assert engine.write(Permission.WORK, work) == [3, 4]
    assert engine.write(Permission.WORK, lambda tx: forget(tx, "scope", 2))
    assert left(ws) == 0
    ws.close()


def test_all_workers_go_on_from_the_same(tmp_path: Path) -> None:
    ws = opened(tmp_path)
    run = running.start_run(ws, "together")
    assert engines.drive(ws, run).status is RunStatus.FINISHED
    assert result(ws, run, tmp_path) == {"epoch": 2}
    done = epochs(tmp_path)
    assert (done["rank 0 from 2"], done["rank 1 from 2"]) == (1, 1)
    ws.close()


def test_each_worker_gets_its_own_of_the_last_step_that_all_have(tmp_path: Path) -> None:
    ws = opened(tmp_path)
    run = running.start_run(ws, "parts")
    assert engines.drive(ws, run).status is RunStatus.FINISHED
    done = epochs(tmp_path)
    after = [rank * 27 + 0 * 9 + 1 * 3 + 2 for rank in range(4)]  # epochs 0, 1 and 2
    assert done == Counter(
        [f"rank {rank} from None" for rank in range(4)]
        + [f"rank {rank} from {(2, after[rank])}" for rank in range(4)]
    )
    assert result(ws, run, tmp_path) == {"part": ((after[0] * 3 + 3) * 3 + 4) * 3 + 5}
    assert left(ws) == 0, "they go when the step is done"
    ws.close()


def test_a_script_finds_what_it_left_at_its_last_attempt(tmp_path: Path) -> None:
    ws = opened(tmp_path)
    run = running.start_run(ws, "trained")
    assert engines.drive(ws, run).status is RunStatus.FINISHED
    assert (result(ws, run, tmp_path / "made") / "epoch").read_text() == "3\n"
    assert left(ws) == 0
    ws.close()


def test_each_worker_of_a_script_finds_the_folder_it_left(tmp_path: Path) -> None:
    ws = opened(tmp_path)
    run = running.start_run(ws, "scripts")

    def look() -> None:
        try:
            until(lambda: left(ws) == 2 and epochs(tmp_path).total() == 3)
        finally:  # the script waits for it
            (tmp_path / "kept").touch()

    looking = threading.Thread(target=look)
    looking.start()
    assert engines.drive(ws, run).status is RunStatus.FINISHED
    looking.join()
    assert epochs(tmp_path) == Counter(
        [f"rank {rank} found " for rank in range(3)]
        + ["rank 0 found what rank 0 left", "rank 1 found what rank 1 left"]
        + ["rank 2 found what rank 0 left"]  # as where the first one alone saves, and all read
    )
    assert left(ws) == 0, "they go when the step is done"
    ws.close()
