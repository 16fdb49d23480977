"""Runs are told as OpenLineage does, to a real receiver, and its own classes read every event."""

from __future__ import annotations

import json
import uuid

import pytest
from official import read
from openlineage.client import facet_v2
from openlineage_receivers import Receiver, an_event, start, told_of, work

from mainspring.experiments import datasets
from mainspring.experiments.datasets import Dataset, Use
from mainspring.ground.objects import (
    Card,
    Column,
    Run,
    RunStatus,
    Signature,
    StepRecord,
    StepState,
    Version,
)
from mainspring.workspace.opening import Workspace
from mainspring.workspace.openlineage import delivering, facets
from mainspring.workspace.openlineage import events as openlineage


def test_a_run_and_its_steps_are_told_from_start_to_end(
    place: Workspace, receiver: Receiver
) -> None:
    run = start(place, n=3)
    events = receiver.events
    for event in events:
        read(event)
    told = [(one["eventType"], one["job"]["name"]) for one in events]
    assert sorted(told) == [
        ("COMPLETE", "project:add"),
        ("COMPLETE", "project:add.load"),
        ("COMPLETE", "project:add.total"),
        ("START", "project:add"),
        ("START", "project:add.load"),
        ("START", "project:add.total"),
    ]
    assert (receiver.tokens, receiver.paths) == ({"Bearer the key itself"}, {"/api/v1/lineage"})
    own = openlineage.run_id(run)
    assert uuid.UUID(own).version == 5
    [end] = [one for one in events if told_of(one) == ("COMPLETE", "project:add.total")]
    assert end["run"]["facets"]["parent"]["run"] == {"runId": own}
    assert [one["name"] for one in end["inputs"]] == ["project:add.load"]
    [begin] = [one for one in events if told_of(one) == ("START", "project:add")]
    [given] = begin["run"]["facets"]["executionParameters"]["parameters"]
    assert (given["key"], given["value"]) == ("n", "3")
    [gave] = end["outputs"]
    statistics = gave["outputFacets"]["outputStatistics"]
    assert (statistics["size"] > 0, statistics["fileCount"]) == (True, 1)
    [begin] = [one for one in events if told_of(one) == ("START", "project:add")]
    assert begin["run"]["runId"] == own
    assert begin["run"]["facets"]["nominalTime"]["nominalStartTime"].endswith("Z")
    work(place)
    assert len(receiver.events) == 6
    assert sorted(map(str, delivering.exported(place))) == sorted(map(str, events))


def test_a_failure_is_told_with_its_message_and_trace(
    place: Workspace, receiver: Receiver
) -> None:
    start(place, n=13)
    ends = {told_of(one)[1]: one for one in receiver.events if one["eventType"] == "FAIL"}
    assert set(ends) == {"project:add", "project:add.total"}
    error = ends["project:add.total"]["run"]["facets"]["errorMessage"]
    assert "thirteen" in error["message"]
    assert "ValueError" in error["stackTrace"]
    for event in ends.values():
        read(event)


def test_what_a_run_read_is_told_with_schema_version_source_and_quality() -> None:
    column = {"name": "x", "type": "float", "missing": 2, "distinct": 7, "low": 0.5, "high": 3.0}
    use = Use(
        dataset=Dataset(
            name="flights", digest="d" * 64, source_type="local",
            source='{"uri": "s3://bucket/a/flights.parquet"}',
            schema=json.dumps({"columns": [{"name": "x", "type": "float"}]}),
            profile=json.dumps({"rows": 9, "bytes": 72, "columns": [column]}),
        )
    )  # fmt: skip
    told = facets.read(use, "mainspring")
    assert (told["namespace"], told["name"]) == ("s3://bucket", "a/flights.parquet")
    parts = told["facets"]
    assert parts["version"]["datasetVersion"] == "d" * 64
    assert parts["schema"]["fields"] == [{"name": "x", "type": "float"}]
    assert parts["dataSource"]["uri"] == "s3://bucket/a/flights.parquet"
    quality = told["inputFacets"]["dataQualityMetrics"]
    assert (quality["rowCount"], quality["bytes"]) == (9, 72)
    wanted = {"nullCount": 2, "distinctCount": 7, "min": 0.5, "max": 3.0}
    assert quality["columnMetrics"] == {"x": wanted}
    known = facet_v2.data_quality_metrics_input_dataset
    built = known.DataQualityMetricsInputDatasetFacet(
        columnMetrics={"x": known.ColumnMetrics(**wanted)}, rowCount=9, bytes=72
    )
    assert built._schemaURL == quality["_schemaURL"]
    plain = facets.read(Use(dataset=Dataset(name="n", digest="d", source_type="code",
                                                  source="{}")), "m")  # fmt: skip
    assert (plain["namespace"], plain["name"], "inputFacets" in plain) == ("m", "n", False)
    assert datasets.MAX_DIGEST == 64


