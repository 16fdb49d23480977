"""Two values that a step returned: the same, within a tolerance, or different and where."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.backends.objects.local import LocalObjects
from mainspring.pipelines import cells, differing, outputs
from mainspring.pipelines.differing import Apart, Kept

NAN = float("nan")
DAYS = [dt.datetime(2026, 1, one, tzinfo=dt.UTC) for one in (1, 2)]


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> LocalObjects:
    return LocalObjects(tmp_path_factory.mktemp("objects"))


def kept(value: Any, objects: LocalObjects) -> Kept:
    found = outputs.encode(value, objects, "it")
    return Kept(found.digest, found.type)


def apart(was: Any, now: Any, objects: LocalObjects, tolerance: float = 0.01) -> Apart:
    return differing.compare(kept(was, objects), kept(now, objects), objects, tolerance)


FRAMES = [
    ({"a": [1.0, NAN]}, {"a": [1.0, NAN]}, "identical", ""),
    ({"a": [1.0, NAN]}, {"a": [1.0, 2.0]}, "beyond", "column a, row 1: nan -> 2.0 (1 of 2 cells)"),
    ({"a": [0.0, 1.0]}, {"a": [-0.0, 1.0]}, "within", "column a, row 0: 0.0 -> -0.0"),
    ({"a": [1.0, None]}, {"a": [1.0, 2.0]}, "beyond", "column a, row 1: None -> 2.0"),
    ({"a": [1, 2]}, {"a": [1.0, 2.0]}, "beyond", "column a was Int64 and is Float64"),
    ({"a": [100.0, 200]}, {"a": [100.5, 200]}, "within", "row 0: 100.0 -> 100.5 (1 of 2 cells)"),
    (
        {"a": [1.0, 2.0], "b": [1.0, 2.0]},
        {"a": [1.001, 2.0], "b": [1.0, 3.0]},
        "beyond",
        "column b, row 1: 2.0 -> 3.0",  # what is beyond is told, not what came first
    ),
    ({"a": [2**60, 1]}, {"a": [2**60 + 1, 1]}, "within", f"row 0: {2**60} -> {2**60 + 1}"),
    ({"a": [1, 2], "b": ["x", "y"]}, {"a": [2, 1], "b": ["y", "x"]}, "beyond", "the same rows in"),
    ({"a": [1], "b": [2]}, {"b": [2], "a": [1]}, "beyond", "its columns come in another order"),
    ({"a": [1], "b": [2]}, {"a": [1]}, "beyond", "column b is gone"),
    ({"a": [1, 2]}, {"a": [1]}, "beyond", "2 rows became 1"),
    ({"a": [[1.0, 2.0]]}, {"a": [[1.0, 2.001]]}, "within", "column a, row 0: "),
    ({"a": [[1.0]]}, {"a": [[1.0, 2.0]]}, "beyond", "column a, row 0: "),
    ({"a": [{"x": 1.0}]}, {"a": [{"x": 5.0}]}, "beyond", "row 0: {'x': 1.0} -> {'x': 5.0}"),
    ({"a": DAYS}, {"a": DAYS[::-1]}, "beyond", "the same rows in another order: column a, row 0:"),
    ({"a": ["x"]}, {"a": ["y"]}, "beyond", "column a, row 0: 'x' -> 'y' (1 of 1 cells)"),
]


@pytest.mark.parametrize(("was", "now", "verdict", "where"), FRAMES)
def test_two_frames(
    was: dict[str, Any], now: dict[str, Any], verdict: str, where: str, objects: LocalObjects
) -> None:
    found = apart(pl.DataFrame(was), pl.DataFrame(now), objects)
    assert (found.verdict, where in found.where) == (verdict, True), found
    lazy = apart(pl.LazyFrame(was), pl.LazyFrame(now), objects)
    assert (lazy.verdict, lazy.where) == (found.verdict, found.where)


def test_zones_and_categories_are_part_of_a_column(objects: LocalObjects) -> None:
    there = pl.Series("at", DAYS).dt.convert_time_zone("Asia/Tokyo").to_frame()
    found = apart(pl.DataFrame({"at": DAYS}), there, objects)
    assert (found.verdict, "UTC" in found.where, "Tokyo" in found.where) == ("beyond", True, True)
    small = pl.Series("c", ["b", "a", "a"], dtype=pl.Categorical).to_frame()
    other = pl.Series("c", ["b", "a", "b"], dtype=pl.Categorical).to_frame()
    found = apart(small, other, objects)
    assert found.where == "column c, row 2: 'a' -> 'b' (1 of 3 cells)"
    few, more = (pl.Series("c", ["a"], dtype=pl.Enum(one)).to_frame() for one in (["a"], "ab"))
    assert "column c was Enum" in apart(few, more, objects).where


PLAIN = [
    ({"a": 1, "b": 2.0}, {"b": 2.0, "a": 1}, "within", "the same keys in another order"),
    ({"a": {"x": 1.0}}, {"a": {"x": 2.0}}, "beyond", "['a']['x']: 1.0 -> 2.0"),
    ({"a": 1, "b": 2.0}, {"b": 2.5, "a": 1}, "beyond", "['b']: 2.0 -> 2.5"),
    ({"a": 1}, {"b": 1}, "beyond", "['a'] is gone"),
    ([1, 2], [1.0, 2], "beyond", "[0]: int 1 -> float 1.0"),
    ([True], [1], "beyond", "[0]: bool True -> int 1"),
    ([0.0], [-0.0], "within", "[0]: 0.0 -> -0.0"),
    ([NAN, 1.0], [NAN, 1.001], "within", "[1]: 1.0 -> 1.001"),
    (NAN, 1.0, "beyond", "the value: nan -> 1.0"),
    ([float("inf")], [-float("inf")], "beyond", "[0]: inf -> -inf"),
    ([1, 2], [1, 2, 3], "beyond", "the value: 2 parts became 3"),
    ([10**400], [10**400 + 1], "beyond", "[0]: 1000"),
    ([2**60], [2**60 + 1], "within", "[0]: "),
    ({"x", "y"}, {"x", "z"}, "beyond", "the value: 'y' is gone"),
    ((1, 2), [1, 2], "beyond", "the value: tuple (1, 2) -> list [1, 2]"),
]


@pytest.mark.parametrize(("was", "now", "verdict", "where"), PLAIN)
def test_plain_data(was: Any, now: Any, verdict: str, where: str, objects: LocalObjects) -> None:
    found = apart(was, now, objects)
    assert (found.verdict, where in found.where) == (verdict, True), found


def test_arrays_and_sparse_ones_name_the_element(objects: LocalObjects) -> None:
    from scipy import sparse

    was = np.arange(6.0).reshape(2, 3)
    now = was.copy()
    now[1, 2] = 9
    assert apart(was, now, objects).where == "element [1, 2]: 5.0 -> 9.0 (1 of 6)"
    assert apart(was, was * (1 + 1e-9), objects).verdict == "within"
    assert apart(was, was.astype("f4"), objects).where == "float64[2, 3] became float32[2, 3]"
    assert "bytes are not" in apart(np.array([0.0]), np.array([-0.0]), objects).where
    found = apart(sparse.csr_array(was), sparse.csr_array(now), objects)
    assert (found.verdict, found.where) == ("beyond", "data, element [4]: 5.0 -> 9.0 (1 of 5)")
    assert "other elements" in apart(sparse.eye_array(2).tocsr(), sparse.csr_array([[0, 1.0], [1.0, 0]]), objects).where  # fmt: skip  # noqa: E501


def test_folders_name_the_file_and_what_is_in_it(objects: LocalObjects, tmp_path: Path) -> None:
    def folder(name: str, rows: list[float], *, whole: bool = True, note: str = "a") -> Path:
        root = tmp_path / name
        root.mkdir()
        pl.DataFrame({"a": rows}).write_parquet(root / "rows.parquet")
        (root / "note.txt").write_text(note)
        if whole:
            (root / "more.bin").write_bytes(b"1")
        return root

    first = folder("first", [1.0, 2.0])
    found = apart(first, folder("other", [1.0, 3.0]), objects)
    assert found.verdict == "beyond"
    assert found.where == "rows.parquet, column a, row 1: 2.0 -> 3.0 (1 of 2 cells)"
    found = apart(first, folder("near", [1.0, 2.001]), objects)
    assert found.verdict == "within"
    found = apart(first, folder("less", [1.0, 2.001], whole=False, note="b"), objects)
    assert (found.verdict, found.where) == ("beyond", "more.bin is gone (3 files differ)")
    broken = folder("broken", [1.0])
    (broken / "rows.parquet").write_bytes(b"no table")
    found = apart(first, broken, objects)
    assert (found.verdict, found.where[:14]) == ("unknown", "rows.parquet, ")


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(), min_size=1, max_size=9),
    st.integers(0, 8),
    st.floats(),
    st.integers(1, 4),
)
def test_a_frame_differs_only_where_a_cell_was_changed(
    cells_: list[float], at: int, other: float, width: int
) -> None:
    """However a column is cut into slices, the changed cell is found, and no other."""
    at %= len(cells_)
    now = [*cells_[:at], other, *cells_[at + 1 :]]
    old, new = (pl.Series("a", one, dtype=pl.Float64) for one in (cells_, now))
    parts = [
        cells._far_cells(old.slice(n, width), new.slice(n, width))[0]
        for n in range(0, len(now), width)
    ]
    far = np.concatenate(parts)
    assert [n for n in range(len(now)) if far[n]] == (
        [] if differing.apart(cells_[at], other) == 0 else [at]
    )
    assert far[at] == differing.apart(cells_[at], other)
