"""Gates age by the wall clock, at both walls; what was champion before may always come back."""

from __future__ import annotations

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.clock import TurnedClock
from mainspring.ground.errors import BadInputError, GateRefusedError
from mainspring.ground.gates import Gate
from mainspring.ground.objects import DAY_S, CheckResult
from mainspring.readiness import (
    decisions,
    declaring,
    facts,
    gate,
    registry,
    removal,
    tables,
    verdicts,
)

CLOCK = 1e9
SET = "INSERT INTO aliases (model, alias, number, moved) VALUES ('churn', 'champion', {}, {})"
MOVE = "UPDATE aliases SET number = {}, moved = {} WHERE alias = 'champion'"


@pytest.fixture
def clock():
    return TurnedClock(CLOCK)


@pytest.fixture
def aged(reg, open_test_store, clock, new_version, gated):
    """Versions 1 and 2 with gates of today, on a clock that the test turns."""
    own = type(reg)(open_test_store([tables.METADATA], tables.GUARDS, clock=clock))
    for number in (1, 2):
        own.do(registry.register, new_version())
        own.do(gate.store_result, gated("churn", number))
    return own


def by_hand(reg, text):
    return reg.do(lambda tx: tx.run(sa.text(text)))


def test_a_gate_holds_for_thirty_days_unless_it_says_otherwise(aged, clock, gated):
    kept = aged.do(verdicts.latest, "churn", 1)
    assert (kept.made, kept.until) == (CLOCK, CLOCK + 30 * DAY_S)
    short = msgspec.structs.replace(gated("churn", 1, name="short"), gate=Gate(valid_s=60.0))
    aged.do(gate.store_result, short)
    assert aged.do(verdicts.latest, "churn", 1).until == CLOCK + 60.0


def test_event_time_does_not_age_a_gate(aged, clock):
    """A year is replayed in minutes: what a loop's ``at`` says is no matter here."""
    aged.do(registry.promote, "churn", 1, "The loop says so.", at=CLOCK + 400 * DAY_S)
    assert aged.do(registry.champion, "churn") == 1


@pytest.mark.parametrize(("days", "goes"), [(29.999, True), (30.0, False), (31.0, False)])
def test_the_registry_asks_for_a_fresh_gate(aged, clock, days, goes):
    clock.turn(days * DAY_S)
    if goes:
        aged.do(registry.promote, "churn", 1, "Now.", at=1.0)
        return
    with pytest.raises(GateRefusedError, match="is stale: it held until 2001-10-09") as refused:
        aged.do(registry.promote, "churn", 1, "Now.", at=1.0)
    assert "mainspring gate run churn/1" in str(refused.value)
    assert aged.do(registry.champion, "churn") is None


def test_the_database_asks_for_a_fresh_gate_of_every_row(aged, clock):
    late = CLOCK + 31 * DAY_S
    with pytest.raises(Exception, match="fresh"):
        by_hand(aged, SET.format(1, late))
    with pytest.raises(Exception, match="fresh"):
        by_hand(aged, SET.format(1, 0))  # before the gate was made
    by_hand(aged, SET.format(1, CLOCK + 1))
    with pytest.raises(Exception, match="fresh"):
        by_hand(aged, MOVE.format(2, late))
    with pytest.raises(Exception, match="say when"):
        by_hand(aged, MOVE.format(2, CLOCK + 1))  # the time of the move before
    by_hand(aged, MOVE.format(2, CLOCK + 2))


def test_the_database_asks_the_newest_gate(aged, gated):
    aged.do(gate.store_result, gated("churn", 2, passed=False))
    with pytest.raises(Exception, match="passed gate"):
        by_hand(aged, SET.format(2, CLOCK + 1))


def test_a_champion_of_before_comes_back_however_old_its_gate(aged, clock, gated):
    aged.do(registry.promote, "churn", 1, "First.", at=1.0)
    aged.do(registry.promote, "churn", 2, "Second.", at=2.0)
    clock.turn(400 * DAY_S)
    assert aged.do(registry.roll_back, "churn", "It broke.", at=3.0) == (2, 1)
    aged.do(gate.store_result, gated("churn", 2, passed=False))
    aged.do(registry.promote, "churn", 2, "No, it was the traffic.", at=4.0)
    assert aged.do(registry.champion, "churn") == 2


