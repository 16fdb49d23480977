"""Runs are told as OpenLineage does, to a real receiver, and its own classes read every event."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import attr
import msgspec
import pytest
from homes import InProcess
from openlineage.client import facet_v2
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState

from mainspring.engine import tasks
from mainspring.experiments import datasets
from mainspring.experiments.datasets import Dataset, Use
from mainspring.ground.permissions import Permission, service
from mainspring.ground.settings import load
from mainspring.pipelines import secrets
from mainspring.workspace import crons
from mainspring.workspace.engines import make_engine
from mainspring.workspace.opening import Workspace
from mainspring.workspace.openlineage import delivering
from mainspring.workspace.openlineage import events as openlineage
from mainspring.workspace.vault import verbs as vault
from serving_in_a_thread import listening

PROJECT = """
import mainspring as ms

@ms.step
def load(n: int) -> list:
    return list(range(n))

@ms.step
def total(rows: list) -> int:
    if len(rows) == 13:
        raise ValueError("thirteen")
    return sum(rows)

@ms.pipeline
def add(n: int = 3) -> int:
    return total(load(n))
"""
_FACETS = {
    "nominalTime": facet_v2.nominal_time_run.NominalTimeRunFacet,
    "errorMessage": facet_v2.error_message_run.ErrorMessageRunFacet,
    "processing_engine": facet_v2.processing_engine_run.ProcessingEngineRunFacet,
    "jobType": facet_v2.job_type_job.JobTypeJobFacet,
    "sourceCodeLocation": facet_v2.source_code_location_job.SourceCodeLocationJobFacet,
    "version": facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet,
    "dataSource": facet_v2.datasource_dataset.DatasourceDatasetFacet,
    "documentation": facet_v2.documentation_dataset.DocumentationDatasetFacet,
}


class Receiver(HTTPServer):
    """Keeps the events that are posted to it; ``answer`` is the status it gives."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: list[dict[str, Any]] = []
        self.tokens: set[str | None] = set()
        self.paths: set[str] = set()
        self.answer = 201


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.tokens.add(self.headers["Authorization"])
        self.server.paths.add(self.path)
        if self.server.answer < 300:
            self.server.events.append(json.loads(body))
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening(Receiver()) as found:
        yield found


@pytest.fixture
def place(ws: Workspace, executor: InProcess, receiver: Receiver) -> Workspace:
    Path(ws.settings.root).mkdir(exist_ok=True)
    (Path(ws.settings.root) / "project.py").write_text(PROJECT)
    url = f"http://127.0.0.1:{receiver.server_port}"
    more = {"openlineage_url": url, "openlineage_key": "secret:RECEIVER_KEY"}
    vault.put(ws, "RECEIVER_KEY", "the key itself")
    ws.settings = msgspec.structs.replace(ws.settings, **more)
    return ws


def work(ws: Workspace) -> None:
    engine = make_engine(ws, "test")
    while engine.step_once():
        pass
    assert not engine.troubles


def start(ws: Workspace, **params: Any) -> str:
    crons.put(ws, "hourly", "add", crons.Given(every_s=3600.0, overlap="allow"), params)
    made = crons.run_now(ws, "hourly")
    work(ws)
    found = crons.shown(ws, "hourly")[1]
    return next(one.run for one in found if one.past.fire_at == made.fire_at and one.run)


def read(event: dict[str, Any]) -> RunEvent:
    """Build an event by the client's own classes: they check ids, times, URLs and fields."""

    def facets(told: dict[str, Any]) -> dict[str, Any]:
        found = {}
        for name, one in told.items():
            assert one["_schemaURL"].startswith("https://openlineage.io/spec/facets/")
            if name in _FACETS:
                plain = {key: value for key, value in one.items() if not key.startswith("_")}
                found[name] = _FACETS[name](**plain)
                assert found[name]._schemaURL == one["_schemaURL"]
        return found

    def one(kind: Any, told: dict[str, Any]) -> Any:
        return kind(told["namespace"], told["name"], facets=facets(told["facets"]))

    built = RunEvent(
        eventType=RunState[event["eventType"]],
        eventTime=event["eventTime"],
        run=Run(event["run"]["runId"], facets(event["run"]["facets"])),
        job=Job(event["job"]["namespace"], event["job"]["name"], facets(event["job"]["facets"])),
        producer="urn:x",
        inputs=[one(InputDataset, each) for each in event["inputs"]],
        outputs=[one(OutputDataset, each) for each in event["outputs"]],
    )
    assert built.schemaURL == event["schemaURL"]
    assert attr.asdict(built)
    return built


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
    assert begin["run"]["runId"] == own
    assert begin["run"]["facets"]["nominalTime"]["nominalStartTime"].endswith("Z")
    work(place)
    assert len(receiver.events) == 6
    assert sorted(map(str, delivering.exported(place))) == sorted(map(str, events))


