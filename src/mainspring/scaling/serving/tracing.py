"""Trace requests by OpenTelemetry: a span a request with its steps, where an exporter is named.

Set up by the standard variables alone: ``OTEL_EXPORTER_OTLP_ENDPOINT`` (OTLP over HTTP) turns it
on, ``OTEL_TRACES_SAMPLER`` says which requests; ``OTEL_SERVICE_NAME`` and the others do what they
say. Without the first nothing of it is imported. Spans leave by a thread of their own; a collector
that is away, slow or refuses costs spans and nothing else.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections.abc import Mapping
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING, Any

from mainspring.ground import extras
from mainspring.ground.errors import MainspringError
from mainspring.ground.version import __version__

if TYPE_CHECKING:
    from mainspring.scaling.serving.predicting import Marks
    from mainspring.scaling.serving.protocols.calls import Call

_log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
FLUSH_S = 1.0  #: how long an endpoint that ends waits for its last spans to leave


def wanted(environ: Mapping[str, str]) -> bool:
    """Return whether the standard variables ask for traces.

    >>> wanted({}), wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"})
    (False, True)
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() not in ("", "otlp"):
        return False
    return any(environ.get(name, "").strip() for name in ENDPOINTS)


@cache
def tracing() -> Tracing | None:
    """Return what traces the requests of this process; None where nobody asked for it.

    What keeps it from being set up is logged, once, and requests go untraced.
    """
    if not wanted(os.environ):
        return None
    try:
        protocol = next(filter(None, map(os.environ.get, PROTOCOLS)), "http/protobuf")
        if protocol != "http/protobuf":
            _log.warning("no traces: OTLP goes by http/protobuf only, found %s", protocol)
            return None
        extras.need("opentelemetry.sdk.trace", extra="otel", purpose="Tracing requests")
        extras.need(
            "opentelemetry.exporter.otlp.proto.http", extra="otel", purpose="Tracing requests"
        )
        return Tracing()
    # Whatever is wrong with an exporter or a variable for it must not keep anybody unanswered.
    except (MainspringError, ImportError, ValueError) as error:
        _log.warning("no traces: %s", error)
        return None


class Tracing:
    """Makes spans of answered requests."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        from opentelemetry import propagate, trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        told = {"service.version": __version__}
        if not environ.get("OTEL_SERVICE_NAME"):
            told["service.name"] = "mainspring"
        # Not at exit: that would wait for a collector that is away. See flush().
        self._provider = TracerProvider(resource=Resource.create(told), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("mainspring.serving", __version__)
        self._trace, self._propagate = trace, propagate
        self._carried = {name.encode(): name for name in propagate.get_global_textmap().fields}
        self._leaving: threading.Thread | None = None
        # Steps are timed by the clock that never goes back; spans want the other.
        self._zero_ns = time.time_ns() - int(perf_counter() * 1e9)

    def trace(
        self,
        call: Call,
        about: Mapping[str, Any],
        start: float,
        status: int,
        error: BaseException | None,
    ) -> None:
        """Make the spans of a request that was answered, if it is one of the sample.

        ``start`` is what ``perf_counter`` said when it began. The trace's id is left in
        ``call.trace_id``.
        """
        headers, route = call.headers, call.route or "unknown"
        carrier = {
            name: headers[key].decode("latin-1")
            for key, name in self._carried.items()
            if key in headers
        }
        parent = self._propagate.extract(carrier) if carrier else None
        span = self._tracer.start_span(
            f"{call.method} {route}",
            context=parent,
            kind=self._trace.SpanKind.SERVER,
            start_time=self._at(start),
            attributes={
                "http.request.method": call.method,
                "http.route": route,
                "url.path": call.path[:500],
                "url.scheme": call.scope.get("scheme", "http"),
                **about,
            },
        )
        if not span.is_recording():
            return
        call.trace_id = self._trace.format_trace_id(span.get_span_context().trace_id)
        span.set_attribute("http.response.status_code", status)
        if call.who:
            span.set_attribute("enduser.id", call.who)
        if status >= 500:
            span.set_status(self._trace.StatusCode.ERROR)
        if error is not None:
            span.set_attribute("error.type", getattr(error, "code", type(error).__name__))
        if call.done is not None:
            self._steps(span, call.done.marks)
        span.end(self._at(perf_counter()))

    def flush(self) -> None:
        """Let the last spans leave, for a moment; what has not left by then is given up."""
        if self._leaving is not None and self._leaving.is_alive():
            return  # another endpoint of this process has waited already
        self._leaving = threading.Thread(
            target=self._provider.force_flush, name="spans", daemon=True
        )
        self._leaving.start()
        self._leaving.join(FLUSH_S)

    def _steps(self, span: Any, marks: Marks) -> None:
        """Make a span of each step: it begins where the one before it ended."""
        within = self._trace.set_span_in_context(span)
        steps = marks._asdict().items()
        for (_, began), (name, ended) in itertools.pairwise(steps):
            child = self._tracer.start_span(
                f"mainspring.{name}", context=within, start_time=self._at(began)
            )
            child.end(self._at(ended))

    def _at(self, counted: float) -> int:
        return self._zero_ns + int(counted * 1e9)
