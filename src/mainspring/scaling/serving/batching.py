"""Score what waits together: inline where that is cheap, else in threads, taking turns.

There is no waiting window. Whatever waits when a thread becomes free is scored as one call, so
that batches grow with the load and a lone request waits for nothing. Requests of one generation
and version go together; each keeps its own rows, errors and prediction ids.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Any

from mainspring.ground.errors import DeadlineError, OverloadedError
from mainspring.ground.serving import EndpointLimits
from mainspring.scaling.models.scorer import Accounted
from mainspring.scaling.serving.admission import refusal
from mainspring.scaling.serving.body import ClientGoneError, Receive
from mainspring.scaling.serving.costs import Cost
from mainspring.scaling.serving.metrics import Latency
from mainspring.scaling.serving.router import Generation, Variant
from mainspring.scaling.serving.turns import Task, Turns, of_loop

INLINE_ROWS = 64  # more rows are never scored in the event loop
INLINE_S = 0.002  # nor what takes longer: health and everybody else would wait for it
BACK_S = 0.001  # what takes no longer comes back from the threads
HICCUPS = 0.06  # share that sends a model to the threads: two in a row, for one may be anybody's
TOGETHER_S = 0.005  # requests scored together in the event loop take no longer
BATCH_S = 0.1  # nor those in a thread, if there are several: the others wait for that long
MOST_AWAY = 2  # batches of an endpoint that other processes score at a time
MOST_HUNG = 2  # threads in which an endpoint's model hangs; then it is not asked any more
_PROBE = 17  # of so many lone requests one looks whether others have come with it

#: Why a request is sent away: the event loop is late, threads hang, its turn would come too late,
#: too many wait.
REFUSALS = ("lag", "hung", "deadline", "full")
CLOSED = ("nothing waited", "row limit", "latency bound", "another generation")


class Plan:
    """How the requests of one generation and version are scored, and what that costs."""

    def __init__(self, now: Generation, champion: Variant) -> None:
        alone = champion is not now.champion  # asked for by name
        variants = [champion] if alone else now.loaded
        self.versions = [variant.number for variant in variants]
        self.cost = Cost()
        #: scored by another process: a thread of ours only waits for it
        self.away = any(isinstance(variant.served, Accounted) for variant in variants)
        self._may = all(variant.served.inline for variant in variants)
        # The fast form is known to be cheap; others are measured in a thread first.
        self.inline = self._may and all(v.served.form == "onnx" for v in variants)
        self.why = "the fast form" if self.inline else "not measured yet"
        if not self._may:
            self.why = "the model may hang, or runs in another process"

    def add(self, rows: int, seconds: float) -> None:
        """Note what a batch cost, and decide anew where the next is scored."""
        cost = self.cost
        cost.add(rows, seconds)
        if not self._may:
            return
        one = cost.seconds(1)
        if self.inline and (one > INLINE_S or cost.hiccups > HICCUPS):
            self.inline = False
        elif not self.inline and one <= BACK_S and cost.hiccups <= HICCUPS / 6:
            self.inline = True
        self.why = f"{1000 * one:.2f} ms a row alone, lately {1000 * cost.worst_s:.1f} at worst"

    def as_dict(self) -> dict[str, Any]:
        """Return what ``explain-batching`` shows of it."""
        cost = self.cost
        return {
            "versions": self.versions,
            "inline": self.inline,
            "why": self.why,
            "batches": cost.batches,
            "call_ms": round(1000 * cost.call_s, 4),
            "row_ms": round(1000 * cost.row_s, 5),
            "worst_ms": round(1000 * cost.worst_s, 3),
            "most_rows": cost.most_rows,
        }


def is_alone(now: Generation) -> bool:
    """Return whether one version scores all that is asked, and no other beside it."""
    return now.challenger is None and not now.arms


class Job:
    """The rows of one request on their way to a score."""

    __slots__ = (
        *("answer", "arrived", "asked", "error", "future", "key", "limits", "patience_s"),
        *("plan", "rows", "started", "timer"),
    )

    def __init__(
        self, asked: Any, rows: int, plan: Plan, key: tuple[Any, ...], limits: EndpointLimits
    ) -> None:
        self.asked, self.rows, self.plan, self.key, self.limits = asked, rows, plan, key, limits
        self.arrived = perf_counter()
        self.patience_s: float | None = None  #: how long the client said that it waits
        self.started = False
        self.answer: Any = None
        self.error: Exception | None = None
        self.future: asyncio.Future[None] | None = None
        self.timer: asyncio.TimerHandle | None = None

    def fail(self, error: Exception) -> None:
        """End it with an error, unless it has ended."""
        if self.future is not None and not self.future.done():
            self.future.set_exception(error)


class Batcher:
    """The queue of one endpoint, and its lane in the turns of the process.

    Args:
        score: scores jobs as one call and leaves an answer or an error in each; never raises.
    """

    def __init__(self, score: Callable[[Sequence[Job]], None]) -> None:
        self._score = score
        self.credit_s = 0.0
        self.running = 0  #: requests that are being scored in threads
        self.hung = 0  #: threads in which a batch was given up and has not ended
        self.cancelled = 0  #: requests whose client left before they were scored
        self.late = 0  #: requests that were given up while they were scored
        self.refusals = dict.fromkeys(REFUSALS, 0)
        self.waits_s = Latency()
        self.sizes: dict[int, int] = {}  #: requests a batch, by the power of two
        self.batched = 0  #: requests of all batches
        self.closed = dict.fromkeys(CLOSED, 0)
        self.lone = 0  #: requests scored alone in the event loop, without waiting
        self._plans: dict[tuple[int, int, bool], Plan] = {}
        self._waiting: deque[Job] = deque()
        self._soon: deque[Job] = deque()
        self._together = 1.0  # moving mean of the requests that come in one round of the loop
        self._alone = 0
        self._pace_s = 0.0  # moving mean of a thread's seconds for one request
        self._limits = EndpointLimits()
        self._turns: Turns | None = None
        self._away = 0  # batches that other processes are scoring

    @property
    def refused(self) -> int:
        """Return how many requests were sent away at once."""
        return sum(self.refusals.values())

    @property
    def waiting(self) -> int:
        """Return how many requests wait for a turn."""
        return len(self._waiting)

    @property
    def trouble(self) -> str:
        """Return what is wrong now; empty if nothing is."""
        if not self.hung:
            return ""
        return f"{self.hung} scorings took too long, were given up, and still hold a thread"

    @property
    def turns(self) -> Turns:
        """Return the turns of the running event loop."""
        if self._turns is None:
            self._turns = of_loop(asyncio.get_running_loop())
        return self._turns

    def _threads_of(self, plan: Plan) -> Turns:
        return of_loop(asyncio.get_running_loop(), away=True) if plan.away else self.turns

    def plan(self, now: Generation, champion: Variant) -> Plan:
        """Return how a generation's requests are scored that ask one version."""
        key = (now.serial, champion.number, is_alone(now))
        found = self._plans.get(key)
        if found is None:
            if len(self._plans) >= 8:
                self._plans.pop(next(iter(self._plans)))
            found = self._plans[key] = Plan(now, champion)
            alike = [one for one in self._plans.values() if one.versions == found.versions]
            found.cost = alike[0].cost  # a new generation of the same versions costs the same
        return found

    def shed(self, limits: EndpointLimits) -> None:
        """Refuse a request if the event loop is so far behind that its answer would be too late.

        Raises:
            OverloadedError: if so.
        """
        lag = self.turns.lag.feel()
        if lag * 1000 > limits.deadline_ms:
            raise self._refuse(lag, "lag")

    # ------------------------------------------------------------ in the event loop

    def inline(self, job: Job) -> bool:
        """Return whether a job is so cheap that the event loop may wait for it."""
        return job.plan.inline and job.rows <= INLINE_ROWS

    async def soon(self, job: Job) -> None:
        """Score a job in the event loop: at once, or with others that came with it."""
        if self._together < 1.25 and not self._soon:
            self._alone += 1
            if self._alone % _PROBE:
                self.lone += 1
                self._timed([job])
                if job.error is not None:
                    raise job.error
                return
        loop = asyncio.get_running_loop()
        job.future = loop.create_future()
        self._soon.append(job)
        if len(self._soon) == 1:
            loop.call_soon(self._drain)
        await job.future

    def _drain(self) -> None:
        """Score what came in this round of the event loop, as long as that is quick."""
        jobs, _ = _cut(self._soon, TOGETHER_S)
        if self._soon:
            asyncio.get_running_loop().call_soon(self._drain)
        if not jobs:
            return
        self._together += 0.3 * (len(jobs) - self._together)
        self._note(jobs)
        self._timed(jobs)
        self._tell(jobs)

    def _timed(self, jobs: Sequence[Job]) -> None:
        start = perf_counter()
        self._score(jobs)
        jobs[0].plan.add(sum(job.rows for job in jobs), perf_counter() - start)

    # ------------------------------------------------------------ in threads

    async def in_turn(self, job: Job, receive: Receive) -> None:
        """Score a job in a thread when its turn has come.

        Raises:
            OverloadedError: if it does not come in time, or cannot be expected to.
            DeadlineError: if scoring takes longer than the endpoint or the client allows.
            ClientGoneError: if the client leaves while the job waits.
        """
        self._admit(job)
        loop = asyncio.get_running_loop()
        job.future = loop.create_future()
        wait_s = job.limits.deadline_ms / 1000
        wait_s = wait_s if job.patience_s is None else min(wait_s, job.patience_s)
        job.timer = loop.call_later(wait_s, self._overslept, job)
        leaving = loop.create_task(_left(receive))
        leaving.add_done_callback(lambda done: None if done.cancelled() else self._abandon(job))
        self._limits = job.limits
        self._waiting.append(job)
        self._threads_of(job.plan).wake(self)
        try:
            await job.future
        finally:
            leaving.cancel()
            job.timer.cancel()

    def _admit(self, job: Job) -> None:
        if self.hung >= MOST_HUNG:
            raise self._refuse(
                job.limits.timeout_ms / 1000,
                "hung",
                f"The model hangs in {self.hung} threads.",
            )
        turns = self._threads_of(job.plan)
        share = MOST_AWAY if job.plan.away else turns.slots / max(1, turns.waiting_lanes)
        expected = (len(self._waiting) + 1) * self._pace_s / max(share, 0.5)
        most = job.limits.deadline_ms / 1000
        most = most if job.patience_s is None else min(most, job.patience_s)
        idle = not self._waiting and turns.busy < turns.slots
        if not idle and (len(self._waiting) >= job.limits.queue or expected > most):
            raise self._refuse(expected, "deadline" if expected > most else "full")

    def _refuse(self, expected_s: float, reason: str, why: str = "") -> OverloadedError:
        self.refusals[reason] += 1
        return refusal(expected_s, why)

    def _overslept(self, job: Job) -> None:
        if not job.started:
            own = job.patience_s is not None and job.patience_s * 1000 < job.limits.deadline_ms
            job.fail(
                _impatient(job)
                if own
                else self._refuse(len(self._waiting) * self._pace_s, "deadline")
            )
        elif job.patience_s is not None:
            self.late += 1
            job.fail(_impatient(job))

    def _abandon(self, job: Job) -> None:
        if job.future is not None and not job.future.done():
            self.cancelled += not job.started
            job.fail(ClientGoneError())

    def waits(self) -> bool:
        """Return whether there is something to cut."""
        while self._waiting and _is_over(self._waiting[0]):
            self._waiting.popleft()
        if not self._waiting or self.hung >= MOST_HUNG:
            return False
        return not self._waiting[0].plan.away or self._away < MOST_AWAY

    def cut(self) -> Task | None:
        """Return the next batch of what waits; None if nothing does."""
        jobs, closed = _cut(self._waiting, BATCH_S)
        if not jobs:
            return None
        self.closed[closed] += 1
        self._note(jobs)
        now = perf_counter()
        for job in jobs:
            job.started = True
            self.waits_s.add(now - job.arrived)
            if job.timer is not None and job.patience_s is not None:
                # It goes on counting while the rows are scored.
                job.timer.cancel()
                left = max(0.0, job.arrived + job.patience_s - now)
                job.timer = asyncio.get_running_loop().call_later(left, self._overslept, job)
        self.running += len(jobs)
        self._away += jobs[0].plan.away
        rows = sum(job.rows for job in jobs)
        return _Batch(self, jobs, rows, lambda: self._score(jobs), jobs[0].plan.cost.seconds(rows))

    def timeout_s(self) -> float:
        """Return how long a batch may take."""
        return self._limits.timeout_ms / 1000

    def overdue(self, task: Task) -> None:
        """Give up a batch that takes too long: its requests are answered, its thread is left."""
        assert isinstance(task, _Batch)  # noqa: S101  cut makes no others
        self.hung += 1
        self.late += len(task.jobs)
        self.running -= len(task.jobs)
        for job in task.jobs:
            job.fail(
                DeadlineError(
                    f"Scoring took longer than {self.timeout_s():g} s and was given up.",
                    hint="Send fewer rows at once, or raise the endpoint's timeout_ms.",
                )
            )

    def ended(self, task: Task, seconds: float) -> None:
        """Hand the requests of a batch their answers, and learn from what it took."""
        assert isinstance(task, _Batch)  # noqa: S101  cut makes no others
        plan = task.jobs[0].plan
        plan.add(task.rows, seconds)
        self._away -= plan.away
        self.hung -= task.stuck
        if self._waiting and (task.stuck or plan.away):
            self._threads_of(self._waiting[0].plan).wake(self)
        if task.stuck:
            return
        self.running -= len(task.jobs)
        each = seconds / len(task.jobs)
        self._pace_s = 0.8 * self._pace_s + 0.2 * each if self._pace_s else each
        self._tell(task.jobs)

    def _tell(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if job.error is not None:
                job.fail(job.error)
            elif job.future is not None and not job.future.done():
                job.future.set_result(None)

    def _note(self, jobs: Sequence[Job]) -> None:
        size = 1 << (len(jobs).bit_length() - 1)
        self.sizes[size] = self.sizes.get(size, 0) + 1
        self.batched += len(jobs)

    # ------------------------------------------------------------ accounts

    def as_dict(self) -> dict[str, Any]:
        """Return what was counted so far; of several processes it is added up."""
        waits = self.waits_s
        return {
            "plans": [plan.as_dict() for plan in self._plans.values()],
            "lone": self.lone,
            "sizes": {_between(size): n for size, n in sorted(self.sizes.items())},
            "closed": dict(self.closed),
            "waits": {
                "latency": list(waits.counts),
                "p50_ms": waits.quantile_ms(0.5),
                "p95_ms": waits.quantile_ms(0.95),
                "p99_ms": waits.quantile_ms(0.99),
            },
            "refused": dict(self.refusals),
            "cancelled": self.cancelled,
            "late": self.late,
        }

    def queue_now(self) -> dict[str, int]:
        """Return how the queue stands, and the threads that all endpoints of a process share."""
        turns = self._turns
        return {
            "running": self.running,
            "waiting": self.waiting,
            "hung": self.hung,
            "threads": 0 if turns is None else turns.slots,
            "threads_busy": 0 if turns is None else turns.busy,
            "threads_hung": 0 if turns is None else turns.stuck,
        }


class _Batch(Task):
    """Requests that are scored as one call."""

    __slots__ = ("jobs", "rows")

    def __init__(
        self,
        lane: Batcher,
        jobs: list[Job],
        rows: int,
        work: Callable[[], None],
        expected_s: float,
    ) -> None:
        super().__init__(lane, work, expected_s)
        self.jobs, self.rows = jobs, rows


def _cut(waiting: deque[Job], bound_s: float) -> tuple[list[Job], str]:
    """Take the next batch from a queue; return it and why it is not larger.

    Those of another generation or version stay where they are, before what comes later.
    """
    jobs: list[Job] = []
    others: list[Job] = []
    rows, most, closed = 0, 0, CLOSED[0]
    while waiting:
        job = waiting.popleft()
        if _is_over(job):
            continue
        if not jobs:
            most = min(job.limits.batch_rows, job.plan.cost.rows_within(bound_s))
        elif job.key != jobs[0].key:
            others.append(job)
            closed = CLOSED[3]
            continue
        elif rows + job.rows > most:
            waiting.appendleft(job)
            closed = CLOSED[1] if rows + job.rows > job.limits.batch_rows else CLOSED[2]
            break
        jobs.append(job)
        rows += job.rows
    waiting.extendleft(reversed(others))
    return jobs, closed


def _is_over(job: Job) -> bool:
    return job.future is None or job.future.done()


def _impatient(job: Job) -> DeadlineError:
    return DeadlineError(f"There is no answer yet after the {job.patience_s:g} s you gave.")


def _between(size: int) -> str:
    return str(size) if size == 1 else f"{size}-{2 * size - 1}"


async def _left(receive: Receive) -> None:
    """Return once the client has left."""
    # A server that goes on telling of the body instead must not keep the event loop.
    for _ in range(3):
        found: Awaitable[Any] = receive()
        if (await found)["type"] == "http.disconnect":
            return
    await asyncio.get_running_loop().create_future()