def test_guarded_aliases_and_stages_age_alike(aged, clock):
    aged.do(removal.guard, "churn", ["champion", "production"], at=1.0)
    aged.do(facts.set_stage, "churn", 1, "Production", at=1.0)
    aged.do(registry.set_alias, "churn", "production", 1, "Live.", at=1.0)
    clock.turn(31 * DAY_S)
    with pytest.raises(GateRefusedError, match="stale"):
        aged.do(registry.set_alias, "churn", "Production", 2, "Live.", at=1.0)
    with pytest.raises(GateRefusedError, match="stale"):
        aged.do(facts.set_stage, "churn", 2, "Production", at=1.0)
    with pytest.raises(Exception, match="fresh"):
        by_hand(
            aged,
            "INSERT INTO version_facts (model, number, description, stage, changed, staged)"
            f" VALUES ('churn', 2, '', 'Production', 0, {clock.now()})",
        )
    # What stands there stays, can be described, and may come back.
    aged.do(facts.describe_version, "churn", 1, "Ours.", at=clock.now())
    aged.do(facts.set_stage, "churn", 1, "Archived", at=1.0)
    aged.do(facts.set_stage, "churn", 1, "Production", at=1.0)
    aged.do(registry.set_alias, "churn", "latest-good", 2, "Not guarded.", at=1.0)


def test_a_stage_of_a_release_that_kept_no_times_goes_on(aged, clock):
    """Its row comes out of an archive; and who leaves the stage may come back to it."""
    aged.do(removal.guard, "churn", ["champion", "production"], at=1.0)
    clock.turn(60 * DAY_S)
    by_hand(
        aged,
        "INSERT INTO version_facts (model, number, description, stage, changed)"
        f" VALUES ('churn', 1, '', 'Production', {clock.now()})",
    )
    aged.do(facts.set_stage, "churn", 1, "Archived", at=1.0)
    aged.do(facts.set_stage, "churn", 1, "Production", at=1.0)


def test_stages_have_a_history_too(aged, clock):
    aged.as_owner(facts.set_stage, "churn", 1, "Staging", at=1.0)
    clock.turn(5.0)
    aged.as_owner(facts.set_stage, "churn", 2, "staging", at=1.0, archive=True)
    moves = aged.do(facts.stage_moves, "churn")
    assert [(m.number, m.previous, m.stage, m.at, m.by) for m in moves] == [
        (1, "None", "Staging", CLOCK, "anna"),
        (1, "Staging", "Archived", CLOCK + 5, "anna"),
        (2, "None", "Staging", CLOCK + 5, "anna"),
    ]
    with pytest.raises(Exception, match="written once"):
        by_hand(aged, "DELETE FROM stage_history")


def test_the_history_tells_who_moved_what_when_by_both_clocks(aged, clock):
    aged.as_owner(registry.promote, "churn", 1, "First.", at=7.0)
    clock.turn(9.0)
    aged.as_owner(registry.set_alias, "churn", "shadow", 2, "Try.", at=8.0)
    aged.as_owner(registry.drop_alias, "churn", "shadow", "Enough.", at=9.0)
    moves = aged.do(registry.history, "churn")
    assert [(m.alias, m.number, m.previous, m.by, m.reason, m.at, m.made) for m in moves] == [
        ("champion", 1, None, "anna", "First.", 7.0, CLOCK),
        ("shadow", 2, None, "anna", "Try.", 8.0, CLOCK + 9),
        ("shadow", None, 2, "anna", "Enough.", 9.0, CLOCK + 9),
    ]
    audited = [row for row in aged.audited if row[1] == "alias.move"]
    assert [row[3]["number"] for row in audited] == [1, 2, None]


PROOF = CheckResult(name="rollout", passed=True, found="Better.", wanted="better")


def test_a_rollout_makes_a_gate_young_again_that_grew_stale_during_it(aged, clock):
    aged.do(verdicts.renew, "churn", 2, PROOF, 1.0)
    assert aged.do(verdicts.latest, "churn", 2).id == "gate_churn_2_True", "it is fresh"
    clock.turn(60 * DAY_S)
    aged.do(verdicts.renew, "churn", 2, PROOF, 1.0)
    renewed = aged.do(verdicts.latest, "churn", 2)
    assert [c.name for c in renewed.checks] == ["metric auc", "rollout"]
    assert renewed.made == clock.now()
    aged.do(registry.promote, "churn", 2, "It proved itself.", at=1.0)


