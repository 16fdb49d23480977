import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.contracts import Contract, Expect
from mainspring.ground.profiles import Profile
from mainspring.numerics import contracts, tallies
from mainspring.numerics.contracts import Counted, Seen
from mainspring.numerics.intervals import wilson
from mainspring.numerics.merging import assemble
from mainspring.numerics.profiles import profile_columns
from mainspring.numerics.tallies import Tally


def found(expect, now=None, **counted):
    column = Counted(**{"name": "x", "rows": 1_000, "missing": 0} | counted)
    contract = Contract(columns={"x": expect})
    return contracts.judge(contract, Seen(rows=column.rows, columns=[column]), now)


def profile(values, kind="Fractional", missing=0):
    tally = tallies.with_missing(tallies.with_numbers(Tally(), values, kind), missing)
    return assemble(tally.rows, [tallies.finish("x", tally)], None)


def test_a_share_of_zero_allows_no_single_value():
    assert found(Expect(type="Integral"), wrong=1).violations[0].check == "type"
    assert found(Expect(type="Integral"), wrong=0).passed


def test_a_share_above_zero_is_broken_only_beyond_the_margin_of_the_sample():
    expect = Expect(low=0, outside=0.01)
    least = next(n for n in range(1_000) if wilson(n, 1_000).low > 0.01)
    assert found(expect, outside=least - 1).passed
    broken = found(expect, outside=least).violations[0]
    assert (broken.check, broken.count, broken.of) == ("range", least, 1_000)


def test_completeness_has_a_margin_too():
    assert found(Expect(completeness=0.99), missing=15).passed
    assert not found(Expect(completeness=0.99), missing=30).passed
    assert not found(Expect(completeness=1.0), missing=1).passed


@given(st.integers(0, 1_000), st.integers(0, 1_000), st.floats(0, 1))
def test_more_that_is_broken_never_passes_where_less_does_not(few, more, share):
    few, more = sorted((few, more))
    expect = Expect(allowed=["a"], unseen=share)
    assert found(expect, unseen=few).passed or not found(expect, unseen=more).passed


def test_freshness_is_asked_against_a_clock():
    expect = Expect(type="Time", newest_within_s=60.0)
    assert found(expect, now=100.0, newest=50.0, wrong=0).passed
    old = found(expect, now=200.0, newest=50.0, wrong=0)
    assert old.violations[0].sentence == (
        "Column 'x', freshness: found the newest is 150 s old; wanted at most 60 s."
    )
    assert "how fresh it is" in found(expect, newest=50.0, wrong=0).not_judged[0]


def test_columns_that_are_missing_or_too_many_are_named():
    contract = Contract(
        columns={"x": Expect(), "y": Expect(required=False), "z": Expect()}, extra="refuse"
    )
    seen = Seen(rows=5, columns=[Counted(name=n, rows=5, missing=0) for n in ("x", "w")])
    told = contracts.judge(contract, seen, None).violations
    assert [(v.check, v.column) for v in told] == [("missing column", "z"), ("extra column", "w")]


def test_the_number_of_rows_has_a_band():
    contract = Contract(least_rows=10, most_rows=20)
    checks = {n: contracts.judge(contract, Seen(rows=n, columns=[]), None) for n in (9, 10, 21)}
    assert [checks[n].passed for n in (9, 10, 21)] == [False, True, False]
    assert checks[9].violations[0].sentence == (
        "The table, rows: found 9 rows; wanted at least 10."
    )


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=200), st.integers(0, 20))
def test_data_keeps_the_contract_that_it_suggests(values, missing):
    told = profile(values, missing=missing)
    assert contracts.check_profile(contracts.suggest(told), told).passed


def test_a_suggestion_leaves_the_margin_of_its_rows():
    expect = contracts.suggest(profile([1.5, 2.5] * 500)).columns["x"]
    assert expect.completeness == pytest.approx(wilson(1_000, 1_000).low, abs=1e-6)
    assert expect.outside == pytest.approx(wilson(2, 1_000).high, abs=1e-6)
    assert (expect.low, expect.high, expect.unique) == (1.5, 2.5, False)


def test_a_profile_tells_ranges_types_and_domains_of_other_data():
    contract = contracts.suggest(profile([float(n) for n in range(100)], "Fractional"))
    assert contracts.check_profile(contract, profile([50.0] * 500)).passed
    beyond = contracts.check_profile(contract, profile([150.5] * 80 + [50.5] * 420))
    assert [(v.check, v.count) for v in beyond.violations] == [("range", 80)]
    whole = contracts.check_profile(Contract(columns={"x": Expect(type="Integral")}),
                                    profile([1.5, 2.0]))  # fmt: skip
    assert whole.violations[0].check == "type"


def test_profiles_of_the_first_format_tell_what_they_can():
    old = Profile(rows=3, columns=profile_columns({"x": [1.0, 2.0, 9.0], "c": ["a", "b", "b"]}))
    contract = Contract(columns={
        "x": Expect(type="Integral", low=0, high=5), "c": Expect(allowed=["a"], pattern="a"),
    })  # fmt: skip
    told = contracts.check_profile(contract, old)
    assert [(v.column, v.check, v.count) for v in told.violations] == [
        ("x", "range", 1), ("c", "domain", 2),
    ]  # fmt: skip
    assert any("its type cannot be told" in line for line in told.not_judged)
    assert any("its pattern cannot be told" in line for line in told.not_judged)


def test_no_rows_break_nothing_but_what_is_asked_of_the_table():
    expect = Expect(type="Integral", completeness=1.0, low=0, allowed=["a"], unique=True)
    assert found(expect, rows=0).passed
