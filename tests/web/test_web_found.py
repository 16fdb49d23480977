"""``ms.search`` and ``ms.compare``: on a home and over HTTP, the same runs."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pytest

import mainspring as ms
from mainspring.experiments import runs
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.workspace.opening import Workspace

SEVERAL = 1203


def fill(tx: Tx, several: int) -> None:
    for number in range(several):
        values = {"auc": [0.5, math.nan, math.inf, -math.inf][number % 4]}
        run = Run(
            id=f"more_{number:04d}",
            experiment="search",
            name="x",
            status=RunStatus.FINISHED,
            started=float(number),
            params={"C": str(number % 3)} if number % 2 else {},
            metrics=values,
        )
        runs.create(tx, run)


@pytest.fixture(params=["home", "url"])
def asked(
    request: pytest.FixtureRequest,
    house: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The house, asked on its home or over HTTP."""
    monkeypatch.chdir(tmp_path)
    if request.param == "home":
        monkeypatch.setenv("MAINSPRING_HOME", str(house.home))
    else:
        monkeypatch.setenv("MAINSPRING_URL", request.getfixturevalue("url"))


@pytest.fixture
def many(house: Workspace, asked: None) -> None:
    """More runs than a page holds."""
    house.write(Permission.LOG, lambda tx: fill(tx, SEVERAL))


@pytest.fixture
def few(house: Workspace, asked: None) -> None:
    """A few runs."""
    house.write(Permission.LOG, lambda tx: fill(tx, 12))


@pytest.mark.usefixtures("many")
def test_a_search_gives_runs_and_tables_the_same_from_a_home_and_a_server() -> None:
    every = ms.search(experiment="search", limit=None)
    assert len(every) == SEVERAL
    assert every.ids == [f"more_{number:04d}" for number in reversed(range(SEVERAL))]
    best = ms.search("metrics.auc is not nan", order=["-metrics.auc", "started"], limit=3)
    assert [run.metrics["auc"] for run in best] == [math.inf] * 3
    frame = ms.search("params.C = 1", experiment="search", columns=["params.C", "metrics.auc"])
    table = frame.to_polars()
    assert table["params.C"].to_list() == ["1"] * 100
    assert table["started"].dtype == pl.Datetime("us", "UTC")
    assert table["metrics.auc"].is_nan().any()
    assert list(frame.to_pandas().columns) == table.columns
    assert frame[:2] == [frame[0], frame[1]]
    assert ms.search("id = 'none'").to_polars().height == 0
    assert ms.search(deleted=True) == []


@pytest.mark.usefixtures("few")
def test_a_comparison_is_the_same_from_a_home_and_a_server() -> None:
    two = ms.search("id like 'more_000%'", order="started", limit=4)
    told = ms.compare(two, by="params.C")
    assert [run.id for run in told.runs] == two.ids
    assert [row.key for row in told.params] == ["C"]
    assert told.metrics[0].values == [0.5, "nan", "inf", "-inf"]
    assert [group.value for group in told.groups] == ["0", "1", None]


@pytest.mark.usefixtures("few")
def test_what_is_wrong_is_raised_alike() -> None:
    with pytest.raises(BadInputError, match="at character 1"):
        ms.search("auc > 1")
    with pytest.raises(NotFoundError, match="nobody"):
        ms.compare(["more_0001", "nobody"])
    with pytest.raises(BadInputError, match="not both"):
        ms.compare(["a", "b"], filter="x")
    with pytest.raises(BadInputError, match="limit"):
        ms.search(limit=0)
