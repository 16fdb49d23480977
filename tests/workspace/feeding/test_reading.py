"""A prediction log is read in parts, whatever its form, and a broken line is named."""

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.errors import BadInputError, TooLargeError
from mainspring.workspace.feeding import reading
from mainspring.workspace.feeding.reading import LINE, of_records, parts, whole


@pytest.fixture
def log(tmp_path: Path):
    def write(data: str | bytes, name: str = "log") -> Path:
        file = tmp_path / name
        file.write_bytes(data.encode() if isinstance(data, str) else data)
        return file

    return write


def test_every_form_gives_the_same_rows(log, tmp_path):
    rows = pl.DataFrame({"a": [1, 2, None], "b": [0.5, None, 1.5], "c": ["x", "y, z", None]})
    rows.write_parquet(tmp_path / "p")
    rows.write_csv(tmp_path / "c")
    rows.write_ndjson(tmp_path / "n")
    document = log(json.dumps(rows.to_dicts()), "j")
    wrapped = log(json.dumps({"rows": rows.to_dicts()}), "w")
    for file in (tmp_path / "p", tmp_path / "c", tmp_path / "n", document, wrapped):
        assert whole(file).equals(rows), file.name


@pytest.mark.parametrize(
    ("data", "form"),
    [
        ("a,b\n1,2\n", "csv"),
        ('{"a":1}\n{"a":2}\n', "json lines"),
        ('\ufeff{"a":1}\n', "json lines"),
        ('[{"a":1}]', "json"),
        ('{\n "rows": [{"a": 1}]}', "json"),
    ],
)
def test_the_form_is_told_by_the_first_bytes(log, data, form):
    assert reading.form_of(log(data)) == form


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ("a,b\n1,2\n3\n", 3),
        ('a,b\n1,2\n\n"x\ny",2\n1,2,3\n', 6),  # an empty line, and a cell over two lines
        ('{"a":1}\n\n{"a":\n', 3),
        ('{"a":1}\n[1]\n', 2),
        ('{"a":\n{"a":1}\n', 1),
        (b"a,b\n1,2\n\xff,2\n", 3),
    ],
)
def test_a_broken_line_is_named_by_its_number(log, data, line):
    with pytest.raises(BadInputError, match=f"line {line}:"):
        list(parts(log(data)))


def test_rows_come_in_parts_and_know_their_lines(log, monkeypatch):
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 2)
    found = list(parts(log("a\n1\n\n2\n3\n4\n5\n")))
    assert [part.height for part in found] == [2, 2, 1]
    assert [line for part in found for line in part[LINE]] == [2, 4, 5, 6, 7]


def test_what_stands_for_nothing_is_null_and_the_rest_is_as_it_was(log):
    found = whole(log("a,b\nNA,NaN\n7,1.5\n,\n"))
    assert found.rows() == [(None, None), (7, 1.5), (None, None)]


@pytest.mark.parametrize(
    "data", ["", "  \n", "a,b\n", "[]", "a,a\n1,2\n", "a,\n1,2\n", "[1]", '{"rows": 3}']
)
def test_what_is_no_table_of_rows_is_refused(log, data):
    with pytest.raises(BadInputError):
        whole(log(data))


def test_too_many_rows_or_columns_are_refused(log, monkeypatch):
    with pytest.raises(TooLargeError):
        whole(log("a\n1\n2\n3\n"), most_rows=2)
    monkeypatch.setattr(reading, "MOST_COLUMNS", 2)
    with pytest.raises(TooLargeError):
        list(parts(log("a,b,c\n1,2,3\n")))
    with pytest.raises(TooLargeError):
        of_records([{"a": 1}, {"b": 1}, {"c": 1}], [1, 2, 3])


def test_a_file_that_only_claims_to_be_parquet_is_refused(log):
    with pytest.raises(BadInputError, match="not a Parquet file"):
        list(parts(log(b"PAR1 and then nothing of it PAR1")))


VALUES = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=5)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3), min_size=1))
def test_any_json_rows_become_columns_without_losing_a_row_or_a_value(rows):
    found = of_records(rows, list(range(1, len(rows) + 1)))
    assert found.height == len(rows)
    for name in found.columns:
        there = [row.get(name) is not None for row in rows]
        if name != LINE:
            assert found[name].is_not_null().to_list() == there
