"""Several workers are one step: they meet, they agree, and they end together."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.ground.objects import Run, RunStatus, StepRecord
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.pipelines import outputs
from mainspring.workspace import engines, running
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.performing import gang, ports
from waiting import alive, until

PROJECT = '''
import os, signal, sys, time
from multiprocessing.connection import Client, Listener
from pathlib import Path

import numpy as np

import mainspring as ms

HERE = Path(__file__).parent


def all_reduce(value):
    """Return the sum over all workers: each sends to the first, which sends the sum back."""
    if not PEERS:
        address = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
        if ms.rank() == 0:
            listener = Listener(address, backlog=8)
            PEERS.extend(listener.accept() for _ in range(ms.world_size() - 1))
        else:
            while not PEERS:
                try:
                    PEERS.append(Client(address))
                except ConnectionRefusedError:
                    time.sleep(0.01)
    if ms.rank() == 0:
        total = sum((peer.recv() for peer in PEERS), start=value)
        for peer in PEERS:
            peer.send(total)
        return total
    PEERS[0].send(value)
    return PEERS[0].recv()


PEERS = []


def descend(x, y, gradients):
    weights = np.zeros(x.shape[1])
    for _ in range(30):
        share = x.T @ (1 / (1 + np.exp(-x @ weights)) - y)
        weights -= 0.1 * gradients(share) / 400
    return weights


def drawn():
    draw = np.random.default_rng(7)
    x = draw.normal(size=(400, 3))
    return x, (x @ [1.0, -2.0, 0.5] + draw.normal(size=400) > 0).astype(float)


@ms.step(workers=4)
def together() -> dict:
    x, y = (part[ms.rank()::ms.world_size()] for part in drawn())
    print("has", len(x), "rows")
    weights = descend(x, y, all_reduce)
    ms.log(rank=ms.rank())
    host = os.environ["SM_CURRENT_HOST"]
    return {"weights": weights.tolist(), "world": ms.world_size(), "host": host}


@ms.step
def alone() -> list:
    return descend(*drawn(), lambda share: share).tolist()


@ms.step(workers=3)
def broken(how: str):
    if ms.rank() == 1:
        all_reduce(0)
        if how == "raises":
            raise ValueError("rank one is lost")
        os.kill(os.getpid(), getattr(signal, how))
    all_reduce(0)
    all_reduce(0)
    time.sleep(600)


@ms.step(workers=2, timeout_s=1.0)
def hanging():
    if ms.rank() == 1:
        time.sleep(600)


@ms.step(workers=2, retries=1)
def second_time():
    all_reduce(0)
    first = not (HERE / "tried").exists()
    all_reduce(0)
    if ms.rank() == 1 and first:
        (HERE / "tried").touch()
        raise ValueError("the first time")
    return "well"


@ms.step(workers=2)
def waiting():
    (HERE / f"here-{ms.rank()}").write_text(str(os.getpid()))
    time.sleep(600)


ranked = ms.shell("echo worker $RANK of $WORLD_SIZE on $SM_CURRENT_HOST; echo $RANK > {out}",
                  outputs={"out": "rank.txt"}, workers=2)


@ms.pipeline
def both():
    together(), alone()


@ms.pipeline
def breaks(how: str):
    broken(how)


@ms.pipeline
def hangs():
    hanging()


@ms.pipeline
def again():
    return second_time()


@ms.pipeline
def waits():
    waiting()


@ms.pipeline
def shells():
    return ranked()
'''


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A home with a real executor; each test starts runs of its own in it."""
    folder = tmp_path_factory.mktemp("gang")
    (folder / "project").mkdir()
    (folder / "project" / "project.py").write_text(PROJECT)
    found = open_workspace(Settings(root=str(folder / "project"), home=str(folder / "home")))
    yield found
    found.close()


def carried_out(
    home: Workspace, pipeline: str, **params: str
) -> tuple[Run, dict[str, StepRecord]]:
    run = running.start_run(home, pipeline, params)
    ended = engines.drive(home, run)
    _, steps = home.read(Permission.READ, lambda tx: running.state(tx, run))
    return ended, {one.step: one for one in steps}


