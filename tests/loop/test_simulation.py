"""Thousands of random histories, and mutants that they must catch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from mainspring import loop
from mainspring.ground import loops
from mainspring.ground import messages as m
from mainspring.ground.loops import Phase, Reaction
from mainspring.retraining import triggers

ROOT = Path(__file__).parents[2]
SEEDS = 8_000
SOAK_SEEDS = 2_000_000  # about an hour of CPU; they begin where those of every day end
PARTS = 2  # processes: CI has two cores


@pytest.fixture(scope="module")
def simulation() -> ModuleType:
    sys.path.insert(0, str(ROOT))
    try:
        import tests.loop.simulation as module
    finally:
        sys.path.remove(str(ROOT))
    return module


def test_every_promise_is_kept_in_thousands_of_random_histories() -> None:
    _play(0, SEEDS)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_every_promise_is_kept_in_millions_of_random_histories() -> None:
    _play(SEEDS, SOAK_SEEDS)


def _play(first: int, seeds: int) -> None:
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    share = seeds // PARTS
    parts = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.loop.simulation", str(first + part * share), str(share)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for part in range(PARTS)
    ]
    told = "".join(part.communicate()[0] for part in parts)
    assert not told.strip(), f"replay with: python -m tests.loop.simulation SEED\n{told[:4000]}"
    assert all(part.returncode == 0 for part in parts)


def test_the_same_seed_is_the_same_history(
    simulation: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    simulation.play(5, trace=True)
    first = capsys.readouterr().out
    simulation.play(5, trace=True)
    assert capsys.readouterr().out == first
    assert "command Train" in first


def ignore_the_cool_down(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loop, "_cooling", lambda view, spec: False)


def ignore_the_budget(patch: pytest.MonkeyPatch) -> None:
    hindrance = loop._hindrance

    def blind(view: Any, spec: Any) -> str | None:
        found = hindrance(view, spec)
        return None if found and "budget" in found else found

    patch.setattr(loop, "_hindrance", blind)


def promote_what_came_by_an_override(patch: pytest.MonkeyPatch) -> None:
    _before(patch, m.Verdict, lambda view: msgspec.structs.replace(view, overridden=False))


def drop_an_alarm(patch: pytest.MonkeyPatch) -> None:
    reaction = loop._window_closed

    def forget(event: m.WindowClosed, view: Any, spec: Any) -> Reaction:
        return reaction(msgspec.structs.replace(event, alarms=event.alarms[:1]), view, spec)

    patch.setitem(loop.REACTIONS, m.WindowClosed, forget)


def forget_to_end_alarms_after_a_promotion(patch: pytest.MonkeyPatch) -> None:
    end = loops.end

    def silent(view: Any, alarms: Any, outcome: str, reason: str) -> Reaction:
        ended = end(view, alarms, outcome, reason)
        return msgspec.structs.replace(ended, ended=()) if outcome == "promoted" else ended

    patch.setattr(loop, "end", silent)


def promote_without_a_rollout(patch: pytest.MonkeyPatch) -> None:
    def rash(view: Any, spec: Any, version: int, reason: str) -> Reaction:
        return loop._promote(loops.but(view, candidate=version), spec, reason, {})

    patch.setattr(loop, "_roll_out", rash)


def believe_an_old_answer(patch: pytest.MonkeyPatch) -> None:
    reaction = loop._trained

    def gullible(event: m.Trained, view: Any, spec: Any) -> Reaction:
        return reaction(msgspec.structs.replace(event, command=view.command), view, spec)

    patch.setitem(loop.REACTIONS, m.Trained, gullible)


def act_while_paused(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loop, "_MAKE_IT_ACT", (m.LoopStarted,))


def go_on_with_a_promotion_in_a_pause(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loop, "_before_the_promotion", lambda view: view)


def forget_the_freeze(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loop, "_BEGIN_SOMETHING", ())


def measure_after_every_alarm(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(triggers, "may_check", lambda view, policy: True)


def count_no_minutes(patch: pytest.MonkeyPatch) -> None:
    def blind(view: Any, policy: Any) -> str | None:
        return f"the budget of {policy.budget}" if view.retrainings >= policy.budget else None

    patch.setattr(triggers, "spent", blind)


def forget_who_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(loop.REACTIONS, m.RetrainRequested, lambda _, view, spec: Reaction(view=view))


def keep_a_broken_champion(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(loop.REACTIONS, m.ChampionBroke, lambda _, view, spec: Reaction(view=view))


def let_a_roll_back_wait_for_the_training(patch: pytest.MonkeyPatch) -> None:
    wait = loop._must_wait

    def patient(event: m.AnyEvent, view: Any) -> bool:
        busy = view.phase not in (Phase.IDLE, Phase.ROLLOUT)
        return busy if isinstance(event, m.ChampionBroke) else wait(event, view)

    patch.setattr(loop, "_must_wait", patient)


def give_up_on_a_roll_back(patch: pytest.MonkeyPatch) -> None:
    def weary(event: m.CommandFailed, view: Any, spec: Any) -> Reaction:
        if event.command != view.command:
            return Reaction(view=view)
        return loop._reject(view, "command", event.error)

    patch.setitem(loop.REACTIONS, m.CommandFailed, weary)


def ignore_a_hand(patch: pytest.MonkeyPatch) -> None:
    reaction = loop._promoted

    def proud(event: m.Promoted, view: Any, spec: Any) -> Reaction:
        return Reaction(view=view) if event.command is None else reaction(event, view, spec)

    patch.setitem(loop.REACTIONS, m.Promoted, proud)


def _before(patch: pytest.MonkeyPatch, kind: type, change: Callable[[Any], Any]) -> None:
    reaction = loop.REACTIONS[kind]
    patch.setitem(
        loop.REACTIONS, kind, lambda event, view, spec: reaction(event, change(view), spec)
    )


@pytest.mark.parametrize(
    ("mutate", "promise"),
    [
        (ignore_the_cool_down, "2: "),
        (ignore_the_budget, "2: "),
        (promote_what_came_by_an_override, "1: "),
        (drop_an_alarm, "3: "),
        (forget_to_end_alarms_after_a_promotion, "3: "),
        (promote_without_a_rollout, "1: "),
        (believe_an_old_answer, ""),
        (act_while_paused, "while paused"),
        (go_on_with_a_promotion_in_a_pause, "5: promoted while paused"),
        (forget_the_freeze, "in a freeze"),
        (measure_after_every_alarm, "2: regret was measured again too soon"),
        (count_no_minutes, "2: retrained beyond the minutes"),
        (forget_who_asked, "a request got no answer"),
        (keep_a_broken_champion, "4: "),
        (let_a_roll_back_wait_for_the_training, "4: "),
        (give_up_on_a_roll_back, ""),
        (ignore_a_hand, "serves"),
    ],
)
def test_the_simulation_catches_a_loop_that_would(
    simulation: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    mutate: Callable[[pytest.MonkeyPatch], None],
    promise: str,
) -> None:
    mutate(monkeypatch)
    for first in range(0, 4000, 50):
        broken = simulation.failures(first, 50)
        if any(promise in line for line in broken):
            return
    pytest.fail("no seed noticed")
