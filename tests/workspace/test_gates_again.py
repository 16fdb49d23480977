"""A gate is run again on the newest labelled rows, and a long rollout makes it young again."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from homes import LOOP, NOW, settle, work_as_engine
from sqlalchemy import update
from whole_loop import rows_of

from mainspring.engine import reactor, tables
from mainspring.ground import messages as m
from mainspring.ground.errors import ConflictError, GateRefusedError
from mainspring.ground.gates import Gate
from mainspring.ground.identity import canonical
from mainspring.ground.loops import Phase, but
from mainspring.ground.objects import DAY_S, Rollout, Strategy
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import decisions, registry, verdicts
from mainspring.scaling.models.load import load
from mainspring.scaling.serving import rollouts
from mainspring.scaling.serving.recorder import CaptureWriter
from mainspring.scaling.serving.segments import Batch
from mainspring.workspace import acts, gates, registering
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.loops import loop_status

LAX = Gate(needs_card=False, max_latency_ms=1e9)


def sent(ws: Workspace, days: range) -> None:
    """Capture days of rows that version 1 answered, each with its labels."""
    package = ws.read(Permission.READ, lambda tx: registry.get(tx, "tide", 1)).package
    served = load(package, ws.objects)
    for day in days:
        columns, truth, times = rows_of(day)
        writer = CaptureWriter(ws.captures("tide"))
        prepared = served.check(columns)
        first = writer.reserve(len(times))
        batch = Batch(
            first=first, received=NOW, times=times, columns=prepared.columns,
            types=prepared.types, versions=np.ones(len(times), dtype=np.int64),
            scores=served.score(prepared), other_versions=None, other_scores=None,
        )  # fmt: skip
        assert writer.append(batch)
        writer.close()
        acts.add_labels(ws, "tide", writer.ids(first, len(times)), truth.tolist())


def newest(ws: Workspace, number: int) -> Any:
    return ws.read(Permission.READ, lambda tx: verdicts.latest(tx, "tide", number))


def run_again(ws: Workspace, number: int) -> Any:
    task = registering.judge_again(ws, "tide", number)
    settle(ws)
    return registering.judging(ws, task).result


def test_a_gate_runs_again_on_the_newest_labelled_rows(served: Workspace) -> None:
    """The tide turned after version 1 was trained: now it is version 2 that is right."""
    asked = msgspec.structs.replace(LAX, at_least={"auc": 0.7})
    acts.declare(served, msgspec.structs.replace(LOOP, gate=asked))
    sent(served, range(1, 12))
    settle(served)
    served.clock.turn(60 * DAY_S)  # type: ignore[attr-defined]
    with pytest.raises(GateRefusedError, match="stale"):
        acts.promote(served, "tide", 2, "It passed once.")
    found = run_again(served, 2)
    assert found["passed"]
    assert "labelled rows newer than its training" in found["notes"][0]
    gate = newest(served, 2)
    assert gate.rows is not None
    assert gate.gate == asked
    assert gate.made is not None
    assert served.clock.now() - gate.made < DAY_S
    champion = next(c for c in gate.checks if c.name == "champion")
    assert champion.evidence["rows"] > 30
    assert champion.evidence["difference"] < 0
    again = run_again(served, 1)
    assert not again["passed"], "what serves may be refused too, and serves on"
    assert "metric auc" in again["reason"]
    acts.promote(served, "tide", 2, "It passed again.")
    assert acts.roll_back(served, "tide", "It broke.") == 1


def test_without_labelled_rows_it_says_what_it_looked_at(served: Workspace) -> None:
    acts.declare(served, msgspec.structs.replace(LOOP, gate=LAX))
    found = run_again(served, 2)
    assert found["passed"]
    assert not any("labelled rows newer" in note for note in found["notes"])
    assert newest(served, 2).rows is None


def test_a_model_has_one_gate(served: Workspace) -> None:
    shown = gates.show(served, "tide")
    assert (shown.source, shown.loop, shown.gate) == ("loop", "tide", LOOP.gate)
    with pytest.raises(ConflictError, match="declared with its loop tide"):
        gates.declare(served, "tide", LAX)
    gates.declare(served, "tide", LOOP.gate)  # the same is no second one


def in_rollout(ws: Workspace, number: int) -> None:
    """Let a version meet traffic, as the loop's own events would."""
    rollout = Rollout(
        id="rollout_1", endpoint="tide", model="tide", champion=1, challenger=number,
        strategy=Strategy.CANARY, share=0.2, state="running", started=NOW, rows=5000,
    )  # fmt: skip

    def work(tx: Tx) -> None:
        rollouts.start(tx, rollout)
        known = reactor.view(tx, "tide")
        known = but(known, phase=Phase.ROLLOUT, candidate=number, champion=1, command="tide-0050")
        tx.run(update(tables.views).values(view=canonical(known).decode()))

    work_as_engine(ws, work)


def better(ws: Workspace, number: int) -> None:
    event = m.Verdict(
        loop="tide", at=NOW, rollout="rollout_1", version=number, verdict="better",
        reason="Proved better.",
    )  # fmt: skip
    work_as_engine(ws, lambda tx: reactor.emit(tx, event, "verdict:1"))
    settle(ws)


def test_a_rollout_of_many_weeks_ends_well_though_its_gate_grew_stale(served: Workspace) -> None:
    in_rollout(served, 2)
    served.clock.turn(90 * DAY_S)  # type: ignore[attr-defined]
    assert not newest(served, 2).fresh(served.clock.now())
    better(served, 2)
    assert served.read(Permission.READ, lambda tx: registry.champion(tx, "tide")) == 2
    gate = newest(served, 2)
    assert gate.fresh(served.clock.now())
    proof = gate.checks[-1]
    assert (proof.name, proof.opens) == ("rollout", ["rollout:rollout_1"])
    assert "5,000 paired rows" in proof.found


def test_a_rollout_makes_no_refused_version_champion(served: Workspace) -> None:
    """However it came into the rollout, and whatever the loop remembers of that."""
    in_rollout(served, 3)
    served.clock.turn(90 * DAY_S)  # type: ignore[attr-defined]
    better(served, 3)
    assert served.read(Permission.READ, lambda tx: registry.champion(tx, "tide")) == 1
    made = served.read(Permission.READ, lambda tx: decisions.list_decisions(tx, "tide", limit=10))
    assert any("no passed gate" in one.reason for one in made)


def test_a_fresh_gate_is_not_written_anew(served: Workspace) -> None:
    in_rollout(served, 2)
    before = newest(served, 2)
    better(served, 2)
    assert newest(served, 2) == before
    assert served.read(Permission.READ, lambda tx: registry.champion(tx, "tide")) == 2


def test_the_loop_watches_on_while_gates_age(served: Workspace) -> None:
    served.clock.turn(400 * DAY_S)  # type: ignore[attr-defined]
    assert "version 1 serves" in loop_status(served, "tide").words
    assert served.read(Permission.READ, lambda tx: registry.champion(tx, "tide")) == 1
