"""What a smoke run cuts: always the same rows, in their order, with every rare value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.pipelines.sampling import cut

HERE = Path()


@settings(max_examples=40)
@given(st.integers(0, 900), st.integers(20, 200))
def test_a_cut_keeps_order_and_is_the_same_each_time(height: int, rows: int) -> None:
    frame = pl.DataFrame({"n": range(height), "even": [n % 2 == 0 for n in range(height)]})
    small = cut(frame, rows, HERE)
    assert small.height == min(height, rows) or rows < small.height <= 2 * rows
    assert small["n"].is_sorted()
    assert small.equals(cut(frame, rows, HERE))
    if height > rows:
        assert small["even"].n_unique() == 2


def test_rare_values_stay_and_columns_of_many_values_do_not_swell_the_sample() -> None:
    frame = pl.DataFrame(
        {
            "kind": ["common"] * 9_990 + ["rare"] * 7 + [None] * 3,
            "id": [str(n) for n in range(10_000)],
        }
    )
    small = cut(frame, 100, HERE)
    assert small.filter(pl.col("kind") == "rare").height == 7
    assert small["kind"].null_count() == 3
    assert small.height <= 110


def test_tables_of_one_height_keep_the_same_rows() -> None:
    features = pl.DataFrame({"a": range(1000)})
    truth = np.arange(1000)
    small = cut({"X": features, "y": (truth, [truth])}, 50, HERE)
    assert small["X"]["a"].to_list() == small["y"][0].tolist() == small["y"][1][0].tolist()
    assert len(small["X"]) == 50


@pytest.mark.parametrize("value", [3, "text", None, [1] * 5000, {"a": [2] * 999}, np.array(3.0)])
def test_what_is_no_table_is_left_alone(value: object) -> None:
    assert cut(value, 20, HERE) is value or cut(value, 20, HERE) == value


def test_frames_of_pandas_and_lazy_ones_are_cut(tmp_path: Path) -> None:
    small = cut(pd.DataFrame({"a": range(500), "b": ["x", "y"] * 250}), 30, HERE)
    assert list(small.index) == list(range(len(small)))
    assert set(small["b"]) == {"x", "y"}
    lazy = cut(pl.LazyFrame({"a": range(500)}), 30, HERE)
    assert lazy.collect().height == 30


def test_files_of_tables_are_written_anew_and_others_left(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": range(500)})
    frame.write_csv(tmp_path / "rows.csv")
    frame.write_parquet(tmp_path / "rows.parquet")
    (tmp_path / "notes.txt").write_text("kept")
    (tmp_path / "out").mkdir()
    for name, read in (("rows.csv", pl.read_csv), ("rows.parquet", pl.read_parquet)):
        small = cut(tmp_path / name, 40, tmp_path / "out")
        assert small.name == name
        assert read(small).height == 40
        assert read(tmp_path / name).height == 500
    assert cut(tmp_path / "notes.txt", 40, tmp_path / "out") == tmp_path / "notes.txt"
    assert cut(tmp_path / "rows.csv", 600, tmp_path / "out") == tmp_path / "rows.csv"


def test_a_lazy_frame_is_cut_without_being_read_and_stays_lazy() -> None:
    frame = pl.LazyFrame(
        {"kind": ["common"] * 9_990 + ["rare"] * 7 + [None] * 3, "id": range(10_000)}
    )
    small = cut({"X": frame, "y": frame.select("id", "kind")}, 100, HERE)
    assert isinstance(small["X"], pl.LazyFrame)
    rows = small["X"].collect()
    assert rows.filter(pl.col("kind") == "rare").height == 7
    assert rows["kind"].null_count() == 3
    assert rows["id"].is_sorted()
    assert rows.height <= 130, "of each value a few"
    assert rows.equals(small["y"].collect().select("kind", "id")), (
        "what belongs together stays together"
    )
    assert rows.equals(cut(frame, 100, HERE).collect())
    assert cut(frame.head(50), 100, HERE).collect().height == 50


def test_a_folder_of_parts_is_cut_part_by_part(tmp_path: Path) -> None:
    place = tmp_path / "parts"
    for year in (2013, 2014):
        (place / f"year={year}").mkdir(parents=True)
        pl.DataFrame({"a": range(1000)}).write_parquet(place / f"year={year}" / "0.parquet")
    (place / "README").write_text("two years")
    small = cut(place, 100, tmp_path / "cut")
    rows = pl.scan_parquet(small / "**/*.parquet", hive_partitioning=True).collect()
    assert rows["year"].value_counts(sort=True)["count"].to_list() == [50, 50]
    assert (small / "README").read_text() == "two years"
    assert pl.read_parquet(place / "year=2013" / "0.parquet").height == 1000
