"""A table of labels is kept whole or not at all, and every label in it is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mainspring.ground.clock import TurnedClock
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.monitoring import labels
from mainspring.scaling.serving import capture, endpoints
from mainspring.scaling.serving.segments import Batch
from mainspring.workspace import truths
from mainspring.workspace.feeding import reading
from mainspring.workspace.opening import Workspace, open_workspace

NOW = 1_800_000_000.0


@pytest.fixture
def ws(tmp_path: Path):
    settings = Settings(root=str(tmp_path), home=str(tmp_path / "home"))
    found = open_workspace(settings, clock=TurnedClock(NOW))
    found.write(Permission.ADMIN, lambda tx: endpoints.ensure(tx, "flights", "flights", at=NOW))
    yield found
    found.close()


def answered(ws: Workspace, rows: int, share: float = 1.0) -> list[str]:
    """Let an endpoint answer rows, and return their prediction ids."""
    writer = capture.CaptureWriter(ws.captures("flights"), clock=ws.clock)
    first, ones = writer.reserve(rows), np.ones(rows, dtype=np.int64)
    columns = {"x": np.zeros(rows)}
    one = Batch(first, NOW, np.full(rows, NOW), columns, {"x": "float"}, ones, ones[:, None] / 2)
    writer.append(one, share)
    writer.close()
    return writer.ids(first, rows)


def take(ws: Workspace, tmp_path: Path, ids: list[str], values: list, form: str = "csv", **more):
    file = tmp_path / f"truth.{form}"
    table = pl.DataFrame({"id": ids, "value": values})
    getattr(table, f"write_{form}")(file)
    found = truths.take_file(ws, "flights", file, **more)
    names = ("labels", "kept", "changed", "repeated", "doubled", "unknown", "not_recorded")
    return {name: getattr(found, name) for name in names if getattr(found, name)}


def known(ws: Workspace) -> dict[str, str]:
    found = ws.read(Permission.READ, lambda tx: labels.read(tx, "flights"))
    return dict(found.select("_id", "_label").rows())


@pytest.mark.parametrize("form", ["csv", "parquet", "ndjson"])
def test_each_label_of_a_table_is_kept(ws, tmp_path, form, monkeypatch) -> None:
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 7)
    ids = answered(ws, 50)
    values = [n % 3 for n in range(50)]
    assert take(ws, tmp_path, ids, values, form) == {"labels": 50, "kept": 50}
    assert known(ws) == {name: str(value) for name, value in zip(ids, values, strict=True)}


def test_a_table_sent_again_changes_nothing(ws, tmp_path) -> None:
    ids = answered(ws, 20)
    take(ws, tmp_path, ids, [1] * 20)
    before = ws.read(Permission.READ, lambda tx: labels.received(tx, "flights"))
    assert take(ws, tmp_path, ids, [1] * 20) == {"labels": 20, "repeated": 20}
    assert ws.read(Permission.READ, lambda tx: labels.received(tx, "flights")) == before


def test_late_contradictory_and_double_labels_are_told_apart(ws, tmp_path) -> None:
    a, b, c = answered(ws, 3)
    take(ws, tmp_path, [a, b], ["late", "on time"])
    told = take(ws, tmp_path, [a, b, c, c], ["late", "late", "late", "on time"])
    assert told == {"labels": 3, "kept": 1, "changed": 1, "repeated": 1, "doubled": 1}
    assert known(ws) == {a: "late", b: "late", c: "on time"}


@pytest.mark.parametrize("folded", [False, True])
def test_a_label_without_a_prediction_is_kept_and_said(ws, tmp_path, folded) -> None:
    ids = answered(ws, 4)
    if folded:
        capture.compact(ws.captures("flights"))
    told = take(ws, tmp_path, [*ids, "order-17", "plain"], [1] * 6)
    assert told == {"labels": 6, "kept": 6, "unknown": 2}
    assert known(ws)["order-17"] == "1"


def test_a_label_of_a_row_that_was_not_drawn_is_no_mistake(ws, tmp_path) -> None:
    ids = answered(ws, 200, share=0.3)
    recorded = capture.read(ws.captures("flights")).height
    told = take(ws, tmp_path, [*ids, "0123456789ab-1"], [0] * 201)
    assert (told["unknown"], told["not_recorded"]) == (201 - recorded, 200 - recorded)


def test_a_label_given_one_by_one_before_is_known_to_a_table(ws, tmp_path) -> None:
    (a,) = answered(ws, 1)
    for value in (0, 1):
        ws.write(Permission.LABEL, lambda tx, v=value: labels.add(tx, "flights", [a], [v], at=NOW))
    assert take(ws, tmp_path, [a], [1]) == {"labels": 1, "repeated": 1}


@pytest.mark.parametrize(
    ("ids", "values", "line", "told"),
    [
        (["a", None], ["1", "1"], 3, "a prediction id is text of 1 to 64"),
        (["a", "b", "c" * 65], ["1", "1", "0"], 4, "'c{64}"),
        (["a", "b"], ["1", None], 3, "leave out rows whose truth is not known, found None"),
        (["a", "b"], ["1", "x" * 1001], 3, "at most 1,000 characters"),
    ],
)
def test_the_first_label_that_cannot_be_used_is_named_and_none_is_kept(
    ws, tmp_path, ids, values, line, told
) -> None:
    with pytest.raises(BadInputError, match=rf"truth\.csv, line {line}: .*{told}"):
        take(ws, tmp_path, ids, values)
    assert known(ws) == {}


def test_what_is_no_label_is_refused(ws, tmp_path) -> None:
    with pytest.raises(BadInputError, match=r"line 2: .*found inf"):
        take(ws, tmp_path, ["a", "b"], [1.0, float("inf")], "parquet")
    with pytest.raises(BadInputError, match="holds List"):
        take(ws, tmp_path, ["a"], [[1]], "parquet")
    with pytest.raises(BadInputError, match=r"has no column 'late'; it has id, value"):
        take(ws, tmp_path, ["a"], [1], value_column="late")
    (tmp_path / "none.csv").write_text("id,value\n")
    with pytest.raises(BadInputError, match="has no labels"):
        truths.take_file(ws, "flights", tmp_path / "none.csv")
    with pytest.raises(NotFoundError):
        truths.take_file(ws, "trains", tmp_path / "none.csv")
