"""Two versions compared: files, tables and their statistics, rows by key."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.settings import Settings
from mainspring.monitoring import streams
from mainspring.pipelines.data.manifest import Entry
from mainspring.workspace.data import adding, by_key, comparing, profiles, showing, telling
from mainspring.workspace.opening import Workspace, open_workspace

ROWS = pl.DataFrame({"day": [1, 2, 3, 4], "carrier": ["AA", "UA", "AA", None], "late": [0.5] * 4})


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    place = tmp_path_factory.mktemp("home")
    given_ = Settings(root=str(place), home=str(place / "home"))
    with contextlib.closing(open_workspace(given_)) as found:
        yield found


def two(ws: Workspace, before: str, after: str, **given: object) -> comparing.DataChanges:
    sides = comparing.side(ws, before), comparing.side(ws, after)
    return comparing.compare(ws, *sides, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl", "arrow"])
def test_a_table_of_every_kind_is_compared(ws: Workspace, tmp_path: Path, ending: str) -> None:
    write = {
        "csv": pl.DataFrame.write_csv,
        "parquet": pl.DataFrame.write_parquet,
        "jsonl": pl.DataFrame.write_ndjson,
        "arrow": pl.DataFrame.write_ipc,
    }[ending]
    file = tmp_path / f"flights.{ending}"
    write(ROWS, file)  # type: ignore[operator]
    adding.add(ws, file, name=f"flights-{ending}")
    after = pl.concat(
        [ROWS.filter(pl.col("day") != 2), pl.DataFrame({"day": [9, 9]})], how="diagonal"
    )
    write(after.with_columns(late=pl.lit("much"), new=1), file)  # type: ignore[operator]
    adding.add(ws, file, name=f"flights-{ending}")

    found = two(ws, f"flights-{ending}@1", f"flights-{ending}@2", key=["day"])
    [table] = found.tables
    assert (table.rows_before, table.rows_after) == (4, 5)
    assert (table.columns_added, table.columns_removed) == (["new"], [])
    [retyped] = table.retyped
    assert retyped.column == "late"
    moved = {(one.column, one.what): (one.before, one.after) for one in table.moved}
    assert moved["carrier", "missing"] == (1, 3)
    assert moved["day", "high"] == (4, 9)
    assert moved["day", "mean"] == (2.5, pytest.approx(5.2))
    assert table.rows is not None
    counts = (table.rows.added, table.rows.removed, table.rows.changed, table.rows.same)
    assert counts == (1, 1, 3, 0)
    assert (table.rows.repeated_before, table.rows.repeated_after) == (0, 1)
    assert (table.rows.added_keys, table.rows.removed_keys) == ([["9"]], [["2"]])
    text = telling.markdown(found)
    assert "4 -> 5 rows (+1)" in text
    assert "By day: 1 rows added, 1 removed, 3 changed, 0 the same. Beyond" in text
    assert two(ws, f"flights-{ending}@2", str(file)).same


def test_a_folder_of_parts_is_one_table_and_its_parts_are_counted_once(
    ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "set"
    for number in range(3):
        part = place / f"year=201{number}" / "part-0.parquet"
        part.parent.mkdir(parents=True)
        pl.DataFrame({"x": range(number * 10, number * 10 + 10)}).write_parquet(part)
    (place / "README").write_text("three years")
    adding.add(ws, place, name="years")
    pl.DataFrame({"x": range(100, 120)}).write_parquet(place / "year=2012" / "part-0.parquet")
    (place / "README").rename(place / "README.md")
    adding.add(ws, place, name="years")
    read: list[str] = []
    real = streams.profile_table
    monkeypatch.setattr(
        streams, "profile_table", lambda path: (read.append(Path(path).name), real(path))[1]
    )
    found = two(ws, "years@1", "years@2")
    [table] = found.tables
    assert (table.table, table.rows_before, table.rows_after) == (".", 30, 40)
    assert found.counts == {"added": 0, "removed": 0, "changed": 1, "renamed": 1, "same": 2}
    assert len(read) == 4, "what both share is counted once"
    assert two(ws, "years@1", "years@2") == found
    assert len(read) == 4, "and nothing twice"


def test_files_alone_are_compared_where_nothing_is_a_table(ws: Workspace, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.txt").write_text(name)
    found = two(ws, str(tmp_path / "one"), str(tmp_path / "two"))
    assert found.tables == []
    assert [one.path for one in found.files.changed] == ["notes.txt"]
    assert two(ws, str(tmp_path / "one"), str(tmp_path / "one")).same


def test_what_cannot_be_compared_is_said(ws: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    ROWS.write_parquet(tmp_path / "b.parquet")
    [table] = two(ws, str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")).tables
    assert "not a table that can be read" in table.why
    ROWS.head(2).write_parquet(tmp_path / "c.parquet")
    with pytest.raises(BadInputError, match="no column 'dya'"):
        two(ws, str(tmp_path / "b.parquet"), str(tmp_path / "c.parquet"), key=["dya"])
    with pytest.raises(NotFoundError):
        comparing.side(ws, "nobody@1")


@pytest.mark.parametrize(
    ("paths", "tables"),
    [
        (["train.csv", "test.csv"], ["test.csv", "train.csv"]),
        (["a.csv", "b.csv"], ["a.csv", "b.csv"]),
        (["part-0.csv", "part-1.csv"], ["."]),
        (["x/0.parquet", "x/1.parquet", "y.csv"], ["x", "y.csv"]),
        (["k=1/0.parquet", "k=2/0.parquet"], ["."]),
        (["_log/0.parquet", ".x/1.parquet", "notes.txt"], []),
    ],
)
def test_which_files_are_one_table(paths: list[str], tables: list[str]) -> None:
    found = profiles.tables_of([Entry(path, 1, "a" * 64) for path in paths])
    assert sorted(found) == tables


tables = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), max_size=12).map(
    lambda rows: pl.DataFrame(rows, schema={"k": pl.Int64, "v": pl.Int64}, orient="row")
)


@settings(max_examples=30, deadline=None)
@given(tables, tables, st.integers(1, 3))
def test_rows_by_key_are_as_a_count_by_hand(
    before: pl.DataFrame, after: pl.DataFrame, passes: int
) -> None:
    held = [
        {key: sorted(part["v"].to_list()) for (key,), part in frame.group_by("k")}
        for frame in (before, after)
    ]
    found = by_key.changes(before.lazy(), after.lazy(), ["k"], passes, at_once=1)
    both = held[0].keys() & held[1].keys()
    assert found.added == len(held[1].keys() - held[0].keys())
    assert found.removed == len(held[0].keys() - held[1].keys())
    assert found.changed == sum(held[0][key] != held[1][key] for key in both)
    assert found.same == len(both) - found.changed
    assert found.repeated_before == before.height - len(held[0])
    assert {int(str(key[0])) for key in found.added_keys} == held[1].keys() - held[0].keys()


def test_a_version_is_described_column_by_column(ws: Workspace, tmp_path: Path) -> None:
    ROWS.with_columns(of=pl.lit("this test")).write_parquet(tmp_path / "rows.parquet")
    adding.add(ws, tmp_path / "rows.parquet", name="described", message="the first")
    adding.add(ws, tmp_path / "rows.parquet", name="twin")
    found = showing.describe(ws, "described@1")
    [table] = found.tables
    assert (table.rows, [one.type for one in table.columns]) == (
        4,
        ["Int64", "String", "Float64", "String"],
    )
    assert table.columns[1].categories == {"AA": 2, "UA": 1}
    assert (found.same, found.readers) == (["twin@1"], [])
