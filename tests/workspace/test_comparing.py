"""Runs compared: which params differ, how metrics spread, which packages were not the same."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.experiments import artifacts, datasets, metrics, runs
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.ground.settings import load
from mainspring.web.api import call
from mainspring.workspace.opening import Workspace, open_workspace


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    opened = open_workspace(load({"home": str(tmp_path / "home")}))

    def fill(tx: Tx) -> None:
        for number, (c, auc) in enumerate([("1", 0.5), ("1", 0.7), ("10", 0.9), ("10", math.nan)]):
            run = Run(
                id=f"run_{number}",
                experiment="flights",
                name="first",
                status=RunStatus.FINISHED,
                started=float(number),
                params={"C": c, "trees": "40"},
                metrics={"auc": auc},
                tags={"who": "ada", "mainspring.packages": "ab"[number % 2]},
            )
            runs.create(tx, run)
            file = {"packages": {"installed": [f"polars==1.{number % 2}", "six==1.17"]}}
            digest = opened.objects.put(json.dumps(file).encode())
            artifacts.put(tx, run.id, "mainspring/environment.json", digest, 9, 1.0)
            told = datasets.Dataset(
                name="flights", digest=f"d{number // 2}", source_type="local", source="x.csv"
            )
            datasets.log(tx, run.id, [datasets.Use(dataset=told, context="train")], 1.0)

    opened.write(Permission.LOG, fill)
    yield opened
    opened.close()


def test_what_differs_is_apart_from_what_is_the_same(ws: Workspace) -> None:
    told = call(ws, "runs.compare", runs=["run_0", "run_2"])
    assert [run["id"] for run in told["runs"]] == ["run_0", "run_2"]
    assert told["params"] == [{"key": "C", "values": ["1", "10"]}]
    assert told["same_params"] == {"trees": "40"}
    assert told["same_tags"] == {"who": "ada"}
    assert told["code"] == told["packages"] == []
    assert told["data"] == [{"key": "flights (train)", "values": ["d0", "d1"]}]
    (auc,) = told["metrics"]
    assert auc["values"] == [0.5, 0.9]
    assert auc["spread"]["mean"] == 0.7
    assert auc["spread"]["highest_run"] == "run_2"
    assert auc["spread"]["low"] < 0.5 < 0.9 < auc["spread"]["high"]


def test_packages_that_differ_are_named_with_their_versions(ws: Workspace) -> None:
    told = call(ws, "runs.compare", runs=["run_0", "run_1"])
    assert told["packages"] == [{"key": "polars", "values": ["1.0", "1.1"]}]
    assert told["code"] == [{"key": "packages", "values": ["a", "b"]}]


def test_groups_come_by_value_with_their_own_spread(ws: Workspace) -> None:
    told = call(ws, "runs.compare", filter="params.trees = 40", by="params.C")
    assert told["by"] == "params.C"
    one, ten = told["groups"]
    assert (one["value"], one["runs"]) == ("1", ["run_1", "run_0"])
    assert one["metrics"]["auc"]["mean"] == 0.6
    assert (ten["metrics"]["auc"]["runs"], ten["metrics"]["auc"]["odd"]) == (1, 1)
    assert ten["metrics"]["auc"]["sd"] is None
    assert told["metrics"][0]["values"][0] == "nan"


def test_curves_come_where_they_are_asked_for(ws: Workspace) -> None:
    points = [
        metrics.Point(key="auc", value=float(step), step=step, time=1.0) for step in range(1, 900)
    ]
    ws.write(Permission.LOG, lambda tx: runs.log_points(tx, "run_0", points))
    told = call(ws, "runs.compare", runs=["run_0", "run_3"], curves=["auc"], points=20)
    first, second = told["curves"]
    assert (first["run"], first["key"], first["steps"][-1]) == ("run_0", "auc", 899)
    assert 5 <= len(first["values"]) <= 20
    assert second["values"] == ["nan"]
    assert call(ws, "runs.compare", runs=["run_0", "run_3"])["curves"] == []


def test_only_the_columns_asked_for_are_compared(ws: Workspace) -> None:
    told = call(ws, "runs.compare", runs=["run_0", "run_2"], columns="metrics.loss", by="params.C")
    assert told["metrics"] == []
    assert [group["value"] for group in told["groups"]] == ["1", "10"]


@pytest.mark.parametrize(
    ("fields", "error", "field"),
    [
        ({"runs": ["run_0", "run_9"]}, NotFoundError, "run"),
        ({"filter": "metrics.auc > 0.8"}, NotFoundError, "filter"),
        ({"runs": ["run_0", "run_1"], "filter": "id = 'x'"}, BadInputError, "filter"),
        ({"by": "params.C,params.D"}, BadInputError, "by"),
        ({"by": "C"}, BadInputError, "by"),
        ({"curves": [f"m{n}" for n in range(13)]}, BadInputError, "curves"),
    ],
)
def test_what_cannot_be_compared_is_named(
    ws: Workspace, fields: dict[str, object], error: type[Exception], field: str
) -> None:
    with pytest.raises(error) as caught:
        call(ws, "runs.compare", **fields)
    assert caught.value.field == field  # type: ignore[attr-defined]