def test_who_started_a_run_which_data_a_step_was_given_and_which_version_it_made() -> None:
    def run(name: str, parent: str | None) -> Run:
        tags = {"mainspring.git.remote": "git@example.org:team/m.git",
                "mainspring.git.commit": "c" * 40}  # fmt: skip
        return Run(id=name, experiment="e", name=name, status=RunStatus.FAILED, started=1.0,
                   ended=2.0, pipeline=f"p:{name}", parent=parent, tags=tags)  # fmt: skip

    step = StepRecord(run="own", step="fit", state=StepState.DONE, output="ab" * 32, started=1.0,
                      ended=1.5, key="k", inputs={"x": "f" * 64})  # fmt: skip
    columns = [Column(name="x", type="float")]
    version = Version(
        model="delays", number=3, run="own", package="ab" * 32, metrics={}, created=1.0, by="t",
        signature=Signature(columns=columns, kind="binary", target="y"),
        card=Card(purpose="Tell delays.", owner="ops", limitations="None."),
    )  # fmt: skip
    read_ = Dataset(name="flights", digest="d" * 64, source_type="local",
                    source='{"uri": "postgresql://ada:pw@db:5432/air"}')  # fmt: skip
    told = openlineage.Story(
        run=run("own", "mid"), steps=[step], reads=[Use(dataset=read_)], versions=[version],
        above=[run("mid", "top"), run("top", None)], makers={"f" * 64: "load"},
        pins={"fit": [openlineage.Pin("flights", "d" * 64), openlineage.Pin("air", "e" * 64)]},
    )  # fmt: skip
    events = openlineage.every(told, "ns", lambda _: {"size": 9, "fileCount": 1})
    for event in events:
        read(event)
    begin = next(one for one in events if told_of(one) == ("START", "p:own"))
    parent = begin["run"]["facets"]["parent"]
    assert (parent["job"]["name"], parent["root"]["job"]["name"]) == ("p:mid", "p:top")
    assert parent["root"]["run"]["runId"] == openlineage.run_id("top")
    assert "pw" not in str(events)
    location = begin["job"]["facets"]["sourceCodeLocation"]
    assert location["url"] == "ssh://git@example.org/team/m.git"
    end = next(one for one in events if told_of(one) == ("COMPLETE", "p:own.fit"))
    step_parent = end["run"]["facets"]["parent"]
    assert step_parent["run"]["runId"] == openlineage.run_id("own")
    assert step_parent["root"]["run"]["runId"] == openlineage.run_id("top")
    assert [(one["namespace"], one["name"]) for one in end["inputs"]] == [
        ("ns", "p:own.load"), ("postgresql://db:5432", "air"), ("ns", "air"),
    ]  # fmt: skip
    assert [one["name"] for one in end["outputs"]] == ["p:own.fit", "models/delays"]


def test_a_checker_that_passes_everything_would_not_refuse_these() -> None:
    whole = json.dumps(an_event())
    read(json.loads(whole))
    for spoil in (
        lambda one: one["run"].pop("runId"),
        lambda one: one.update(eventType="DONE"),
        lambda one: one.update(eventTime="yesterday"),
        lambda one: one["job"].update(stage="x"),
        lambda one: one["run"]["facets"]["processing_engine"].update(version=3),
        lambda one: one["run"]["facets"]["processing_engine"].update(_schemaURL="https://x"),
    ):
        event = json.loads(whole)
        spoil(event)
        with pytest.raises((AssertionError, KeyError, ValueError)):
            read(event)
