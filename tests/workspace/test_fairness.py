"""What is asked about one version or endpoint, on real packages, captures and child processes."""

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
from mainspring.ground.objects import CustomMonitor, Facet, LoopSpec, MonitorPolicy, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import load as settings
from mainspring.readiness import registry
from mainspring.scaling.models import package
from mainspring.scaling.models.load import load
from mainspring.scaling.models.model import Model
from mainspring.scaling.serving import endpoints
from mainspring.scaling.serving.recorder import CaptureWriter
from mainspring.scaling.serving.segments import Batch
from mainspring.web.api import call
from mainspring.workspace.beside import both_paths, run_custom
from mainspring.workspace.evidence import Models
from mainspring.workspace.opening import Workspace, open_workspace

NOW = 1_700_000_000.0
DAY = 86_400.0

PROJECT = """
import time

def share(rows):
    return {"women": float((rows["sex"] == "f").mean()), "rows": len(rows)}

def breaks(rows):
    return rows["nothing"].mean()

def hangs(rows):
    time.sleep(60)
"""


def loans(rows: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    sex, income = rng.choice(["f", "m"], rows, p=[0.4, 0.6]), rng.normal(size=rows)
    paid = rng.random(rows) < 1 / (1 + np.exp(-2 * income - (sex == "m")))
    return pl.DataFrame(
        {"id": np.arange(rows) + 1000 * seed, "sex": sex, "income": income, "paid": paid}
    )


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    root = tmp_path_factory.mktemp("fair")
    (root / "mainspring.toml").write_text("")
    (root / "own.py").write_text(PROJECT)
    made = open_workspace(settings(start=root, environ={}), clock=TurnedClock(NOW))
    model = Model(
        LogisticRegression(),
        target="paid",
        columns=["id", "sex", "income"],
        features={"man": "cast(sex = 'm' as double)", "income": "income"},
    )
    fitted = model.fit(loans(2000, 1), loans(2000, 2))
    digest = package.write(fitted, made.objects)
    version = Version(
        model="loans",
        number=1,
        run=None,
        package=digest,
        signature=fitted.signature,
        card=None,
        metrics=fitted.metrics,
        created=NOW,
        by="owner",
        trained_until=NOW - 30 * DAY,
    )
    spec = LoopSpec(
        name="loans",
        model="loans",
        pipeline="own:train",
        endpoint="loans",
        target="paid",
        kind="binary",
        root=str(root),
        monitor=MonitorPolicy(
            window_s=DAY, max_age_s=20 * DAY, bias=[Facet(column="sex", disadvantaged=["f"])]
        ),
    )

    def furnish(tx: Any) -> None:
        registry.register(tx, version)
        endpoints.ensure(tx, "loans", "loans", at=NOW, loop="loans")
        reactor.declare(tx, spec, at=NOW)

    made.write(Permission.ADMIN, furnish)
    yield made
    made.close()


@pytest.fixture(scope="module")
def served(ws: Workspace) -> pl.DataFrame:
    """Rows that version 1 answered, and captured; it is champion from then on."""
    from mainspring.readiness import gate

    def promote(tx: Any) -> None:
        gate.store_result(tx, gate.result("loans", 1, [], NOW, "engine"))
        registry.promote(tx, "loans", 1, reason="The first.", at=NOW)

    ws.write(Permission.ADMIN, promote)
    rows = loans(500, 3)
    version = ws.read(Permission.READ, lambda tx: registry.get(tx, "loans", 1))
    model = load(version.package, ws.objects)
    prepared = model.check({name: rows[name].to_list() for name in ("id", "sex", "income")})
    writer = CaptureWriter(ws.captures("loans"))
    batch = Batch(
        first=writer.reserve(500),
        received=NOW,
        times=np.full(500, NOW),
        columns=prepared.columns,
        types=prepared.types,
        versions=np.full(500, 1),
        scores=model.score(prepared),
    )
    assert writer.append(batch)
    writer.close(60.0)
    return rows


def by_subject(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["subject"]: one for one in found}


def test_a_bias_report_is_of_the_rows_a_version_was_measured_on(ws: Workspace) -> None:
    found = by_subject(call(ws, "bias.report", model="loans", number=1))
    assert found["sex = f"]["verdict"] == "alarm"
    assert found["sex = f/DPPL"]["value"] > 0.1
    assert found["sex = f/RD"]["rows"] == 2000
    by_hand = call(
        ws,
        "bias.report",
        model="loans",
        number=1,
        facets=[{"column": "income", "above": 0.0, "positive": "true"}],
    )
    assert "income > 0" in by_subject(by_hand)
    with pytest.raises(NotFoundError):
        call(ws, "bias.report", model="loans", number=9)
    for wrong, told in (
        ({"column": "hair"}, "no column 'hair'"),
        ({"column": "sex", "group": "team"}, "no column 'team'"),
        ({"column": "sex", "disadvantaged": ["f"], "below": 3.0}, "by one of them"),
    ):
        with pytest.raises(BadInputError, match=told):
            call(ws, "bias.report", model="loans", number=1, facets=[wrong])


def test_attributions_are_those_of_training(ws: Workspace) -> None:
    found = call(ws, "attribution.report", model="loans", number=1)
    assert [one["column"] for one in found["shares"]] == ["income", "sex", "id"]
    assert sum(one["share"] for one in found["shares"]) == pytest.approx(1.0)
    assert found["shares"][2]["share"] == 0.0


def test_an_age_is_told_with_its_limit(ws: Workspace, served: pl.DataFrame) -> None:
    found = call(ws, "age.report", endpoint="loans")
    assert found["found"]["value"] == pytest.approx(30.0)
    assert found["found"]["verdict"] == "alarm"
    assert found["points"] == []


def test_captured_rows_go_through_both_paths_and_the_estimator(
    ws: Workspace, served: pl.DataFrame
) -> None:
    found = call(ws, "skew.report", endpoint="loans")
    assert found["rows"] == 500
    told = by_subject(found["found"])
    assert {name: one["verdict"] for name, one in told.items()} == {
        "score": "quiet",
        "features": "quiet",
        "estimator": "quiet",
    }


def test_captured_rows_are_compared_with_their_source(ws: Workspace, served: pl.DataFrame) -> None:
    wrong = served.with_columns(
        income=pl.when(pl.col("id") < 3005).then(pl.col("income") * 100).otherwise("income")
    )
    source = wrong.head(400).drop("paid").to_dicts()
    found = call(ws, "skew.report", endpoint="loans", source=source, key="id")
    told = by_subject(found["found"])
    assert told["income"]["detail"]["differ"] == 5
    assert told["income"]["detail"]["where"][0]["id"] == "3000"
    assert told["sex"]["verdict"] == "quiet"
    assert found["unmatched"] == 100
    with pytest.raises(BadInputError, match="needs a key"):
        call(ws, "skew.report", endpoint="loans", source=source)
    with pytest.raises(BadInputError, match="no column 'x'"):
        call(ws, "skew.report", endpoint="loans", source=source, key="x")
    with pytest.raises(BadInputError, match="share a key"):
        call(ws, "skew.report", endpoint="loans", source=source * 2, key="id")


def test_both_paths_give_the_same_features(ws: Workspace) -> None:
    version = ws.read(Permission.READ, lambda tx: registry.get(tx, "loans", 1))
    paths = both_paths(ws, Models(ws.objects), version.package, loans(20, 5), False)
    assert paths.trained.equals(paths.served)
    assert paths.trained.columns == ["man", "income"]
    assert paths.scores is None


def test_a_monitor_of_the_project_runs_in_a_process_of_its_own(ws: Workspace) -> None:
    spec = ws.read(Permission.READ, lambda tx: reactor.spec(tx, "loans"))
    rows = loans(50, 6)
    done = run_custom(ws, spec, CustomMonitor(target="own:share"), rows)
    assert done.ok, done.error
    assert [one["subject"] for one in done.value["found"]] == ["share/women", "share/rows"]
    broken = run_custom(ws, spec, CustomMonitor(target="own:breaks"), rows)
    assert not broken.ok
    assert "nothing" in broken.error
    assert "own.py" in broken.trace
    hung = run_custom(ws, spec, CustomMonitor(target="own:hangs", timeout_s=0.5), rows)
    assert "took longer than 0.5 s" in hung.error
    assert not list((Path(ws.home) / "run").glob("window-*"))