def value(home: Workspace, step: StepRecord, folder: Path) -> object:
    assert step.output is not None, step.error
    assert step.output_type is not None
    return outputs.decode(step.output, step.output_type, home.objects, folder)


def test_averaged_gradients_of_four_workers_equal_those_of_one(
    home: Workspace, tmp_path: Path
) -> None:
    _, steps = carried_out(home, "both")
    made = value(home, steps["together"], tmp_path)
    assert isinstance(made, dict)
    assert (made["world"], made["host"]) == (4, "algo-1")
    assert made["weights"] == pytest.approx(value(home, steps["alone"], tmp_path), rel=1e-12)
    log = home.objects.get(steps["together"].log or "").decode().splitlines()
    assert sorted(log) == [f"[{rank}] has 100 rows" for rank in range(4)]


@pytest.mark.parametrize(
    ("how", "told"),
    [("raises", "ValueError: rank one is lost"), ("SIGSEGV", "killed by SIGSEGV")],
)
def test_one_worker_that_dies_ends_all_and_its_words_are_the_reason(
    home: Workspace, how: str, told: str
) -> None:
    run, steps = carried_out(home, "breaks", how=how)
    assert run.status is RunStatus.FAILED
    assert steps["broken"].error.startswith("Worker 1 of 3:")
    assert told in steps["broken"].error
    if how == "raises":
        assert 'raise ValueError("rank one is lost")' in steps["broken"].trace


def test_workers_that_hang_are_ended_when_the_time_is_up(home: Workspace) -> None:
    _, steps = carried_out(home, "hangs")
    assert "took longer than 1 s" in steps["hanging"].error


def test_a_step_that_is_tried_again_is_so_with_all_its_workers(
    home: Workspace, tmp_path: Path
) -> None:
    _, steps = carried_out(home, "again")
    assert value(home, steps["second_time"], tmp_path) == "well"
    assert steps["second_time"].attempt == 2


def test_cancelling_a_run_ends_every_worker(home: Workspace) -> None:
    run = running.start_run(home, "waits")
    there = [Path(home.settings.root, f"here-{rank}") for rank in range(2)]
    ended: list[Run] = []
    driver = threading.Thread(target=lambda: ended.append(engines.drive(home, run)))
    driver.start()
    until(lambda: all(one.exists() and one.read_text() for one in there))
    running.cancel(home, run)
    driver.join(60)
    assert ended[0].status is RunStatus.CANCELLED
    until(lambda: not any(alive(int(one.read_text())) for one in there))


def test_a_shell_command_has_workers_too(home: Workspace, tmp_path: Path) -> None:
    _, steps = carried_out(home, "shells")
    made = value(home, steps["ranked"], tmp_path)
    assert isinstance(made, Path)
    assert made.read_text() == "0\n"
    log = home.objects.get(steps["ranked"].log or "").decode().splitlines()
    assert sorted(log) == [
        "[0] worker 0 of 2 on algo-1",
        "[1] worker 1 of 2 on algo-2",
    ]


def test_a_port_that_is_held_is_nobody_elses() -> None:
    with ports.reserved() as one, ports.reserved() as other:
        assert one != other
        assert one < 32_768
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", one))  # its owner may, without any option
            taken.listen(1)
            assert not ports.free(one)
            assert ports.free(other)


def test_every_worker_knows_which_it_is() -> None:
    found = gang.variables(2, 11, 12_345)
    assert (found["RANK"], found["WORLD_SIZE"], found["LOCAL_RANK"]) == ("2", "11", "2")
    assert (found["MASTER_ADDR"], found["MASTER_PORT"]) == ("127.0.0.1", "12345")
    assert found["SM_CURRENT_HOST"] == "algo-3"
    assert found["SM_HOSTS"].startswith('["algo-1", "algo-10", "algo-11", "algo-2"')
