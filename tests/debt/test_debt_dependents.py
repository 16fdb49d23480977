"""Downstream is followed to its end, each thing once by the shortest way, circles too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.debt.dependents import Edge, check_subject, closure
from mainspring.ground.errors import BadInputError


def edge(up: str, down: str) -> Edge:
    return Edge(up=f"model:{up}", down=f"model:{down}", how="x")


def test_each_is_told_once_by_the_shortest_way():
    found = closure([edge("a", "b"), edge("b", "c"), edge("a", "c"), edge("c", "a")], "model:a")
    assert [(one.name, one.depth, one.via) for one in found] == [
        ("model:b", 1, "model:a"),
        ("model:c", 1, "model:a"),
    ]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=30))
def test_the_closure_is_what_can_be_reached(pairs):
    found = {one.name[-1] for one in closure([edge(*pair) for pair in pairs], "model:a")}
    reach = {"a"}
    for _ in range(6):
        reach |= {down for up, down in pairs if up in reach}
    assert found == reach - {"a"}


@pytest.mark.parametrize("text", ["", "flights", "run:1", "model:", "model: "])
def test_what_cannot_be_asked_about_is_refused(text):
    with pytest.raises(BadInputError):
        check_subject(text)
