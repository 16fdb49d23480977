"""The questions that lineage must answer, each asked of both databases."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from homes import NOW, work_as_engine

sys.path.insert(0, str(Path(__file__).parents[1] / "owed"))

from owed_records import reads, run, step

from mainspring.experiments import datasets, runs
from mainspring.experiments.datasets import Dataset, Use
from mainspring.experiments.tables import run_datasets
from mainspring.experiments.tables import runs as run_table
from mainspring.ground.clock import TurnedClock
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.logs import line_of
from mainspring.ground.objects import CheckResult, Column, Signature, Version
from mainspring.ground.ports import Tx
from mainspring.ground.settings import Settings
from mainspring.pipelines.data import versions as data
from mainspring.pipelines.tables import steps as step_table
from mainspring.readiness import gate, registry
from mainspring.scaling.serving import endpoints
from mainspring.scaling.serving.recorder import CaptureWriter
from mainspring.scaling.serving.segments import Batch
from mainspring.workspace.lineage.asking import lineage_of
from mainspring.workspace.lineage.shapes import Lineage
from mainspring.workspace.lineage.touched import touched
from mainspring.workspace.opening import Workspace, open_workspace

OLD, NEW, FRAME, MODEL = "1" * 64, "3" * 64, "f" * 64, "ab" * 32


@pytest.fixture(scope="module")
def postgres(request: pytest.FixtureRequest) -> Any:
    return lambda: request.getfixturevalue("postgres_server").create(f"lineage{os.getpid()}")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def known(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgres: Any
) -> Iterator[Workspace]:
    """A model trained on flights@2 by a pipeline, served, and one that read flights@1."""
    folder = tmp_path_factory.mktemp("lineage")
    database = None if request.param == "sqlite" else postgres()
    settings = Settings(root=str(folder / "project"), home=str(folder / "home"), database=database)
    ws = open_workspace(settings, clock=TurnedClock(NOW))
    work_as_engine(ws, furnish)
    logs = Path(ws.home) / "logs"
    logs.mkdir(exist_ok=True)
    fields = {"endpoint": "arrivals", "status": 200, "rows": 2, "version": "1",
              "prediction": "ab-10"}  # fmt: skip
    line = line_of(NOW, "warning", "endpoint-arrivals", 1, "slow prediction", fields)
    (logs / "endpoint-arrivals.jsonl").write_bytes(line)
    yield ws
    ws.close()


def furnish(tx: Tx) -> None:
    for digest in (OLD, NEW):
        new = data.DataVersion(
            name="flights", number=0, digest=digest, manifest="b" * 64, kind="file", created=NOW,
            by="test", files=1, bytes=3, source="/data/flights.csv" if digest == NEW else "",
        )  # fmt: skip
        data.add(tx, new)
    run(tx, "run_a", "p:train")
    reads(tx, "run_a", "flights", '{"uri": "/data/flights.parquet"}', digest=NEW)
    reads(tx, "run_a", "weather", '{"uri": "s3://b/weather"}', digest="w")
    inputs = msgspec.json.encode({"rows": FRAME}).decode()
    step(tx, "run_a", "load", "p:train", output=FRAME, output_type="frame")
    step(tx, "run_a", "fit", "p:train", inputs=inputs, output=MODEL, output_type="model")
    model(tx, "delays", "run_a", MODEL)
    # Another run reuses what was loaded, and its version serves nothing.
    run(tx, "run_b", "p:train")
    step(tx, "run_b", "load", "p:train", output=FRAME, output_type="frame", state="reused",
         reused_from="run_a")  # fmt: skip
    step(tx, "run_b", "fit", "p:train", inputs=inputs, output="c" * 64, output_type="model")
    model(tx, "delays", "run_b", "c" * 64)
    run(tx, "run_old")
    reads(tx, "run_old", "flights", '{"uri": "/data/flights.parquet"}', digest=OLD)
    model(tx, "rough", "run_old", "d" * 64)
    runs.hide(tx, "run_old", NOW)
    check = CheckResult(name="auc", passed=True, found="0.8", wanted="0.7")
    gate.store_result(tx, gate.result("delays", 1, [check], NOW, "test"))
    registry.promote(tx, "delays", 1, reason="First.", at=NOW)
    endpoints.ensure(tx, "arrivals", "delays", at=NOW)


def model(tx: Tx, name: str, made_by: str, package: str) -> None:
    version = Version(
        model=name, number=0, run=made_by, package=package, card=None, metrics={},
        signature=Signature(columns=[Column(name="x", type="float")], kind="binary", target="y"),
        created=NOW, by="t", command=f"{name}-{made_by}",
    )  # fmt: skip
    registry.register(tx, version)


def labels(found: Lineage, kind: str) -> list[str]:
    return [one.label for one in found.of(kind)]


def test_which_data_did_this_prediction_come_from(known: Workspace) -> None:
    found = lineage_of(known, "prediction:ab-11", "up")
    assert labels(found, "dataset") == ["flights@2", "weather@w"]
    assert labels(found, "version") == ["delays/1"]
    assert labels(found, "step") == ["fit", "load"]
    assert labels(found, "file") == [
        "/data/flights.csv", "/data/flights.parquet", "s3://b/weather",
    ]  # fmt: skip
    assert "by endpoint arrivals" in found.things[0].detail


def test_which_endpoints_serve_something_trained_on_bad_data(known: Workspace) -> None:
    found = lineage_of(known, "dataset:flights@2", "down")
    assert labels(found, "endpoint") == ["arrivals"]
    assert labels(found, "version") == ["delays/1", "delays/2"]
    assert labels(lineage_of(known, "dataset:flights@1", "down"), "endpoint") == []
    everything = lineage_of(known, "dataset:flights", "down")
    assert labels(everything, "version") == ["rough/1", "delays/1", "delays/2"]


def test_which_runs_read_this_file(known: Workspace) -> None:
    for name in ("/data/flights.parquet", "flights.parquet"):
        found = lineage_of(known, f"file:{name}", "down", depth=2)
        assert sorted(labels(found, "run")) == ["run_a", "run_old"]


def test_which_data_was_added_from_this_file(known: Workspace) -> None:
    for name in ("/data/flights.csv", "flights.csv"):
        found = lineage_of(known, f"file:{name}", "down")
        assert labels(found, "dataset")[0] == "flights@2"
        assert labels(found, "endpoint") == ["arrivals"]
    with pytest.raises(NotFoundError, match="no data was added from it"):
        lineage_of(known, "file:/data/nothing.csv")


def test_things_of_some_kinds_alone_are_told_and_all_between_is_walked_through(
    known: Workspace,
) -> None:
    found = lineage_of(known, "dataset:flights@2", "down", kinds=["endpoint", "alias"])
    assert {one.kind for one in found.things[1:]} == {"endpoint", "alias"}
    assert labels(found, "endpoint") == ["arrivals"]
    refs = {one.ref for one in found.things}
    assert all({one.up, one.down} <= refs for one in found.leads)
    with pytest.raises(BadInputError, match="no things of the kind 'moon'") as caught:
        lineage_of(known, "dataset:flights@2", kinds=["moon"])
    assert caught.value.field == "kinds"


def test_which_predictions_did_this_data_touch(known: Workspace) -> None:
    writer = CaptureWriter(known.captures("arrivals"))
    for number, count in ((1, 5), (2, 3), (7, 2)):  # 7: of a version that has gone
        first = writer.reserve(count)
        batch = Batch(
            first=first, received=NOW, times=NOW - 10.0 * number + np.arange(count),
            columns={"x": np.ones(count)}, types={"x": "float"},
            versions=np.full(count, number), scores=np.full((count, 1), 0.5),
            other_versions=None, other_scores=None,
        )  # fmt: skip
        assert writer.append(batch)
    writer.close()
    told = touched(known, "dataset:flights@2", most=2)
    assert [(one.version, one.predictions) for one in told.answered] == [
        ("delays/1", 5), ("delays/2", 3),
    ]  # fmt: skip
    assert (told.predictions, told.versions) == (8, ["delays/1", "delays/2"])
    newest = told.answered[0].newest
    assert len(newest) == 2
    up = lineage_of(known, f"prediction:{newest[0]}", "up")
    assert labels(up, "dataset")[0] == "flights@2"
    # The newest capture was 6 s before NOW; version 2 answered 12 s before that.
    assert [one.version for one in touched(known, "dataset:flights@2", since_s=9).answered] == [
        "delays/1"
    ]
    assert touched(known, "dataset:flights@1").predictions == 0
    assert touched(known, "delays/1", most=0).answered[0].newest == []
    for wrong, field in (({"most": 1001}, "most"), ({"since_s": 0.0}, "since_s")):
        with pytest.raises(BadInputError) as caught:
            touched(known, "delays/1", **wrong)
        assert caught.value.field == field


def test_what_was_made_of_this_steps_output(known: Workspace) -> None:
    found = lineage_of(known, f"output:{FRAME}", "down")
    assert labels(found, "version") == ["delays/1", "delays/2"]
    again = lineage_of(known, "step:run_a/load", "down")
    assert [one.ref for one in again.of("step")] == [
        "step:run_a/fit", "step:run_b/load", "step:run_b/fit",
    ]  # fmt: skip
    assert [one.ref for one in lineage_of(known, f"output:{FRAME}", "up", depth=1).of("step")] == [
        "step:run_a/load"
    ]


def test_what_a_version_came_from_leads_through_a_reused_step_to_who_computed_it(
    known: Workspace,
) -> None:
    found = lineage_of(known, "delays/2", "up")
    assert "flights@2" in labels(found, "dataset")
    hows = {(one.up, one.down): one.how for one in found.leads}
    assert hows["step:run_a/load", "step:run_b/load"] == "reused by"
    assert lineage_of(known, "delays@champion", "up").subject == "version:delays/1"


def test_a_run_that_was_deleted_is_told_as_deleted(known: Workspace) -> None:
    found = lineage_of(known, "dataset:flights@1", "down")
    assert [(one.label, one.state) for one in found.of("run")] == [("run_old", "deleted")]


def test_every_edge_is_between_things_that_are_told_and_every_ref_can_be_asked(
    known: Workspace,
) -> None:
    found = lineage_of(known, "run:run_a", "both")
    refs = {one.ref for one in found.things}
    assert {end for one in found.leads for end in (one.up, one.down)} <= refs
    assert all(one.depth < 0 for one in found.of("dataset"))
    assert all(one.depth > 0 for one in found.of("endpoint"))
    for thing in found.things:
        asked = lineage_of(known, thing.ref, "both", depth=1)
        assert asked.subject == thing.ref


def test_an_answer_is_bounded_and_says_what_is_left_out(known: Workspace) -> None:
    found = lineage_of(known, "dataset:flights", "down", most=2)
    assert len(found.things) == 3
    assert found.left_out > 0
    near = lineage_of(known, "dataset:flights@2", "down", depth=1)
    assert {one.kind for one in near.things} == {"dataset", "run"}


@pytest.mark.parametrize(
    ("subject", "error"),
    [
        ("flights", BadInputError),
        ("moon:full", BadInputError),
        ("run:", BadInputError),
        ("run:none", NotFoundError),
        ("step:run_a/none", NotFoundError),
        ("dataset:none", NotFoundError),
        ("dataset:flights@9", NotFoundError),
        ("delays@none", NotFoundError),
        ("version:none/1", NotFoundError),
        ("model:none", NotFoundError),
        ("file:/none", NotFoundError),
        ("output:none", NotFoundError),
        ("artifact:run_a/none", NotFoundError),
        ("endpoint:none", NotFoundError),
        ("window:none", NotFoundError),
        ("rollout:none", NotFoundError),
        ("prediction:none", NotFoundError),
    ],
)
def test_what_is_not_there_is_refused_by_name(
    known: Workspace, subject: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        lineage_of(known, subject)


def test_many_runs_of_five_steps_answer_with_a_few_questions_a_level(
    ws: Workspace,
) -> None:
    def fill(tx: Tx) -> None:
        every = range(3_000)
        cells = {"experiment": "e", "status": "finished", "started": NOW}
        tx.run(run_table.insert(), [{"id": f"r{n}", "name": f"r{n}", **cells} for n in every])
        told = Dataset(name="flights", digest="d", source_type="local", source="{}")
        datasets.log(tx, "r0", [Use(dataset=told)], NOW)
        number = datasets.of_runs(tx, ["r0"])["r0"]
        assert number
        [row] = tx.all(run_datasets.select())
        links = [
            {"run": f"r{n}", "dataset": row.dataset, "context": "", "tags": "{}"}
            for n in every[1:]
        ]
        tx.run(run_datasets.insert(), links)
        same = {"pipeline": "p:f", "target": "p:s", "args": "{}", "options": "{}", "needs": "[]",
                "code": "c", "code_parts": "{}", "env": "e", "fresh": False,
                "state": "done"}  # fmt: skip
        rows = [
            {
                "run": f"r{n}",
                "step": f"s{k}",
                "position": k,
                "inputs": f'{{"x":"{n}-{k - 1}"}}' if k else "{}",
                "output": f"{n}-{k}",
                **same,
            }
            for n in every
            for k in range(5)
        ]
        tx.run(step_table.insert(), rows)

    work_as_engine(ws, fill)
    began = time.process_time()
    down = lineage_of(ws, "dataset:flights", "down", most=2000)
    up = lineage_of(ws, "step:r2999/s4", "up")
    spent = time.process_time() - began
    assert (len(down.things), down.left_out > 0) == (2001, True)
    assert [one.ref for one in up.of("step")] == [f"step:r2999/s{k}" for k in (3, 2, 1, 0)]
    assert labels(up, "dataset") == ["flights@d"]
    assert spent < 20  # 0.4 s of CPU with 10,000 runs: it does not grow with what is not asked
