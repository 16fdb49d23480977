"""Profiles: what is counted, what is missing, and that neither order nor storage matters."""

from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mainspring.ground.objects import ColumnProfile
from mainspring.numerics.errors import BinsDifferError, OutOfRangeError, ShapesDifferError
from mainspring.numerics.histograms import MOST_EDGES
from mainspring.numerics.profiles import (
    OTHER,
    count_categories,
    count_numbers,
    merge,
    profile_columns,
    profile_scores,
)

ANY = npst.arrays(np.float64, st.integers(0, 80), elements=st.floats(allow_subnormal=False))
WORDS = st.lists(st.one_of(st.none(), st.sampled_from(["", "a", "b", "c d"])), max_size=60)


def one(values, **given) -> ColumnProfile:
    return profile_columns({"x": values}, **given)[0]


def test_a_number_column_by_hand():
    found = one([4.0, None, 2.0, 2.0, float("nan")], shares={"x": 0.25})
    assert (found.type, found.rows, found.missing, found.share) == ("number", 5, 2, 0.25)
    assert (found.low, found.high) == (2.0, 4.0)
    assert found.mean == pytest.approx(8 / 3)
    assert found.std == pytest.approx(np.std([4, 2, 2]))
    assert sum(found.counts) == 3
    assert len(found.counts) == len(found.edges) + 1


def test_a_category_column_by_hand():
    found = one(["b", "a", None, "a", ""])
    assert (found.type, found.rows, found.missing) == ("category", 5, 1)
    assert found.categories == {"": 1, "a": 2, "b": 1}


@pytest.mark.parametrize(
    "values",
    [[True, False, None, True], np.array([True, False, None, True], dtype=object),
     [True, False, float("nan"), True], pl.Series([True, False, None, True])],
)  # fmt: skip
def test_booleans_are_categories_even_with_gaps(values):
    assert one(values).categories == {"false": 1, "true": 2}
    assert one(values).missing == 1


@pytest.mark.parametrize(
    "values",
    [[1, None, 3], [1, float("nan"), Decimal(3)], np.array([1, None, 3], dtype=object),
     pl.Series([1, None, 3]), pl.Series([1.0, float("nan"), 3.0]),
     pl.Series([1, None, 3], dtype=pl.Int8), np.array([1, np.nan, 3], dtype=np.float32)],
)  # fmt: skip
def test_every_way_to_hold_numbers_gives_the_same_profile(values):
    assert one(values) == one([1.0, None, 3.0])


@pytest.mark.parametrize(
    "values",
    [np.array(["a", None, "b"], dtype=object), pl.Series(["a", None, "b"]),
     pl.Series(["a", None, "b"], dtype=pl.Categorical),
     pl.Series(["a", None, "b"], dtype=pl.Enum(["a", "b", "z"])), ["a", float("nan"), "b"]],
)  # fmt: skip
def test_every_way_to_hold_text_gives_the_same_profile(values):
    assert one(values) == one(["a", None, "b"])


def test_text_arrays_without_gaps_are_categories():
    assert one(np.array(["a", "b", "a"])).categories == {"a": 2, "b": 1}


def test_numbers_among_text_are_categories():
    assert one(["a", 1, 2.5]).categories == {"1": 1, "2.5": 1, "a": 1}


@pytest.mark.parametrize("values", [[], [None, None], np.array([], dtype=float)])
def test_columns_without_a_value_say_so(values):
    found = one(values)
    assert found.missing == found.rows == len(values)
    assert (found.low, found.mean, found.counts, found.categories) == (None, None, [], {})


def test_an_all_missing_float_column_stays_a_number():
    assert one(np.full(3, np.nan)).type == "number"


def test_infinities_are_counted_but_do_not_spoil_the_mean():
    found = one([1.0, 3.0, float("inf"), float("-inf")])
    assert (found.low, found.high, found.mean, found.missing) == (1.0, 3.0, 2.0, 0)
    assert sum(found.counts) == 4


