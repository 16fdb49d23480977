"""A breaker opens after several failures, lets one try, and closes when that went well."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.errors import OverloadedError
from mainspring.scaling.serving.scorers.breaker import Breaker


def opened(at: float = 0.0) -> Breaker:
    breaker = Breaker(failures=3, window_s=10, open_s=5, longest_s=20)
    assert [breaker.failed(at) for _ in range(3)] == [False, False, True]
    return breaker


def test_failures_far_apart_do_not_open_it() -> None:
    breaker = Breaker(failures=3, window_s=10)
    assert not any(breaker.failed(at) for at in (0.0, 6.0, 12.0, 18.0, 24.0))
    assert breaker.state(24.0) == "closed"
    assert breaker.enter(24.0, "") is False


def test_while_open_every_call_is_refused_with_the_time_to_come_back() -> None:
    breaker = opened()
    assert breaker.state(4.9) == "open"
    with pytest.raises(OverloadedError, match="ended by SIGSEGV") as refused:
        breaker.enter(1.5, "it was ended by SIGSEGV")
    assert refused.value.retry_after_s == 4


def test_half_open_one_call_tries_at_a_time_and_closes_it_if_it_goes_well() -> None:
    breaker = opened()
    assert breaker.state(5.0) == "half-open"
    assert breaker.enter(5.0, "")
    with pytest.raises(OverloadedError):
        breaker.enter(5.1, "")
    breaker.left()  # it ended without a verdict: the next may try
    assert breaker.enter(5.2, "")
    breaker.succeeded(5.3)
    assert breaker.state(5.3) == "closed"


def test_a_failed_try_opens_it_twice_as_long_up_to_a_bound_until_it_was_well_for_long() -> None:
    breaker, now, waits = opened(), 5.0, []
    for _ in range(4):
        breaker.enter(now, "")
        assert breaker.failed(now)
        waits.append(breaker.wait_s(now))
        now += breaker.wait_s(now)
    assert waits == [10, 20, 20, 20]
    breaker.enter(now, "")
    breaker.succeeded(now)
    assert [breaker.failed(now + 1) for _ in range(3)][-1]
    assert breaker.wait_s(now + 1) == 20
    breaker.enter(now + 21, "")
    breaker.succeeded(now + 21)
    assert [breaker.failed(now + 42) for _ in range(3)][-1]
    assert breaker.wait_s(now + 42) == 5


def test_a_call_that_began_before_it_opened_does_not_count_again() -> None:
    breaker = opened()
    assert not breaker.failed(1.0)
    assert breaker.wait_s(1.0) == 4


@given(st.lists(st.tuples(st.sampled_from("fsl"), st.floats(0, 30)), max_size=60))
def test_whatever_happens_at_most_one_call_tries_and_it_is_never_open_for_ever(
    events: list[tuple[str, float]],
) -> None:
    breaker, now = Breaker(failures=2, window_s=10, open_s=1, longest_s=8), 0.0
    for what, later in events:
        now += later
        if breaker.state(now) == "open":
            with pytest.raises(OverloadedError):
                breaker.enter(now, "")
            assert 0 < breaker.wait_s(now) <= 8
            continue
        if breaker.enter(now, ""):
            assert breaker.state(now) == "half-open"
            with pytest.raises(OverloadedError):
                breaker.enter(now, "")
        if what == "f":
            breaker.failed(now)
        elif what == "s":
            breaker.succeeded(now)
        else:
            breaker.left()
    assert breaker.state(now + 8) != "open"
