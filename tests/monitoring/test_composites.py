"""Joined alarms against a slow obvious model: every world that what is unknown allows."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.errors import BadInputError
from mainspring.ground.rules import AlarmRule
from mainspring.monitoring.composites import names, parse, refuse_circles, truth

STATES = ("OK", "ALARM", "INSUFFICIENT_DATA")
LETTERS = "abcdefgh"


@st.composite
def trees(draw, depth=3):
    """An expression in which every name stands once, as text and as a function of truths."""
    fresh = iter(LETTERS)

    def build(left):
        kind = draw(st.sampled_from(["name"] if left == 0 else ["name", "not", "and", "or"]))
        if kind == "name":
            name = next(fresh, None)
            if name is None:
                return "a", lambda w: w["a"]
            return name, lambda w: w[name]
        one, meaning = build(left - 1)
        if kind == "not":
            return f"not ({one})", lambda w: not meaning(w)
        two, other = build(left - 1)
        if kind == "and":
            return f"({one}) and ({two})", lambda w: meaning(w) and other(w)
        return f"({one}) or ({two})", lambda w: meaning(w) or other(w)

    return build(depth)


@given(trees(), st.lists(st.sampled_from(STATES), min_size=8, max_size=8))
def test_an_expression_is_known_exactly_where_every_world_agrees(tree, states):
    text, meaning = tree
    node = parse(text)
    told = dict(zip(LETTERS, states, strict=True))
    asked = sorted(names(node))
    unknown = [name for name in asked if told[name] == "INSUFFICIENT_DATA"]
    worlds = set()
    for guess in itertools.product([True, False], repeat=len(unknown)):
        world = {name: told[name] == "ALARM" for name in asked}
        worlds.add(meaning({**world, **dict(zip(unknown, guess, strict=True))}))
    found = truth(node, told)
    if text.count("a") > 1 and found is None:
        return  # a name that stands twice may make a world agree with itself: unknown is careful
    assert found is (worlds.pop() if len(worlds) == 1 else None)


@pytest.mark.parametrize(
    ("text", "states", "said"),
    [
        ("(a or b) and not c", {"a": "OK", "b": "ALARM", "c": "OK"}, True),
        ("(a or b) and not c", {"a": "OK", "b": "ALARM", "c": "ALARM"}, False),
        ("a or b and c", {"a": "ALARM", "b": "OK", "c": "OK"}, True),  # and binds closer
        ("not a and b", {"a": "OK", "b": "ALARM"}, True),
        ("ok(a) and insufficient(b)", {"a": "OK"}, True),
        ("alarm(a)", {"a": "INSUFFICIENT_DATA"}, False),
        ("at_least(2, a, b, c)", {"a": "ALARM", "c": "ALARM"}, True),
        ("at_least(2, a, b, c)", {"a": "ALARM", "b": "OK"}, None),
        ("at_least(2, a, b, c)", {"a": "ALARM", "b": "OK", "c": "OK"}, False),
        ("drift:temp or 'drift:wind speed'", {"drift:wind speed": "ALARM"}, True),
        ("AND_more", {"AND_more": "ALARM"}, True),
    ],
)
def test_what_expressions_come_to(text, states, said):
    assert truth(parse(text), states) is said


@pytest.mark.parametrize(
    "text",
    ["", "a and", "and a", "(a", "a)", "a b", "not", "'open", "f(a)", "ok()", "at_least(4, a)",
     "at_least(x, a)", "a,b", "(" * 60 + "a" + ")" * 60, "a or " * 1000 + "b"],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_the_field(text):
    with pytest.raises(BadInputError) as refused:
        parse(text)
    assert refused.value.field == "when"


def rule(name, when="", **more):
    series = "" if when else "drift:x"
    above = None if when else 0.1
    return AlarmRule(name=name, endpoint="e", when=when, series=series, above=above, **more)


def test_each_rule_stands_after_those_it_asks_about_and_circles_are_refused():
    known = {one.name: one for one in (rule("c", "b and a"), rule("b", "not a"), rule("a"))}
    assert refuse_circles(known) == ["a", "b", "c"]
    with pytest.raises(BadInputError, match="a asks about b asks about a"):
        refuse_circles({"a": rule("a", "b"), "b": rule("b", "a")})
    with pytest.raises(BadInputError, match="circle"):
        refuse_circles({"a": rule("a", suppressed_by=["a"])})
