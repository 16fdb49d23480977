from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.numerics import frequent
from mainspring.numerics.errors import OutOfRangeError
from mainspring.numerics.frequent import Frequent

PARTS = st.lists(st.lists(st.sampled_from("abcdefghijkl"), max_size=30), max_size=8)


@given(PARTS, st.integers(1, 12), st.randoms())
def test_a_count_is_never_too_high_and_too_low_by_at_most_what_is_stated(parts, most, random):
    truth = Counter(value for part in parts for value in part)
    random.shuffle(parts)
    known = Frequent()
    for part in parts:
        known = frequent.add(known, Counter(part), most=most)
    assert known.rows == truth.total()
    assert len(known.counts) <= most
    assert known.error <= truth.total() / (most + 1)
    for value, count in truth.items():
        assert known.counts.get(value, 0) <= count <= known.counts.get(value, 0) + known.error


@given(PARTS)
def test_few_values_are_counted_exactly(parts):
    known = frequent.merge([Frequent(Counter(part), len(part)) for part in parts])
    assert known.error == 0
    assert known.counts == Counter(value for part in parts for value in part)


def test_the_most_frequent_come_by_name_with_the_most_that_another_can_have():
    counts, rest = frequent.top(Frequent({"b": 4, "a": 9, "c": 2}, 18, error=1), 2)
    assert list(counts.items()) == [("a", 9), ("b", 4)]
    assert rest == 3


def test_at_least_one_value_must_be_kept():
    with pytest.raises(OutOfRangeError):
        frequent.merge([], most=0)