def test_nothing_makes_a_refused_gate_pass(aged, clock, gated):
    aged.do(gate.store_result, gated("churn", 2, passed=False))
    clock.turn(60 * DAY_S)
    aged.do(verdicts.renew, "churn", 2, PROOF, 1.0)
    assert not aged.do(verdicts.latest, "churn", 2).passed


def test_a_gate_of_an_older_release_counts_from_the_time_it_carries(aged, clock):
    """Its rows have no wall time."""
    old = {"gate": "old", "model": "churn", "number": 2, "passed": 1, "checks": "[]"}
    rows = [old | {"at": CLOCK - 29 * DAY_S, "by": "engine"}]
    aged.do(lambda tx: tx.run(sa.insert(tables.gates), rows))
    aged.do(registry.promote, "churn", 2, "Still fresh.", at=1.0)
    rows = [old | {"gate": "older", "number": 1, "at": CLOCK - 31 * DAY_S, "by": "engine"}]
    aged.do(lambda tx: tx.run(sa.insert(tables.gates), rows))
    with pytest.raises(GateRefusedError, match="stale"):
        aged.do(registry.promote, "churn", 1, "Too old.", at=1.0)


def test_a_clock_that_is_set_back_makes_no_move_impossible(aged, clock):
    clock.turn(-3600.0)
    aged.do(registry.promote, "churn", 1, "After the clock was mended.", at=1.0)
    aged.do(registry.promote, "churn", 2, "At the same moment.", at=1.0)
    assert aged.do(registry.champion, "churn") == 2


def test_an_override_over_a_stale_gate_opens_a_canary_and_no_alias(aged, clock):
    clock.turn(31 * DAY_S)
    aged.as_owner(decisions.override, "churn", 2, "The rows come tonight.", at=1.0)
    assert aged.do(decisions.overridden, "churn", 2)
    with pytest.raises(GateRefusedError):
        aged.do(registry.promote, "churn", 2, "It did well.", at=1.0)


def test_an_override_is_over_when_the_gate_looks_again(aged, gated):
    aged.do(gate.store_result, gated("churn", 2, passed=False))
    aged.as_owner(decisions.override, "churn", 2, "A known glitch.", at=1.0)
    assert aged.do(decisions.overridden, "churn", 2)
    aged.do(gate.store_result, gated("churn", 2, passed=False, name="again"))
    assert not aged.do(decisions.overridden, "churn", 2)


@given(made=st.floats(0, 2e9), valid=st.floats(1e-3, 1e9), later=st.floats(0, 4e9))
def test_a_gate_is_fresh_exactly_until_its_time_is_over(made, valid, later):
    kept = verdicts.dated(
        gate.result("m", 1, [], at=0.0, by="x", policy=Gate(valid_s=valid)), made
    )
    assert kept.until == made + valid
    assert kept.fresh(made + later) is (made + later < made + valid)


def test_how_long_a_gate_holds_is_declared_in_words_of_time():
    assert declaring.Gate(valid="2w").valid_s == 14 * DAY_S
    assert declaring.Gate(valid=90).valid_s == 90.0
    for wrong in ("soon", 0, -1, float("nan"), "0d"):
        with pytest.raises(BadInputError, match="valid"):
            declaring.Gate(valid=wrong)


class Leaping:
    """A clock that is a gate's whole life later each time it is read."""

    def __init__(self) -> None:
        self.reads = 0

    def now(self) -> float:
        self.reads += 1
        return CLOCK + (self.reads - 1) * 30 * DAY_S


def test_a_gate_that_expires_within_a_move_holds_for_all_of_it_or_for_none(aged, open_test_store):
    late = Leaping()
    own = type(aged)(open_test_store([tables.METADATA], tables.GUARDS, clock=late))
    late.reads = 0
    own.do(registry.promote, "churn", 1, "In the last moment.", at=1.0)
    assert late.reads > 1, "the clock went on meanwhile"
    with pytest.raises(GateRefusedError, match="stale"):
        own.do(registry.promote, "churn", 2, "A moment later.", at=1.0)
    assert own.do(registry.champion, "churn") == 1
