"""Labels that come late change what was said of their window, once, and alarm about it once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from homes import LOOP, InProcess, settle

from mainspring.engine import reactor
from mainspring.ground.objects import DAY_S, Alarm, Window
from mainspring.ground.permissions import Permission
from mainspring.monitoring import again, alarms, maturity, windows
from mainspring.scaling.serving.capture import CaptureWriter
from mainspring.scaling.serving.segments import Batch
from mainspring.workspace import acts
from mainspring.workspace.opening import Workspace

FIRST = 1_700_006_400.0  # a midnight
ROWS = 300


class Days:
    """Days of an endpoint whose champion says what is so; labels come when a test sends them."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._writer = CaptureWriter(ws.captures("tide"), seal_s=0.5)
        self.ids: dict[int, list[str]] = {}
        self.truth: dict[int, list[int]] = {}

    def send(self, day: int, rows: int = ROWS) -> None:
        rng = np.random.default_rng(day)
        a, b = rng.normal(size=rows), rng.normal(size=rows)
        score = 1 / (1 + np.exp(-(4 * a + b)))
        times = FIRST + day * DAY_S + np.arange(rows) * DAY_S / rows
        first = self._writer.reserve(rows)
        batch = Batch(
            first=first,
            received=self._ws.clock.now(),
            times=times,
            columns={"a": a, "b": b},
            types={"a": "float", "b": "float"},
            versions=np.ones(rows, dtype=np.int64),
            scores=score[:, None],
        )
        assert self._writer.append(batch)
        assert self._writer.flush()
        self.ids[day] = self._writer.ids(first, rows)
        self.truth[day] = (rng.random(rows) < score).astype(int).tolist()

    def label(self, day: int, part: slice, *, wrong: bool = False) -> None:
        truth = [1 - y if wrong else y for y in self.truth[day][part]]
        acts.add_labels(self._ws, "tide", self.ids[day][part], truth)

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
def days(served: Workspace) -> Iterator[Days]:
    found = Days(served)
    yield found
    found.close()


def work(ws: Workspace) -> None:
    settle(ws, scanning=True)


def window(ws: Workspace, day: int) -> Window:
    name = windows.window_id("tide", FIRST + day * DAY_S)
    return ws.read(Permission.READ, lambda tx: windows.get(tx, name))


def of_loss(ws: Workspace) -> list[Alarm]:
    found = ws.read(Permission.READ, lambda tx: alarms.list_alarms(tx, "tide"))
    return [one for one in found if (one.kind, one.subject) == ("performance", "loss")]


def concept(one: Window) -> Any:
    return next(found for found in one.found if found.monitor == "concept")


def test_late_labels_change_the_verdict_and_raise_one_alarm(
    served: Workspace, days: Days, executor: InProcess
) -> None:
    for day in range(3):
        days.send(day)
    days.label(0, slice(0, 150))
    work(served)
    first = window(served, 0)
    assert first.performance is not None
    assert (first.performance["verdict"], first.performance["judged"]) == ("quiet", 1)
    assert (first.labelled, first.performance["coverage"]["estimate"]) == (150, 0.5)
    assert of_loss(served) == []

    days.label(0, slice(150, 300), wrong=True)
    work(served)
    second = window(served, 0)
    assert second.performance is not None
    assert (second.performance["verdict"], second.performance["judged"]) == ("alarm", 2)
    assert second.labelled == 300
    [alarm] = of_loss(served)
    assert alarm.window == first.id
    assert alarm.outcome is not None, "the loop answered it"
    assert concept(second) == concept(first), "each label is watched once"

    days.label(0, slice(0, 300), wrong=True)  # contradicts the first half, repeats the other
    work(served)
    third = window(served, 0)
    assert third.performance is not None
    assert (third.performance["verdict"], third.performance["judged"]) == ("alarm", 3)
    assert (third.performance["contradicted"], third.performance["repeated"]) == (150, 150)
    assert len(of_loss(served)) == 1, "ended or not, it is said once"


def test_a_verdict_is_taken_back_when_labels_are_corrected(served: Workspace, days: Days) -> None:
    for day in range(3):
        days.send(day)
    days.label(0, slice(0, 300), wrong=True)
    work(served)
    assert len(of_loss(served)) == 1
    days.label(0, slice(0, 300))
    work(served)
    corrected = window(served, 0)
    assert corrected.performance is not None
    assert corrected.performance["verdict"] == "quiet"
    assert corrected.performance["contradicted"] == 300
    days.label(0, slice(0, 300), wrong=True)  # and wrong again: no second alarm
    work(served)
    again_wrong = window(served, 0)
    assert again_wrong.performance is not None
    assert again_wrong.performance["verdict"] == "alarm"
    assert len(of_loss(served)) == 1


def test_labels_of_other_windows_leave_a_window_alone(served: Workspace, days: Days) -> None:
    for day in range(4):
        days.send(day)
        days.label(day, slice(0, 300))
    work(served)
    before = window(served, 0)
    days.label(3, slice(0, 10))
    acts.add_labels(served, "tide", ["nobody-1"], [1])
    work(served)
    assert window(served, 0) == before
    cursor = served.read(Permission.READ, lambda tx: again.cursor(tx, "tide"))
    assert cursor == 6, "what was looked through is not looked through again"


def test_only_the_newest_judged_windows_are_opened_again(
    served: Workspace, days: Days, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = msgspec.structs.replace(LOOP.monitor, reopened=2)
    acts.declare(served, msgspec.structs.replace(LOOP, monitor=policy))
    for day in range(6):
        days.send(day)
        days.label(day, slice(0, 200))
    work(served)
    judged = [d for d in range(6) if (window(served, d) if d < 5 else None) is not None]
    for day in judged:
        days.label(day, slice(200, 300))
    work(served)
    found = [window(served, day).performance for day in range(4)]
    assert [(one or {}).get("judged") for one in found] == [1, 1, 2, 2]
    assert [window(served, day).labelled for day in range(4)] == [200, 200, 300, 300]


def test_the_detector_goes_on_from_window_to_window(served: Workspace, days: Days) -> None:
    for day in range(5):
        days.send(day)
        days.label(day, slice(0, 300))
        work(served)
    seen = [concept(window(served, day)).detail["labels_watched"] for day in range(3)]
    assert seen == [300, 600, 900]


def test_how_long_labels_take_is_learnt(served: Workspace, days: Days) -> None:
    policy = msgspec.structs.replace(LOOP.monitor, label_share=0.95, label_delay_s=DAY_S)
    acts.declare(served, msgspec.structs.replace(LOOP, monitor=policy))
    for day in range(8):
        days.send(day)
        if day >= 3:  # three days later, in event time
            days.label(day - 3, slice(0, 300))
        work(served)
    learnt = served.read(Permission.READ, lambda tx: again.learnt_delay(tx, "tide"))
    assert learnt is not None
    assert 3 * DAY_S <= learnt <= 4 * DAY_S * 1.25
    assert served.read(Permission.READ, lambda tx: reactor.spec(tx, "tide")).monitor == policy
    late = window(served, 3)
    assert late.performance is None or late.performance["mature_at"] > late.end + 2 * DAY_S
    assert maturity.effective(policy, learnt) == learnt
