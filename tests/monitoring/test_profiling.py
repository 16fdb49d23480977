from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.ground.objects import Profile
from mainspring.monitoring.profiling import Profiler, profile_frames
from mainspring.numerics.merging import merge_profiles


def by_name(profile):
    return {column.name: column for column in profile.columns}


def table(rows=5_000, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    return pl.DataFrame(
        {
            "x": pl.Series(np.where(rng.random(rows) < 0.1, np.nan, x)),
            "y": 3 * x + rng.normal(size=rows),
            "n": rng.integers(0, 50, rows),
            "city": pl.Series(np.array(["Ulm", "Bonn", "Kiel"])).gather(rng.integers(0, 3, rows)),
            "ok": rng.random(rows) < 0.3,
            "at": pl.Series([datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=int(h))
                             for h in rng.integers(0, 9_000, rows)]),
            "id": [f"row {number}" for number in range(rows)],
        }
    )  # fmt: skip


def test_a_profile_says_of_every_column_what_pandas_and_polars_say():
    frame = table()
    found, rows = by_name(profile_frames([frame])), frame.to_pandas()
    assert [c.kind for c in found.values()] == [
        "Fractional", "Fractional", "Integral", "String", "Boolean", "Time", "String",
    ]  # fmt: skip
    for name in ("x", "y", "n"):
        told = rows[name].describe()
        assert found[name].rows - found[name].missing == told["count"]
        assert found[name].mean == pytest.approx(told["mean"])
        assert found[name].std == pytest.approx(rows[name].std(ddof=0))
        assert (found[name].low, found[name].high) == (told["min"], told["max"])
        median = found[name].quantiles["0.5"]
        here, off = rows[name].dropna(), found[name].rank_error + 1e-9
        assert (here < median).mean() - off <= 0.5 <= (here <= median).mean() + off
    for name in ("n", "city", "ok"):
        assert found[name].distinct == frame[name].n_unique()
    assert found["id"].distinct == pytest.approx(5_000, rel=0.09)
    assert found["city"].categories == dict(frame["city"].value_counts().sort("city").rows())
    assert found["at"].high == frame["at"].max().timestamp()


def test_correlations_are_those_of_pandas():
    frame = table()
    told = profile_frames([frame]).correlations
    wanted = frame.select("x", "y", "n").to_pandas().corr()
    assert told.columns == ["x", "y", "n"]
    assert np.allclose(np.array(told.matrix), wanted)


def test_only_a_column_of_names_that_never_repeat_is_a_key():
    assert profile_frames([table()]).keys == ["id"]


def test_texts_are_read_as_what_they_are_written_as():
    frame = table(400)
    typed = by_name(profile_frames([frame.with_columns(pl.col("x").fill_nan(None))]))
    written = pl.read_csv(
        frame.with_columns(pl.col("x").fill_nan(None)).write_csv().encode(), infer_schema=False
    )
    read = by_name(profile_frames([written]))
    for name, column in typed.items():
        other = read[name]
        assert (other.kind, other.rows, other.missing) == (
            column.kind,
            column.rows,
            column.missing,
        )
        assert (other.low, other.high, other.distinct) == (
            column.low, column.high, column.distinct,
        )  # fmt: skip
        assert other.categories == column.categories


def test_a_number_with_a_leading_zero_is_a_name():
    found = by_name(profile_frames([pl.DataFrame({"zip": ["01067", "89073", "00000"]})]))["zip"]
    assert found.kind == "String"
    assert found.categories == {"00000": 1, "01067": 1, "89073": 1}


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("2026-01-02", 1767312000.0),
        ("2026-01-02 03:04", 1767323040.0),
        ("2026-01-02T03:04:05", 1767323045.0),
        ("2026-01-02T03:04:05.25Z", 1767323045.25),
        ("2026-01-02 03:04:05+01:00", 1767319445.0),
    ],
)
def test_times_are_read_in_the_forms_of_iso_8601(written, seconds):
    found = by_name(profile_frames([pl.DataFrame({"at": [written, None]})]))["at"]
    assert (found.kind, found.low, found.missing) == ("Time", seconds, 1)


