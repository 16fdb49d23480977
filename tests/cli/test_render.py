"""What people read: tables, figures, and nothing that could command a terminal."""

import io
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mainspring.cli import render
from mainspring.cli.loops import draw_decisions
from mainspring.cli.serving import read_rows
from mainspring.cli.simulate import spark
from mainspring.ground.errors import BadInputError


def test_text_from_elsewhere_cannot_command_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    render.table(render.console(), ("A",), [["\x1b[2J[red]x[/red]"]])
    assert capsys.readouterr().out.split() == ["A", "?[2J[red]x[/red]"]


def test_a_pipe_gets_rows_that_are_not_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr("sys.stdout", pipe)
    render.table(render.console(), ("A", "B"), [["x" * 90, "y" * 90]])
    assert "x" * 90 in pipe.getvalue()
    assert "y" * 90 in pipe.getvalue()


def test_a_decision_before_the_first_row_has_no_date(capsys: pytest.CaptureFixture[str]) -> None:
    first = {
        "at": 0.0,
        "kind": "train",
        "subject": "loop:l",
        "reason": "None yet.",
        "by": "loop:l",
    }
    draw_decisions(render.console(), [first, first | {"at": 1_700_000_000.0}])
    out = capsys.readouterr().out
    assert "at the start" in out
    assert "1970" not in out
    assert "2023-11-14 22:13:20" in out


def test_sizes_and_figures_are_short() -> None:
    assert [render.size(n) for n in (0, 1023, 1536, 5 * 2**30)] == [
        "0 B", "1023 B", "1.5 KB", "5.0 GB",
    ]  # fmt: skip
    assert render.figures({"a": 1.0, "b": 2, "c": None}, most=2) == "a 1, b 2, ..."
    assert render.took(1.0, None) == ""


def test_a_line_of_bars_has_gaps_and_fits() -> None:
    assert spark([0.0, None, 1.0], 0.0, 1.0) == "▁ █"
    assert len(spark([0.5] * 1000, 0.0, 1.0)) == 60
    assert spark([2.0, 2.0], 2.0, 2.0) == "▅▅"


def test_rows_come_from_json_its_lines_or_a_file(tmp_path: Path) -> None:
    assert read_rows('{"a": 1}') == [{"a": 1}]
    assert read_rows('[{"a": 1}, {"a": 2}]') == [{"a": 1}, {"a": 2}]
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    assert read_rows(str(tmp_path / "rows.jsonl")) == [{"a": 1}, {"a": 2}]
    pl.DataFrame({"a": [1, None]}).write_parquet(tmp_path / "rows.parquet")
    assert read_rows(str(tmp_path / "rows.parquet")) == [{"a": 1}, {"a": None}]
    with pytest.raises(BadInputError, match="objects"):
        read_rows("[]")


def test_rows_of_a_table_are_rows_of_json(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "at": [datetime(2024, 5, 1, 12, tzinfo=UTC), None],
            "day": [date(2024, 5, 1), date(2024, 5, 2)],
            "x": [1.5, float("nan")],
            "flag": [True, None],
        }
    )
    frame.write_parquet(tmp_path / "rows.parquet")
    first, second = read_rows(str(tmp_path / "rows.parquet"))
    assert datetime.fromisoformat(first.pop("at")) == datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert first == {"day": "2024-05-01", "x": 1.5, "flag": True}
    assert second == {"at": None, "day": "2024-05-02", "x": None, "flag": None}


def test_a_simulation_is_a_table_a_plot_and_one_document(
    say: Callable[..., Any], tmp_path: Path
) -> None:
    x = np.random.default_rng(0).normal(size=600)
    pl.DataFrame({"x": x, "y": (x > 0).astype(int)}).write_csv(tmp_path / "rows.csv")
    words = ("simulate", "rows.csv", "--target", "y", "--policies", "static,periodic")
    people = say(*words, "--plot", "chart.html")
    assert people.code == 0, people.err
    assert "periodic" in people.out
    page = (tmp_path / "chart.html").read_text()
    assert "<script src" not in page
    assert "plotly.js v" in page
    found = say(*words, "--json").json
    assert [p["policy"] for p in found["policies"]] == ["static", "periodic"]
    assert say("simulate", "rows.csv", "--target", "z").code == 2
    assert say(*words[:4], "--policies", "odd").code == 2
    assert not (tmp_path / ".mainspring").exists()
