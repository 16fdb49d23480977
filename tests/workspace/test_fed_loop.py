"""A loop whose champion answers elsewhere: its rows are fed, a challenger scores beside it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import polars as pl
import pytest
from homes import LOOP, work_as_engine
from whole_loop import rows_of

from mainspring.engine import reactor
from mainspring.ground import messages as m
from mainspring.ground.errors import ConflictError
from mainspring.ground.objects import Rollout, Strategy
from mainspring.ground.permissions import Permission
from mainspring.monitoring import windows
from mainspring.readiness import registry
from mainspring.scaling.serving import capture, endpoints, rollouts
from mainspring.workspace import acts
from mainspring.workspace.catching_up import catch_up
from mainspring.workspace.feeding import declared, taking
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views import endpoint_http


def log_of(folder: Path, day: int) -> Path:
    columns, truth, times = rows_of(day)
    file = folder / f"{day}.parquet"
    rows = pl.DataFrame({**columns, "label": truth, "time": times})
    ids = pl.Series("id", [f"e{day}-{n}" for n in range(rows.height)])
    rows.with_columns(ids, score=pl.lit(0.5)).write_parquet(file)
    return file


@pytest.fixture
def fed(served: Workspace, tmp_path: Path) -> Workspace:
    """The served loop's model, watched at another endpoint by a loop that is fed."""
    spec = msgspec.structs.replace(LOOP, name="sea", endpoint="sea", fed=True)
    acts.declare(served, spec)
    return served


def test_a_fed_endpoint_has_a_loop_and_no_process(fed: Workspace) -> None:
    found = fed.read(Permission.READ, lambda tx: endpoints.get(tx, "sea"))
    assert (found.kind, found.loop) == ("fed", "sea")
    with pytest.raises(ConflictError, match="answers elsewhere"):
        endpoint_http.predict(fed, "sea", [{"a": 1.0}])


def test_its_rows_are_judged_and_the_loop_hears_of_it(fed: Workspace, tmp_path: Path) -> None:
    for day in (0, 1):
        taking.feed(fed, "sea", log_of(tmp_path, day))
    assert [window.version for window in catch_up(fed, "sea")] == [1]
    told = fed.read(Permission.READ, lambda tx: reactor.history(tx, "sea"))
    assert any(isinstance(event, m.WindowClosed) for _, event in told)


def test_a_challenger_scores_the_rows_that_are_fed(fed: Workspace, tmp_path: Path) -> None:
    rollout = Rollout(
        id="rollout_1", endpoint="sea", model="tide", champion=1, challenger=2,
        strategy=Strategy.SHADOW, share=0.0, state="running", started=0.0,
    )  # fmt: skip
    work_as_engine(fed, lambda tx: rollouts.start(tx, rollout))
    taking.feed(fed, "sea", log_of(tmp_path, 0))
    rows = capture.read(fed.captures("sea"))
    assert rows["_other_version"].unique().to_list() == [2]
    assert rows["_other_score"].n_unique() > 10


def test_a_version_of_ours_may_be_watched_elsewhere(served: Workspace, tmp_path: Path) -> None:
    made = declared.create(served, "branch", baseline="tide@champion", policy=LOOP.monitor)
    assert (made.model, made.version, made.kind) == ("tide", 1, "binary")
    for day in (0, 1):
        taking.feed(served, "branch", log_of(tmp_path, day))
    [window] = catch_up(served, "branch")
    assert window.version == 1
    kept = served.read(Permission.READ, lambda tx: windows.list_windows(tx, "branch"))
    assert kept == [window]
    numbers = served.read(Permission.READ, lambda tx: registry.versions(tx, "tide"))
    assert len(numbers) == 3