def test_a_column_that_comes_late_or_goes_is_missing_where_it_is_not():
    profiler = Profiler()
    profiler.add(pl.DataFrame({"a": [1, 2], "gone": [1.0, 2.0]}))
    profiler.add(pl.DataFrame({"a": [3], "late": ["x"]}))
    found = by_name(profiler.profile())
    assert {name: (c.rows, c.missing) for name, c in found.items()} == {
        "a": (3, 0), "gone": (3, 1), "late": (3, 2),
    }  # fmt: skip


ODD = {
    "nothing": pl.Series([None, None], dtype=pl.Null),
    "all missing": pl.Series([None, None], dtype=pl.Float64),
    "constant": pl.Series([1, 1]),
    "infinite": pl.Series([float("inf"), float("nan")]),
    "lists": pl.Series([[1, 2], None]),
    "bytes": pl.Series([b"a", b"\xff"]),
    "mixed": pl.Series([1, "a"], dtype=pl.Object),
    "large": pl.Series([2**63, 2**64 - 1], dtype=pl.UInt64),
    "larger": pl.Series([2**100, None], dtype=pl.Int128),
    "decimal": pl.Series(["1.10", "2.20"]).cast(pl.Decimal(10, 2)),
    "day": pl.Series([date(2026, 1, 1), None]),
    "long ago": pl.Series([datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)]),
    "how long": pl.Series([timedelta(hours=1), None]),
    "levels": pl.Series(["a", "b"], dtype=pl.Categorical),
    "empty text": pl.Series(["", " "]),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_columns_are_profiled_and_their_profile_can_be_kept_and_merged(name):
    found = profile_frames([pl.DataFrame({"x": ODD[name]})])
    assert found.rows == 2
    kept = msgspec.json.decode(msgspec.json.encode(found), type=Profile)
    assert kept == found
    assert merge_profiles(found, kept).rows == 4


def test_no_rows_and_no_columns_have_a_profile_too():
    assert profile_frames([]).columns == []
    assert by_name(profile_frames([pl.DataFrame({"x": []})]))["x"].kind == "Unknown"


def test_a_million_categories_stay_in_bounded_memory_with_a_stated_error():
    rng = np.random.default_rng(3)
    many = pl.Series(rng.integers(0, 1_000_000, 150_000)).cast(pl.String) + "x"
    often = pl.Series(["often"] * 5_000)
    column = pl.concat([many, often]).sample(fraction=1, shuffle=True, seed=1)
    found = by_name(profile_frames([pl.DataFrame({"c": column})]))["c"]
    told = found.categories["often"]
    assert told <= 5_000 <= told + found.categories_error
    assert found.categories_error <= 155_000 / 8_192
    assert found.distinct == pytest.approx(column.n_unique(), rel=4 * found.distinct_error)


@settings(max_examples=15)
@given(st.lists(st.integers(0, 600), max_size=4), st.randoms())
def test_profiles_of_parts_merge_in_any_order_to_that_of_the_whole(cuts, random):
    frame = table(600)
    ends = [0, *sorted(cuts), 600]
    parts = [profile_frames([frame[a:b]]) for a, b in pairwise(ends)]
    whole = by_name(profile_frames([frame]))
    random.shuffle(parts)
    merged = parts[0]
    for part in parts[1:]:
        merged = merge_profiles(merged, part)
    for name, column in by_name(merged).items():
        for field in ("kind", "rows", "missing", "low", "high", "distinct", "counts", "quantiles",
                      "categories", "repeated"):  # fmt: skip
            assert getattr(column, field) == getattr(whole[name], field), (name, field)


def test_a_profile_of_an_old_package_is_still_read():
    old = b'{"columns":[{"categories":{},"counts":[1,1],"edges":[0.5],"high":1.0,"low":0.0,'
    old += b'"mean":0.5,"missing":0,"name":"x","rows":2,"share":0.5,"std":0.5,"type":"number"}],'
    old += b'"loss":0.1,"metrics":{"auc":0.9},"rows":2,"score":null}'
    read = msgspec.json.decode(old, type=Profile)
    assert (read.format, read.columns[0].kind, read.columns[0].state) == (1, "Unknown", None)


def test_wide_tables_are_correlated_over_the_first_columns_and_say_so():
    frame = pl.DataFrame({f"c{n}": [float(n), 1.0, n * 2.5] for n in range(7)})
    profiler = Profiler(correlations=5)
    profiler.add(frame)
    told = profiler.profile().correlations
    assert told.columns == [f"c{n}" for n in range(5)]
    assert "2 more are not" in told.why
