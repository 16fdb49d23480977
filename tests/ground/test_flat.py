"""Configurations are compared leaf by leaf; what is the same in both is never told."""

from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.flat import differences, flatten
from mainspring.ground.nearest import meant, nearest

FLAT = st.dictionaries(st.sampled_from("abcde"), st.sampled_from(["1", "2", "x"]))


def test_lists_of_tables_are_gone_into_and_other_lists_are_leaves():
    found = flatten({"a": {"b": 1}, "c": [{"d": True}, {"d": "t"}], "e": [1, 2], "f": {}})
    assert found == {"a.b": "1", "c[0].d": "true", "c[1].d": "t", "e": "[1, 2]", "f": "{}"}
    assert flatten({}) == {}


@given(FLAT, FLAT)
def test_a_difference_is_told_from_either_side(one, other):
    there = {(c.key, c.before, c.after) for c in differences(one, other)}
    back = {(c.key, c.after, c.before) for c in differences(other, one)}
    assert there == back
    assert {key for key, *_ in there} == {
        key for key in {*one, *other} if one.get(key) != other.get(key)
    }
    assert differences(one, one) == []


def test_the_name_that_was_meant_is_guessed_and_else_all_are_told():
    assert nearest("Max_Latency", ["max_latency_ms", "tolerance"]) == "max_latency_ms"
    assert meant("zz", [f"name{place}" for place in range(40)], most=2).endswith("and 38 more.")
