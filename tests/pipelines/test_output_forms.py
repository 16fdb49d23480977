"""Typed forms of what steps hand on: folders, pandas, sparse matrices, objects by fields."""

from __future__ import annotations

import datetime as dt
import os
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse
from tests.pipelines.conftest import MemoryObjects

from mainspring.ground.errors import DamagedError, NotExactError, ProjectError
from mainspring.ground.identity import canonical
from mainspring.pipelines import made, outputs


def there_and_back(value: Any, folder: Path = Path("/nonexistent")) -> Any:
    objects = MemoryObjects()
    kept = outputs.encode(value, objects)
    assert set(kept.blobs) == set(objects.kept)
    return outputs.decode(kept.digest, kept.type, objects, folder)


def digest(value: Any) -> str:
    return outputs.encode(value, MemoryObjects()).digest


def a_folder(root: Path, name: str) -> Path:
    place = root / name
    (place / "deep" / "er").mkdir(parents=True)
    (place / "empty").mkdir()
    (place / "a.txt").write_text("a")
    (place / "deep" / "er" / "é 漢.bin").write_bytes(b"\x00" * 1000)
    (place / "deep" / "copy").write_text("a")
    (place / ".hidden").write_text("h")
    (place / "deep" / "run.sh").write_text("#!/bin/sh\n")
    (place / "deep" / "run.sh").chmod(0o755)
    return place


def test_a_folder_comes_back_with_every_file(tmp_path: Path) -> None:
    objects = MemoryObjects()
    kept = outputs.encode(a_folder(tmp_path, "one"), objects)
    assert len(kept.blobs) == 5, "a manifest, and files that are alike once"
    back = outputs.decode(kept.digest, kept.type, objects, tmp_path / "in")
    found = {
        path.relative_to(back).as_posix(): path.read_bytes() if path.is_file() else None
        for path in back.rglob("*")
    }
    assert found["deep/er/é 漢.bin"] == b"\x00" * 1000
    assert (found["a.txt"], found["deep/copy"], found[".hidden"]) == (b"a", b"a", b"h")
    assert found["empty"] is None
    assert os.access(back / "deep" / "run.sh", os.X_OK)
    assert not os.access(back / "a.txt", os.X_OK)
    (back / "a.txt").write_text("changed")
    again = outputs.decode(kept.digest, kept.type, objects, tmp_path / "again")
    assert (again / "a.txt").read_text() == "a"


def test_the_same_files_are_the_same_folder(tmp_path: Path) -> None:
    one, two = a_folder(tmp_path, "one"), a_folder(tmp_path, "tmp8x1k")
    os.utime(two / "a.txt", (1, 1))
    assert digest(one) == digest(two)
    (two / "a.txt").write_text("b")
    assert digest(one) != digest(two)


def test_a_link_is_followed_within_its_folder_and_refused_beyond(tmp_path: Path) -> None:
    place = tmp_path / "one"
    place.mkdir()
    (place / "a").write_text("a")
    (place / "b").symlink_to("a")
    back = there_and_back(place, tmp_path / "in")
    assert (back / "b").read_text() == "a"
    assert not (back / "b").is_symlink()
    (place / "c").symlink_to("/etc/hostname")
    with pytest.raises(NotExactError, match="outside of the folder"):
        digest(place)


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "", ".", "a//b", "a/./b"])
def test_the_paths_of_a_folder_stay_in_it(tmp_path: Path, path: str) -> None:
    objects = MemoryObjects()
    content = objects.put(b"x")
    entry = {"path": path, "content": content, "size": 1}
    for bad in ({"files": [entry]}, {"files": [], "empty": [path]}):
        with pytest.raises(DamagedError):
            outputs.decode(objects.put(canonical(bad)), "folder", objects, tmp_path / "in")
    assert list(tmp_path.rglob("x")) == []


BEATS = pd.date_range("2013-01-01", periods=3, freq="D", name="day")
FRAMES = {
    "plain": pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"], "c": [0.1, np.nan, -0.0]}),
    "days": pd.DataFrame({"a": [1, 2, 3]}, index=BEATS),
    "levels": pd.DataFrame(
        {"a": [1, 2]}, index=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["k", "n"])
    ),
    "types": pd.DataFrame(
        {
            "when": pd.to_datetime(["2013-01-01", None, "2014-01-01"]),
            "zone": pd.date_range("2013-01-01", periods=3, tz="Europe/Berlin"),
            "kind": pd.Categorical(["a", "b", "a"], categories=["b", "a"], ordered=True),
            "maybe": pd.array([1, None, 3], dtype="Int64"),
            "yes": pd.array([True, None, False], dtype="boolean"),
            "small": np.array([1, 2, 3], "int8"),
        }
    ),
    "empty": pd.DataFrame({"a": np.array([], "float32")}),
    "text index": pd.DataFrame({"a": [1]}, index=["row"]),
    "from 5": pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(5, 7)),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_of_pandas_comes_back_with_its_index(name: str) -> None:
    frame = FRAMES[name]
    back = there_and_back(frame)
    pd.testing.assert_frame_equal(back, frame, check_exact=True)
    assert digest(frame) == digest(frame.copy())


