"""Challengers over real HTTP: a fast, healthy, wrong one loses by its losses; one that fails or
is slow goes home by what callers feel, before any label; callers notice nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from homes import LOOP, PATIENT, settle, work_as_engine
from whole_loop import FIRST, ROWS, rows_of

from mainspring.engine import reactor
from mainspring.ground import messages as m
from mainspring.ground.objects import RolloutPolicy
from mainspring.ground.permissions import Permission, owner
from mainspring.readiness import decisions, registry
from mainspring.scaling.models import load
from mainspring.scaling.serving.app import EndpointApp
from mainspring.scaling.serving.recorder import CaptureWriter
from mainspring.workspace import acts
from mainspring.workspace.opening import Workspace
from mainspring.workspace.routing import routing
from serving_in_a_thread import answering

AT_ONCE = 6  #: rows a request


class Ill:
    """A version that serves, but for what a test does to its scoring."""

    def __init__(self, served: Any, score: Callable[..., Any]) -> None:
        self._served, self._score = served, score

    def __getattr__(self, name: str) -> Any:
        return getattr(self._served, name)

    def score(self, rows: Any) -> Any:
        return self._score(self._served, rows)


def fails(served: Any, rows: Any) -> Any:
    raise ValueError("it cannot cope with that")


def never_finite(served: Any, rows: Any) -> Any:
    return served.score(rows) * np.nan


def says_the_same(served: Any, rows: Any) -> Any:
    return served.score(rows) * 0.0 + 0.5


def dawdles(served: Any, rows: Any) -> Any:
    time.sleep(0.02)
    return served.score(rows)


@contextmanager
def serving(
    ws: Workspace,
    score: Callable[..., Any] | None,
    champion: int | None = None,
    challenger: int | None = 3,
    ill: int | None = None,
) -> Iterator[httpx.Client]:
    """Serve the endpoint; the challenger, or version ``ill``, scores as ``score`` says."""
    now = ws.read(Permission.READ, lambda tx: routing(tx, "tide"))
    options = msgspec.structs.replace(now.options, limits=PATIENT)
    now = msgspec.structs.replace(now, options=options)
    assert now.challenger == challenger
    assert champion is None or now.champion == champion
    number = ill or challenger or 0
    order = [now.champion, now.challenger, *(arm.version for arm in now.arms)]
    asked = iter([one for one in dict.fromkeys(order) if one is not None])

    def loader(package: str) -> Any:  # each version is loaded once, in this order
        found = load.load(package, ws.objects)
        sick = score is not None and next(asked) == number
        return Ill(found, score) if sick else found  # type: ignore[arg-type]

    writer = CaptureWriter(ws.captures("tide"))
    app = EndpointApp("tide", lambda: now, loader, writer, lambda _: owner(), ws.settings)
    with answering(app) as port:
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            yield client


def ask(client: httpx.Client, day: int = 0) -> tuple[list[str], list[Any], list[int]]:
    """Send a day's rows; return prediction ids, truth and who answered each row."""
    columns, truth, times = rows_of(day)
    ids: list[str] = []
    versions: list[int] = []
    for start in range(0, ROWS, AT_ONCE):
        here = range(start, start + AT_ONCE)
        rows = [{"a": columns["a"][i], "b": columns["b"][i], "t": times[i]} for i in here]
        answer = client.post("/invocations", json={"dataframe_records": rows})
        assert answer.status_code == 200, answer.text
        ids += answer.json()["prediction_ids"]
        versions += answer.json()["versions"]
    return ids, truth.tolist(), versions


def let_in(ws: Workspace, **policy: Any) -> None:
    """Let version 3, which answers wrongly and fast, meet traffic by an override."""
    rollout = RolloutPolicy(**{"watch_s": 0.0, "share": 0.4, **policy})
    acts.declare(ws, msgspec.structs.replace(LOOP, rollout=rollout))
    now = m.WindowClosed(loop="tide", at=FIRST, window="w")  # the loop's time is its rows'
    work_as_engine(ws, lambda tx: reactor.emit(tx, now, "now"))
    settle(ws)
    acts.override(ws, "tide", 3, "Will it be found out?")
    settle(ws)
    assert acts.running_rollout(ws, "tide") is not None


def ended(ws: Workspace) -> str:
    """Let the engine look; return why the challenger was sent home."""
    settle(ws, scanning=True)
    assert acts.running_rollout(ws, "tide") is None
    assert ws.read(Permission.READ, lambda tx: registry.champion(tx, "tide")) == 1
    made = ws.read(Permission.READ, lambda tx: decisions.list_decisions(tx, "tide"))
    return next(one.reason for one in made if one.kind == "roll_back")


def test_a_fast_healthy_wrong_challenger_loses_by_its_losses(served: Workspace) -> None:
    let_in(served, max_shift=1.0)
    with serving(served, None) as client:
        ids, truth, versions = ask(client)
    assert set(versions) == {1, 3}  # callers were answered by both
    settle(served, scanning=True)
    assert acts.running_rollout(served, "tide") is not None  # it is fast and never fails
    acts.add_labels(served, "tide", ids, truth)
    reason = ended(served)
    assert reason.startswith("Version 3 is worse than champion 1: mean loss")


@pytest.mark.parametrize(
    ("score", "policy", "told"),
    [
        (fails, {}, "scorings failed (100.0%), and 1.0% may"),
        (dawdles, {"slow_ms": 5.0}, "scorings took longer than 5 ms (100.0%), and 5.0% may"),
        (dawdles, {"max_shift": 1.0}, "3 times as long as the other on the same rows ("),
        (never_finite, {}, "40 of them by scores that are not finite"),
        (says_the_same, {"max_shift": 1.0}, "the other's score moved and its own did not"),
        (None, {}, "Version 3 does harm: its scores are 0."),
    ],
)
def test_one_that_fails_or_is_slow_goes_home_before_any_label(
    served: Workspace, score: Any, policy: dict[str, Any], told: str
) -> None:
    let_in(served, **policy)
    with serving(served, score) as client:
        _, _, versions = ask(client)
    failing = score in (fails, never_finite)
    assert (set(versions) == {1}) == failing  # the champion answers for it
    assert told in ended(served)


def test_without_guard_rails_only_labels_end_a_rollout(served: Workspace) -> None:
    let_in(served, guard=False)
    with serving(served, dawdles) as client:
        ask(client)
    settle(served, scanning=True)
    assert acts.running_rollout(served, "tide") is not None


def test_a_guardrail_waits_for_nobody_in_a_pause(served: Workspace) -> None:
    let_in(served)
    acts.pause(served, "tide", "Hands off.")
    settle(served)
    with serving(served, fails) as client:
        ask(client)
    assert "scorings failed" in ended(served)
