"""Who does which child, on both databases: every number once, and again what died."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from mainspring.backends.objects import open_objects
from mainspring.engine import tasks
from mainspring.experiments import families, runs
from mainspring.experiments.families import Family
from mainspring.experiments.spaces import read_space
from mainspring.ground.clock import TurnedClock
from mainspring.ground.identity import canonical
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Store, Tx
from mainspring.ground.settings import Settings
from mainspring.workspace import queue
from mainspring.workspace.families import summary, turns
from mainspring.workspace.families.turns import Turn
from mainspring.workspace.opening import Workspace, guards, metadata

NOW = 1_000.0
REPEAT = Family(kind="repeat", root="", target="f", count=24, seeds=list(range(24)))
TUNE = Family(
    kind="tune",
    root="",
    target="f",
    count=8,
    metric="auc",
    seed=3,
    space=read_space({"rate": "float(0,1)", "kind": ["a", "b"]}),
)


class Home:
    """A store with one parent run in it."""

    def __init__(self, store: Store, family: Family) -> None:
        self.store, self.who = store, service("test")
        self.write(
            lambda tx: runs.create(
                tx,
                Run(
                    id="run_parent",
                    experiment="e",
                    name="parent",
                    status=RunStatus.RUNNING,
                    started=NOW,
                    tags={families.FAMILY: canonical(family).decode()},
                ),
            )
        )

    def write(self, work: Callable[[Tx], object]) -> object:
        return self.store.write(self.who, Permission.WORK, work)

    def take(self, lane: int, at: float = NOW) -> Turn | None:
        found = self.write(lambda tx: turns.take(tx, "run_parent", lane, at))
        assert found is None or isinstance(found, Turn)
        return found

    def settle(
        self,
        turn: Turn,
        status: RunStatus = RunStatus.FINISHED,
        value: float = 0.5,
        at: float = NOW,
    ) -> None:
        points = [["auc", value, None, at]] if status is RunStatus.FINISHED else []
        self.write(lambda tx: turns.settle(tx, turn, status, points, at))

    def members(self) -> list[families.Member]:
        return self.store.read(
            self.who, Permission.READ, lambda tx: families.members(tx, "run_parent")
        )


@pytest.fixture
def home(open_test_store: Callable[..., Store]) -> Callable[[Family], Home]:
    return lambda family: Home(open_test_store(metadata(), guards()), family)


def test_lanes_at_work_together_take_every_number_once(home: Callable[[Family], Home]) -> None:
    place = home(REPEAT)
    taken: list[int] = []

    def work(lane: int) -> None:
        while (turn := place.take(lane)) is not None:
            taken.append(turn.number)
            place.settle(turn)

    threads = [threading.Thread(target=work, args=(lane,)) for lane in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(24))
    assert [one.number for one in place.members()] == list(range(24))


def test_what_died_is_done_again_with_its_params_and_at_most_three_times(
    home: Callable[[Family], Home],
) -> None:
    place = home(TUNE)
    first = place.take(0)
    other = place.take(1)
    assert first is not None
    assert other is not None
    again = place.take(0, NOW + 1)  # its worker died: the lane is somebody else's now
    assert again is not None
    assert (again.number, again.params) == (first.number, first.params)
    assert again.run != first.run
    third = place.take(0, NOW + 2)
    assert third is not None
    assert third.number == first.number
    fourth = place.take(0, NOW + 3)
    assert fourth is not None
    assert fourth.number == 2  # three deaths are its own doing
    states = {one.number: one.run.status for one in place.members()}
    assert states[0] is RunStatus.CRASHED
    assert place.members()[0].failed


def test_draws_are_the_same_wherever_the_trials_before_are_the_same(
    home: Callable[[Family], Home],
) -> None:
    place = home(TUNE)
    drawn = []
    while (turn := place.take(0)) is not None:
        drawn.append(turn.params)
        place.settle(turn, value=float(turn.params["rate"]))
    from mainspring.workspace.families import study

    found = place.members()
    assert [study.draw(TUNE, found[:n], n) for n in range(8)] == drawn
    place.write(lambda tx: summary.end(tx, "run_parent", NOW + 9))
    whole = place.store.read(
        place.who, Permission.READ, lambda tx: summary.progress(tx, "run_parent")
    )
    assert whole.run.status is RunStatus.FINISHED
    assert whole.run.metrics["auc"] == max(params["rate"] for params in drawn)
    assert whole.best is not None
    assert whole.run.tags[families.BEST] == whole.best.id


def test_three_failures_in_a_row_end_it_and_a_success_between_does_not(
    home: Callable[[Family], Home],
) -> None:
    place = home(REPEAT)
    bad, good = RunStatus.FAILED, RunStatus.FINISHED
    for second, status in enumerate((bad, bad, good, bad, bad, bad)):
        turn = place.take(0, NOW + second)
        assert turn is not None
        place.settle(turn, status, at=NOW + second)
    assert place.take(0, NOW + 9) is None


def test_the_queue_is_listed_and_cancelled_on_both_databases(
    open_test_store: Callable[..., Store], tmp_path: object
) -> None:
    settings = Settings(root=str(tmp_path), home=str(tmp_path))
    store = open_test_store(metadata(), guards())
    ws = Workspace(settings, store, open_objects(f"{tmp_path}/objects"), TurnedClock(NOW))
    low = queue.add_command(ws, ["true"], folder=".", priority=-1)
    high = queue.add_command(ws, ["true", "it's"], folder=".", priority=1)
    assert [(one.run, one.state) for one in queue.listed(ws)] == [
        (high, "waiting"),
        (low, "waiting"),
    ]
    assert queue.listed(ws)[0].what == "true 'it'\"'\"'s'"
    queue.cancel(ws, high)
    assert [one.run for one in queue.listed(ws)] == [low]
    assert [(one.run, one.state) for one in queue.listed(ws, every=True)] == [
        (high, "cancelled"),
        (low, "waiting"),
    ]
    assert ws.read(Permission.READ, lambda tx: tasks.get(tx, f"{high}:entry")).state == "cancelled"
