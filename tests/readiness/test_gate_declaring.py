"""A gate is declared in words a user types; what it cannot be is refused by its field."""

import pytest

import mainspring as ms
from mainspring.ground import objects
from mainspring.ground.errors import BadInputError


def test_a_gate_that_says_nothing_is_the_default_gate():
    assert ms.Gate() == objects.Gate()


def test_whole_numbers_are_bounds_too():
    assert ms.Gate(at_most={"mae": 12}).at_most == {"mae": 12.0}


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_a_latency_that_nobody_can_keep_is_refused(limit):
    with pytest.raises(BadInputError, match="max_latency_ms") as told:
        ms.Gate(max_latency_ms=limit)
    assert told.value.field == "max_latency_ms"
