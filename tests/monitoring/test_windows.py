"""Windows follow each other without gap or overlap, and are kept once."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.objects import Finding, MonitorPolicy, Window
from mainspring.monitoring import windows

POLICY = MonitorPolicy(window_s=10.0, grace_s=2.0, label_delay_s=5.0)


def window(start: float = 0.0, **given) -> Window:
    return Window(
        id=windows.window_id("e", start),
        endpoint="e",
        start=start,
        end=start + 10,
        rows=5,
        version=3,
        drift=[{"column": "x", "distance": 0.1}],
        traffic={"rows": 5},
        **given,
    )


def test_nothing_is_due_before_anything_was_seen():
    assert windows.due(POLICY, None, None) == []


def test_a_window_is_over_once_the_grace_has_passed():
    assert windows.due(POLICY, 31.9, 10.0) == [(10.0, 20.0)]
    assert windows.due(POLICY, 32.0, 10.0) == [(10.0, 20.0), (20.0, 30.0)]


def test_the_first_window_holds_the_oldest_row():
    assert windows.due(POLICY, 33.0, None, oldest=14.0) == [(10.0, 20.0), (20.0, 30.0)]
    assert windows.due(POLICY, 33.0, None) == [(20.0, 30.0)]


def test_empty_windows_before_the_oldest_row_are_passed_over():
    assert windows.due(POLICY, 1e6, 10.0, oldest=999_985.0) == [(999_980.0, 999_990.0)]


def test_a_monitor_far_behind_gets_its_windows_in_parts():
    found = windows.due(POLICY, 1e6, 0.0)
    assert len(found) == windows.MOST_DUE
    assert windows.due(POLICY, 1e6, found[-1][1])[0] == (10_000.0, 10_010.0)


def test_after_a_change_of_length_the_first_window_ends_at_the_next_multiple():
    assert windows.due(MonitorPolicy(window_s=100.0), 250.0, 30.0) == [
        (30.0, 100.0),
        (100.0, 200.0),
    ]


def test_times_before_1970_are_cut_alike():
    assert windows.due(MonitorPolicy(window_s=10.0), -5.0, -30.0) == [
        (-30.0, -20.0),
        (-20.0, -10.0),
    ]


@pytest.mark.parametrize("length", [0.0, -1.0, float("inf"), float("nan")])
def test_a_window_without_length_is_refused(length):
    with pytest.raises(BadInputError):
        windows.due(MonitorPolicy(window_s=length), 5.0, None)


@given(
    st.sampled_from([0.1, 0.3, 1.0, 7.0, 86_400.0]),
    st.floats(0, 1e7),
    st.lists(st.floats(0, 3000), max_size=8),
)
def test_windows_leave_no_gap_and_do_not_overlap(length, start, steps):
    policy = MonitorPolicy(window_s=length)
    last, watermark = start, start
    for step in steps:
        watermark += step * length / 100
        for begin, end in windows.due(policy, watermark, last):
            assert begin == last
            assert begin < end <= watermark + 1e-6
            last = end


def test_a_window_is_kept_once_and_comes_back_as_it_was(tx):
    assert windows.save(tx, window()) is True
    assert windows.save(tx, window(labelled=99)) is False
    assert windows.get(tx, "e:0") == window() == windows.latest(tx, "e")
    assert windows.latest(tx, "other") is None
    with pytest.raises(NotFoundError):
        windows.get(tx, "e:1")


def test_windows_are_listed_newest_first(tx):
    for start in (0.0, 20.0, 10.0):
        windows.save(tx, window(start))
    assert [w.start for w in windows.list_windows(tx, "e")] == [20.0, 10.0, 0.0]
    assert [w.start for w in windows.list_windows(tx, "e", limit=1)] == [20.0]


def test_labels_are_awaited_until_they_are_mature(tx):
    for start in (0.0, 10.0):
        windows.save(tx, window(start))
    assert windows.awaiting_labels(tx, "e", POLICY, 14.9) == []
    assert [w.id for w in windows.awaiting_labels(tx, "e", POLICY, 25.0)] == ["e:0", "e:10"]
    windows.update_performance(tx, "e:0", {"loss": 0.2}, 4)
    assert [w.id for w in windows.awaiting_labels(tx, "e", POLICY, 25.0)] == ["e:10"]
    assert windows.get(tx, "e:0").performance == {"loss": 0.2}
    assert windows.get(tx, "e:0").labelled == 4
    assert not windows.is_mature(POLICY, 10.0, 14.9)
    assert windows.is_mature(POLICY, 10.0, 15.0)
    with pytest.raises(NotFoundError):
        windows.update_performance(tx, "e:5", {}, 0)


def test_a_monitor_moves_on_and_counts_what_it_passed_over(tx):
    assert windows.monitor(tx, "e") == windows.Monitor(endpoint="e")
    windows.advance(tx, "e", 20.0, empty=2)
    assert windows.advance(tx, "e", 10.0, late=3) == windows.Monitor(
        endpoint="e", judged_until=20.0, empty=2, late=3
    )


def test_a_window_id_tells_fractions_apart():
    assert windows.window_id("e", 0.5) == "e:0.5"
    assert windows.window_id("e", 1e9) == "e:1000000000"


def test_what_monitors_found_is_kept_and_replaced(tx):
    first = Finding(monitor="joint", subject="a~b", value=0.1)
    windows.save(tx, msgspec.structs.replace(window(0.0), found=[first]))
    fresh = msgspec.structs.replace(first, value=0.2)
    other = Finding(monitor="bias", subject="sex", value=None, why="Too few rows.")
    windows.update_found(tx, "e:0", [fresh, other])
    assert windows.get(tx, "e:0").found == [fresh, other]


def test_windows_before_another_come_newest_first(tx):
    for start in (0.0, 10.0, 20.0):
        windows.save(tx, window(start))
    assert [one.start for one in windows.before(tx, "e", 20.0, limit=5)] == [10.0, 0.0]
    assert [one.start for one in windows.before(tx, "e", 20.0, limit=1)] == [10.0]
