"""Who stands on whom is read from runs, datasets, steps, packages, columns, rules and loops."""

from __future__ import annotations

import msgspec
import pytest
from homes import NOW, work_as_engine
from owed_records import reads, run, step, version

from mainspring.debt.dependents import closure
from mainspring.experiments import logged as logged_models
from mainspring.experiments.logged import Link, LoggedModel, Role
from mainspring.ground.rules import AlarmRule
from mainspring.monitoring import rulebook
from mainspring.scaling.serving import endpoints
from mainspring.workspace.owed import lineage
from mainspring.workspace.owed.lineage import Lineage


def upstream(ws) -> list[tuple[str, str, str]]:
    found = work_as_engine(ws, lambda tx: lineage.upstream(Lineage(tx)))
    return [(one.model, one.reads, one.how) for one in found]


def test_models_that_stand_alone_stand_on_nobody(ws):
    def work(tx):
        version(tx, "a", run(tx, "run_a"))
        version(tx, "b", run(tx, "run_b"))
        reads(tx, "run_b", "trips")

    work_as_engine(ws, work)
    assert upstream(ws) == []


@pytest.mark.parametrize("how", ["logged model", "step output", "dataset", "endpoint", "column"])
def test_a_model_that_reads_what_another_answers_is_known_by(ws, how):
    def work(tx):
        run(tx, "run_a", "p:a")
        run(tx, "run_b", "p:b")
        if how == "logged model":
            for name, maker in (("m-1", "run_a"),):
                logged_models.create(
                    tx,
                    LoggedModel(id=name, experiment=1, name="x", run=maker, created=NOW,
                                changed=NOW),
                )  # fmt: skip
            logged_models.link(tx, "run_b", [Link(model="m-1", role=Role.INPUT, step=0)])
        if how == "step output":
            step(tx, "run_a", "score", "p:a", output="f" * 64, output_type="frame")
            step(tx, "run_b", "fit", "p:b", inputs=msgspec.json.encode({"r": "f" * 64}).decode())
        if how == "dataset":
            reads(tx, "run_b", "scored", '{"uri": "models:/a/3"}')
        if how == "endpoint":
            endpoints.ensure(tx, "front", "a", at=NOW)
            reads(tx, "run_b", "scored", '{"uri": "http://h/endpoints/front/invocations"}')
        version(tx, "a", "run_a")
        version(tx, "b", "run_b", "x", "a_score" if how == "column" else "z")

    work_as_engine(ws, work)
    assert upstream(ws) == [("b", "a", "dataset" if how == "endpoint" else how)]


def test_a_dataset_leads_to_columns_models_endpoints_and_rules(ws):
    schema = '{"columns": [{"name": "x", "type": "Float64"}, {"name": "other"}]}'

    def work(tx):
        reads(tx, run(tx, "run_a"), "trips", schema=schema)
        version(tx, "a", "run_a", "x", "z")
        endpoints.ensure(tx, "front", "a", at=NOW)
        rulebook.put(tx, AlarmRule(name="hot", endpoint="front", series="drift:x", above=0.1), NOW)
        return lineage.edges(ws, tx)

    edges = work_as_engine(ws, work)
    assert [(one.name, one.depth) for one in closure(edges, "dataset:trips")] == [
        ("feature:a.x", 1),
        ("model:a", 1),
        ("rule:hot", 2),
        ("endpoint:front", 2),
    ]
    assert [one.name for one in closure(edges, "feature:a.z")] == [
        "model:a", "endpoint:front", "rule:hot",
    ]  # fmt: skip


@pytest.mark.parametrize("schema", [None, "", "no json", "[]", '{"columns": 3}', "{}"])
def test_a_schema_of_another_make_has_no_columns(ws, schema):
    def work(tx):
        reads(tx, run(tx, "run_a"), "trips", schema=schema)
        version(tx, "a", "run_a")
        return lineage.edges(ws, tx)

    found = closure(work_as_engine(ws, work), "dataset:trips")
    assert [one.name for one in found] == ["model:a"]
