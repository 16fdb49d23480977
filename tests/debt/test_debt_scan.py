"""Acceptances end at their date, budgets are read and held, and features are counted honestly."""

from __future__ import annotations

import pytest

from mainspring.debt.ablation import Ablation, Cost, FeatureGain, GroupGain, read
from mainspring.debt.findings import WEIGHTS, finding
from mainspring.debt.scan import Acceptance, counts, read_budget, standing, weight
from mainspring.ground.errors import BadInputError

ONE = finding("no_owner", "high", "model:m", "card", found="f", cost="c", todo="t")
OTHER = finding("prototype", "low", "m/1", "run", found="f", cost="c", todo="t")
UNTIL = {ONE.id: Acceptance(finding=ONE.id, until=100.0, reason="soon", by="me", at=1.0)}


def test_an_acceptance_ends_at_its_date_and_the_finding_returns():
    before, after = (standing([ONE, OTHER], UNTIL, now) for now in (99.0, 100.0))
    assert [one.state for one in before] == ["accepted", "open"]
    assert [one.state for one in after] == ["expired", "open"]
    assert (weight(before), weight(after)) == (WEIGHTS["low"], WEIGHTS["low"] + WEIGHTS["high"])
    assert counts(before) == {"prototype": 1}
    assert before[0].note.startswith("Accepted until 1970-01-01T00:01:40Z, by me: soon")
    assert after[0].note.startswith("Its acceptance ended")
    assert before[1].note == ""


def test_a_budget_is_a_weight_or_numbers_by_kind():
    owed = standing([ONE, OTHER], {}, 0.0)
    assert read_budget("10").broken(owed) == []
    assert read_budget("9").broken(owed) == ["The open findings weigh 10, and the budget is 9."]
    assert read_budget("no_owner=1, prototype=0").broken(owed) == [
        "1 of kind prototype are open, and the budget is 0."
    ]
    assert len(read_budget("0,no_owner=0").broken(owed)) == 2


@pytest.mark.parametrize("text", ["", "many", "no_owner", "no_owner=-1", "no_owners=1", ","])
def test_what_is_no_budget_is_refused(text):
    with pytest.raises(BadInputError) as caught:
        read_budget(text)
    assert caught.value.field in ("budget", "kind")


def test_a_kind_with_a_slip_is_met_with_the_nearest():
    with pytest.raises(BadInputError) as caught:
        read_budget("no_ownr=1")
    assert caught.value.hint == "Did you mean 'no_owner'?"


def feature(name: str, worth: str, low: float) -> FeatureGain:
    return FeatureGain(
        name=name, gain=low, low=low, high=low + 0.1, share=None, worth=worth, cost=Cost()
    )


def test_of_correlated_features_all_but_the_one_to_keep_are_without_a_gain():
    pair = GroupGain(
        names=["a", "b"], why="correlated", gain=0.3, low=0.2, high=0.4, keep="a",
        rest_gain=0.0, rest_low=-0.1, rest_high=0.1,
    )  # fmt: skip
    found = Ablation(
        version="m/1", rows=500, blocks=50, groups=[pair],
        features=[feature("a", "unproven", -0.1), feature("b", "unproven", -0.1),
                  feature("c", "useful", 0.1), feature("n", "useless", -0.2)],
    )  # fmt: skip
    assert found.without_gain() == ["b", "n"]
    assert found.without_gain(sure=True) == ["n"]
    assert found.passed is False
    assert found.sentence == (
        "On 500 rows in 50 blocks, 2 of 4 features surely lower the loss. Without a shown gain:"
        " b, n; surely of no use: n."
    )


def test_where_nothing_could_be_said_nothing_is_judged():
    found = Ablation(version="m/1", rows=3, reason="It keeps 3 labelled rows.")
    assert found.passed is None
    assert found.sentence == "It keeps 3 labelled rows."
    assert read({"version": "m/1", "rows": 3}) == Ablation(version="m/1", rows=3)
    assert read({"other": 1}) is None