@pytest.mark.parametrize(
    "series",
    [pd.Series([1, 2], name="n"), pd.Series([1.5, None]), pd.Series(["a"], index=["x"], name="n")],
    ids=["named", "nameless", "indexed"],
)
def test_a_series_of_pandas_comes_back(series: pd.Series) -> None:
    pd.testing.assert_series_equal(there_and_back(series), series)


def test_a_frame_of_pandas_that_would_change_is_refused() -> None:
    with pytest.raises(NotExactError, match="would not come back"):
        digest(pd.DataFrame({"a": [1, "x", {2}]}))
    with pytest.raises(NotExactError, match="would not come back"):
        digest(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_a_series_of_polars_comes_back() -> None:
    series = pl.Series("n", [1, None, 3], dtype=pl.Int8)
    back = there_and_back({"n": series})["n"]
    assert back.equals(series, check_names=True, check_dtypes=True)


def test_a_table_of_arrow_comes_back_with_what_its_schema_says() -> None:
    table = pa.table(
        {"a": pa.array([1, None], pa.int8()), "b": pa.array(["x", "x"]).dictionary_encode()},
    ).replace_schema_metadata({"who": "us"})
    back = there_and_back(table)
    assert back.schema.equals(table.schema, check_metadata=True)
    assert back.equals(table)
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    assert digest(chunked) == digest(table)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "dia", "lil", "dok"])
@pytest.mark.parametrize("kind", ["matrix", "array"])
def test_a_sparse_matrix_comes_back_in_its_form(form: str, kind: str) -> None:
    made_of = sparse.random(6, 4, 0.3, random_state=np.random.default_rng(0))
    matrix = getattr(sparse, f"{form}_{kind}")(made_of)
    back = there_and_back(matrix)
    assert (type(back), back.shape, back.dtype) == (type(matrix), (6, 4), matrix.dtype)
    assert (back.toarray() == matrix.toarray()).all()
    assert digest(matrix) == digest(matrix.copy())


@dataclass
class Split:
    train: pl.DataFrame
    labels: np.ndarray
    at: dt.date = dt.date(2013, 1, 1)
    checked: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.checked += 1


class Pair(NamedTuple):
    left: Any
    right: Any


def test_a_dataclass_of_tables_is_kept_field_by_field() -> None:
    split = Split(pl.DataFrame({"a": [1]}), np.arange(3))
    back = there_and_back(Pair(split, [split]))
    assert type(back) is Pair
    assert back.left.train.equals(split.train)
    assert (back.right[0].labels.tolist(), back.left.at) == ([0, 1, 2], split.at)
    assert back.left.checked == 1, "what was made is not made again"


def test_a_dataclass_with_more_than_its_fields_is_something_else() -> None:
    split = Split(pl.DataFrame(), np.arange(1))
    split.more = 1  # type: ignore[attr-defined]
    with pytest.raises(ProjectError, match="Split cannot be kept"):
        digest(split)


def test_a_class_that_changed_or_went_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = MemoryObjects()
    kept = outputs.encode(Split(pl.DataFrame(), np.arange(1)), objects)

    @dataclass
    class Other:
        train: int

    monkeypatch.setattr(sys.modules[__name__], "Split", Other)
    with pytest.raises(ProjectError, match="has the fields train by now"):
        outputs.decode(kept.digest, kept.type, objects, Path())
    monkeypatch.delattr(sys.modules[__name__], "Split")
    with pytest.raises(ProjectError, match="no such class any more"):
        outputs.decode(kept.digest, kept.type, objects, Path())


@pytest.mark.parametrize("name", ["antigravity:Flight", "os.path:join", "..x:Y", "nowhere:Thing"])
def test_nothing_is_imported_because_a_kept_value_names_it(name: str) -> None:
    before = set(sys.modules)
    with pytest.raises(ProjectError):
        made.build(name, {})
    assert set(sys.modules) == before


def test_a_class_of_the_project_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shapes_of_mine.py").write_text(
        "from dataclasses import dataclass\n@dataclass\nclass Box:\n    side: int\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    box = made.build("shapes_of_mine:Box", {"side": 2})
    assert (type(box).__name__, box.side) == ("Box", 2)
    monkeypatch.delitem(sys.modules, "shapes_of_mine")
    with pytest.raises(ProjectError, match="no such class"):
        made.build("shapes_of_mine:Boxes", {})
    assert isinstance(sys.modules["shapes_of_mine"], types.ModuleType)
    monkeypatch.delitem(sys.modules, "shapes_of_mine")
