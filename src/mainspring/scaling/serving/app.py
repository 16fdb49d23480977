"""One endpoint as a bare ASGI application: check, score, answer, record.

``/v2/...`` speaks the Open Inference Protocol (JSON), ``/invocations`` and ``/ping`` what MLflow
and SageMaker containers speak. ``/status`` and ``/metrics`` say how it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from mainspring.ground import deprecations
from mainspring.ground.clock import Clock, SystemClock
from mainspring.ground.errors import (
    BadInputError,
    ContractError,
    DeadlineError,
    MainspringError,
    NotFoundError,
    OverloadedError,
    TooLargeError,
    UnavailableError,
)
from mainspring.ground.objects import Routing
from mainspring.ground.permissions import Permission, Principal, authorise
from mainspring.ground.settings import Settings
from mainspring.scaling.models.check import Prepared, check_rows, event_times
from mainspring.scaling.models.load import Served
from mainspring.scaling.serving import answers, requests
from mainspring.scaling.serving.admission import Admission
from mainspring.scaling.serving.body import ClientGoneError, Receive, Scope, Send, read_body
from mainspring.scaling.serving.callers import Callers
from mainspring.scaling.serving.generations import Generations
from mainspring.scaling.serving.metrics import Counts, prometheus
from mainspring.scaling.serving.recorder import CaptureWriter
from mainspring.scaling.serving.requests import Asked
from mainspring.scaling.serving.router import Answer, Generation, Router, Variant
from mainspring.scaling.serving.segments import Batch
from mainspring.scaling.serving.tallies import Tallies, ended_as

_log = logging.getLogger(__name__)

INLINE_ROWS = 64  # more rows are scored in a thread, so that health and others are answered
MOST_ROWS = 100_000
AHEAD_S = 86_400.0  # an event time further ahead would close windows that have not begun

Reply = tuple[int, bytes, bytes]  # status, content type, body
Handler = Callable[[Scope, Receive, Mapping[bytes, bytes]], Awaitable[Reply]]


class EndpointApp:
    """Serves what ``routing`` says, swapping versions without failing a request.

    Args:
        name: of the endpoint.
        routing: what to serve now; asked in a thread, again whenever ``changed`` moves.
        changed: a cheap number that differs once something was written; None asks every time.
        loader: a package digest -> a loaded model; called in a thread.
        captures: where rows and answers are recorded.
        authenticate: an ASGI scope -> who asks; raises a MainspringError to refuse.
        settings: budgets of bytes.
        clock: for event times that are not given.
    """

    def __init__(
        self,
        name: str,
        routing: Callable[[], Routing],
        loader: Callable[[str], Served],
        captures: CaptureWriter,
        authenticate: Callable[[Mapping[str, Any]], Principal],
        settings: Settings,
        *,
        changed: Callable[[], int] | None = None,
        clock: Clock | None = None,
        admission: Admission | None = None,
    ) -> None:
        self.name = name
        self.counts = Counts()
        self.generations = Generations(routing, loader, changed)
        self._captures = captures
        self._authenticate = authenticate
        self._most_bytes = settings.max_body_mb * 2**20
        self._clock = clock or SystemClock()
        self._admission = admission or Admission()
        self._callers = Callers(captures.folder, captures.boot, self._clock.now)
        self._tallies = Tallies(
            captures.folder, captures.boot, self._clock.now, also=self._callers.flush
        )
        self._router = Router(self.counts, captures.boot, self._tallies)
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="score")
        self._started = self._clock.now()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI event."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    # ------------------------------------------------------------ life

    def start(self) -> None:
        """Load what is to be served and keep it up to date from now on."""
        self.generations.start()

    def close(self) -> None:
        """Stop following the routing, and write what was captured."""
        self.generations.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._captures.close()
        self._tallies.close()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await asyncio.to_thread(self.start)
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await asyncio.to_thread(self.close)
                await send({"type": "lifespan.shutdown.complete"})
                return

    # ------------------------------------------------------------ http

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.counts.requests += 1
        start, asked = perf_counter(), self.generations.current
        headers = dict(scope["headers"])
        gone = asked.routing.deprecation
        extra = [] if gone is None else deprecations.headers(gone)
        try:
            status, kind, body = await self._routed(scope, receive, headers)
        except ClientGoneError:
            return
        except MainspringError as error:
            status, kind, body = answers.refusal(error, oip=scope["path"].startswith("/v2"))
            if isinstance(error, OverloadedError):
                extra.append((b"retry-after", str(error.retry_after_s).encode()))
            if isinstance(error, TooLargeError | DeadlineError):
                # Closed, or the rest of the body would still be read, to be thrown away.
                extra.append((b"connection", b"close"))
        # The outermost place: whatever an estimator raises becomes an answer, and is kept.
        except Exception as error:  # noqa: BLE001
            now = self.generations.current.champion
            version = None if now is None else str(now.number)
            _log.exception("%s failed", scope["path"], extra={"version": version})
            found = UnavailableError(f"The model failed: {type(error).__name__}.")
            _, kind, body = answers.refusal(found, oip=scope["path"].startswith("/v2"))
            status = 500
        self.counts.answers[status] = self.counts.answers.get(status, 0) + 1
        if scope["method"] == "POST":
            whose = None if asked.champion is None else asked.champion.number
            self._tallies.add(whose, perf_counter() - start, ended_as(status))
        length = str(len(body)).encode()
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-type", kind), (b"content-length", length), *extra],
            }
        )
        await send({"type": "http.response.body", "body": body})

    async def _routed(
        self, scope: Scope, receive: Receive, headers: Mapping[bytes, bytes]
    ) -> Reply:
        method, path = scope["method"], scope["path"]
        if method == "POST":
            if path == "/invocations":
                return await self._invocations(scope, receive, headers)
            if path.startswith("/v2/models/") and path.endswith("/infer"):
                return await self._infer(scope, receive, headers)
        elif method in ("GET", "HEAD"):
            return self._told(scope, path)
        raise NotFoundError(f"There is no {method} {path[:200]}.")

    def _told(self, scope: Scope, path: str) -> Reply:
        """Answer a question about the endpoint itself."""
        now = self.generations.current
        ready = now.champion is not None
        if path in ("/v2/health/live", "/v2/health/ready", "/ping", "/health"):
            live = path == "/v2/health/live"
            return answers.health("live" if live else "ready", yes=live or ready)
        self._admitted(scope, Permission.READ)
        if path == "/status":
            return answers.as_json(self.status())
        if path == "/metrics":
            text = prometheus(self.name, self.counts, self._gauges())
            return 200, b"text/plain; version=0.0.4", text.encode()
        if path in ("/v2", "/v2/"):
            return answers.server(self.name)
        if path.startswith("/v2/models/"):
            return self._model(path, now)
        raise NotFoundError(f"There is no GET {path[:200]}.")

    def _model(self, path: str, now: Generation) -> Reply:
        rest = path.removeprefix("/v2/models/")
        ready = rest.endswith("/ready")
        variant = self._named(rest.removesuffix("/ready"), now)
        if ready:
            return answers.health("ready", yes=variant is not None)
        if variant is None:
            raise _not_loaded(self.name)
        return answers.model(now, variant)

    def _admitted(self, scope: Scope, permission: Permission) -> Principal:
        who = self._authenticate(scope)
        authorise(who, permission)
        return who

    def _asked_by(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        """Let a caller ask for predictions, and count who it is; the owner shows no token."""
        who = self._admitted(scope, Permission.PREDICT)
        self._callers.add(who.name if b"authorization" in headers else "", headers)

    def _named(self, rest: str, now: Generation) -> Variant | None:
        """Return the version a ``/v2/models/`` path names; without a number the champion."""
        name, found, number = rest.partition("/versions/")
        if name not in (self.name, now.routing.model) or "/" in number:
            raise NotFoundError(f"There is no model {rest[:200]!r} here.")
        if not found:
            return now.champion
        variant = now.variant(int(number)) if number.isdigit() and len(number) < 10 else None
        if variant is None:
            raise NotFoundError(f"Version {number[:20]!r} of {name} is not served here.")
        return variant

    # ------------------------------------------------------------ predictions

    async def _invocations(
        self, scope: Scope, receive: Receive, headers: Mapping[bytes, bytes]
    ) -> Reply:
        self._asked_by(scope, headers)
        body = await read_body(receive, headers, self._most_bytes)
        now = self.generations.current
        if now.champion is None:
            raise _not_loaded(self.name)
        kind = headers.get(b"content-type", b"").decode("latin-1")
        asked = requests.read_invocation(body, kind, now.champion.served.signature)
        first, answer = await self._predicted(now, now.champion, asked, headers)
        ids = self._captures.ids(first, len(answer.labels))
        return answers.invocation(now, answer, ids)

    async def _infer(
        self, scope: Scope, receive: Receive, headers: Mapping[bytes, bytes]
    ) -> Reply:
        self._asked_by(scope, headers)
        if b"inference-header-content-length" in headers:
            raise BadInputError(
                "Binary tensors are not read; send JSON.", field="inference-header-content-length"
            )
        body = await read_body(receive, headers, self._most_bytes)
        now = self.generations.current
        path = scope["path"].removeprefix("/v2/models/").removesuffix("/infer")
        variant = self._named(path, now)
        if variant is None:
            raise _not_loaded(self.name)
        asked = requests.read_infer(body)
        answers.check_outputs(asked.outputs)
        if "/versions/" in path:  # a version asked by name answers, whatever the shares say
            now = Generation(now.serial, now.routing, variant, None)
        first, answer = await self._predicted(now, variant, asked, headers)
        ids = self._captures.ids(first, len(answer.labels))
        return answers.inference(now, variant, answer, ids, asked)

    async def _predicted(
        self, now: Generation, champion: Variant, asked: Asked, headers: Mapping[bytes, bytes]
    ) -> tuple[int, Answer]:
        start = perf_counter()
        sticky = headers.get(b"x-mainspring-sticky")
        key = None if sticky is None else sticky.decode("latin-1")
        rows = max((len(values) for values in asked.columns.values()), default=0)
        check_rows(rows, MOST_ROWS)
        received = self._clock.now()

        def work() -> tuple[int, Answer]:
            times, prepared = self._prepared(champion, asked, received)
            self._tallies.seen(None if times is None or not len(times) else float(times[-1]))
            if champion.served.asks:
                self._keep(champion, asked)
            first = self._captures.reserve(prepared.rows)
            answer = self._router.answer(now, champion, prepared, first, key)
            if prepared.rows:
                self._captures.append(_batch(first, received, times, prepared, answer))
            self.counts.rows += prepared.rows
            return first, answer

        both = (now.champion, now.challenger)
        if rows <= INLINE_ROWS and all(v is None or v.served.form == "onnx" for v in both):
            done = work()
        else:
            async with self._admission.slot():
                done = await asyncio.get_running_loop().run_in_executor(self._pool, work)
        self.counts.latency.add(perf_counter() - start)
        return done

    def _keep(self, champion: Variant, asked: Asked) -> None:
        """Count what breaks the model's contract, and refuse what that allows no value to break.

        Raises:
            ContractError: naming the column, what was found and what was wanted.
        """
        asks = champion.served.asks
        for one in asks.broken(asked.columns):
            self.counts.broke(one.column, one.check, one.count)
            if asks.refuses and one.strict:
                raise ContractError(one.sentence, field=one.column)

    def _prepared(
        self, champion: Variant, asked: Asked, received: float
    ) -> tuple[npt.NDArray[np.float64] | None, Prepared]:
        columns = asked.columns
        name = champion.served.signature.time
        if name is None or name not in columns:
            return None, champion.served.check(columns)
        columns = dict(columns)
        values = columns[name]
        if all(column.name != name for column in champion.served.signature.columns):
            del columns[name]
        times = event_times(values, name)
        late = times > received + AHEAD_S
        if late.any():
            row = int(late.argmax())
            raise BadInputError(
                f"Column {name!r}, row {row}: event time {values[row]!r} lies in the future.",
                field=name,
            )
        prepared = champion.served.check(columns)
        if len(times) != prepared.rows:
            raise BadInputError(
                f"Column {name!r} has {len(times)} rows, the others {prepared.rows}.", field=name
            )
        return times, prepared

    # ------------------------------------------------------------ accounts

    def status(self) -> dict[str, Any]:
        """Return the endpoint's account of itself, as ``/status`` shows it."""
        now = self.generations.current
        routing = now.routing
        versions = {str(v): c.as_dict() for v, c in sorted(self.counts.versions.items())}
        for variant in (now.champion, now.challenger):
            if variant is not None:
                versions.setdefault(str(variant.number), self.counts.of(variant.number).as_dict())
                versions[str(variant.number)]["form"] = variant.served.form
        return {
            "name": self.name,
            "model": routing.model,
            "ready": now.champion is not None,
            "generation": now.serial,
            "champion": None if now.champion is None else now.champion.number,
            "challenger": None if now.challenger is None else now.challenger.number,
            "strategy": None if now.challenger is None else routing.strategy,
            "share": now.share,
            "rollout": routing.rollout,
            "started": self._started,
            "requests": self.counts.requests,
            "rows": self.counts.rows,
            "errors": self.counts.errors,
            "contract": {
                f"{column}: {check}": n for (column, check), n in self.counts.broken.items()
            },
            "answers": {str(status): n for status, n in sorted(self.counts.answers.items())},
            "p50_ms": self.counts.latency.quantile_ms(0.5),
            "p95_ms": self.counts.latency.quantile_ms(0.95),
            "p99_ms": self.counts.latency.quantile_ms(0.99),
            "versions": versions,
            "capture": self._captures.status(),
            "queue": {
                "running": self._admission.running,
                "waiting": self._admission.waiting,
                "refused": self._admission.refused,
            },
            "trouble": self.generations.trouble
            or self._router.trouble
            or self._tallies.trouble
            or self._callers.trouble,
        }

    def _gauges(self) -> dict[str, float]:
        return {
            "ready": float(self.generations.current.champion is not None),
            "capture_written_rows_total": self._captures.written_rows,
            "capture_dropped_rows_total": self._captures.dropped_rows,
            "capture_queued_rows": self._captures.queued_rows,
            "queue_waiting": self._admission.waiting,
            "queue_refused_total": self._admission.refused,
        }


def _not_loaded(name: str) -> UnavailableError:
    return UnavailableError(
        f"Endpoint {name} has no champion loaded yet.",
        hint="Promote a version, or wait for it to be loaded; /status says what is wrong.",
    )


def _batch(
    first: int,
    received: float,
    times: npt.NDArray[np.float64] | None,
    prepared: Prepared,
    answer: Answer,
) -> Batch:
    return Batch(
        first=first,
        received=received,
        times=np.full(prepared.rows, received) if times is None else times,
        columns=prepared.columns,
        types=prepared.types,
        versions=answer.versions,
        scores=answer.scores,
        other_versions=answer.other_versions,
        other_scores=answer.other_scores,
    )
