"""A loop's own captures with labels are replayed, and what came of it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from mainspring.engine import reactor
from mainspring.ground.clock import TurnedClock
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.objects import LoopSpec, MonitorPolicy, RetrainingPolicy, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import load as settings
from mainspring.readiness import evidence, gate, registry
from mainspring.retraining import quick
from mainspring.scaling.models import package
from mainspring.scaling.models.load import load
from mainspring.scaling.models.model import Model
from mainspring.scaling.serving import capture, endpoints
from mainspring.scaling.serving.recorder import CaptureWriter
from mainspring.scaling.serving.segments import Batch
from mainspring.web.api import call
from mainspring.workspace import acts
from mainspring.workspace.opening import Workspace, open_workspace

NOW, DAY, ROWS = 1_700_000_000.0, 86_400.0, 900


def _rows(rows: int, seed: int) -> pl.DataFrame:
    """Return rows whose law turns in the middle."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    sign = np.where(np.arange(rows) < rows // 2, 1, -1)
    return pl.DataFrame({"x": x, "paid": (sign * x + rng.normal(0, 0.3, rows)) > 0})


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    root = tmp_path_factory.mktemp("history")
    (root / "mainspring.toml").write_text("")
    made = open_workspace(settings(start=root, environ={}), clock=TurnedClock(NOW))
    fitted = Model(LogisticRegression(), target="paid", columns=["x"]).fit(
        _rows(400, 1).head(200), _rows(400, 2).head(200)
    )
    version = Version(
        model="loans",
        number=1,
        run=None,
        package=package.write(fitted, made.objects),
        signature=fitted.signature,
        card=None,
        metrics=fitted.metrics,
        created=NOW,
        by="owner",
    )

    def furnish(tx: Any) -> None:
        registry.register(tx, version)
        for name, model in (("loan-loop", "loans"), ("bare-loop", "bare")):
            endpoints.ensure(tx, model, model, at=NOW, loop=name)
            reactor.declare(tx, _spec(name, model, root), at=NOW)
        gate.store_result(tx, gate.result("loans", 1, [], NOW, "engine"))
        registry.promote(tx, "loans", 1, reason="The first.", at=NOW)

    made.write(Permission.ADMIN, furnish)
    yield made
    made.close()


def _spec(name: str, model: str, root: Path) -> LoopSpec:
    return LoopSpec(
        name=name,
        model=model,
        pipeline="own:train",
        endpoint=model,
        target="paid",
        kind="binary",
        root=str(root),
        monitor=MonitorPolicy(window_s=4 * DAY, label_delay_s=DAY, min_rows=30),
        retraining=RetrainingPolicy(
            check_every_s=4 * DAY, check_cooldown_s=0.0, cooldown_s=4 * DAY, holdout_s=3 * DAY,
            cost=2.0,
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def served(ws: Workspace) -> None:
    rows = _rows(ROWS, 3)
    version = ws.read(Permission.READ, lambda tx: registry.get(tx, "loans", 1))
    model = load(version.package, ws.objects)
    prepared = model.check({"x": rows["x"].to_list()})
    writer = CaptureWriter(ws.captures("loans"))
    batch = Batch(
        first=writer.reserve(ROWS),
        received=NOW,
        times=NOW + np.arange(ROWS) * 60 * DAY / ROWS,
        columns=prepared.columns,
        types=prepared.types,
        versions=np.full(ROWS, 1),
        scores=model.score(prepared),
    )
    assert writer.append(batch)
    writer.close(60.0)
    ids = capture.read(ws.captures("loans"), 0.0, 1e12).sort("_time")["_id"].to_list()
    acts.add_labels(ws, "loans", ids, rows["paid"].to_list())


@pytest.fixture(autouse=True)
def _small_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "_TREES", 8)


@pytest.mark.usefixtures("served")
def test_a_loops_history_is_put_to_its_own_policy_and_kept(ws: Workspace) -> None:
    found = call(ws, "replays.simulate", name="loan-loop", policies=["every-period", "declared"])
    assert (found["rows"], found["period_s"], found["delay_s"]) == (ROWS, 4 * DAY, DAY)
    every, declared = found["policies"]
    assert every["gain"] > 0.1
    assert 1 <= declared["retrainings"] < every["retrainings"]
    assert declared["cost"] == 2.0 * declared["retrainings"]
    kept = call(ws, "replays.simulation", name="loan-loop")
    assert (kept["kind"], kept["subject"]) == ("simulation", "model:loans")
    assert kept["detail"]["loop"] == "loan-loop"
    assert [one["policy"] for one in kept["detail"]["policies"]] == ["every-period", "declared"]
    assert len(kept["detail"]["policies"][0]["quality"]) == len(kept["detail"]["periods"])


@pytest.mark.usefixtures("served")
def test_how_a_model_ages_is_kept_with_the_limit_that_follows(ws: Workspace) -> None:
    found = call(ws, "replays.age", name="loans", tolerance=0.05)  # by the model's name
    assert found["ages"][0]["rise"] == 0.0
    assert found["ages"][-1]["rise"] > 0.05
    assert found["cost"] == 2.0
    kept = call(ws, "replays.staleness", name="loan-loop")
    assert kept["found"] == found["found"]
    assert kept["detail"]["limit_days"] == found["limit_days"]


def test_nothing_was_kept_of_a_loop_that_nobody_asked_about(ws: Workspace) -> None:
    assert call(ws, "replays.simulation", name="bare-loop") is None
    none = ws.read(Permission.READ, lambda tx: evidence.listing(tx, "model:bare"))
    assert none == []


@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ({"name": "bare-loop"}, BadInputError, "has no champion"),
        ({"name": "nothing"}, NotFoundError, "nothing"),
        ({"name": "loan-loop", "policies": ["magic"]}, BadInputError, "no policy 'magic'"),
        ({"name": "loan-loop", "period": "1s"}, BadInputError, "8 to 400"),
        ({"name": "loan-loop", "policies": ["../etc.toml"]}, BadInputError, "policies"),
    ],
)
@pytest.mark.usefixtures("served")
def test_what_cannot_be_replayed_is_said(
    ws: Workspace, fields: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        call(ws, "replays.simulate", **fields)
