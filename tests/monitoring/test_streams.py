import json

import polars as pl
import pytest

from mainspring.ground.errors import BadInputError
from mainspring.monitoring import streams
from mainspring.monitoring.profiling import profile_frames
from mainspring.monitoring.streams import frames_of, profile_table


def table(rows=3_000):
    return pl.DataFrame(
        {
            "n": range(rows),
            "x": [None if i % 7 == 0 else i / 3 for i in range(rows)],
            "city": [("Ulm", "Bonn", None)[i % 3] for i in range(rows)],
            "ok": [i % 2 == 0 for i in range(rows)],
        }
    )


def write(frame, file):
    if file.suffix == ".csv":
        frame.write_csv(file)
    elif file.suffix == ".parquet":
        frame.write_parquet(file, row_group_size=700)
    else:
        frame.write_ndjson(file)
    return file


def figures(profile):
    return [
        (c.name, c.kind, c.rows, c.missing, c.low, c.high, c.distinct, c.counts, c.categories)
        for c in profile.columns
    ]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_a_table_on_disk_has_the_profile_of_its_rows_whatever_its_form(suffix, tmp_path):
    frame = table()
    file = write(frame, tmp_path / f"rows{suffix}")
    assert figures(profile_table(file)) == figures(profile_frames([frame]))


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_rows_come_in_portions_and_progress_is_told(suffix, tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "PORTION", 1_024)
    monkeypatch.setattr(streams, "_LINES", 1_000)
    file, told = write(table(), tmp_path / f"rows{suffix}"), []
    frames = list(frames_of(file, progress=lambda done, of: told.append((done, of))))
    assert sum(frame.height for frame in frames) == 3_000
    assert told[-1][0] == 3_000
    assert told[-1][1] == (None if suffix == ".jsonl" else 3_000)
    assert len(frames) > 1


def test_a_wide_parquet_file_is_read_some_columns_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "TOGETHER", 3)
    frame = pl.DataFrame({f"c{n}": [float(n), n + 1.0, n * 2.0] for n in range(8)})
    told = []
    found = profile_table(
        write(frame, tmp_path / "wide.parquet"), progress=lambda *step: told.append(step)
    )
    assert [c.name for c in found.columns] == frame.columns
    assert found.correlations.columns == ["c0", "c1", "c2"]
    assert "first 3" in found.correlations.why
    assert told[-1] == (3, 3)


def test_a_word_in_a_late_row_of_numbers_breaks_nothing(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("n\n" + "\n".join([*map(str, range(2_000)), "oops", "NA", '""']) + "\n")
    (column,) = profile_table(file).columns
    assert (column.kind, column.wrong, column.missing) == ("Integral", 1, 2)


def test_lines_of_json_may_mix_types_and_lack_fields(tmp_path):
    file = tmp_path / "rows.jsonl"
    rows = [{"a": 1, "b": {"c": 1}}, {"a": "x"}, {"a": 2.5, "b": [1]}, {}, {"a": 2**70, "b": None}]
    file.write_text("\n\n".join(map(json.dumps, rows)))
    by_name = {c.name: c for c in profile_table(file).columns}
    assert by_name["a"].kind == "String"
    assert by_name["a"].missing == 1
    assert by_name["b"].categories == {'{"c":1}': 1, "[1]": 1}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.csv", b"", "is empty"),
        ("rows.csv", b"a,a\n1,2\n", "more than one column 'a'"),
        ("rows.csv", b"a,,b\n1,2,3\n", "Column 2"),
        ("rows.csv", b"a\n1,2\n", "not a table"),
        ("rows.parquet", b"PAR1 not really", "not a table"),
        ("rows.jsonl", b'{"a": 1}\nnot json\n', "Line 2"),
        ("rows.xyz", b"a\n1\n", "no table by its name"),
    ],
)
def test_what_is_no_table_is_refused_by_name(name, content, said, tmp_path):
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(BadInputError, match=said):
        profile_table(file)
    with pytest.raises(BadInputError, match="There is no file"):
        profile_table(tmp_path / "missing.csv")


def test_a_table_of_no_rows_has_a_profile(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("a,b\n")
    found = profile_table(file)
    assert [(c.name, c.rows) for c in found.columns] == [("a", 0), ("b", 0)]


def test_whole_numbers_beside_others_are_kept_exactly_or_as_text():
    rows = streams.frame_of_rows([{"a": 1, "b": 2**53 + 1}, {"a": 0.5, "b": 0.5}])
    assert rows["a"].to_list() == [1.0, 0.5]
    assert rows["b"].to_list() == ["9007199254740993", "0.5"]
