"""N of M, missing windows, bands: against a slow obvious model of what they mean."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Finding, Window
from mainspring.ground.rules import AlarmRule
from mainspring.monitoring.rules import (
    Slot,
    check,
    decide,
    evaluate,
    replay,
    series_of,
    slots_of,
    value_of,
)

SLOTS = st.lists(st.sampled_from([True, False, None]), max_size=8)


def slow(breaches, at_least, of, missing, before):
    """Go through every way that what is unknown may have been."""
    known = list(breaches)
    if missing == "ignore":
        if not known or known[-1] is None:
            return before
        known = [one for one in known if one is not None]
    if missing == "breaching":
        known = [True if one is None else one for one in known]
    if missing == "not_breaching":
        known = [False if one is None else one for one in known]
    looked = ([None] * of + known)[-of:]
    gaps = [place for place, one in enumerate(looked) if one is None]
    worlds = set()
    for guess in itertools.product([True, False], repeat=len(gaps)):
        world = list(looked)
        for place, one in zip(gaps, guess, strict=True):
            world[place] = one
        worlds.add(sum(world) >= at_least)
    return {(True,): "ALARM", (False,): "OK"}.get(tuple(worlds), "INSUFFICIENT_DATA")


@given(
    SLOTS,
    st.integers(1, 5),
    st.integers(0, 4),
    st.sampled_from(["ignore", "breaching", "not_breaching", "insufficient"]),
    st.sampled_from(["OK", "ALARM", "INSUFFICIENT_DATA"]),
)
def test_a_state_is_known_exactly_where_no_missing_window_could_change_it(
    breaches, at_least, more, missing, before
):
    of = at_least + more
    assert decide(breaches, at_least, of, missing, before) == slow(
        breaches, at_least, of, missing, before
    )


VALUES = st.lists(st.one_of(st.none(), st.floats(-2, 2)), min_size=1, max_size=25)


@given(VALUES, st.integers(1, 3), st.integers(0, 2), st.sampled_from(["ignore", "insufficient"]))
def test_what_was_said_window_by_window_is_what_each_window_says_alone(
    values, at_least, more, missing
):
    asked = AlarmRule(
        name="r", endpoint="e", series="drift:x", above=0.5, at_least=at_least,
        of=at_least + more, missing=missing,
    )  # fmt: skip
    slots = [Slot(at=float(i), window=f"e:{i}", value=v) for i, v in enumerate(values)]
    before = "INSUFFICIENT_DATA"
    for end, said in enumerate(replay(asked, slots), start=1):
        breaches = [None if v is None else v > 0.5 for v in values[:end]]
        # Only so many windows are kept at hand; with at most 25 all of those that count are.
        keep = 4 * asked.of if missing == "ignore" else asked.of
        before = slow(breaches[-keep:], at_least, asked.of, missing, before)
        assert said.state == before


def window(place, found, length=10.0, rows=5):
    return Window(
        id=f"e:{place}", endpoint="e", start=place * length, end=(place + 1) * length,
        rows=rows, version=1, found=found,
    )  # fmt: skip


def finding(value, monitor="custom", subject="x", **more):
    return Finding(monitor=monitor, subject=subject, value=value, **more)


def test_windows_in_which_nothing_was_asked_are_missing_and_labels_to_come_are_not():
    several = [
        window(0, [finding(1.0)]),
        window(3, [finding(None, why="one class")]),
        window(4, [finding(2.0, subject="y")]),
        window(5, []),  # its labels are not mature
    ]
    slots = slots_of(several, series_of("custom:x"))
    assert [slot.value for slot in slots] == [1.0, None, None, None, None]
    assert [slot.at for slot in slots] == [10.0, 20.0, 30.0, 40.0, 50.0]
    assert slots[3].why == "one class"
    assert "has no custom:x" in slots[4].why


def test_windows_cut_by_count_have_no_gaps_between_them():
    several = [
        Window(id=f"e:{s}", endpoint="e", start=s, end=e, rows=5, version=1, found=[finding(1.0)])
        for s, e in ((0.0, 3.0), (50.0, 57.0), (400.0, 401.0))
    ]
    assert [slot.value for slot in slots_of(several, series_of("custom:x"))] == [1.0] * 3


def test_any_figure_of_a_finding_can_be_watched():
    one = finding(0.3, low=0.1, rows=40, detail={"psi": 0.02, "worst": "text", "sure": True})
    assert value_of(one, "low") == 0.1
    assert value_of(one, "rows") == 40.0
    assert value_of(one, "psi") == 0.02
    assert value_of(one, "distance") == 0.3
    assert [value_of(one, name) for name in ("worst", "sure", "nothing", "high")] == [None] * 4


def test_a_band_is_learnt_by_phase_and_needs_enough_history():
    asked = AlarmRule(
        name="r", endpoint="e", series="traffic:rows", band=4.0, season=7, history=42
    )
    week = [100, 100, 100, 100, 100, 20, 15]
    values = [w + (i * 7919) % 5 for i, w in enumerate(week * 5)]
    slots = [Slot(at=float(i), value=float(v)) for i, v in enumerate(values)]
    said = replay(asked, slots)
    assert {one.state for one in said[:28]} == {"INSUFFICIENT_DATA"}
    assert {one.state for one in said[28:]} == {"OK"}
    monday = Slot(at=35.0, value=20.0)  # usual at the weekend, not on a Monday
    assert evaluate(asked, [*slots, monday], "OK").state == "ALARM"
    assert evaluate(asked, [*slots, monday], "OK").low > 80
    assert "expected" in evaluate(asked, [*slots, monday], "OK").reason


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("above", {}),
        ("above", {"above": 1.0, "band": 2.0, "series": "drift:x"}),
        ("series", {"above": 1.0}),
        ("series", {"above": 1.0, "series": "drift"}),
        ("series", {"when": "a", "series": "drift:x"}),
        ("when", {"when": "a and"}),
        ("above", {"above": float("nan"), "series": "drift:x"}),
        ("band", {"band": 0.0, "series": "drift:x"}),
        ("at_least", {"above": 1.0, "series": "drift:x", "at_least": 3, "of": 2}),
        ("season", {"band": 1.0, "series": "drift:x", "season": 0}),
        ("history", {"band": 1.0, "series": "drift:x", "season": 20, "history": 60}),
        ("cooldown_s", {"above": 1.0, "series": "drift:x", "cooldown_s": -1.0}),
        ("missing", {"above": 1.0, "series": "drift:x", "missing": "odd"}),
        ("name", {"above": 1.0, "series": "drift:x", "name": "a b"}),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_the_field(field, more):
    with pytest.raises(BadInputError) as refused:
        check(AlarmRule(**{"name": "r", "endpoint": "e", **more}))
    assert refused.value.field == field
