from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.ground.contracts import Contract, Expect
from mainspring.ground.errors import BadInputError
from mainspring.monitoring import constraints, counting
from mainspring.monitoring.constraints import Checker, check_frames

WHOLE = Contract(
    columns={
        "id": Expect(type="Integral", unique=True, completeness=1.0),
        "amount": Expect(type="Fractional", low=0, high=100, outside=0.01),
        "city": Expect(type="String", allowed=["Ulm", "NO", "1"]),
        "zip": Expect(type="String", pattern=r"\d{5}"),
        "ok": Expect(type="Boolean"),
        "at": Expect(type="Time", newest_within_s=3600.0),
    },
    rules={"ordered": "amount < id * 100"},
    least_rows=1,
    extra="refuse",
    serving="refuse",
)
GOOD = pl.DataFrame(
    {
        "id": [1, 2, 3],
        "amount": [5.0, 7.5, None],
        "city": ["Ulm", "NO", "1"],
        "zip": ["01067", "89073", None],
        "ok": [True, False, None],
        "at": ["2026-01-01", "2026-01-01T10:00:00", None],
    }
)
NOW = datetime(2026, 1, 1, 10, 30, tzinfo=UTC).timestamp()


def check(frame, contract=WHOLE, now=NOW):
    return check_frames(contract, [frame], now)


def broken(frame, contract=WHOLE, now=NOW):
    return [(v.column, v.check, v.count) for v in check(frame, contract, now).violations]


def test_good_rows_keep_the_contract_typed_or_as_text():
    assert broken(GOOD) == []
    written = pl.read_csv(GOOD.write_csv().encode(), infer_schema=False)
    assert broken(written) == []


@pytest.mark.parametrize(
    ("column", "values", "check", "count"),
    [
        ("id", [1, 2, 2], "unique", 1),
        ("id", [1.5, 2, 3], "type", 1),
        ("id", ["1", "two", "3"], "type", 1),
        ("id", [1, None, 3], "completeness", 1),
        ("amount", [-1.0, -2.0, 5.0], "range", 2),
        ("amount", ["a", "b", "c"], "type", 3),
        ("city", ["Ulm", "Bonn", "no"], "domain", 2),
        ("zip", ["1067", "89073 ", "89073"], "pattern", 2),
        ("zip", [1067, 89073, 1], "type", 3),
        ("ok", ["yes", "true", "false"], "type", 1),
        ("at", ["2026-01-01", "soon", None], "type", 1),
    ],
)
def test_each_way_of_breaking_it_is_found_and_named(column, values, check, count):
    frame = GOOD.with_columns(pl.Series(column, values))
    assert (column, check, count) in broken(frame)


def test_stale_rows_missing_and_extra_columns_and_rules_are_found():
    later = NOW + 7_200
    assert broken(GOOD, now=later) == [("at", "freshness", 2)]
    assert ("city", "missing column", 3) in broken(GOOD.drop("city"))
    assert ("more", "extra column", 0) in broken(GOOD.with_columns(more=1))
    told = check(GOOD.with_columns(amount=pl.Series([100.0, 7.0, None]))).violations
    assert [(v.check, v.count, v.examples) for v in told] == [("rule", 1, ["row 1"])]
    assert broken(GOOD.head(0))[0] == (None, "rows", 0)


def test_a_rule_that_cannot_be_asked_is_told_and_not_passed_over():
    contract = Contract(rules={"a": "x > nowhere", "b": "x + 1"})
    told = check(pl.DataFrame({"x": [1]}), contract).violations
    assert [v.check for v in told] == ["unreadable rule"] * 2
    with pytest.raises(BadInputError, match="cannot be read"):
        Checker(Contract(rules={"a": "x >"}))
    with pytest.raises(BadInputError, match="reads no column"):
        Checker(Contract(rules={"a": "1 = 1"}))


