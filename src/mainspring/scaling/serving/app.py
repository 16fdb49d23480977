"""One endpoint as a bare ASGI application: check, score, answer, record.

``/v2/...`` speaks the Open Inference Protocol (JSON), ``/invocations`` and ``/ping`` what MLflow
and SageMaker containers speak. ``/status`` and ``/metrics`` say how it is.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import Any

import polars as pl

from mainspring.ground import deprecations, logs
from mainspring.ground.clock import Clock, SystemClock
from mainspring.ground.errors import (
    MainspringError,
    NotFoundError,
    UnavailableError,
)
from mainspring.ground.objects import Routing
from mainspring.ground.permissions import Permission, Principal, authorise
from mainspring.ground.request_ids import RequestIds
from mainspring.ground.settings import Settings
from mainspring.scaling.models.scorer import Accounted, Scorer
from mainspring.scaling.models.served import Staged
from mainspring.scaling.serving import answers
from mainspring.scaling.serving.body import ClientGoneError, Receive, Scope, Send, read_body
from mainspring.scaling.serving.callers import Callers
from mainspring.scaling.serving.chores import Chores
from mainspring.scaling.serving.doors import Doorkeeper
from mainspring.scaling.serving.explaining import Explainer
from mainspring.scaling.serving.generations import Generations
from mainspring.scaling.serving.metrics import Counts
from mainspring.scaling.serving.notes import Notes, Say, answered
from mainspring.scaling.serving.predicting import Predicted, Predictor
from mainspring.scaling.serving.protocols import (
    invocations,
    native,
    oip,
    repository,
    sagemaker,
    told,
)
from mainspring.scaling.serving.protocols.calls import Call, Reply, shows_token
from mainspring.scaling.serving.pulse import resident_mb
from mainspring.scaling.serving.recording import Recorder
from mainspring.scaling.serving.requests import Asked
from mainspring.scaling.serving.router import Generation, Router, Variant
from mainspring.scaling.serving.tallies import Tallies, ended_as
from mainspring.scaling.serving.tracing import Tracing, tracing

_log = logging.getLogger(__name__)

Handler = Callable[["EndpointApp", Call], Awaitable[Reply]]

#: What answers: whole paths, and paths by how they begin, the longer first.
WHOLE: dict[tuple[str, str], Handler] = {
    **told.WHOLE,
    **invocations.WHOLE,
    **native.WHOLE,
    **oip.WHOLE,
    **repository.WHOLE,
}
UNDER: list[tuple[str, str, Handler]] = sorted(
    [*oip.UNDER, *repository.UNDER], key=lambda route: -len(route[1])
)


class EndpointApp:
    """Serves what ``routing`` says, swapping versions without failing a request.

    Args:
        name: of the endpoint.
        routing: what to serve now; asked in a thread, again whenever ``changed`` moves.
        changed: a cheap number that differs once something was written; None asks every time.
        loader: a package digest -> a loaded model; called in a thread.
        captures: takes rows and answers; see ``recording.py``.
        authenticate: an ASGI scope -> who asks; raises a MainspringError to refuse.
        settings: budgets of bytes.
        clock: for event times that are not given.
        chores: whose thread writes out what is counted; None: one of its own.
        say: where predictions are noted; the process's log.
        usual: a package digest -> usual rows of it; None: answers are not explained.
    """

    def __init__(
        self,
        name: str,
        routing: Callable[[], Routing],
        loader: Callable[[str], Scorer],
        captures: Recorder,
        authenticate: Callable[[Mapping[str, Any]], Principal],
        settings: Settings,
        *,
        changed: Callable[[], int] | None = None,
        clock: Clock | None = None,
        chores: Chores | None = None,
        usual: Callable[[str], pl.DataFrame] | None = None,
        say: Say = logs.put,
    ) -> None:
        self.name = name
        self.counts = Counts()
        slow_s = settings.log_slow_ms / 1000
        self._notes = Notes(name, self.counts, say, settings.log_predictions, slow_s)
        self._ids = RequestIds()
        self._tracing = tracing()
        self._seen = -1  # serial of the generation whose parts the counts know
        self.doorkeeper = Doorkeeper()
        self.generations = Generations(self.doorkeeper.followed(routing), loader, changed)
        #: called before a request that needs the model, so that it is loaded; None: it always is
        self.wake: Callable[[Call], Awaitable[None]] | None = None
        self.explainer = Explainer(usual)
        #: lets go of the model in memory until the next request; None: it is kept
        self.let_go: Callable[[], Awaitable[None]] | None = None
        self._captures = captures
        self._authenticate = authenticate
        self._most_bytes = settings.max_body_mb * 2**20
        self._clock = clock or SystemClock()
        self._callers = Callers(captures.folder, captures.boot, self._clock.now)
        self._tallies = Tallies(
            *(captures.folder, captures.boot, self._clock.now),
            also=self._callers.flush,
            chores=chores,
        )
        self._router = Router(self.counts, captures.boot, self._tallies)
        self.predictor = Predictor(captures, self._router, self.counts, self._tallies, self._clock)
        self._started = self._clock.now()
        #: how busy this process was lately: see ``pulse.Pulse``
        self.pulse: dict[str, Any] = {}

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
        self._captures.close()
        self._tallies.close()
        if self._tracing is not None:
            self._tracing.flush()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.doorkeeper.begin()
                await asyncio.to_thread(self.start)
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.doorkeeper.close()
                await asyncio.to_thread(self.close)
                await send({"type": "lifespan.shutdown.complete"})
                return

    # ------------------------------------------------------------ http

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.handle(Call(scope, receive, dict(scope["headers"])), send)

    async def handle(self, call: Call, send: Send, handler: Handler | None = None) -> None:
        """Answer one call, counted and noted: by a handler, or the one its path has."""
        call.request_id = self._ids.of(call.headers)
        counts = self.counts
        counts.requests += 1
        counts.in_flight += 1
        try:
            await self._answer(call, send, handler)
        finally:
            counts.in_flight -= 1
            if call.caller is not None:
                self.predictor.clients.leave(call.caller)

    async def _answer(self, call: Call, send: Send, handler: Handler | None) -> None:
        start, asked = perf_counter(), self.generations.current
        gone = asked.routing.deprecation
        failed: Exception | None = None
        extra = [(b"x-request-id", call.request_id.encode())]
        if gone is not None:
            extra += deprecations.headers(gone)
        try:
            if self.wake is not None:
                await self.wake(call)
                asked = self.generations.current
            if asked.serial != self._seen:
                self._seen, self.counts.variants = asked.serial, asked.parts()
            status, kind, body, more = await self._routed(call, handler)
            extra.extend(more)
        except ClientGoneError:
            return
        except MainspringError as error:
            failed = error
            status, kind, body, more = answers.refused(error, call.path)
            extra.extend(more)
        # The outermost place: whatever an estimator raises becomes an answer, and is kept.
        except Exception as error:  # noqa: BLE001
            failed = error
            status, kind, body, _ = self._failed(error, call)
        self.counts.answers[status] = self.counts.answers.get(status, 0) + 1
        if call.method == "POST" and not call.path.startswith("/v2/repository/"):
            whose, took = asked.champion, perf_counter() - start
            if self._tracing is not None:
                self._traced(self._tracing, call, start, status, failed)
            self._tallies.add(None if whose is None else whose.number, took, ended_as(status))
            self._notes.note(call, status, took, failed)
        if failed is not None and sagemaker.is_asked(call.headers):
            said = sagemaker.message_of(failed)
            status, kind, body, more = sagemaker.refusal(Reply(status, kind, body), said)
            extra.extend(more)
        length = str(len(body)).encode()
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-type", kind), (b"content-length", length), *extra],
            }
        )
        await send({"type": "http.response.body", "body": body})

    def _traced(
        self, tracing: Tracing, call: Call, start: float, status: int, error: Exception | None
    ) -> None:
        model = self.generations.current.routing.model
        about: dict[str, Any] = {"endpoint": self.name, "model": model}
        about["request_id"] = call.request_id
        if call.done is not None:
            about |= answered(call.done, self.counts)
            about["prediction_id"] = about.pop("prediction")
            del about["ids"]
        found = {f"mainspring.{key}": value for key, value in about.items() if value is not None}
        tracing.trace(call, found, start, status, error)

    def _failed(self, error: Exception, call: Call) -> Reply:
        """Return what is answered when a model raised, and keep the trace."""
        now = self.generations.current.champion
        about = {"version": None if now is None else str(now.number), "request": call.request_id}
        _log.error("%s failed", call.path, exc_info=error, extra={**about, "endpoint": self.name})
        found = UnavailableError(f"The model failed: {type(error).__name__}.")
        return answers.refusal(found, oip=call.path.startswith("/v2"))._replace(status=500)

    async def _routed(self, call: Call, handler: Handler | None) -> Reply:
        if handler is not None:
            call.route = "grpc"
            return await handler(self, call)
        asked = "GET" if call.method == "HEAD" else call.method
        whole = WHOLE.get((asked, call.path))
        if whole is not None:
            call.route = call.path
            return await whole(self, call)
        for wanted, start, handler in UNDER:
            if wanted == asked and call.path.startswith(start):
                call.route = start
                return await handler(self, call)
        raise NotFoundError(f"There is no {call.method} {call.path[:200]}.")

    def admitted(self, call: Call, permission: Permission) -> Principal:
        """Return who asks, if that one may.

        Raises:
            MainspringError: if not.
        """
        who = self._authenticate(call.scope)
        authorise(who, permission)
        return who

    async def asked_by(self, call: Call) -> bytes:
        """Let a caller ask for predictions, and count who it is; return the body it sent.

        Raises:
            MainspringError: if it may not, or the body breaks a budget.
        """
        who = self.admitted(call, Permission.PREDICT)
        # The owner shows no token.
        call.who = who.name if shows_token(call.headers) else ""
        self._callers.add(call.who, call.headers)
        limits = self.generations.current.routing.options.limits
        self.predictor.batcher.shed(limits)
        if limits.per_client is not None:
            caller = call.who or call.address()
            self.predictor.clients.enter(caller, limits.per_client)
            call.caller = caller
        return await self.body(call)

    async def body(self, call: Call) -> bytes:
        """Return the body of a request.

        Raises:
            MainspringError: if it breaks a budget.
        """
        return await read_body(call.receive, call.headers, self._most_bytes)

    async def predict(
        self, now: Generation, variant: Variant, asked: Asked, call: Call
    ) -> Predicted:
        """Answer the rows of one request; see :meth:`Predictor.predict`."""
        call.done = await self.predictor.predict(now, variant, asked, call.headers, call.receive)
        return call.done

    async def explained(
        self, now: Generation, variant: Variant, done: Predicted
    ) -> list[dict[str, Any]]:
        """Return what each column carried of the scores of an answer, row by row.

        Raises:
            OverloadedError: if others are explained already.
            DeadlineError: if it takes longer than a scoring may.
        """
        return await self.explainer.in_turn(now, variant, done.rows, done.answer)

    # ------------------------------------------------------------ accounts

    @property
    def ready(self) -> bool:
        """Return whether there is a version to answer with, if need be once it is loaded."""
        return self.generations.current.champion is not None or self.generations.asleep

    def status(self) -> dict[str, Any]:
        """Return the endpoint's account of itself, as ``/status`` shows it."""
        now = self.generations.current
        routing, parts = now.routing, now.parts()
        versions: dict[str, dict[str, Any]] = {
            str(v): c.as_dict() for v, c in self.counts.versions().items()
        }
        for variant in now.loaded:
            versions.setdefault(str(variant.number), self.counts.of(variant.number).as_dict())
            told = versions[str(variant.number)]
            told["form"], told["variant"] = variant.served.form, parts[variant.number]
            if isinstance(variant.served, Staged):
                told["stages"] = variant.served.stages()
            if isinstance(variant.served, Accounted):
                told["process"] = variant.served.account()
        return {
            "name": self.name,
            "model": routing.model,
            "ready": self.ready,
            "asleep": self.generations.asleep,
            "generation": now.serial,
            "champion": None if now.champion is None else now.champion.number,
            "challenger": None if now.challenger is None else now.challenger.number,
            "strategy": routing.strategy if now.challenger or now.arms else None,
            "share": now.share,
            "arms": {str(one.version): one.weight for one in routing.arms},
            "rollout": routing.rollout,
            "started": self._started,
            "grpc": self.doorkeeper.port,
            "requests": self.counts.requests,
            "in_flight": self.counts.in_flight,
            "rows": self.counts.rows,
            "errors": self.counts.errors,
            "contract": {
                f"{column}: {check}": n for (column, check), n in self.counts.broken.items()
            },
            "answers": {str(status): n for status, n in sorted(self.counts.answers.items())},
            "p50_ms": self.counts.latency.quantile_ms(0.5),
            "p95_ms": self.counts.latency.quantile_ms(0.95),
            "p99_ms": self.counts.latency.quantile_ms(0.99),
            "latency": self.counts.latency.counts,
            "versions": versions,
            "capture": self._captures.status(),
            "queue": {**self.predictor.batcher.queue_now(), "refused": self.predictor.refused},
            "batching": self.predictor.batcher.as_dict(),
            "trouble": self.generations.trouble
            or self.predictor.batcher.trouble
            or self._router.trouble
            or self._tallies.trouble
            or self._callers.trouble
            or self.doorkeeper.trouble,
            "worker": {"pid": os.getpid(), "rss_mb": resident_mb(), **self.pulse},
        }
