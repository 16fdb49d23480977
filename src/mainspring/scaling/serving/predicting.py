"""The way of one prediction: check the rows, wait for a turn, score, record.

Every protocol comes here with raw columns and goes with an :class:`Answer` and prediction ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import numpy.typing as npt

from mainspring.ground.clock import Clock
from mainspring.ground.errors import BadInputError, ContractError
from mainspring.scaling.models.check import Prepared, check_rows, event_times
from mainspring.scaling.serving.admission import Admission
from mainspring.scaling.serving.metrics import Counts
from mainspring.scaling.serving.recorder import CaptureWriter
from mainspring.scaling.serving.requests import Asked
from mainspring.scaling.serving.router import Answer, Generation, Router, Variant
from mainspring.scaling.serving.segments import Batch
from mainspring.scaling.serving.tallies import Tallies

INLINE_ROWS = 64  # more rows are scored in a thread, so that health and others are answered
MOST_ROWS = 100_000
MOST_ID_CHARS = 256  # of a client's own ids
AHEAD_S = 86_400.0  # an event time further ahead would close windows that have not begun


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a request is told: the answer to its rows, and an id for each."""

    answer: Answer
    ids: list[str]


@dataclass(frozen=True, slots=True)
class Told:
    """What is recorded of a request beside its rows: its beginning, and the client's own ids."""

    start: float
    inference: str | None
    request: str | None


class Predictor:
    """Answers rows for one endpoint, whatever protocol they came by."""

    def __init__(
        self,
        captures: CaptureWriter,
        router: Router,
        counts: Counts,
        tallies: Tallies,
        clock: Clock,
        admission: Admission | None = None,
    ) -> None:
        self.admission = admission or Admission()
        self.captures = captures
        self._router, self._counts, self._tallies = router, counts, tallies
        self._clock = clock
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="score")

    def close(self) -> None:
        """Wait for what is being scored."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def predict(
        self, now: Generation, champion: Variant, asked: Asked, headers: Mapping[bytes, bytes]
    ) -> Predicted:
        """Return the answer to the rows of one request, recorded.

        Raises:
            BadInputError, ContractError: naming the column and the row.
            OverloadedError: if its turn cannot come in time.
        """
        start = perf_counter()
        sticky = headers.get(b"x-mainspring-sticky")
        key = None if sticky is None else sticky.decode("latin-1")
        rows = max((len(values) for values in asked.columns.values()), default=0)
        check_rows(rows, MOST_ROWS)
        received = self._clock.now()

        def work() -> Predicted:
            return self._work(now, champion, asked, received, key, _told(asked, headers, start))

        both = (now.champion, now.challenger)
        if rows <= INLINE_ROWS and all(v is None or v.served.inline for v in both):
            done = work()
        else:
            async with self.admission.slot():
                done = await asyncio.get_running_loop().run_in_executor(self._pool, work)
        self._counts.latency.add(perf_counter() - start)
        return done

    def _work(
        self,
        now: Generation,
        champion: Variant,
        asked: Asked,
        received: float,
        key: str | None,
        told: Told,
    ) -> Predicted:
        times, prepared = _prepared(champion, asked, received)
        self._tallies.seen(None if times is None or not len(times) else float(times[-1]))
        if champion.served.asks:
            self._keep(champion, asked)
        first = self.captures.reserve(prepared.rows)
        answer = self._router.answer(now, champion, prepared, first, key)
        if prepared.rows:
            whose = now.routing.champion
            batch = _batch(first, received, times, prepared, answer, whose, told)
            self.captures.append(batch, now.routing.options.capture_share)
        self._counts.rows += prepared.rows
        return Predicted(answer, self.captures.ids(first, len(answer.labels)))

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


def _batch(
    first: int,
    received: float,
    times: npt.NDArray[np.float64] | None,
    prepared: Prepared,
    answer: Answer,
    champion: int | None,
    told: Told,
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
        champion=champion,
        seconds=perf_counter() - told.start,
        inference=told.inference,
        request=told.request,
    )


def _told(asked: Asked, headers: Mapping[bytes, bytes], start: float) -> Told:
    inference = headers.get(b"x-amzn-sagemaker-inference-id")
    request = headers.get(b"x-request-id")
    return Told(
        start,
        _own_id(asked.id) if inference is None else _own_id(inference.decode("latin-1")),
        None if request is None else _own_id(request.decode("latin-1")),
    )


def _own_id(text: str | None) -> str | None:
    """Return a client's own id; one that is too long is not recorded, for a part is another id."""
    return text if text is not None and 0 < len(text) <= MOST_ID_CHARS else None
