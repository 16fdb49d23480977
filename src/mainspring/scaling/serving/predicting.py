"""The way of one prediction: check the rows, have them scored, record.

Every protocol comes here with raw columns and goes with an :class:`Answer` and prediction ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mainspring.ground.clock import Clock
from mainspring.ground.errors import BadInputError, ContractError
from mainspring.scaling.models.check import Prepared, check_rows, event_times
from mainspring.scaling.serving.admission import Clients
from mainspring.scaling.serving.batching import Batcher, Job, is_alone
from mainspring.scaling.serving.body import Receive
from mainspring.scaling.serving.joining import joined, shape, together
from mainspring.scaling.serving.metrics import Counts
from mainspring.scaling.serving.recording import Recorder
from mainspring.scaling.serving.requests import MOST_ROWS, Asked
from mainspring.scaling.serving.router import Answer, Generation, Router, Variant
from mainspring.scaling.serving.segments import Batch
from mainspring.scaling.serving.tallies import Tallies

LOOP_ROWS = 1_000  # more are checked in a thread, so that health and others are answered
MOST_ID_CHARS = 256  # of a client's own ids
PATIENCE = b"x-request-timeout-ms"  # how long a client waits for its answer
AHEAD_S = 86_400.0  # an event time further ahead would close windows that have not begun


class Marks(NamedTuple):
    """When each step of a prediction ended, as ``perf_counter`` counts."""

    start: float
    check: float
    wait: float  #: it was scored from then on
    score: float  #: with those of its batch
    capture: float


@dataclass(slots=True)
class Predicted:
    """What a request is told: the answer to its rows, and an id for each; the rows as scored."""

    answer: Answer
    ids: list[str]
    rows: Prepared
    marks: Marks


@dataclass(slots=True)
class _Asked:
    """A request whose rows passed the check."""

    now: Generation
    champion: Variant
    prepared: Prepared
    times: npt.NDArray[np.float64] | None
    received: float
    sticky: str | None
    told: Told
    ids: list[str] | None = None  #: the client's own, of the rows
    first: int = 0
    began: float = 0.0  #: when its batch went to be scored, as ``perf_counter`` counts
    ended: float = 0.0  #: when its scores were there


@dataclass(slots=True)
class Told:
    """What is recorded of a request beside its rows: its beginning, and the client's own ids."""

    start: float
    inference: str | None
    request: str | None


