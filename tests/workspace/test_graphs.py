"""Graphs of models: registered by name, pinned by package, judged and served as one version."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from homes import work_as_engine
from sklearn.linear_model import LinearRegression, LogisticRegression

from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.objects import Gate, Version
from mainspring.ground.permissions import Permission
from mainspring.readiness import registry
from mainspring.scaling.models import graph as running
from mainspring.scaling.models import load, package, stages
from mainspring.scaling.models.model import Model
from mainspring.scaling.models.served import Staged, opened
from mainspring.scaling.serving.scorers import choosing
from mainspring.workspace import engines, graphs, registering
from mainspring.workspace.opening import Workspace

RANDOM = np.random.default_rng(2)
N = 240
ROWS = pl.DataFrame(
    {
        "a": RANDOM.normal(size=N),
        "b": RANDOM.normal(size=N),
        "region": RANDOM.choice(["north", "south"], N),
        "size": RANDOM.uniform(1, 9, N),
    }
).with_columns(y=pl.when(pl.col("a") > pl.col("b")).then(pl.lit("yes")).otherwise(pl.lit("no")))
ROWS = ROWS.with_columns(price=pl.col("size") * 2 + (pl.col("y") == "yes") * 3)
GATE = Gate(at_least={"auc": 0.6}, needs_card=False, max_latency_ms=60_000)


def keep(ws: Workspace, name: str, model: Model) -> Version:
    fitted = model.fit(ROWS)
    version = Version(
        model=name,
        number=0,
        run=None,
        package=package.write(fitted, ws.objects),
        signature=fitted.signature,
        card=None,
        metrics=fitted.metrics,
        created=1.0,
        by="engine",
    )
    kept: Version = work_as_engine(ws, lambda tx: registry.register(tx, version))
    return kept


@pytest.fixture
def members(ws: Workspace) -> dict[str, Any]:
    """Two classifiers, one of one column and one of two, and a regression of the score of one."""
    made = {
        "left": Model(LogisticRegression(), "y", columns=["a", "region"]),
        "both": Model(LogisticRegression(), "y", columns=["a", "b"]),
    }
    found = {name: keep(ws, name, model) for name, model in made.items()}
    odds = load.load(found["both"].package, ws.objects).score(ROWS)[:, 0]
    rows = ROWS.with_columns(odds=pl.Series(odds))
    fitted = Model(LinearRegression(), "price", columns=["odds", "size"]).fit(rows)
    version = Version(
        model="price",
        number=0,
        run=None,
        package=package.write(fitted, ws.objects),
        signature=fitted.signature,
        card=None,
        metrics=fitted.metrics,
        created=1.0,
        by="engine",
    )
    found["price"] = work_as_engine(ws, lambda tx: registry.register(tx, version))
    return {name: load.load(one.package, ws.objects) for name, one in found.items()}


def graph(ws: Workspace, *told: dict[str, Any]) -> Any:
    made = graphs.register(ws, "mix", stages.read(list(told)))
    return made, judged(ws, made)


def judged(ws: Workspace, made: Version, target: str = "y") -> Any:
    gate = GATE if target == "y" else Gate(needs_card=False, max_latency_ms=60_000)
    told = registering.judge(ws, made.model, made.number, ROWS.to_dicts(), target, gate, None)
    engines.settle(ws, told)
    ended = registering.judging(ws, told)
    assert ended.result is not None, ended.error
    assert ended.result["passed"], ended.result
    kept = ws.read(Permission.READ, lambda tx: registry.get(tx, made.model, made.number))
    return load.load(kept.package, ws.objects)


def test_an_ensemble_is_the_weighted_mean_of_its_members(
    ws: Workspace, members: dict[str, Any]
) -> None:
    told = {"name": "mean", "ensemble": ["left/1", "both/1"], "weights": [1, 3]}
    made, served = graph(ws, told)
    assert made.source == "graph of left/1, both/1"
    assert [one.name for one in made.signature.columns] == ["a", "region", "b"]
    assert served.signature.classes == ["no", "yes"]
    left, both = (members[name].score(ROWS) for name in ("left", "both"))
    np.testing.assert_allclose(served.score(ROWS), 0.25 * left + 0.75 * both)
    assert isinstance(served, Staged)
    [stage] = served.stages()
    assert stage["stage"] == "mean"
    assert stage["calls"] == 1
    assert stage["p95_ms"] > 0
    # As an endpoint loads it, with the members in their fast form.
    kept = ws.read(Permission.READ, lambda tx: registry.get(tx, "mix", 1))
    here = choosing.served(kept.package, ws.objects)
    found = here.score(here.check({"a": [0.5], "b": [0.1], "region": ["north"]}))
    assert here.labels(found) == ["yes"]


def test_a_vote_counts_the_class_of_each_member(ws: Workspace, members: dict[str, Any]) -> None:
    _, served = graph(ws, {"name": "vote", "ensemble": ["left/1", "both/1"], "how": "vote"})
    left, both = (members[name].score(ROWS) >= 0.5 for name in ("left", "both"))
    np.testing.assert_allclose(served.score(ROWS), (left.astype(float) + both) / 2)


def test_a_switch_asks_the_member_of_each_row(ws: Workspace, members: dict[str, Any]) -> None:
    told = {"name": "by", "switch": "region", "cases": {"north": "left/1"}, "otherwise": "both/1"}
    _, served = graph(ws, told)
    north = (ROWS["region"] == "north").to_numpy()[:, None]
    wanted = np.where(north, members["left"].score(ROWS), members["both"].score(ROWS))
    np.testing.assert_allclose(served.score(ROWS), wanted)


def test_a_switch_without_a_case_names_stage_row_and_value(
    ws: Workspace, members: dict[str, Any]
) -> None:
    told = {"name": "by", "switch": "region", "cases": {"north": "left/1", "south": "both/1"}}
    made = graphs.register(ws, "mix", stages.read([told]))
    manifest = package.read_manifest(made.package, ws.objects)

    def read(path: str) -> bytes:
        return package.read_file(manifest, path, ws.objects)

    loaded = running.loaded(manifest.files, read, opened)
    row = pl.DataFrame({"a": [0.0, 0.0], "b": [0.0, 0.0], "region": ["north", "east"]})
    with pytest.raises(BadInputError, match="Stage 'by': row 1 has the value 'east'"):
        loaded.scores(row)
    told = registering.judge(ws, "mix", 1, ROWS.to_dicts(), "y", GATE, None)
    engines.settle(ws, told)
    answer = registering.judging(ws, told).result
    assert answer is not None
    assert "no case is for it" in answer["reason"]  # the gate tries values nobody has seen


def test_a_chain_hands_the_score_of_one_to_the_next_with_sql_before_and_after(
    ws: Workspace, members: dict[str, Any]
) -> None:
    told: list[dict[str, Any]] = [
        {"name": "prep", "columns": {"b": "b2 * 1.0"}},
        {"name": "odds", "model": "both/1"},
        {"name": "cost", "model": "price/1"},
        {"name": "net", "score": "cost * 1.0 + 0.25"},
    ]
    with pytest.raises(BadInputError, match="reads 'b2', which is none of the columns"):
        graphs.register(ws, "mix", stages.read(told))
    told[0]["columns"] = {"b": "a * 0.5 + size * 0"}
    made = graphs.register(ws, "mix", stages.read(told))
    assert [one.name for one in made.signature.columns] == ["a", "size"]
    assert made.signature.kind == "regression"
    served = judged(ws, made, "price")
    changed = ROWS.with_columns(b=pl.col("a") * 0.5)
    odds = members["both"].score(changed)[:, 0]
    cost = members["price"].score(changed.with_columns(odds=pl.Series(odds)))
    np.testing.assert_allclose(served.score(ROWS), cost + 0.25)
    assert [one["stage"] for one in served.stages()] == ["prep", "odds", "cost", "net"]


def test_members_are_pinned_and_their_files_stay_in_the_graph(
    ws: Workspace, members: dict[str, Any]
) -> None:
    work_as_engine(ws, lambda tx: registry.set_alias(tx, "both", "live", 1, "now", at=1.0))
    made = graphs.register(ws, "mix", stages.read([{"name": "one", "model": "both@live"}]))
    facts = graphs.shown(ws, made.package)
    assert facts is not None
    assert list(facts.members) == ["both/1"]
    held = package.read_manifest(made.package, ws.objects).files
    own = package.read_manifest(facts.members["both/1"].package, ws.objects).files
    assert held["members/0/model.onnx"] == own["model.onnx"]
    again = keep(ws, "both", Model(LogisticRegression(C=0.01), "y", columns=["a", "b"]))
    assert again.number == 2
    np.testing.assert_array_equal(judged(ws, made).score(ROWS), members["both"].score(ROWS))


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ([], "1 to 50 stages"),
        ([{"name": "x"}], "is one of columns, model"),
        ([{"name": "x", "model": "both/1", "score": "a"}], "model and score"),
        ([{"name": "x", "ensemble": ["both/1"]}], "fewer than two"),
        ([{"name": "x", "ensemble": ["both/1", "left/1"], "weights": [0, 0]}], "weights"),
        ([{"name": "x", "switch": "region"}], "without cases"),
        ([{"name": "x", "model": "both/1", "cases": {"a": "left/1"}}], "is no switch"),
        ([{"name": "x", "model": "both/1"}, {"name": "x", "score": "x"}], "name of another"),
        ([{"name": "x", "columns": {"c": "a"}}], "gives no score"),
        ([{"name": "x", "score": "a"}], "names no model"),
        ([{"name": "x", "modle": "both/1"}], "unknown field `modle`"),
    ],
    ids=range(11),
)
def test_a_graph_that_cannot_be_is_refused_by_its_stage(told: Any, why: str) -> None:
    with pytest.raises(BadInputError, match=why):
        stages.read(told)


def test_members_that_do_not_fit_are_refused_by_name(
    ws: Workspace, members: dict[str, Any]
) -> None:
    def refused(*told: dict[str, Any]) -> str:
        with pytest.raises(BadInputError) as error:
            graphs.register(ws, "mix", stages.read(list(told)))
        return str(error.value)

    assert "its models differ" in refused({"name": "x", "ensemble": ["both/1", "price/1"]})
    both = {"name": "x", "model": "both/1"}
    assert "gives text" in refused(
        {"name": "x", "model": "left/1"}, {"name": "s", "score": "upper(region)"}
    )
    assert "Stage 's'" in refused(both, {"name": "s", "score": "nothing * 2"})
    with pytest.raises(NotFoundError):
        graphs.register(ws, "mix", stages.read([{"name": "x", "model": "nobody/1"}]))
    with pytest.raises(BadInputError, match="names itself"):
        graphs.register(ws, "both", stages.read([both]))


def test_a_member_that_nobody_judged_is_no_member_yet(ws: Workspace) -> None:
    digest = ws.objects.put(b"{}")
    registering.add(ws, "raw", {"MLmodel": digest}, "somewhere")
    with pytest.raises(ConflictError, match="raw/1 cannot be scored yet"):
        graphs.register(ws, "mix", stages.read([{"name": "x", "model": "raw/1"}]))