@settings(max_examples=25)
@given(st.lists(st.integers(0, 40), max_size=3), st.integers(0, 5))
def test_portions_count_as_the_whole(cuts, seed):
    rows = pl.DataFrame(
        {"id": [(n * 7 + seed) % 31 for n in range(40)], "x": [n % 5 - 1 for n in range(40)],
         "c": ["ab"[n % 2] if n % 9 else None for n in range(40)]}
    )  # fmt: skip
    contract = Contract(
        columns={"id": Expect(unique=True), "x": Expect(type="Integral", low=0),
                 "c": Expect(allowed=["a"], completeness=0.99)},
        rules={"r": "x < 3"},
    )  # fmt: skip
    checker = Checker(contract)
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), 40], strict=True):
        checker.add(rows[start:end])
    whole = check_frames(contract, [rows])
    assert [(v.check, v.count, v.of) for v in checker.found().violations] == [
        (v.check, v.count, v.of) for v in whole.violations
    ]


def test_a_column_that_comes_late_or_goes_is_missing_where_it_is_not():
    checker = Checker(Contract(columns={"x": Expect(completeness=1.0), "y": Expect()}))
    checker.add(pl.DataFrame({"y": [1, 2]}))
    checker.add(pl.DataFrame({"x": [1]}))
    assert [(v.check, v.count, v.of) for v in checker.found().violations] == [
        ("completeness", 2, 3)
    ]


def test_beyond_its_bound_uniqueness_is_not_judged_and_that_is_said(monkeypatch):
    monkeypatch.setattr(counting, "MOST_HASHES", 5)
    contract = Contract(columns={"x": Expect(unique=True)})
    told = check(pl.DataFrame({"x": [1] * 9}), contract)
    assert told.passed
    assert "comes twice" in told.not_judged[0]


@pytest.mark.parametrize("name", ["c.yaml", "c.json"])
def test_a_contract_is_read_as_it_was_written(name, tmp_path):
    constraints.write(WHOLE, tmp_path / name)
    assert constraints.read(tmp_path / name) == WHOLE


def test_toml_and_hand_written_yaml_are_read_and_texts_stay_texts(tmp_path):
    (tmp_path / "c.toml").write_text('[columns.x]\ntype = "Integral"\nlow = 0\n')
    assert constraints.read(tmp_path / "c.toml") == Contract(
        columns={"x": Expect(type="Integral", low=0.0)}
    )
    (tmp_path / "c.yaml").write_text(
        "columns:\n  country: {allowed: [NO, 1, on]}\n  n: {unique: true, low: 0.5}\nrules:\n"
    )
    with pytest.raises(BadInputError):
        constraints.read(tmp_path / "c.yaml")  # rules: nothing
    (tmp_path / "c.yaml").write_text(
        "columns:\n  country: {allowed: [NO, 1, on]}\n  n: {unique: true, low: 0.5}\n"
    )
    found = constraints.read(tmp_path / "c.yaml").columns
    assert found["country"].allowed == ["NO", "1", "on"]
    assert (found["n"].unique, found["n"].low) == (True, 0.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("columns: {x: {type: Number}}", "Number"),
        ("columns: {x: {completeness: 2}}", "share from 0 to 1"),
        ("columns: {x: {low: 2, high: 1}}", "above high"),
        ("columns: {x: {pattern: '['}}", "pattern"),
        ("columns: {x: {type: String, low: 1}}", "no range"),
        ("format: 9", "format 9"),
        ("confidence: 2", "confidence"),
        ("a: &a [1]\nb: *a", "alias"),
        ("columns: [", "not YAML"),
        ("columns: 3", "contract"),
    ],
)
def test_what_no_contract_can_say_is_refused_by_name(text, said, tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(BadInputError, match=said):
        constraints.read(file)


def test_a_file_that_is_none_is_refused(tmp_path):
    for name in ("missing.yaml", "c.txt"):
        (tmp_path / "c.txt").write_text("x")
        with pytest.raises(BadInputError):
            constraints.read(tmp_path / name)
    with pytest.raises(BadInputError):
        constraints.write(WHOLE, tmp_path / "c.toml")