def told_of(event: dict[str, Any]) -> tuple[str, str]:
    return event["eventType"], event["job"]["name"]


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
    told = openlineage._read(use, "mainspring")
    assert (told["namespace"], told["name"]) == ("s3://bucket", "a/flights.parquet")
    facets = told["facets"]
    assert facets["version"]["datasetVersion"] == "d" * 64
    assert facets["schema"]["fields"] == [{"name": "x", "type": "float"}]
    assert facets["dataSource"]["uri"] == "s3://bucket/a/flights.parquet"
    quality = told["inputFacets"]["dataQualityMetrics"]
    assert (quality["rowCount"], quality["bytes"]) == (9, 72)
    wanted = {"nullCount": 2, "distinctCount": 7, "min": 0.5, "max": 3.0}
    assert quality["columnMetrics"] == {"x": wanted}
    known = facet_v2.data_quality_metrics_input_dataset
    built = known.DataQualityMetricsInputDatasetFacet(
        columnMetrics={"x": known.ColumnMetrics(**wanted)}, rowCount=9, bytes=72
    )
    assert built._schemaURL == quality["_schemaURL"]
    plain = openlineage._read(Use(dataset=Dataset(name="n", digest="d", source_type="code",
                                                  source="{}")), "m")  # fmt: skip
    assert (plain["namespace"], plain["name"], "inputFacets" in plain) == ("m", "n", False)
    assert datasets.MAX_DIGEST == 64


def test_a_receiver_that_is_ill_delays_no_run_and_is_told_all_once_it_is_well(
    place: Workspace, receiver: Receiver
) -> None:
    receiver.answer = 503
    run = start(place, n=3)
    _, [past] = crons.shown(place, "hourly")
    assert (past.run, past.status) == (run, "finished")
    found = delivering.deliveries(place)
    assert (found.done, found.waiting > 0, "503" in found.error) == (0, True, True)
    receiver.answer = 201
    for _ in range(12):
        place.clock.turn(400.0)  # type: ignore[attr-defined]
        work(place)
    assert delivering.deliveries(place).waiting == 0
    assert len({json.dumps(one) for one in receiver.events}) == len(receiver.events)
    kinds = [told_of(one) for one in receiver.events]
    assert ("COMPLETE", "project:add") in kinds


def test_events_wait_for_the_secret_that_the_receivers_key_is_kept_as(
    place: Workspace, receiver: Receiver
) -> None:
    place.write(Permission.ADMIN, lambda tx: secrets.remove(tx, "RECEIVER_KEY"))
    start(place, n=3)
    told = delivering.deliveries(place)
    assert (told.done, told.failed, receiver.events) == (0, 0, [])
    assert "mainspring secret set RECEIVER_KEY" in told.error
    vault.put(place, "RECEIVER_KEY", "the key itself")
    for _ in range(12):
        place.clock.turn(400.0)  # type: ignore[attr-defined]
        work(place)
    assert delivering.deliveries(place).waiting == 0
    assert receiver.tokens == {"Bearer the key itself"}


def test_what_waits_for_a_dead_receiver_is_bounded_and_without_an_address_nothing_waits(
    place: Workspace,
) -> None:
    def wait(tx: Any) -> None:
        every = (
            tasks.NewTask(id=f"x{n}", kind="k", group=delivering.GROUP)
            for n in range(delivering.MOST_WAITING)
        )
        tasks.submit(tx, every)

    own = place.acting_as(service("test"))
    now = place.clock.now()

    def due(settings: Any) -> int:
        return len(own.read(Permission.WORK, lambda tx: delivering.due(tx, settings, now)))

    start(place, n=3)
    assert due(msgspec.structs.replace(place.settings, openlineage_url=None)) == 0
    own.write(Permission.WORK, wait)
    assert due(place.settings) == 0


def test_the_names_of_other_tools_are_honoured_and_ours_stand_above(tmp_path: Path) -> None:
    environ = {"OPENLINEAGE_URL": "http://a", "OPENLINEAGE_API_KEY": "k"}
    found = load(start=tmp_path, environ=environ)
    assert (found.openlineage_url, found.openlineage_key) == ("http://a", "k")
    both = {**environ, "MAINSPRING_OPENLINEAGE_URL": "http://b"}
    assert load(start=tmp_path, environ=both).openlineage_url == "http://b"