def test_numbers_beyond_single_precision_do_not_break_it():
    found = one([1e308, -1e308, 1e308])
    assert sum(found.counts) == 3
    assert found.high == 1e308


def test_the_rarest_categories_share_one_stated_bucket():
    found = one(["a"] * 3 + ["b"] * 2 + ["c", "d", None], max_categories=2)
    assert found.categories == {"a": 3, "b": 2, OTHER: 2}
    with pytest.raises(OutOfRangeError):
        one(["a"], max_categories=0)


def test_edges_stay_few_whatever_comes():
    values = np.random.default_rng(0).normal(size=20_000)
    assert len(one(values).edges) <= MOST_EDGES + 2


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ShapesDifferError):
        profile_columns({"a": [1], "b": [1, 2]})
    with pytest.raises(ShapesDifferError):
        one(np.zeros((2, 2)))


def test_a_value_lands_in_its_cell_whether_kept_in_32_or_64_bits():
    values = np.tile([0.1, 0.2, 0.3], 50)
    found = one(values)
    for kept in (values, values.astype(np.float32)):
        assert count_numbers(found.edges, kept)[0].tolist() == found.counts


@given(ANY, st.randoms())
def test_numbers_do_not_depend_on_row_order(values, random):
    shuffled = values.tolist()
    random.shuffle(shuffled)
    assert one(np.array(shuffled, dtype=float)) == one(values)


@given(WORDS, st.randoms())
def test_categories_do_not_depend_on_row_order_or_container(values, random):
    shuffled = list(values)
    random.shuffle(shuffled)
    assert one(shuffled, max_categories=2) == one(values, max_categories=2)
    if any(value is not None for value in values):
        assert one(pl.Series(values, dtype=pl.String)) == one(values)


@given(WORDS, WORDS)
def test_merging_categories_is_profiling_together(first, second):
    a, b = one(first), one(second)
    assert merge(a, b) == merge(b, a) == one(first + second)


def test_merging_numbers_is_profiling_together():
    values = np.array([1.0, 2.0, 5.0, np.nan, 2.0, 1.0, 5.0])
    whole, left = one(values), one(values[:4])
    right = one(values[[4, 5, 6]])
    both = merge(left, right)
    assert both == merge(right, left)
    assert (both.counts, both.missing, both.rows) == (whole.counts, 1, 7)
    assert both.mean == pytest.approx(whole.mean)
    assert both.std == pytest.approx(whole.std)


def test_a_side_without_values_joins_anything():
    both = merge(one([None, None]), one([1.0, 2.0]))
    assert (both.type, both.rows, both.missing, both.mean) == ("number", 4, 2, 1.5)


def test_different_columns_are_not_merged():
    with pytest.raises(BinsDifferError):
        merge(one([1.0]), one([2.0]))
    with pytest.raises(BinsDifferError):
        merge(one([1.0]), one(["a"]))
    with pytest.raises(BinsDifferError):
        merge(one([1.0]), profile_columns({"y": [1.0]})[0])


def test_one_score_a_row_is_a_number_column():
    flat = profile_scores(np.array([0.2, 0.8, np.nan, np.inf]))
    assert flat == profile_scores(np.array([[0.2], [0.8], [np.nan], [np.inf]]))
    assert (flat.name, flat.type, flat.missing, flat.share) == ("score", "number", 2, 1.0)


def test_several_scores_a_row_become_class_and_confidence():
    scores = np.array([[0.2, 0.8], [0.1, 0.9], [0.5, 0.5], [np.nan, 1.0]])
    found = profile_scores(scores)
    assert found.missing == 1
    assert found.categories == {
        "class 0 at 0.5-0.7": 1,
        "class 1 at 0.7-0.9": 1,
        "class 1 at 0.9-1": 1,
    }
    with pytest.raises(ShapesDifferError):
        profile_scores(np.zeros((1, 1, 1)))


def test_polars_counts_as_python_does():
    words = ["a", None, "b", "a"]
    assert count_categories(pl.Series(words)) == count_categories(words)
