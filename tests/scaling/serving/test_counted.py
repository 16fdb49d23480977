"""What versions answered is counted as it was captured, whatever file it is in, and bounded."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.scaling.serving import capture, counted
from mainspring.scaling.serving.capture import Batch, CaptureWriter

DAY = counted.DAY_S
ROWS = st.lists(
    st.tuples(st.integers(0, 5 * int(DAY)), st.sampled_from([1, 2, 7])), min_size=1, max_size=30
)


def append(writer: CaptureWriter, rows: list[tuple[float, int]]) -> None:
    times, versions = np.array(rows, dtype=float).T
    batch = Batch(
        first=writer.reserve(len(rows)), received=float(times.max()), times=times,
        columns={"x": np.ones(len(rows))}, types={"x": "float"},
        versions=versions.astype(int), scores=np.full((len(rows), 1), 0.5),
        other_versions=None, other_scores=None,
    )  # fmt: skip
    assert writer.append(batch)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(parts=st.lists(ROWS, min_size=1, max_size=3), since=st.integers(0, 4 * int(DAY)))
def test_counts_and_newest_are_those_of_all_rows_in_sealed_folded_and_open_files(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[tuple[float, int]]], since: int
) -> None:
    folder = tmp_path_factory.mktemp("captures")
    for number, rows in enumerate(parts):
        writer = CaptureWriter(folder)
        append(writer, rows)
        writer.close()
        if number == 0:
            capture.compact(folder)
    every = capture.read(folder, float(since), None, [])
    found = counted.count(folder, float(since), [1, 2], ids=3, most_rows=10_000)
    assert (found.whole, found.since) == (True, float(since))
    rows = [one for one in every.rows(named=True) if one["_version"] in (1, 2)]
    totals = Counter(one["_version"] for one in rows)
    assert {one.number: one.rows for one in found.versions} == dict(totals)
    for one in found.versions:
        mine = [row for row in rows if row["_version"] == one.number]
        times = [row["_time"] for row in mine]
        assert (one.first, one.last) == (min(times), max(times))
        assert one.days == Counter(time // DAY * DAY for time in times)
        newest = sorted(((row["_time"], row["_id"]) for row in mine), reverse=True)[:3]
        assert [(at, name) for name, at in one.newest] == newest


def test_of_more_rows_than_are_counted_the_newest_files_are_and_from_when_on_is_told(
    tmp_path: Path,
) -> None:
    for day in (1, 2, 3):
        writer = CaptureWriter(tmp_path)
        append(writer, [(day * DAY + n, 1) for n in range(10)])
        writer.close()
    found = counted.count(tmp_path, 0.0, [1], ids=0, most_rows=25)
    assert not found.whole
    assert DAY + 9 < found.since < 2 * DAY
    [one] = found.versions
    assert (one.rows, one.newest, list(one.days)) == (20, [], [2 * DAY, 3 * DAY])
    # A single file is always counted, however many rows it has.
    assert counted.count(tmp_path, 0.0, [1], ids=0, most_rows=1).versions[0].rows == 10


def test_what_was_fed_is_counted_too(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path)
    append(writer, [(DAY, 1), (DAY, 1)])
    writer.close()
    (tmp_path / capture.FED).touch()
    assert counted.count(tmp_path, 0.0, [1], ids=5, most_rows=10).versions[0].rows == 2


def test_a_time_that_no_calendar_has_counts_on_its_last_day(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path)
    append(writer, [(DAY, 1), (1e15, 1)])
    writer.close()
    [one] = counted.count(tmp_path, 0.0, [1], ids=5, most_rows=10).versions
    assert one.days == {DAY: 1, counted.CALENDAR[1]: 1}


def test_nothing_is_counted_where_nothing_was_captured(tmp_path: Path) -> None:
    found = counted.count(tmp_path / "none", 5.0, [1], ids=5, most_rows=10)
    assert (found.versions, found.whole, found.since) == ([], True, 5.0)
