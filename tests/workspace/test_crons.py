"""Schedules start runs by a turned clock: each fire time once, and what a loop's policy says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from homes import LOOP, NOW, settle, work_as_engine

from mainspring.engine import firing, reactor
from mainspring.experiments import datasets, runs
from mainspring.experiments.datasets import Dataset, Use
from mainspring.ground import messages as m
from mainspring.ground.clock import iso
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import DAY_S, Evidence, LoopSpec, Run, RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import evidence
from mainspring.workspace import acts, crons, running
from mainspring.workspace.crons import Given
from mainspring.workspace.engines import make_engine
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.searching import run_page

PROJECT = """
import mainspring as ms

@ms.step
def double(x: int) -> int:
    return 2 * x

@ms.pipeline
def tick(x: int = 1) -> int:
    return double(x)

@ms.step
def day_of(when: str, told: str) -> str:
    return f"{when[:10]} {told}"

@ms.pipeline
def dated(fire_at: str) -> str:
    return day_of(str(ms.scheduled_at()), fire_at)

@ms.step
def asking() -> str:
    return str(ms.scheduled_at())

@ms.pipeline
def wrong() -> str:
    return asking()
"""


@pytest.fixture
def timed(ws: Workspace) -> Workspace:
    """A home whose project has a pipeline that runs every minute."""
    ws.executor.close()
    ws._started.clear()  # the project is imported in processes of its own
    Path(ws.settings.root).mkdir(exist_ok=True)
    (Path(ws.settings.root) / "project.py").write_text(PROJECT)
    crons.put(ws, "often", "tick", Given(cron="*/1 * * * *"), {"x": 3})
    return ws


def started(ws: Workspace) -> list[Run]:
    return [
        run
        for run in run_page(ws, limit=100).runs
        if (run.cause or "").startswith("schedule:often:")
    ]


def work(ws: Workspace) -> None:
    """Let two engines do what there is to do now."""
    engines = [make_engine(ws, name, scanning=False) for name in ("one", "two")]
    while any(engine.step_once() for engine in engines):
        pass
    assert not any(engine.troubles for engine in engines)


def test_a_pipeline_runs_once_a_minute_and_not_twice(timed: Workspace) -> None:
    work(timed)
    assert started(timed) == []
    for minute in (1, 2):
        timed.clock.turn(60.0)  # type: ignore[attr-defined]
        work(timed)
        work(timed)
        runs = started(timed)
        assert len(runs) == minute
        assert {run.status for run in runs} == {"finished"}
    assert {run.cause for run in runs} == {f"schedule:often:{NOW + 60 * n:.0f}" for n in (1, 2)}
    assert runs[0].params == {"x": "3"}
    timed.clock.turn(59.0)  # type: ignore[attr-defined]
    work(timed)
    assert len(started(timed)) == 2
    crons.remove(timed, "often")
    timed.clock.turn(600.0)  # type: ignore[attr-defined]
    work(timed)
    assert len(started(timed)) == 2


def test_the_same_schedule_again_forgets_nothing_that_is_due(timed: Workspace) -> None:
    timed.clock.turn(90.0)  # type: ignore[attr-defined]
    crons.put(timed, "often", "tick", Given(cron="*/1 * * * *"), {"x": 3})
    due = timed.read(Permission.READ, lambda tx: firing.due(tx, timed.clock.now()))
    assert [one.fire_at for one in due] == [NOW + 60]


def test_a_run_that_makes_up_for_a_day_computes_that_day(timed: Workspace) -> None:
    crons.put(timed, "daily", "dated", Given(cron="30 2 * * *", overlap="allow"))
    day = NOW // DAY_S * DAY_S - 3 * DAY_S
    made = crons.backfill(timed, "daily", day, day + DAY_S)
    assert (made.asked, made.begun) == (1, 1)
    work(timed)
    _, [past] = crons.shown(timed, "daily")
    assert (past.status, past.past.by) == ("finished", timed.who.name)
    wanted = iso(day + 2.5 * 3600)
    run, steps = timed.read(Permission.READ, lambda tx: running.state(tx, past.run or ""))
    assert run.params == {"fire_at": wanted}
    assert run.tags["mainspring.scheduled_at"] == wanted
    value = timed.objects.get(steps[0].output or "").decode()
    assert f"{wanted[:10]} {wanted}" in value


def test_a_step_that_asks_for_its_time_is_told_to_take_it_as_an_argument(
    timed: Workspace,
) -> None:
    crons.put(timed, "wrong", "wrong", Given(every_s=60.0))
    crons.run_now(timed, "wrong")
    work(timed)
    _, [past] = crons.shown(timed, "wrong")
    assert past.status == "failed"
    _, [step] = timed.read(Permission.READ, lambda tx: running.state(tx, past.run or ""))
    assert "reused for other days" in step.error


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ({"catch_up": "all", "overlap": "skip"}, "overlap"),
        ({"most": 0}, "most"),
        ({"jitter_s": -1.0}, "jitter"),
        ({"every_s": None, "cron": "0 0 31 2 *"}, "cron"),
    ],
)
def test_rules_that_cannot_go_together_are_refused_by_name(
    ws: Workspace, rules: dict[str, Any], field: str
) -> None:
    with pytest.raises(BadInputError) as caught:
        crons.put(ws, "x", "tick", Given(**{"every_s": 60.0, **rules}))
    assert caught.value.field == field


def with_schedule(cron: str | None, tz: str = "UTC") -> LoopSpec:
    policy = msgspec.structs.replace(LOOP.retraining, schedule=cron, schedule_tz=tz)
    return msgspec.structs.replace(LOOP, retraining=policy)


def listed(ws: Workspace) -> list[tuple[str, str]]:
    found = [one.standing.schedule for one in crons.listed(ws)]
    return [(one.name, one.cron) for one in found]


def told(ws: Workspace) -> list[str]:
    events = ws.read(Permission.READ, lambda tx: reactor.history(tx, "tide"))
    return [type(event).__name__ for _, event in events]


def test_a_loop_asks_for_a_retraining_by_its_own_schedule(served: Workspace) -> None:
    acts.declare(served, with_schedule("0 3 * * 1", "Europe/Berlin"))
    assert listed(served) == [("loop-tide", "0 3 * * 1")]
    settle(served)
    at = crons.listed(served)[0].next[0]
    served.clock.turn(at - served.clock.now())  # type: ignore[attr-defined]
    make_engine(served, "test", scanning=False).one_pass()
    assert told(served)[-1] == "RetrainRequested"
    acts.declare(served, with_schedule(None))
    assert listed(served) == []


def test_a_new_version_of_a_named_dataset_asks_once_and_waits_for_the_cool_down(
    served: Workspace,
) -> None:
    policy = msgspec.structs.replace(LOOP.retraining, on_data=["prices"])
    acts.declare(served, msgspec.structs.replace(LOOP, retraining=policy))

    def log(tx: Tx) -> None:
        run = Run(id="run_x", experiment="e", name="x", status=RunStatus.RUNNING, started=NOW + 5)
        runs.create(tx, run)
        for name in ("prices", "weather"):
            told = Dataset(name=name, digest=f"{name}-2", source_type="local", source="x")
            datasets.log(tx, run.id, [Use(dataset=told)], NOW + 10)

    work_as_engine(served, log)
    engine = make_engine(served, "test")
    for _ in range(50):
        engine.step_once()
    told = served.read(Permission.READ, lambda tx: reactor.history(tx, "tide"))
    asked = [event for _, event in told if isinstance(event, m.RetrainRequested)]
    assert [(one.by, one.patient) for one in asked] == [("dataset prices", True)]
    assert asked[0].reason == "version prices-2 came with run_x."


def test_a_champion_past_the_limit_of_its_staleness_curve_is_renewed_once(
    served: Workspace,
) -> None:
    policy = msgspec.structs.replace(LOOP.retraining, max_age_measured=True)
    acts.declare(served, msgspec.structs.replace(LOOP, retraining=policy))

    def age(days: float) -> list[m.AnyEvent]:
        at = NOW + days * DAY_S
        event = m.WindowClosed(loop="tide", at=at, window="w")
        work_as_engine(served, lambda tx: reactor.emit(tx, event, f"w{days}"))
        engine = make_engine(served, "test")
        for _ in range(20):
            engine.step_once()
        told = served.read(Permission.READ, lambda tx: reactor.history(tx, "tide"))
        return [event for _, event in told if isinstance(event, m.RetrainRequested)]

    assert age(0) == []
    curve = Evidence(
        id="ev-1",
        kind="staleness",
        subject="model:tide",
        passed=None,
        found="It ages.",
        at=NOW,
        by="test",
        detail={"limit_days": 30.0},
    )
    work_as_engine(served, lambda tx: evidence.record(tx, curve))
    assert age(29) == []
    [asked] = age(31)
    assert asked.by == "staleness curve"
    assert "31 days old, and past 30 too much is lost (ev-1)" in asked.reason
    assert len(age(32)) == 1


def test_a_loop_with_a_wrong_schedule_is_not_declared(served: Workspace) -> None:
    with pytest.raises(BadInputError) as caught:
        acts.declare(served, with_schedule("every day"))
    assert caught.value.field == "cron"
    assert listed(served) == []
    assert acts.declare(served, LOOP) == 1
