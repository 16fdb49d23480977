"""Two samples laid over each other: shares that add up, bins that do not lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.numerics.profiles import OTHER, profile_columns
from mainspring.workspace.reports.distributions import (
    BINS,
    MOST_NAMES,
    REST,
    Distribution,
    of_categories,
    of_numbers,
)
from mainspring.workspace.reports.drawn import letters, svg

numbers = st.lists(
    st.floats(allow_nan=True, allow_infinity=True, width=64), min_size=0, max_size=80
)
counts = st.dictionaries(st.text(max_size=5), st.integers(1, 50), max_size=40)


def _adds_up(shares: list[float], *, empty: bool) -> None:
    assert sum(shares) == pytest.approx(0.0 if empty else 1.0)
    assert all(0 <= one <= 1 for one in shares)


def _finite(values: list[float]) -> list[float]:
    return [one for one in values if np.isfinite(one)]


@given(numbers, numbers)
def test_the_shares_of_either_side_add_up_to_one_whatever_the_numbers(
    before: list[float], now: list[float]
) -> None:
    found = of_numbers(before, now)
    if found is None:
        assert _finite(before) + _finite(now) == []
        return
    _adds_up(found.before, empty=not _finite(before))
    _adds_up(found.now, empty=not _finite(now))
    assert len(found.names) == len(found.before) == len(found.now) <= BINS + 1
    assert svg(found).startswith("<svg")
    assert "→" in letters(found)


@given(numbers, numbers)
def test_a_profile_that_was_kept_gives_shares_that_add_up_too(
    before: list[float], now: list[float]
) -> None:
    profile = profile_columns({"x": np.asarray(before, dtype=np.float64)})[0]
    found = of_numbers(profile, now)
    if found is not None:
        _adds_up(found.before, empty=not _finite(before))
        _adds_up(found.now, empty=not _finite(now))


@given(st.lists(st.integers(-40, 40), min_size=1, max_size=60), st.randoms())
def test_the_order_of_rows_is_nothing_to_it(values: list[int], random: object) -> None:
    mixed = list(values)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert of_numbers(values, mixed) == of_numbers(mixed, values)


@given(st.lists(st.integers(-4000, 4000), min_size=1, max_size=200))
def test_equal_samples_lie_exactly_over_each_other(values: list[int]) -> None:
    found = of_numbers(values, list(values))
    assert found is not None
    assert found.before == pytest.approx(found.now)


@given(counts, counts)
def test_categories_add_up_and_the_rest_is_one(
    before: dict[str, int], now: dict[str, int]
) -> None:
    found = of_categories(before, now)
    if found is None:
        assert not before
        assert not now
        return
    _adds_up(found.before, empty=not before)
    _adds_up(found.now, empty=not now)
    assert len(found.names) <= MOST_NAMES + 1


def test_few_values_have_a_bar_each() -> None:
    found = of_numbers([1, 1, 2, 3], [3, 3, 7])
    assert found is not None
    assert found.names == ["1", "2", "3", "7"]
    assert found.before == [0.5, 0.25, 0.25, 0.0]
    assert found.now == pytest.approx([0, 0, 2 / 3, 1 / 3])


def test_many_whole_numbers_are_binned_by_as_many_each() -> None:
    ages = np.repeat(np.arange(18, 80), 10)
    found = of_numbers(ages, ages)
    assert found is not None
    assert max(found.before[:-1]) == pytest.approx(min(found.before[:-1]))


def test_one_value_far_off_does_not_hide_the_rest() -> None:
    values = np.append(np.random.default_rng(3).normal(0, 1, 5000), 1e9)
    found = of_numbers(values, values)
    assert found is not None
    assert found.cuts[-1] < 10
    assert found.open_high
    assert found.names[-1].endswith("and more")
    assert max(found.before) < 0.3


def test_units_times_a_hundred_are_both_seen() -> None:
    rng = np.random.default_rng(4)
    profile = profile_columns({"x": rng.uniform(0, 1, 4000)})[0]
    found = of_numbers(profile, rng.uniform(0, 100, 4000))
    assert found is not None
    assert found.before[0] == pytest.approx(1.0, abs=0.01)
    assert found.now[0] < 0.1
    assert found.cuts[-1] > 90


def test_a_profile_spread_over_bins_is_close_to_the_rows_themselves() -> None:
    values = np.random.default_rng(5).normal(10, 3, 20_000)
    profile = profile_columns({"x": values})[0]
    exact, spread = of_numbers(values, values), of_numbers(profile, values)
    assert exact is not None
    assert spread is not None
    assert spread.now == pytest.approx(spread.before, abs=0.01)
    assert len(spread.names) >= 15


def test_a_constant_has_one_bar_and_a_shifted_constant_two() -> None:
    alike, other = of_numbers([5.0] * 9, [5.0]), of_numbers([5.0] * 9, [6.0])
    assert alike is not None
    assert other is not None
    assert (alike.before, alike.now) == ([1.0], [1.0])
    assert (other.before, other.now) == ([1.0, 0.0], [0.0, 1.0])


def test_a_million_categories_are_a_few_bars() -> None:
    found = of_categories({f"id{n}": 1 for n in range(300_000)}, {"id7": 5, OTHER: 4})
    assert found is not None
    assert found.names[0] == "id7"
    assert found.names[-1] == REST
    assert found.now == pytest.approx([5 / 9, *[0.0] * (MOST_NAMES - 1), 4 / 9])


def test_a_name_is_never_markup_in_a_picture() -> None:
    evil = '"><script>x</script>'
    drawn = svg(Distribution(kind="category", names=[evil], before=[1.0], now=[1.0]))
    assert "<script>" not in drawn
    assert "&lt;script&gt;" in drawn