class Predictor:
    """Answers rows for one endpoint, whatever protocol they came by."""

    def __init__(
        self,
        captures: Recorder,
        router: Router,
        counts: Counts,
        tallies: Tallies,
        clock: Clock,
    ) -> None:
        self.batcher = Batcher(self._score)
        self.clients = Clients()
        self.captures = captures
        self._router, self._counts, self._tallies = router, counts, tallies
        self._clock = clock

    @property
    def refused(self) -> int:
        """Return how many requests were sent away at once."""
        return self.batcher.refused + self.clients.refused

    async def predict(
        self,
        now: Generation,
        champion: Variant,
        asked: Asked,
        headers: Mapping[bytes, bytes],
        receive: Receive,
    ) -> Predicted:
        """Return the answer to the rows of one request, recorded.

        ``receive`` tells when the client leaves.

        Raises:
            BadInputError, ContractError: naming the column and the row.
            OverloadedError: if its turn cannot come in time.
            DeadlineError: if scoring takes longer than it may.
            ClientGoneError: if the client leaves while it waits.
        """
        start = perf_counter()
        rows = asked.rows
        check_rows(rows, MOST_ROWS)
        if rows <= LOOP_ROWS:
            job = self._job(now, champion, asked, rows, headers, start)
        else:
            job = await asyncio.to_thread(self._job, now, champion, asked, rows, headers, start)
        batcher = self.batcher
        if batcher.inline(job):
            await batcher.soon(job)
        else:
            job.key = (*job.key, shape(job.asked.prepared))
            await batcher.in_turn(job, receive)
        done = self._recorded(job, start)
        self._counts.latency.add(done.marks.capture - start)
        return done

    def _job(
        self,
        now: Generation,
        champion: Variant,
        asked: Asked,
        rows: int,
        headers: Mapping[bytes, bytes],
        start: float,
    ) -> Job:
        received = self._clock.now()
        times, prepared = _prepared(champion, asked, received)
        if champion.served.asks:
            self._keep(champion, asked)
        if asked.ids is not None and len(asked.ids) != prepared.rows:
            raise BadInputError(
                f"There are {len(asked.ids)} ids for {prepared.rows} rows.", field="ids"
            )
        sticky = headers.get(b"x-mainspring-sticky")
        key = asked.sticky if sticky is None else sticky.decode("latin-1")
        told = _told(asked, headers, start)
        request = _Asked(now, champion, prepared, times, received, key, told, asked.ids)
        batcher = self.batcher
        job = Job(
            request,
            rows,
            batcher.plan(now, champion),
            (now.serial, champion.number, is_alone(now)),
            now.routing.options.limits,
        )
        if PATIENCE in headers:
            job.patience_s = _patience(headers[PATIENCE])
        return job

    def _score(self, jobs: Sequence[Job]) -> None:
        """Leave an answer or an error in each job; several are scored as one call."""
        head: _Asked = jobs[0].asked
        now, champion, began = head.now, head.champion, perf_counter()
        for job in jobs:
            job.asked.began = began
        if len(jobs) > 1:
            if is_alone(now) and self._scored_as_one(jobs, now, champion):
                return
            now, champion = together(now, champion, [job.asked.prepared for job in jobs])
        for job in jobs:
            asked: _Asked = job.asked
            self._dated(asked)
            asked.first = self.captures.reserve(asked.prepared.rows)
            try:
                job.answer = self._router.answer(
                    now, champion, asked.prepared, asked.first, asked.sticky
                )
            # Each request gets its own error; whoever waits for it says what becomes of it.
            except Exception as error:  # noqa: BLE001
                job.error = error
            asked.ended = perf_counter()

    def _scored_as_one(self, jobs: Sequence[Job], now: Generation, champion: Variant) -> bool:
        """Answer requests of one version as if they were one; False if that fails."""
        parts = [job.asked.prepared for job in jobs]
        whole = joined(parts)
        first = self.captures.reserve(whole.rows)
        try:
            answer = self._router.answer(now, champion, whole, first)
        # It may be the fault of one of them: each is tried alone, and counted then.
        except Exception:  # noqa: BLE001
            self._counts.of(champion.number).errors -= 1
            return False
        self._counts.of(champion.number).requests += len(jobs) - 1
        start, ended = 0, perf_counter()
        for job, part in zip(jobs, parts, strict=True):
            rows = slice(start, start + part.rows)
            self._dated(job.asked)
            job.asked.first, job.asked.ended = first + start, ended
            job.answer = Answer(answer.scores[rows], answer.labels[rows], answer.versions[rows])
            start += part.rows
        return True

    def _dated(self, asked: _Asked) -> None:
        times = asked.times
        self._tallies.seen(None if times is None or not len(times) else float(times[-1]))

    def _recorded(self, job: Job, start: float) -> Predicted:
        asked: _Asked = job.asked
        answer: Answer = job.answer
        rows = asked.prepared.rows
        if rows:
            routing = asked.now.routing
            batch = _batch(asked, answer, routing.champion)
            self.captures.append(batch, routing.options.capture_share)
        self._counts.rows += rows
        ids = asked.ids
        if ids is None:
            ids = self.captures.ids(asked.first, rows)
        marks = Marks(start, job.arrived, asked.began, asked.ended, perf_counter())
        return Predicted(answer, ids, asked.prepared, marks)

    def _keep(self, champion: Variant, asked: Asked) -> None:
        """Count what breaks the model's contract, and refuse what that allows no value to break.

        Raises:
            ContractError: naming the column, what was found and what was wanted.
        """
        asks = champion.served.asks
        for one in asks.broken(asked.columns):
            self._counts.broke(one.column, one.check, one.count)
            if asks.refuses and one.strict:
                raise ContractError(one.sentence, field=one.column)


def _prepared(
    champion: Variant, asked: Asked, received: float
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


def _batch(asked: _Asked, answer: Answer, champion: int | None) -> Batch:
    prepared, told = asked.prepared, asked.told
    return Batch(
        first=asked.first,
        received=asked.received,
        times=np.full(prepared.rows, asked.received) if asked.times is None else asked.times,
        columns=prepared.columns,
        types=prepared.types,
        versions=answer.versions,
        scores=answer.scores,
        other_versions=answer.other_versions,
        other_scores=answer.other_scores,
        champion=champion,
        seconds=perf_counter() - told.start,
        inference=told.inference,
        request=told.request,
        ids=asked.ids,
    )


def _patience(header: bytes) -> float:
    """Return for how many seconds a client waits, as it says in milliseconds.

    Raises:
        BadInputError: if it is no such number.
    """
    text = header.decode("latin-1")
    try:
        found = float(text) / 1000
    except ValueError:
        found = 0.0
    if not found > 0.0:
        raise BadInputError(
            f"{PATIENCE.decode()} is {text[:40]!r}, wanted milliseconds above 0.",
            field=PATIENCE.decode(),
        )
    return min(found, 86_400.0)


def _told(asked: Asked, headers: Mapping[bytes, bytes], start: float) -> Told:
    request = headers.get(b"x-request-id")
    own = None if request is None else _own_id(request.decode("latin-1"))
    return Told(start, _own_id(asked.id), own)


def _own_id(text: str | None) -> str | None:
    """Return a client's own id; one that is too long is not recorded, for a part is another id."""
    return text if text is not None and 0 < len(text) <= MOST_ID_CHARS else None
