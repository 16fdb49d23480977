"""Runs and compare as a person and a program see them."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mainspring.experiments import runs
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.ground.settings import load
from mainspring.workspace.opening import open_workspace


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with seven runs."""
    ws = open_workspace(load({"home": str(tmp_path / ".mainspring")}))

    def fill(tx: Tx) -> None:
        for number in range(7):
            run = Run(
                id=f"run_{number:026d}",
                experiment="flights",
                name=f"try {number}",
                status=RunStatus.FINISHED,
                started=float(number),
                ended=number + 2.5,
                params={"C": str(10**number), "text": "a,\x1b[31mb"},
                metrics={"auc": number / 10 if number else math.inf},
            )
            runs.create(tx, run)

    ws.write(Permission.LOG, fill)
    ws.close()
    return tmp_path


def test_a_filter_an_order_and_columns_make_a_table(say: Callable[..., Any], home: Path) -> None:
    said = say(
        "runs", "metrics.auc > 0.3 and params.C < 1000000", "--order", "-metrics.auc",
        "--columns", "params.C,metrics.auc,duration", "--count",
    )  # fmt: skip
    assert said.code == 0, said.err
    lines = [line.split() for line in said.out.splitlines()]
    assert lines[0] == ["RUN", "STATUS", "params.C", "metrics.auc", "duration"]
    assert [line[2:4] for line in lines[1:4]] == [
        ["1", "inf"],
        ["100000", "0.5"],
        ["10000", "0.4"],
    ]
    assert said.out.endswith("There are 3.\n")


def test_a_filter_that_no_run_meets_does_not_say_that_there_are_none(
    say: Callable[..., Any], home: Path
) -> None:
    assert "No run meets that" in say("runs", "metrics.auv > 0.3").out


def test_a_program_gets_every_digit_and_the_cursor_goes_on(
    say: Callable[..., Any], home: Path
) -> None:
    first = say("runs", "--limit", "5", "--json").json
    assert len(first["runs"]) == 5
    rest = say("runs", "--limit", "5", "--cursor", first["cursor"], "--json").json
    assert [one["id"][-1] for one in first["runs"] + rest["runs"]] == list("6543210")
    assert rest["runs"][-1]["metrics"] == {"auc": "inf"}
    rows = list(csv.DictReader(io.StringIO(say("runs", "--csv").out)))
    assert rows[0]["metrics.auc"] == "0.6"
    assert rows[6]["params.text"] == "a,\x1b[31mb"
    chosen = say("runs", "--csv", "--columns", "metrics.auc,started").out.splitlines()
    assert chosen[:2] == ["id,metrics.auc,started", f"run_{6:026d},0.6,6.0"]


def test_what_is_wrong_with_a_filter_is_said_by_its_place(
    say: Callable[..., Any], home: Path
) -> None:
    said = say("runs", "metrics.auc gt 0.9")
    assert said.code == 2
    assert "at character 13" in said.err
    assert "Did you mean >?" in said.err
    assert say("runs", "--limit", "0").code == 2
    assert say("runs", "--order", "-auc").code == 2


def test_few_runs_are_compared_side_by_side_within_80_columns(
    say: Callable[..., Any], home: Path
) -> None:
    said = say("compare", f"run_{1:026d}", f"run_{2:026d}")
    assert said.code == 0, said.err
    assert all(len(line.rstrip()) <= 80 for line in said.out.splitlines())
    assert "\x1b" not in said.out
    assert "The same in all: text = a,?[31mb" in said.out
    told = [line.split() for line in said.out.splitlines()]
    assert ["C", "10", "100"] in told
    assert ["auc", "0.1", "0.2", "0.15", "0.07071"] in told


def test_many_runs_are_compared_by_filter_and_group(say: Callable[..., Any], home: Path) -> None:
    said = say("compare", "--filter", "started >= 0", "--by", "params.text")
    assert said.code == 0, said.err
    assert all(len(line.rstrip()) <= 80 for line in said.out.splitlines())
    told = [line.split() for line in said.out.splitlines()]
    assert ["auc", "0.35", "0.1871", "0.1", "F", "0.6", "A", "6"] in told
    assert "auc by params.text" in said.out
    as_json = say("compare", "--experiment", "flights", "--json").json
    assert as_json["metrics"][0]["spread"]["odd"] == 1
    json.dumps(as_json, allow_nan=False)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("compare",), 2),
        (("compare", "run_000"), 2),
        (("compare", "run_9", "run_8"), 2),
        (("compare", "abc", "abd"), 2),
        (("compare", "--filter", "metrics.auc > 9 and metrics.auc < 10"), 2),
        (("compare", "--filter", "x"), 2),
        (("compare", "run_0", "run_1", "--filter", "id = 'x'"), 2),
    ],
)
def test_what_cannot_be_compared_has_its_exit_code(
    say: Callable[..., Any], home: Path, words: tuple[str, ...], code: int
) -> None:
    assert say(*words).code == code
