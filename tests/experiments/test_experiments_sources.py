from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from mainspring.experiments.sources import describe
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.identity import sha256

FRAME = pl.DataFrame({"x": [1, 2, None], "s": ["a", "b", "c"]})


def test_a_frame_is_known_by_its_values() -> None:
    found = describe(FRAME)
    assert found.digest == describe(FRAME.to_pandas().astype({"x": "Int64"})).digest
    assert found.digest != describe(FRAME.reverse()).digest
    assert (found.source_type, json.loads(found.source)) == ("code", {"tags": {}})
    assert json.loads(found.schema)["columns"][0] == {"name": "x", "type": "Int64"}
    assert json.loads(found.profile)["rows"] == 3
    told = describe(pd.DataFrame({"x": [1]}), source="s3://bucket/rows.parquet")
    assert json.loads(told.source) == {"uri": "s3://bucket/rows.parquet"}


def test_a_file_is_known_by_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("x,y\n1,a\n2,b\n")
    found = describe("rows.csv")
    assert found.digest == sha256(b"x,y\n1,a\n2,b\n")
    assert json.loads(found.source) == {"uri": str(tmp_path / "rows.csv")}
    assert json.loads(found.schema)["columns"][1] == {"name": "y", "type": "String"}
    assert json.loads(found.profile) == {"bytes": 12, "rows": 2}
    FRAME.write_parquet("rows.parquet")
    assert json.loads(describe(Path("rows.parquet")).profile)["rows"] == 3
    Path("blob.bin").write_bytes(b"\0")
    assert describe("blob.bin").schema is None


def test_a_folder_is_known_by_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("1")
    (tmp_path / os.fsdecode(b"caf\xe9")).write_text("2")
    found = describe(tmp_path)
    assert json.loads(found.profile) == {"files": 2, "bytes": 2}
    (tmp_path / "sub" / "a.txt").rename(tmp_path / "sub" / "b.txt")
    assert describe(tmp_path).digest != found.digest


@pytest.mark.parametrize(
    ("data", "error", "told"),
    [
        ("nothing.csv", NotFoundError, "no file or folder"),
        ("s3://bucket/rows.parquet", BadInputError, "not on this machine"),
        (3, BadInputError, "found int"),
    ],
)
def test_what_is_no_data_is_refused(data: object, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        describe(data)


def test_a_table_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"no parquet")
    with pytest.raises(BadInputError, match="cannot be read as a table"):
        describe(tmp_path / "a.parquet")
