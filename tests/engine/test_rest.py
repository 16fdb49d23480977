"""An engine at rest asks nothing of a store that has not moved, for a second at most."""

import pytest

from mainspring.engine import rest
from mainspring.engine.rest import Rest


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(rest.time, "monotonic", lambda: now[0])
    return now


def test_rest_ends_when_the_store_moves_when_time_passes_and_when_a_clock_is_turned(clock):
    one = Rest()
    assert not one.holds(7, 5.0)  # nothing is known yet
    one.begin(7, 5.0)
    assert one.holds(7, 5.0)
    assert not one.holds(8, 5.0)
    assert not one.holds(7, 6.5)
    assert not one.holds(7, 3.5)
    clock[0] += 1.0
    assert not one.holds(7, 5.0)


def test_rest_is_over_when_there_is_something_to_do(clock):
    one = Rest()
    one.begin(7, 5.0)
    one.over()
    assert not one.holds(7, 5.0)
