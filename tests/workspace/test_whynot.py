"""Why not, asked of a home: every version has an answer, and so has a loop that rests."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from homes import LOOP, NOW, settle, work_as_engine

from mainspring.engine import reactor
from mainspring.experiments import runs
from mainspring.ground import messages as m
from mainspring.ground.errors import NotFoundError
from mainspring.ground.objects import DAY_S, Alarm, Freeze, Run, RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import alarms
from mainspring.readiness import registry
from mainspring.workspace import acts
from mainspring.workspace.engines import make_engine
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views import models, whynot


def window(ws: Workspace, at: float, *kinds: str) -> None:
    found = [
        Alarm(
            id=f"a{at}{kind}",
            endpoint="tide",
            kind=kind,  # type: ignore[arg-type]
            subject="x",
            reason="It moved.",
            raised=at,
            window="w",
        )
        for kind in kinds
    ]

    def work(tx: Tx) -> None:
        refs = [m.AlarmRef(id=alarms.raise_(tx, a).id, kind=a.kind, subject="x") for a in found]
        closed = m.WindowClosed(loop="tide", at=at, window="w", alarms=refs)
        reactor.emit(tx, closed, f"w{at}")

    work_as_engine(ws, work)
    react(ws)


def react(ws: Workspace) -> None:
    make_engine(ws, "test", scanning=False).one_pass()


def declare(ws: Workspace, **policy: Any) -> None:
    changed = msgspec.structs.replace(LOOP.retraining, **policy)
    acts.declare(ws, msgspec.structs.replace(LOOP, retraining=changed))
    react(ws)


def test_every_version_of_a_home_has_an_answer(served: Workspace) -> None:
    found = {n: whynot.of_version(served, f"tide/{n}") for n in (1, 2, 3)}
    assert {n: one.verdict for n, one in found.items()} == {
        1: "champion",
        2: "overtaken",
        3: "refused by the gate",
    }
    assert "auc: 0.8, wanted 0.7" in found[3].reason
    with pytest.raises(NotFoundError):
        whynot.of_version(served, "tide/9")


def test_one_whose_place_was_taken_says_by_whom_and_why(served: Workspace) -> None:
    acts.promote(served, "tide", 2, "The vendor changed the units.")
    settle(served)
    found = whynot.of_version(served, "tide/1")
    assert found.verdict == "superseded"
    assert "version 2 took its place: The vendor changed the units." in found.reason


def test_the_candidate_of_a_paused_loop_says_what_it_waits_for(served: Workspace) -> None:
    acts.override(served, "tide", 3, "Let it be tried.")
    react(served)
    acts.pause(served, "tide", "Hands off.")
    react(served)
    found = whynot.of_version(served, "tide/3")
    assert found.verdict == "under way"
    assert found.reason.startswith("Paused by hand. Version 3 meets traffic")


def test_a_loop_says_what_keeps_it_from_training(served: Workspace) -> None:
    quiet = whynot.of_loop(served, "tide")
    assert (quiet.trained, quiet.decisions) == (0, [])
    assert quiet.reason.startswith("Nothing asked for it")
    declare(served, budget=0)
    window(served, NOW + DAY_S, "performance", "quality")
    spent = whynot.of_loop(served, "tide")
    assert spent.reason.startswith("The budget of 0 retrainings is spent")
    assert spent.counts["dismiss"] == 2
    assert len(spent.decisions) == 2
    acts.pause(served, "tide", "Hands off.")
    react(served)
    assert "Hands off." in whynot.of_loop(served, "tide").reason
    acts.resume(served, "tide", "Go on.")
    react(served)
    always = Freeze(cron="0 * * * *", for_s=7200.0)
    declare(served, freeze=[always])
    assert whynot.of_loop(served, "tide").reason.startswith("A freeze is in force until")


def test_a_loop_that_trained_says_so_and_by_its_cool_down(served: Workspace) -> None:
    window(served, NOW + DAY_S, "performance")
    view = served.read(Permission.READ, lambda tx: reactor.view(tx, "tide"))
    assert view.trained_at == NOW + DAY_S
    since = whynot.of_loop(served, "tide", since=NOW)
    assert since.trained == 1
    assert since.reason.startswith("It was, once since")
    with pytest.raises(NotFoundError):
        whynot.of_loop(served, "nobody")


def test_why_a_version_serves_goes_back_to_the_decision_to_train_it(served: Workspace) -> None:
    window(served, NOW + DAY_S, "performance")

    def work(tx: Tx) -> None:
        until = {"loop": "tide", "until": str(NOW + DAY_S)}
        run = Run(
            id="run_y",
            experiment="e",
            name="y",
            status=RunStatus.FINISHED,
            started=NOW,
            tags=until,
        )
        runs.create(tx, run)
        made = registry.get(tx, "tide", 1)
        registry.register(tx, msgspec.structs.replace(made, run="run_y", command="made-4"))

    work_as_engine(served, work)
    found = models.why(served, "tide/4")
    told = [one.text for one in found.links if one.what == "decision"]
    assert any("retrain by loop:tide: Alarm: performance of x." in one for one in told)
