import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.ground.objects import MonitorPolicy
from mainspring.monitoring import streaming
from mainspring.monitoring.profiling import profile_frames
from mainspring.monitoring.streaming import compare_frames
from mainspring.numerics import frequent


def table(rows, seed, moved=0.0):
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "x": rng.normal(moved, size=rows),
            "n": rng.integers(0, 9, rows),
            "city": pl.Series(np.array(["Ulm", "Bonn", "Kiel"])).gather(rng.integers(0, 3, rows)),
        }
    )


BASELINE = profile_frames([table(4_000, 1)])
RELEVANT = MonitorPolicy(relevant=0.0)


def verdicts(rows):
    return {(row["column"], row.get("check", "drift")): row["verdict"] for row in rows}


def test_a_stream_that_has_not_moved_is_quiet_and_one_that_has_alarms():
    rows, drift, quality = compare_frames(
        (table(1_000, seed) for seed in range(2, 8)), BASELINE, RELEVANT
    )
    assert rows == 6_000
    assert set(verdicts(drift).values()) == {"quiet"}
    assert not any(row["verdict"] == "alarm" for row in quality)
    _, drift, _ = compare_frames((table(1_000, s, 0.5) for s in range(2, 8)), BASELINE, RELEVANT)
    assert verdicts(drift)["x", "drift"] == "alarm"


@settings(max_examples=15)
@given(st.lists(st.integers(0, 900), max_size=4))
def test_portions_are_judged_as_the_whole(cuts):
    frame = table(900, 3, 0.2)
    ends = [0, *sorted(cuts), 900]
    parts = [frame[a:b] for a, b in itertools.pairwise(ends)]
    _, drift, quality = compare_frames(parts, BASELINE, RELEVANT)
    _, whole, all_of_it = compare_frames([frame], BASELINE, RELEVANT)
    assert [(r["distance"], r["verdict"]) for r in drift] == [
        (pytest.approx(r["distance"]), r["verdict"]) for r in whole
    ]
    assert [(r["column"], r.get("count")) for r in quality] == [
        (r["column"], r.get("count")) for r in all_of_it
    ]


def test_a_column_that_is_in_no_portion_has_vanished_and_a_new_one_is_noticed():
    frames = [table(500, 2).drop("city").with_columns(more=1), table(500, 3).drop("city")]
    _, _, quality = compare_frames(frames, BASELINE, RELEVANT)
    assert ("city", "missing column") in verdicts(quality)
    assert verdicts(quality)["more", "new column"] == "notice"
    half = [table(500, 2).drop("city"), table(500, 3)]
    _, _, quality = compare_frames(half, BASELINE, RELEVANT)
    missing = next(r for r in quality if (r["column"], r["check"]) == ("city", "missing"))
    assert (missing["count"], missing["rows"]) == (500, 1_000)


def test_no_rows_at_all_are_too_few():
    rows, drift, _ = compare_frames([], BASELINE, RELEVANT)
    assert rows == 0
    assert set(verdicts(drift).values()) == {"too few rows"}


def test_categories_are_bounded(monkeypatch):
    monkeypatch.setattr(frequent, "MOST", 50)
    frames = (pl.DataFrame({"city": [f"c{n}" for n in range(s, s + 40)]}) for s in (0, 40, 80))
    whole = None
    for frame in frames:
        part = streaming.summarise(frame["city"], BASELINE.columns[2], "str", frame.height)
        whole = part if whole is None else streaming.merge(whole, part)
    assert whole.rows == 120
    assert len(whole.categories) == 50
