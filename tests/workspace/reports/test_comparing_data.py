"""Two tables beside each other: what moved, what cannot be judged, and why, for odd data too."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mainspring as ms
from mainspring.ground.errors import BadInputError
from mainspring.workspace.reports.comparing import ColumnBeside
from mainspring.workspace.reports.comparison import DataComparison

ROWS = 2000


def _table(seed: int = 1, rows: int = ROWS, shift: float = 0.0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "age": rng.integers(18, 80, rows),
            "pay": np.exp(rng.normal(3 + shift, 1, rows)),
            "city": rng.choice(["Ulm", "Kiel", "Bonn"], rows, p=[0.6, 0.3, 0.1]),
            "member": rng.random(rows) < 0.4,
        }
    )


def _column(found: DataComparison, name: str) -> ColumnBeside:
    return next(one for one in found.columns if one.name == name)


def _with(values: object, other: object, **policy: object) -> ColumnBeside:
    """Compare one odd column beside a column that is there on both sides."""
    a = pl.DataFrame({"odd": values}, strict=False)
    b = pl.DataFrame({"odd": other}, strict=False)
    return _column(ms.compare_data(a, b, **policy), "odd")  # type: ignore[arg-type]


def test_equal_tables_are_quiet() -> None:
    found = ms.compare_data(_table(), _table())
    assert found.verdict == "quiet"
    assert {one.verdict for one in found.columns} == {"quiet"}
    assert {one.drift.value for one in found.columns if one.drift} == {0.0}
    assert "None of 4 columns differs" in found.headline


def test_two_samples_of_one_world_are_quiet() -> None:
    assert [ms.compare_data(_table(n), _table(n + 100)).verdict for n in range(5)] == ["quiet"] * 5


def test_a_shift_is_found_with_its_figures_and_the_rest_is_quiet() -> None:
    found = ms.compare_data(_table(1), _table(2, shift=0.5))
    assert next((one.name, one.verdict) for one in found.columns) == ("pay", "alarm")
    assert [one.verdict for one in found.columns[1:]] == ["quiet"] * 3
    pay = _column(found, "pay")
    assert pay.drift is not None
    assert pay.before is not None
    assert pay.now is not None
    assert pay.drift.value == pytest.approx(0.19, abs=0.04)  # 2 Phi(0.25) - 1
    assert pay.drift.radius is not None
    assert 0 < pay.drift.radius < pay.drift.value
    assert pay.now.mean is not None
    assert f"Its mean went from {pay.before.mean:.4g} to {pay.now.mean:.4g}." in pay.why[0]
    assert "training" not in " ".join(pay.why)


@given(st.randoms())
@settings(max_examples=5, deadline=None)
def test_the_order_of_rows_and_columns_is_nothing_to_it(random: object) -> None:
    a, b = _table(1, 400), _table(2, 400, shift=1.0)
    names = list(b.columns)
    random.shuffle(names)  # type: ignore[attr-defined]
    mixed = b.sample(fraction=1.0, shuffle=True, seed=3).select(names)
    assert ms.compare_data(a, b).to_dict() == ms.compare_data(a, mixed).to_dict()


def test_every_kind_of_table_gives_the_same(tmp_path: Path) -> None:
    a, b = _table(1), _table(2, shift=0.3)
    want = [(one.name, one.verdict) for one in ms.compare_data(a, b).columns]
    b.write_parquet(tmp_path / "b.parquet")
    b.write_csv(tmp_path / "b.csv")
    b.write_ndjson(tmp_path / "b.jsonl")
    pandas = pd.DataFrame({name: b[name].to_list() for name in b.columns})
    arrow = pa.table({name: b[name].to_list() for name in b.columns})
    paths = [tmp_path / "b.parquet", str(tmp_path / "b.csv"), tmp_path / "b.jsonl"]
    for other in (pandas, arrow, b.lazy(), *paths):
        found = ms.compare_data(a, other)
        assert [(one.name, one.verdict) for one in found.columns] == want


def test_times_of_json_lines_are_times(tmp_path: Path) -> None:
    times = [dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=n) for n in range(300)]
    frame = pl.DataFrame({"at": times, "label": ["2026-01-01 or so"] * 300})
    frame.write_ndjson(tmp_path / "a.jsonl")
    found = ms.compare_data(tmp_path / "a.jsonl", tmp_path / "a.jsonl")
    assert (_column(found, "at").kind, _column(found, "label").kind) == ("time", "category")


def test_what_vanished_is_new_or_has_another_type_is_said() -> None:
    a = _table()
    b = a.drop("city").with_columns(pl.lit("x").alias("extra"), pl.col("age").cast(pl.String))
    found = ms.compare_data(a, b)
    assert (_column(found, "city").change, _column(found, "city").verdict) == ("missing", "alarm")
    assert (_column(found, "extra").change, _column(found, "extra").verdict) == ("new", "notice")
    age = _column(found, "age")
    assert (age.change, age.verdict) == ("type", "alarm")
    assert "Its type went from Int64 to String." in age.why


def test_narrower_numbers_are_no_change_of_type() -> None:
    a = _table()
    found = ms.compare_data(a, a.with_columns(pl.col("age").cast(pl.Int16)))
    assert found.verdict == "quiet"


def test_a_flip_of_how_columns_move_together_is_seen_where_each_alone_is_quiet() -> None:
    rng = np.random.default_rng(5)
    x, noise = rng.normal(size=ROWS), rng.normal(size=ROWS)
    a = pl.DataFrame({"x": x, "y": 0.8 * x + 0.6 * noise})
    b = pl.DataFrame({"x": x, "y": -0.8 * x + 0.6 * noise})
    found = ms.compare_data(a, b)
    assert [one.verdict for one in found.columns] == ["quiet", "quiet"]
    pair = found.found.correlations[0]
    assert (pair.first, pair.second) == ("x", "y")
    assert (pair.before, pair.now) == (pytest.approx(0.8, abs=0.05), pytest.approx(-0.8, abs=0.05))
    assert found.verdict == "notice"


def test_missing_values_are_told_by_their_rates() -> None:
    a = _table()
    gone = a.with_columns(
        pl.when(pl.int_range(pl.len()) % 8 == 0).then(None).otherwise(pl.col("pay")).alias("pay")
    )
    pay = _column(ms.compare_data(a, gone), "pay")
    assert pay.verdict == "alarm"
    assert pay.why[0].startswith("12.5 % of 2,000 rows have no value (at least")
    assert pay.why[0].endswith("0 % before.")


# ---------------------------------------------------------------- odd data


def test_a_table_without_rows_is_described_and_not_judged() -> None:
    for one in ms.compare_data(_table(), _table().clear()).columns:
        assert one.verdict == "too few rows"
        assert one.drift is not None
        assert one.drift.value is None
        assert "no value" in one.why[0] or "0 rows" in one.why[0]


def test_a_table_of_one_row_is_described_and_not_judged() -> None:
    found = ms.compare_data(_table(), _table().head(1))
    assert {one.verdict for one in found.columns} == {"too few rows"}
    assert "could not be judged" in found.headline


def test_fewer_rows_are_judged_where_that_is_asked_for() -> None:
    found = ms.compare_data(_table(rows=40), _table(2, 40, shift=3.0), min_rows=20)
    assert _column(found, "pay").verdict == "alarm"


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [
        ([1.0] * 300, [1.0] * 300, "quiet"),  # constant
        ([1.0] * 300, [2.0] * 300, "alarm"),
        ([None] * 300, [None] * 300, "too few rows"),  # never a value
        ([None] * 300, [1.0] * 300, "too few rows"),
        ([1.0] * 300, [None] * 300, "alarm"),  # all missing now
        ([math.nan] * 300, [math.nan] * 300, "too few rows"),
        ([math.inf, -math.inf, 1.0] * 100, [math.inf, -math.inf, 1.0] * 100, "quiet"),
        ([Decimal("1.5"), Decimal("2.5")] * 150, [Decimal("1.5"), Decimal("2.5")] * 150, "quiet"),
        (["a", "b"] * 150, ["a", "b"] * 150, "quiet"),
        (["a", "b"] * 150, ["c", "d"] * 150, "alarm"),  # unseen
        ([True, False] * 150, [True] * 300, "alarm"),
        ([[1], [2]] * 150, [[1], [2]] * 150, "not judged"),  # lists
        ([2**63 - 1] * 300, [2**63 - 1] * 300, "quiet"),
    ],
)
def test_odd_columns_have_a_stated_verdict(before: object, now: object, verdict: str) -> None:
    one = _with(before, now)
    assert one.verdict == verdict
    assert one.why


def test_text_where_numbers_were_counts_as_wrong_type_as_far_as_it_is_no_number() -> None:
    one = _with(list(range(300)), [*map(str, range(200)), *["n/a"] * 100])
    assert one.verdict == "alarm"
    assert any("another type" in words for words in one.why)


def test_a_key_with_as_many_values_as_rows_is_quiet() -> None:
    one = _with([f"u{n}" for n in range(50_000)], [f"v{n}" for n in range(50_000)])
    assert one.before is not None
    assert one.before.distinct == 50_000
    assert one.verdict != "alarm"


def test_columns_named_like_those_of_monitors_are_columns_like_others() -> None:
    a = pl.DataFrame({"_time": range(500), "_version": ["a"] * 500, "a/missing": range(500)})
    found = ms.compare_data(a, a.with_columns(pl.col("_time") + 400))
    assert [one.verdict for one in found.columns] == ["alarm", "quiet", "quiet"]


def test_refusals_name_the_field_and_what_to_do(tmp_path: Path) -> None:
    a = _table()
    with pytest.raises(BadInputError, match="no column in common") as told:
        ms.compare_data(a, pl.DataFrame({"z": [1]}))
    assert told.value.hint is not None
    assert "'age'" in told.value.hint
    for field, value in (("alpha", 0.0), ("alpha", 1.0), ("material", -1.0), ("min_rows", 0)):
        with pytest.raises(BadInputError) as told:
            ms.compare_data(a, a, **{field: value})  # type: ignore[arg-type]
        assert told.value.field == field
    with pytest.raises(BadInputError) as told:
        ms.compare_data(a, tmp_path / "nothing.csv")
    assert told.value.field == "b"
    (tmp_path / "broken.jsonl").write_text('{"x": 1}\n{"x": ')
    with pytest.raises(BadInputError, match="JSON lines"):
        ms.compare_data(tmp_path / "broken.jsonl", a)
    with pytest.raises(BadInputError):
        ms.compare_data(a, 7)
