"""A pause in every phase, with real engines that are killed there: what waits, what still acts.

Engines are killed (SIGKILL) as soon as each phase is reached, so that the pause comes while the
phase is under way and nobody works. Then another engine takes over, and must do what the loop
said: nothing that begins anything.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from whole_loop import LOOP, Nursery, Story, Traffic

from mainspring.engine import reactor, tasks
from mainspring.ground.loops import Phase, View
from mainspring.ground.permissions import Permission
from mainspring.readiness import decisions, registry
from mainspring.workspace import acts
from mainspring.workspace.views.loops import loop_status
from mainspring.workspace.views.shapes import LoopStatus

PATIENCE_S = 300.0
#: Where an engine dies in the phases that end of themselves: looking for one from outside and
#: killing then might come after its end. In the others a loop waits for traffic or for a person.
DIES_AT = {
    Phase.TRAINING: "train.planned:1",
    Phase.JUDGING: "judge.measured:1",
    Phase.PROMOTING: "react.committed:1",
    Phase.WITHDRAWING: "react.committed:1",
}


class House:
    """A story's home, its traffic, and engines that come and are killed."""

    def __init__(self, story: Story, nursery: Nursery) -> None:
        self.ws, self._story, self._nursery = story.ws, story, nursery
        story.declare()
        self.traffic = Traffic(self.ws)
        self.days = 0
        self.killed = 0

    def view(self) -> View:
        return self.ws.read(Permission.READ, lambda tx: reactor.view(tx, LOOP))

    def status(self) -> LoopStatus:
        return loop_status(self.ws, LOOP)

    def champion(self) -> int | None:
        return self.ws.read(Permission.READ, lambda tx: registry.champion(tx, LOOP))

    def send(self, days: int) -> None:
        for _ in range(days):
            self.traffic.send(self.days)
            self.days += 1

    def until_phase(self, phase: Phase) -> None:
        """Have an engine at work until the loop is in a phase, and kill it there."""
        point = DIES_AT.get(phase, "")
        pid = self._nursery.engine(self._story.settings, point, self._story.log)
        if point:
            self._wait(lambda: self._dead(pid), f"phase {phase}")
        else:
            self._wait(lambda: self.view().phase is phase, f"phase {phase}")
        self._kill(pid)
        assert self.view().phase is phase

    @contextmanager
    def engine(self, *, kill: bool = False) -> Iterator[None]:
        """Have a whole engine at work, and kill it at the end or let it end by itself."""
        pid = self._nursery.engine(self._story.settings, "", self._story.log)
        try:
            yield
        finally:
            if not kill:
                os.kill(pid, signal.SIGTERM)
                self._wait(lambda: self._dead(pid), "the engine's end")
                self._nursery.ended.pop(pid)
            else:
                self._kill(pid)

    def wait(self, wanted: Callable[[], bool], what: str) -> None:
        self._wait(wanted, f"{what}; {self._story._standing()}")

    def _kill(self, pid: int) -> None:
        if not self._dead(pid):
            os.kill(pid, signal.SIGKILL)
            self._wait(lambda: self._dead(pid), "the engine's death")
        assert self._nursery.ended.pop(pid) == -signal.SIGKILL
        self.killed += 1

    def _dead(self, pid: int) -> bool:
        self._nursery.listen()
        return pid in self._nursery.ended

    def _wait(self, wanted: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not wanted():
            assert time.monotonic() < end, f"{what} does not come: {self._story._standing()}"
            time.sleep(0.005)


@contextmanager
def housed(story: Story, nursery: Nursery, days: int) -> Iterator[House]:
    """Have a loop with a champion and some days of traffic, and no engine."""
    with story.opened():
        found = House(story, nursery)
        with found.engine(kill=True):
            found.wait(lambda: found.champion() == 1, "the first version")
        found.send(days)
        yield found
        found.traffic.close()


@pytest.fixture
def house(tmp_path: Path, nursery: Nursery) -> Iterator[House]:
    """A loop whose world has turned on the fourth of five days: a new version does better."""
    with housed(Story(tmp_path), nursery, 5) as found:
        yield found


@pytest.fixture
def spoilt(tmp_path: Path, nursery: Nursery) -> Iterator[House]:
    """A loop whose pipeline spoils every version after the first, asked for one, in a shadow."""
    story = Story(tmp_path)
    file = story.root / "project.py"
    text = file.read_text().replace(
        'if rows["t"].max() >= SPOILS:', 'if (HERE / "spoil").exists():'
    )
    file.write_text(text.replace("ms.Rollout(share=0.3,", 'ms.Rollout("shadow",'))
    with housed(story, nursery, 2) as found:
        (story.root / "spoil").touch()
        acts.retrain(found.ws, LOOP, "Will the shadow find it out?", patient=True)
        yield found


def paused(house: House, held: str | None, *told: str) -> None:
    """Pause the loop, let a new engine work under it, and hold it to what it says of itself."""
    acts.pause(house.ws, LOOP, "Hands off.")
    with house.engine(kill=True):
        house.wait(lambda: house.view().paused, "the pause")
        if held is not None:
            house.wait(lambda: bool(house.view().held), "what is held")
        house.wait(lambda: not _at_work(house), "rest")
    found = house.status()
    assert found.paused
    assert found.words.startswith("Paused by hand.")
    said = " ".join([*found.on_hold, *found.still_acts])
    for one in (held, *told):
        assert one is None or one in said
    assert "Windows are judged" in said
    assert house.champion() == 1


def _at_work(house: House) -> bool:
    now = house.ws.clock.now()
    unsettled = house.ws.read(Permission.READ, lambda tx: tasks.unsettled(tx, now))
    return bool(unsettled) or house.ws.read(Permission.READ, reactor.pending) is not None


def go_on(house: House, phase: Phase) -> None:
    acts.resume(house.ws, LOOP, "Go on.")
    house.until_phase(phase)


def test_a_pause_in_every_phase_of_a_good_challenger_holds_and_loses_nothing(
    house: House,
) -> None:
    house.until_phase(Phase.TRAINING)
    paused(house, "The training has ended; its version is to be registered.")
    assert house.view().phase is Phase.TRAINING

    go_on(house, Phase.JUDGING)
    paused(house, "Version 2 passed the gate and is to meet traffic.")
    assert acts.running_rollout(house.ws, LOOP) is None

    go_on(house, Phase.ROLLOUT)
    with house.engine(kill=True):
        house.wait(lambda: acts.running_rollout(house.ws, LOOP) is not None, "the canary")
    acts.pause(house.ws, LOOP, "Hands off.")
    house.send(2)
    paused(
        house,
        "Version 2 was shown to be better and is to be promoted.",
        "Version 2 goes on answering 30% of the rows.",
        "Once version 2 is shown to do harm it goes home by itself",
    )

    go_on(house, Phase.PROMOTING)
    paused(house, "Version 2 was shown to be better", "Version 2 goes on answering 30%")
    assert house.view().phase is Phase.ROLLOUT

    acts.resume(house.ws, LOOP, "Go on.")
    with house.engine():
        house.wait(lambda: house.champion() == 2, "the promotion")
        house.wait(lambda: house.view().phase is Phase.IDLE, "the end")
    assert house.status().on_hold == []
    assert house.killed >= 8


def test_harm_ends_a_paused_shadow_and_the_champion_never_moves(spoilt: House) -> None:
    spoilt.until_phase(Phase.ROLLOUT)
    with spoilt.engine(kill=True):
        spoilt.wait(lambda: acts.running_rollout(spoilt.ws, LOOP) is not None, "the shadow")
    paused(spoilt, None, "scores every row in the shadow and answers nobody")
    spoilt.send(1)
    with spoilt.engine(kill=True):
        spoilt.wait(lambda: spoilt.view().phase is Phase.IDLE, "the end of the shadow")
    found = spoilt.status()
    assert (found.paused, found.champion, found.rollout) == (True, 1, None)
    assert "roll_back" in kinds(spoilt)


def test_a_pause_may_send_the_challenger_home_though_the_engine_dies_there(house: House) -> None:
    house.until_phase(Phase.ROLLOUT)
    with house.engine(kill=True):
        house.wait(lambda: acts.running_rollout(house.ws, LOOP) is not None, "the canary")
    acts.pause(house.ws, LOOP, "Hands off.", withdraw=True)
    house.until_phase(Phase.WITHDRAWING)
    assert "is being withdrawn" in " ".join(house.status().still_acts)
    with house.engine(kill=True):
        house.wait(lambda: house.view().phase is Phase.IDLE, "its way home")
    found = house.status()
    assert (found.paused, found.champion, found.rollout) == (True, 1, None)


def kinds(house: House) -> list[str]:
    found = house.ws.read(Permission.READ, lambda tx: decisions.list_decisions(tx, LOOP))
    return [one.kind for one in found]
