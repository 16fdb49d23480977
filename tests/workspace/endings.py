"""What must hold once a story has ended, however often its engine was killed."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select
from whole_loop import DAY, FIRST, LOOP, ROWS, Ending, Story

from mainspring.backends.sql import audit
from mainspring.engine import reactor
from mainspring.engine.tables import tasks
from mainspring.ground import messages as m
from mainspring.ground.objects import StepState
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import alarms, windows
from mainspring.pipelines.tables import steps
from mainspring.readiness import decisions, registry
from mainspring.readiness.tables import versions
from mainspring.scaling.serving import capture, rollouts
from mainspring.workspace.invariants.asking import ask

COMMANDS = {str(kind.__struct_config__.tag): kind for kind in m.AnyCommand.__args__}


def ending(tx: Tx) -> dict[str, Any]:
    """Return what happened, without what may differ: wall times, random ids, latencies."""
    made = registry.versions(tx, LOOP)
    return {
        "versions": [(v.number, v.cause and v.cause.partition(":")[0], v.trained_until,
                      v.data.get("captured"), v.metrics) for v in made],
        "champions": [(h.number, h.previous, h.at) for h in registry.history(tx, LOOP)],
        # Of one moment of event time, which comes first is chance as well.
        "decisions": sorted(
            ((d.kind, d.at) for d in decisions.list_decisions(tx, LOOP, limit=1000)),
            key=lambda one: (one[1], one[0]),
        ),
        "alarms": sorted((a.id, a.outcome, a.raised) for a in alarms.list_alarms(tx, limit=1000)),
        "windows": [(w.id, w.rows, w.labelled, w.version) for w in windows.list_windows(tx, LOOP)],
        "rollouts": [(r.champion, r.challenger, r.purpose, r.state, r.rows, r.cursor, r.started)
                     for r in rollouts.of_endpoint(tx, LOOP)],
        "view": msgspec.to_builtins(
            # How long training took, and how many labels had come by a look, is chance.
            msgspec.structs.replace(reactor.view(tx, LOOP), held=(), trained_s=0.0, labels=0,
                                    labels_trained=None, labels_checked=0)
        ),
    }  # fmt: skip


def check(story: Story, found: Ending) -> None:
    """Assert every promise that can be read off the store, the captures and the steps' marks."""
    story.ws.read(Permission.READ, _check_commands)
    story.ws.read(Permission.READ, _check_versions)
    story.ws.read(Permission.READ, _check_alarms)
    story.ws.read(Permission.READ, lambda tx: _check_steps(tx, story.root / "effects"))
    story.ws.read(Permission.READ, lambda tx: _check_windows(tx, found.days))
    report = story.ws.read(Permission.READ, audit.verify)
    assert report.ok, report
    assert {one.name: one.broken for one in ask(story.ws) if one.broken} == {}
    rows = capture.read(story.ws.captures(LOOP))
    assert rows.height == rows["_id"].n_unique() == found.rows


def _check_commands(tx: Tx) -> None:
    """Every command came to its end once, and answered once."""
    answers: Counter[str] = Counter()
    said: Counter[str] = Counter()
    for _, event in reactor.history(tx, LOOP, limit=100_000):
        said[type(event).__name__] += 1
        if getattr(event, "command", None):
            answers[str(event.command)] += 1  # type: ignore[union-attr]
    ended: Counter[str] = Counter()
    for row in tx.all(select(tasks)):
        folding = row.kind == "compact" and row.state == "ready"  # a segment sealed just now
        assert row.state == "done" or folding, (row.id, row.state, row.attempt, row.error)
        if row.kind in COMMANDS:
            ended[row.kind] += 1
            assert answers[row.id] == (row.kind != "start_rollout"), (row.id, answers[row.id])
    moves = registry.history(tx, LOOP, registry.CHAMPION)
    assert len(moves) == ended["promote"] + ended["revert"] == said["Promoted"] + ended["revert"]
    assert said["CommandFailed"] == 0
    kinds = Counter(d.kind for d in decisions.list_decisions(tx, LOOP, limit=1000))
    assert kinds["promote"] == said["Promoted"]
    assert kinds["retrain"] == ended["train"] == ended["register"]
    for before, after in itertools.pairwise(moves):
        assert after.previous == before.number
    started = [r for r in rollouts.of_endpoint(tx, LOOP) if r.purpose == "challenge"]
    assert len(started) == ended["start_rollout"]


def _check_versions(tx: Tx) -> None:
    rows = tx.all(select(versions).where(versions.c.model == LOOP).order_by(versions.c.number))
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    registers = tx.all(select(tasks.c.id).where(tasks.c.kind == "register"))
    assert {row.command for row in rows} == {row.id for row in registers}


def _check_alarms(tx: Tx) -> None:
    """What is open is known to the loop, and what it knows is open; the rest ended once."""
    waiting = {alarm.id for alarm in reactor.view(tx, LOOP).alarms}
    assert {a.id for a in alarms.open_alarms(tx)} == waiting
    ids = {d.id for d in decisions.list_decisions(tx, LOOP, limit=1000)}
    for alarm in alarms.list_alarms(tx, limit=1000):
        assert alarm.outcome is None or alarm.decision in ids, alarm


def _check_steps(tx: Tx, effects: Path) -> None:
    """A step whose end was kept never ran again, and no kept key was computed twice."""
    rows = {(row.run, row.step): row for row in tx.all(select(steps))}
    ran: Counter[tuple[str, str]] = Counter()
    for line in effects.read_text().splitlines():
        one = json.loads(line)
        row = rows[one["run"], one["step"]]
        ran[row.run, row.step] += 1
        assert row.state == StepState.DONE, one
        assert one["at"] <= row.ended, f"{one} ran after its end at {row.ended}"
    for place, row in rows.items():
        assert row.state in (StepState.DONE, StepState.REUSED), place
        assert (ran[place] >= 1) == (row.state == StepState.DONE), place
        assert ran[place] <= row.attempt, place
    kept = Counter(r.key for r in rows.values() if r.state == StepState.DONE and r.step == "base")
    assert set(kept.values()) == {1}


def _check_windows(tx: Tx, days: int) -> None:
    """Every day that is over is one window with all its rows."""
    found = windows.list_windows(tx, LOOP, limit=1000)
    assert [w.start for w in reversed(found)] == [FIRST + d * DAY for d in range(days - 1)]
    assert {w.rows for w in found} == {ROWS}
    assert {w.labelled for w in found[1:]} == {ROWS}
