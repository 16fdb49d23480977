"""What every check lets pass and what it stops, by hand-computed cases and by laws."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.ground.objects import Assumption, Card, Gate
from mainspring.numerics.errors import ShapesDifferError
from mainspring.readiness import decisions, gate, verdicts
from mainspring.readiness.inputs import GateInputs

CARD = Card(purpose="p", owner="o", limitations="l")


def _inputs(**given):
    base = {"metrics": {"auc": 0.8}, "latencies_ms": [1.0] * 20, "card": CARD}
    return GateInputs(**{**base, **given})


def _failed(inputs, policy=None):
    return [c.name for c in gate.judge(inputs, policy or Gate()) if not c.passed]


def test_a_first_version_passes_without_a_champion():
    checks = gate.judge(_inputs(), Gate())
    assert [c.name for c in checks] == ["champion", "data contract", "latency", "card"]
    assert all(c.passed for c in checks)
    assert gate.reason(checks) == "The gate passed, all 4 checks."


@pytest.mark.parametrize(
    ("policy", "passes"),
    [
        (Gate(at_least={"auc": 0.8}), True),
        (Gate(at_least={"auc": 0.8000001}), False),
        (Gate(at_most={"loss": 0.2}), True),
        (Gate(at_most={"loss": 0.1999}), False),
        (Gate(at_least={"recall": 0.1}), False),
        (Gate(at_least={"bad": 0.0}), False),
        (Gate(at_most={"bad": 0.0}), False),
    ],
)
def test_metric_thresholds_include_their_value_and_need_a_measurement(policy, passes):
    metrics = {"auc": 0.8, "loss": 0.2, "bad": float("nan")}
    assert (not _failed(_inputs(metrics=metrics), policy)) is passes


def test_the_95th_percentile_counts_not_the_worst_request():
    fast = [1.0] * 95 + [1000.0] * 5
    assert not _failed(_inputs(latencies_ms=fast), Gate(max_latency_ms=10))
    slow = [1.0] * 94 + [1000.0] * 6
    assert _failed(_inputs(latencies_ms=slow), Gate(max_latency_ms=10)) == ["latency"]


@pytest.mark.parametrize("times", [[], [float("nan")]])
def test_a_latency_that_was_not_measured_does_not_pass(times):
    assert _failed(_inputs(latencies_ms=times)) == ["latency"]


def test_broken_contracts_are_named():
    checks = gate.judge(_inputs(contract=[f"column {i} is gone" for i in range(7)]), Gate())
    (check,) = [c for c in checks if c.name == "data contract"]
    assert not check.passed
    assert "column 0 is gone" in check.found
    assert check.found.endswith("and 2 more")


@pytest.mark.parametrize(
    ("card", "needed", "passes"),
    [
        (None, True, False),
        (None, False, True),
        (msgspec.structs.replace(CARD, owner="  "), True, False),
        (CARD, True, True),
    ],
)
def test_a_card_is_wanted_with_its_required_fields(card, needed, passes):
    assert (not _failed(_inputs(card=card), Gate(needs_card=needed))) is passes


def test_a_gate_may_require_more_of_a_card_and_assumptions_that_are_not_overdue():
    said = Assumption(text="Fares are in euro.", owner="ops", review_by="1970-01-02")
    card = msgspec.structs.replace(CARD, assumptions=[said])
    day, asked = 86_400.0, Gate(card_requires=["assumptions"])
    assert _failed(_inputs(card=CARD), asked) == ["card"]
    assert not _failed(_inputs(card=card, now=day), asked)
    assert _failed(_inputs(card=card, now=2 * day), asked) == ["card"]
    [told] = [c for c in gate.judge(_inputs(card=card, now=2 * day), Gate()) if c.name == "card"]
    assert told.passed  # told, where the gate does not require them
    assert "overdue for review: Fares are in euro. (ops, 1970-01-02)" in told.found


def _pair(difference, rows=400, seed=1):
    rng = np.random.default_rng(seed)
    champion = rng.uniform(0.2, 0.4, rows)
    return {
        "candidate_losses": champion + difference + rng.normal(0, 0.05, rows),
        "champion_losses": champion,
        "champion": 3,
    }


@pytest.mark.parametrize(
    ("difference", "tolerance", "passes"),
    [(-0.1, 0.0, True), (0.1, 0.0, False), (0.1, 0.2, True), (0.1, 0.09, False), (0.0, 0.0, True)],
)
def test_only_a_demonstrably_worse_candidate_is_stopped(difference, tolerance, passes):
    failed = _failed(_inputs(**_pair(difference)), Gate(tolerance=tolerance))
    assert failed == ([] if passes else ["champion"])


def test_the_interval_is_the_students_interval_of_the_differences():
    checks = gate.judge(_inputs(**_pair(0.01)), Gate())
    (check,) = [c for c in checks if c.name == "champion"]
    pair = _pair(0.01)
    d = pair["candidate_losses"] - pair["champion_losses"]
    reach = 1.6487 * d.std(ddof=1) / np.sqrt(d.size)  # t, 399 degrees of freedom, 95 %
    assert check.evidence["low"] == pytest.approx(d.mean() - reach, abs=1e-5)
    assert check.evidence["high"] == pytest.approx(d.mean() + reach, abs=1e-5)


def test_a_copy_of_the_champion_passes_for_proof_is_the_rollouts_work():
    same = np.full(100, 0.25)
    checks = gate.judge(
        _inputs(candidate_losses=same, champion_losses=same, champion=1), Gate(tolerance=0.0)
    )
    assert all(c.passed for c in checks)
    assert "On fresh rows" in gate.reason(checks)


def test_equal_candidates_are_stopped_by_chance_in_one_of_twenty():
    stopped = sum(bool(_failed(_inputs(**_pair(0.0, seed=s)))) for s in range(600))
    assert 10 <= stopped <= 55  # 30 expected; binomial, far beyond 4 standard deviations


def test_days_that_hang_together_count_as_one_observation_each():
    rng = np.random.default_rng(5)
    days = np.repeat(np.arange(8), 50)
    d = np.repeat(rng.normal(0.0, 0.05, 8) + 0.02, 50)
    champion = np.full(400, 0.4)
    given = {"candidate_losses": champion + d, "champion_losses": champion, "champion": 1}
    by_row = gate.judge(_inputs(**given), Gate())[0]
    by_day = gate.judge(_inputs(**given, blocks=days), Gate())[0]
    assert by_day.evidence["blocks"] == 8
    assert by_day.evidence["low"] < by_row.evidence["low"]


@pytest.mark.parametrize("rows", [0, 1, 29])
def test_too_few_rows_stop_nobody(rows):
    losses = {"candidate_losses": np.ones(rows), "champion_losses": np.zeros(rows)}
    assert not _failed(_inputs(**losses, champion=1))


def test_unpaired_losses_are_refused():
    with pytest.raises((ShapesDifferError, ValueError)):
        gate.judge(
            _inputs(candidate_losses=np.ones(40), champion_losses=np.ones(50), champion=1), Gate()
        )


def test_a_refusal_names_each_failed_check_with_its_figures():
    checks = gate.judge(
        _inputs(metrics={"auc": 0.61}, card=None), Gate(at_least={"auc": 0.7}, needs_card=True)
    )
    assert gate.reason(checks) == (
        "The gate refused, 2 of 5 checks failed. metric auc: auc 0.61, wanted at least 0.7; "
        "card: no card, wanted a card with purpose, owner, limitations."
    )


@settings(max_examples=50)
@given(
    st.lists(st.floats(0, 1), min_size=40, max_size=80),
    st.floats(0, 0.3),
    st.floats(0, 0.3),
)
def test_a_wider_tolerance_never_stops_more(losses, tolerance, wider):
    candidate = np.array(losses)
    given = {"candidate_losses": candidate, "champion_losses": np.zeros_like(candidate)}
    strict = _failed(_inputs(**given, champion=1), Gate(tolerance=tolerance))
    loose = _failed(_inputs(**given, champion=1), Gate(tolerance=tolerance + wider))
    assert set(loose) <= set(strict)


def test_evidence_is_plain_json(reg, new_version):
    from mainspring.readiness import registry

    reg.do(registry.register, new_version())
    checks = gate.judge(
        _inputs(metrics={"auc": float("inf")}, **_pair(0.1)), Gate(at_least={"auc": 0.5})
    )
    judged = gate.result("churn", 1, checks, at=4.0, by="engine")
    reg.do(gate.store_result, judged)
    reg.do(gate.store_result, judged)
    assert reg.do(gate.results, "churn", 1) == [verdicts.dated(judged, 1e9)]
    assert not reg.do(gate.passed, "churn", 1)


def test_a_gate_by_hand_is_noted_as_one_decision(reg, new_version, gated):
    judged = gated("churn", 1)
    for _ in range(2):
        reg.do(gate.note, judged, "The gate passed.")
    (told,) = reg.do(decisions.list_decisions)
    assert (told.kind, told.subject, told.reason) == ("gate", "churn/1", "The gate passed.")
