"""Requests are traced by OpenTelemetry where an exporter is named, and never held up by it."""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from mainspring.scaling.serving import tracing
from serving_in_a_thread import listening

ROW = {"distance": 731.0, "hour": 18, "carrier": "B6", "weekend": False}
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector:
    """Takes OTLP over HTTP, and keeps what it can decode."""

    def __init__(self) -> None:
        self.status = 200
        self.spans: list[Span] = []
        self.resources: list[dict[str, Any]] = []
        self.came = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                outer.take(self.path, body)
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def take(self, path: str, body: bytes) -> None:
        assert path == "/v1/traces"
        asked = ExportTraceServiceRequest()
        asked.ParseFromString(body)
        with self.came:
            for resource in asked.resource_spans:
                self.resources.append(told(resource.resource.attributes))
                for scope in resource.scope_spans:
                    self.spans += scope.spans
            self.came.notify_all()

    def wait(self, count: int) -> list[Span]:
        with self.came:
            assert self.came.wait_for(lambda: len(self.spans) >= count, 60)
            return list(self.spans)

    def requests(self, count: int = 1) -> list[Span]:
        """Wait for the spans of so many requests; those of their steps may come before them."""

        def found() -> list[Span]:
            return [span for span in self.spans if span.kind == Span.SPAN_KIND_SERVER]

        with self.came:
            assert self.came.wait_for(lambda: len(found()) >= count, 60)
            return found()


def told(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    with listening(found.server):
        yield found


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nobody listens, and nobody else can."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def traced(
    stage: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Any]]:
    """Make endpoints whose process has these variables."""
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    made: list[tracing.Tracing] = []

    def make(**environ: str) -> Any:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        tracing.tracing.cache_clear()
        found = tracing.tracing()
        if found is not None:
            made.append(found)
        return stage(say=lambda *line: said.append(line))

    make.said = said = []
    yield make
    for one in made:
        ending = threading.Thread(target=one._provider.shutdown, daemon=True)
        ending.start()
        ending.join(60)  # or it goes on drawing its waits by chance beside the tests that follow
    tracing.tracing.cache_clear()


def test_a_request_is_a_span_that_goes_on_the_callers_trace(
    traced: Callable[..., Any], collector: Collector
) -> None:
    one = traced(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_SERVICE_NAME="checkout-models")
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-Id": "order-17"}
    answer = one.predict([ROW, ROW], **headers)
    [span] = collector.requests()
    assert span.name == "POST /invocations"
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    found = told(span.attributes)
    assert found["http.request.method"] == "POST"
    assert (found["http.route"], found["http.response.status_code"]) == ("/invocations", 200)
    assert (found["mainspring.endpoint"], found["mainspring.model"]) == ("flights", "flights")
    assert (found["mainspring.version"], found["mainspring.variant"]) == ("1", "champion")
    assert found["mainspring.prediction_id"] == answer["prediction_ids"][0]
    assert (found["mainspring.rows"], found["mainspring.request_id"]) == (2, "order-17")
    assert not any("731" in str(value) for value in found.values())
    assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 60e9
    assert collector.resources[0]["service.name"] == "checkout-models"
    steps = sorted((s for s in collector.wait(5) if s is not span and s.kind != span.kind),
                   key=lambda one: one.start_time_unix_nano)  # fmt: skip
    assert [step.name.removeprefix("mainspring.") for step in steps] == [
        "check", "wait", "score", "capture"
    ]  # fmt: skip
    assert {step.parent_span_id for step in steps} == {span.span_id}
    assert {step.trace_id.hex() for step in steps} == {TRACE}
    assert span.start_time_unix_nano <= steps[0].start_time_unix_nano
    assert steps[-1].end_time_unix_nano <= span.end_time_unix_nano


def test_a_request_without_a_trace_begins_one_and_a_failure_says_so(
    traced: Callable[..., Any], collector: Collector
) -> None:
    one = traced(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.url}/v1/traces")
    refusal = one.client.post("/invocations", json={"instances": [{"hour": "x"}]})
    assert refusal.status_code == 400
    [refused] = collector.requests()
    assert refused.parent_span_id == b""
    assert refused.status.code == 0  # the caller's doing is no error of ours
    assert told(refused.attributes)["error.type"] == refusal.json()["error"]
    assert traced.said[-1][2]["trace_id"] == refused.trace_id.hex()

    def broken(rows: Any) -> Any:
        raise RuntimeError("out of luck")

    one.app.generations.current.champion.served.score = broken
    assert one.client.post("/invocations", json={"instances": [ROW]}).status_code == 500
    failed = collector.requests(2)[-1]
    assert failed.status.code == 2
    assert told(failed.attributes)["error.type"] == "RuntimeError"
    assert collector.resources[0]["service.name"] == "mainspring"


def test_the_sampler_of_the_environment_and_the_callers_choice_are_obeyed(
    traced: Callable[..., Any], collector: Collector
) -> None:
    one = traced(
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_TRACES_SAMPLER="parentbased_traceidratio",
        OTEL_TRACES_SAMPLER_ARG="0",
    )
    one.predict([ROW])
    one.predict([ROW], traceparent=f"00-{TRACE}-{PARENT}-00")
    one.predict([ROW], traceparent=f"00-{TRACE}-{PARENT}-01")
    one.app._tracing._provider.force_flush()
    assert len(collector.requests()) == 1
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}


@pytest.mark.parametrize("trouble", ["away", "refuses"])
def test_a_collector_in_trouble_holds_nobody_up(
    traced: Callable[..., Any], collector: Collector, nobody: str, trouble: str
) -> None:
    collector.status = 503
    url = collector.url if trouble == "refuses" else nobody
    one = traced(OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_EXPORTER_OTLP_TIMEOUT="1")
    for _ in range(20):
        one.predict([ROW])
    if trouble == "refuses":
        collector.wait(1)
    assert one.predict([ROW])["predictions"]
    one.close()  # in a moment, though spans wait


def test_what_cannot_be_set_up_is_logged_and_serving_goes_on(
    traced: Callable[..., Any],
    nobody: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = traced(OTEL_EXPORTER_OTLP_ENDPOINT=nobody, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert one.app._tracing is None
    assert "http/protobuf" in caplog.text
    assert one.predict([ROW])["predictions"]
    from mainspring.ground import extras
    from mainspring.ground.errors import MissingExtraError

    def missing(*_: Any, **__: Any) -> None:
        raise MissingExtraError("Tracing requests needs opentelemetry.")

    monkeypatch.setattr(extras, "need", missing)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    tracing.tracing.cache_clear()
    assert tracing.tracing() is None
    assert "needs opentelemetry" in caplog.text


@pytest.mark.parametrize(
    ("environ", "on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "otlp"}, True),
    ],
)
def test_only_the_standard_variables_turn_it_on(environ: dict[str, str], on: bool) -> None:
    assert tracing.wanted(environ) is on


def test_nothing_of_it_is_imported_where_nobody_asked() -> None:
    code = (
        "import sys; from mainspring.scaling.serving import app, tracing;"
        "assert tracing.tracing() is None;"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'google'))])"
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
