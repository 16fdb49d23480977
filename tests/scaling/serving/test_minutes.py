"""What processes counted is followed minute by minute, whoever wrote it and however it is cut."""

from __future__ import annotations

from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.monitors import LATENCY_EDGES_S, Tally
from mainspring.scaling.serving.minutes import COARSE_S, FINE_S, HOUR_S, Minutes, quantile_ms

DAY = 86_400.0
START = 20_000 * DAY


def write(folder: Path, boot: str, *found: Tally) -> None:
    (folder / "tallies").mkdir(exist_ok=True)
    for one in found:
        with (folder / "tallies" / f"{int(one.minute // DAY):08d}-{boot}.jsonl").open(
            "ab"
        ) as file:
            file.write(msgspec.json.encode(one) + b"\n")


def tally(minute: float, version: int | None = 1, requests: int = 1, **more: object) -> Tally:
    return Tally(minute=START + minute * 60, version=version, requests=requests, **more)


def test_processes_are_added_up_and_only_what_is_new_is_read(tmp_path: Path) -> None:
    known = Minutes(tmp_path)
    assert known.look() is None
    assert known.between(0.0, 1e12, 60.0) == {}
    write(tmp_path, "a", tally(0, requests=2, errors=1), tally(1))
    write(tmp_path, "b", tally(0, requests=3, latencies={4: 3}), tally(0, version=None))
    found = known.between(START, START + 600, 60.0)
    assert [(v, list(line)) for v, line in found.items()] == [
        (None, [START]),
        (1, [START, START + 60]),
    ]
    assert (found[1][START].requests, found[1][START].errors) == (5, 1)
    assert found[1][START].latencies == {4: 3}
    write(tmp_path, "a", tally(0, requests=4))
    assert known.between(START, START + 60, 60.0)[1][START].requests == 9
    assert known.between(START, START + 600, 300.0)[1][START].requests == 10


def test_a_line_that_is_being_written_is_read_once_it_is_whole(tmp_path: Path) -> None:
    known = Minutes(tmp_path)
    write(tmp_path, "a", tally(0))
    [file] = (tmp_path / "tallies").iterdir()
    whole = msgspec.json.encode(tally(2)) + b"\n"
    with file.open("ab") as there:
        there.write(whole[:20])
    assert known.look() == START
    with file.open("ab") as there:
        there.write(whole[20:])
    assert known.look() == START + 120


def test_old_minutes_are_known_by_the_hour_and_then_not_at_all(tmp_path: Path) -> None:
    known = Minutes(tmp_path)
    write(tmp_path, "a", tally(0), tally(30))
    known.look()
    later = (FINE_S + 2 * HOUR_S) / 60
    write(tmp_path, "a", tally(later))
    known.look()
    assert known.between(START, START + HOUR_S, 60.0) == {}
    assert known.between(START, START + HOUR_S, HOUR_S)[1][START].requests == 2
    write(tmp_path, "a", tally((COARSE_S + DAY) / 60))
    known.look()
    assert known.between(START, START + HOUR_S, HOUR_S) == {}


@given(st.lists(st.floats(1e-5, 70), min_size=1, max_size=60), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_is_never_below_what_was_measured_and_within_thirty_percent(
    seconds: list[float], share: float
) -> None:
    from bisect import bisect_left
    from math import ceil

    latencies: dict[int, int] = {}
    for one in seconds:
        bucket = bisect_left(LATENCY_EDGES_S, one)
        latencies[bucket] = latencies.get(bucket, 0) + 1
    exact = sorted(seconds)[max(ceil(share * len(seconds)) - 1, 0)]
    found = quantile_ms(latencies, share)
    assert found is not None
    assert found / 1000 >= min(exact, LATENCY_EDGES_S[-1]) * (1 - 1e-9)
    assert found / 1000 <= max(exact * 1.3, LATENCY_EDGES_S[0]) * (1 + 1e-9)
