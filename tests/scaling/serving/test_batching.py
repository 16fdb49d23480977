"""What waits together is scored as one call, in turn, in time; and each request keeps its own."""

import asyncio
import threading
import time
from collections.abc import Callable

import httpx
import msgspec
import numpy as np
import pytest

from mainspring.ground.contracts import Contract
from mainspring.ground.errors import DeadlineError, OverloadedError, TooManyRequestsError
from mainspring.ground.objects import Column, Routing, Signature
from mainspring.ground.serving import EndpointLimits, EndpointOptions
from mainspring.numerics.rowwise import RowChecks
from mainspring.scaling.models.check import Prepared, check
from mainspring.scaling.serving import turns
from mainspring.scaling.serving.admission import Clients
from mainspring.scaling.serving.batching import BATCH_S, Batcher, Job, Plan
from mainspring.scaling.serving.body import ClientGoneError
from mainspring.scaling.serving.joining import joined, shape, together
from mainspring.scaling.serving.router import Generation, Variant
from mainspring.scaling.serving.turns import MOST_STUCK, of_loop

ROW = {"distance": 731.0, "hour": 18, "carrier": "B6", "weekend": False}
SIGNATURE = Signature(
    columns=[Column(name="x", type="float"), Column(name="word", type="str")],
    kind="regression",
    target="y",
)
PATIENT = EndpointLimits(deadline_ms=60_000, timeout_ms=60_000)


class Model:
    """Doubles x; a row whose word is ``bad`` fails the call it is in."""

    def __init__(self, form: str = "native", inline: bool = True) -> None:
        self.digest, self.signature, self.form = "d", SIGNATURE, form
        self.asks = RowChecks(Contract(), [])
        self.inline, self.held_bytes = inline, 0
        self.calls: list[int] = []

    def check(self, columns) -> Prepared:
        return check(columns, SIGNATURE)

    def score(self, rows: Prepared):
        self.calls.append(rows.rows)
        if "bad" in rows.columns["word"]:
            raise ValueError("a bad word")
        return 2.0 * rows.columns["x"][:, None]

    def labels(self, scores):
        return scores[:, 0].tolist()

    def warm(self) -> None: ...

    def close(self) -> None: ...


def generation(served: Model, serial: int = 1) -> tuple[Generation, Variant]:
    routing = Routing(endpoint="e", model="m", champion=1, champion_package="d")
    variant = Variant(1, served)
    return Generation(serial, routing, variant, None), variant


async def staying():
    """Be a client that stays: nothing more comes from it."""
    await asyncio.get_running_loop().create_future()


async def until(true: Callable[[], bool]) -> None:
    for _ in range(12_000):
        if true():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never happened")


class Queue:
    """A batcher whose scoring threads wait until they are let go."""

    def __init__(self, slots: int = 1, limits: EndpointLimits = PATIENT) -> None:
        self.turns = of_loop(asyncio.get_running_loop())
        self.turns.slots = slots
        self.limits = limits
        self.go = threading.Event()
        self.batches: list[list[int]] = []
        self.batcher = Batcher(self.score)
        self.plans: dict[int, Plan] = {}

    def score(self, jobs) -> None:
        self.batches.append([job.asked for job in jobs])
        assert self.go.wait(60)
        for job in jobs:
            job.answer = job.asked

    def job(self, number: int, rows: int = 1, serial: int = 1, **limits) -> Job:
        plan = self.plans.setdefault(serial, Plan(*generation(Model(), serial)))
        own = msgspec.structs.replace(self.limits, **limits)
        return Job(number, rows, plan, (serial,), own)

    def ask(self, job: Job, receive: Callable = staying) -> asyncio.Task:
        return asyncio.ensure_future(self.batcher.in_turn(job, receive))

    async def begun(self, batches: int) -> None:
        await until(lambda: len(self.batches) >= batches)

    async def ended(self, *tasks) -> list:
        self.go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)


def run(body) -> None:
    asyncio.run(asyncio.wait_for(body(), 60))


def test_what_waits_when_a_thread_becomes_free_is_scored_as_one_call():
    async def body():
        queue = Queue()
        queue.plans[1] = Plan(*generation(Model()))
        queue.plans[1].cost.add(64, 0.001)
        jobs = [queue.job(number) for number in range(6)]
        first = queue.ask(jobs[0])
        await queue.begun(1)
        rest = [queue.ask(job) for job in jobs[1:]]
        await asyncio.sleep(0)
        assert queue.batcher.waiting == 5
        assert not any(isinstance(e, Exception) for e in await queue.ended(first, *rest))
        assert queue.batches == [[0], [1, 2, 3, 4, 5]]
        assert [job.answer for job in jobs] == list(range(6))
        told = queue.batcher.as_dict()
        assert told["sizes"] == {"1": 1, "4-7": 1}
        assert told["closed"]["nothing waited"] == 2
        now = queue.batcher.queue_now()
        assert (now["waiting"], now["running"], now["threads"]) == (0, 0, 1)

    run(body)


@pytest.mark.parametrize(
    ("known", "limits", "batches", "reason"),
    [
        ((64, 0.0), {"batch_rows": 2}, [[0], [1, 2], [3, 4]], "row limit"),
        ((1, 0.01), {}, [[0], [1, 2], [3, 4]], "latency bound"),  # nothing is known beyond twice
    ],
    ids=["rows", "time"],
)
def test_a_batch_says_why_it_is_not_larger(known, limits, batches, reason):
    async def body():
        queue = Queue()
        jobs = [queue.job(number, **limits) for number in range(5)]
        queue.plans[1].cost.add(*known)
        first = queue.ask(jobs[0])
        await queue.begun(1)
        rest = [queue.ask(job) for job in jobs[1:]]
        await asyncio.sleep(0)
        taken = queue.batcher.cut()
        assert [job.asked for job in taken.jobs] == batches[1]
        assert queue.batcher.closed[reason] == 1
        for task in rest:
            task.cancel()
        await queue.ended(first, *rest)

    run(body)


def test_requests_of_another_generation_wait_for_a_call_of_their_own():
    async def body():
        queue = Queue()
        jobs = [queue.job(n, serial=serial) for n, serial in enumerate([1, 1, 2, 1, 2])]
        for plan in queue.plans.values():
            plan.cost.add(64, 0.001)
        first = queue.ask(jobs[0])
        await queue.begun(1)
        rest = [queue.ask(job) for job in jobs[1:]]
        await asyncio.sleep(0)
        await queue.ended(first, *rest)
        assert queue.batches == [[0], [1, 3], [2, 4]]
        assert queue.batcher.closed["another generation"] == 1

    run(body)


def test_a_scoring_that_hangs_is_answered_in_time_and_leaves_its_thread_to_nobody():
    async def body():
        queue = Queue(limits=EndpointLimits(deadline_ms=60_000, timeout_ms=50))
        stuck = [queue.ask(queue.job(number)) for number in range(2)]
        with pytest.raises(DeadlineError, match="longer than"):
            await stuck[0]
        # The second had its turn in another thread, and hangs there.
        with pytest.raises(DeadlineError):
            await stuck[1]
        assert queue.batcher.hung == queue.turns.stuck == 2
        assert queue.turns.busy == 0
        with pytest.raises(OverloadedError, match="hangs in 2 threads"):
            await queue.ask(queue.job(3))
        # A neighbour is not in its way.
        other = Batcher(lambda jobs: None)
        await other.in_turn(queue.job(9, timeout_ms=60_000), staying)
        queue.go.set()
        await until(lambda: not queue.batcher.hung)
        await queue.ask(queue.job(4, timeout_ms=60_000))
        assert MOST_STUCK > queue.turns.stuck == 0

    run(body)


def test_what_a_client_that_left_had_asked_is_not_scored():
    async def body():
        queue = Queue()
        gone = asyncio.Event()

        async def leaving():
            await gone.wait()
            return {"type": "http.disconnect"}

        first = queue.ask(queue.job(0))
        await queue.begun(1)
        left, stays = queue.ask(queue.job(1), leaving), queue.ask(queue.job(2))
        await asyncio.sleep(0)
        gone.set()
        with pytest.raises(ClientGoneError):
            await left
        await queue.ended(first, stays)
        assert queue.batches == [[0], [2]]
        assert queue.batcher.cancelled == 1

    run(body)


def test_a_full_queue_refuses_at_once_and_what_waits_too_long_is_given_up():
    async def body():
        queue = Queue(limits=EndpointLimits(queue=1, deadline_ms=50, timeout_ms=60_000))
        first = queue.ask(queue.job(0))
        await queue.begun(1)
        waits = queue.ask(queue.job(1))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError) as found:
            await queue.ask(queue.job(2))
        assert found.value.retry_after_s >= 1
        with pytest.raises(OverloadedError):
            await waits
        assert await queue.ended(first) == [None]
        assert queue.batches == [[0]]
        assert queue.batcher.refused == 2

    run(body)


def test_what_cannot_be_expected_in_time_is_refused_without_waiting():
    async def body():
        queue = Queue(limits=EndpointLimits(deadline_ms=1000, timeout_ms=60_000))
        first = queue.ask(queue.job(0))
        await queue.begun(1)
        queue.batcher._pace_s = 2.0
        with pytest.raises(OverloadedError) as found:
            await queue.ask(queue.job(1))
        assert found.value.retry_after_s == 2
        await queue.ended(first)

    run(body)


@pytest.mark.parametrize("waiting", [True, False], ids=["waiting", "scored"])
def test_a_client_that_waits_for_less_is_told_after_that(waiting):
    async def body():
        queue = Queue()
        tasks = []
        if waiting:
            tasks.append(queue.ask(queue.job(0)))
            await queue.begun(1)
        job = queue.job(1)
        job.patience_s = 0.05
        with pytest.raises(DeadlineError, match="you gave"):
            await queue.ask(job)
        await queue.ended(*tasks)

    run(body)


def test_an_endpoint_of_slow_batches_delays_another_by_one_of_them():
    async def body():
        turns = of_loop(asyncio.get_running_loop())
        turns.slots = 1
        order: list[str] = []
        slow, quick = Batcher(lambda jobs: None), Batcher(lambda jobs: None)
        queue = Queue()

        def lane(batcher: Batcher, name: str, seconds: float) -> None:
            plan = Plan(*generation(Model()))
            plan.cost.add(1, seconds)
            start = batcher.cut

            def cut():
                task = start()
                order.append(name)
                # Time is turned, not waited for: the scheduler is told what the batch took.
                task.started = 0.0
                return task

            batcher.cut = cut
            for number in range(40):
                job = queue.job(number, batch_rows=1)
                job.plan, job.future = plan, asyncio.get_running_loop().create_future()
                batcher._waiting.append(job)

        lane(slow, "slow", 0.050)
        lane(quick, "quick", 0.001)
        turns._threads.run = lambda work: None
        started = []
        start = turns._start

        def begin(task):
            start(task)
            started.append(task)

        turns._start = begin
        turns.wake(slow)
        turns.wake(quick)
        while started:
            task = started.pop(0)
            turns._ended(task, 0.050 if task.lane is slow else 0.001)
        assert sorted(order) == ["quick"] * 40 + ["slow"] * 40
        # All forty quick ones are through before the third slow one begins: they used 40 ms.
        assert order[:42].count("slow") <= 2
        for batcher in (slow, quick):
            batcher.cut = None

    run(body)


def test_a_model_that_turns_out_slow_goes_to_the_threads_and_comes_back():
    plan = Plan(*generation(Model(form="onnx")))
    assert plan.inline
    for _ in range(10):
        plan.add(1, 0.0001)
    assert plan.inline
    for _ in range(30):
        plan.add(1, 0.008)
    assert not plan.inline
    for _ in range(200):
        plan.add(1, 0.0001)
    assert plan.inline
    plan.add(1, 0.002)
    for _ in range(200):
        plan.add(1, 0.0001)
    assert plan.inline
    for _ in range(2):
        plan.add(1, 0.5)
    assert not plan.inline


def test_what_may_hang_is_never_scored_in_the_event_loop_and_the_unknown_not_at_first():
    hangs, unknown = Plan(*generation(Model(inline=False))), Plan(*generation(Model()))
    assert not hangs.inline
    assert not unknown.inline
    for plan in (hangs, unknown):
        for _ in range(10):
            plan.add(1, 0.0001)
    assert not hangs.inline
    assert unknown.inline


def test_several_requests_of_one_round_of_the_loop_are_scored_together():
    async def body():
        queue = Queue()
        queue.go.set()
        for _ in range(40):
            await asyncio.gather(*(queue.batcher.soon(queue.job(n)) for n in range(4)))
        assert max(map(len, queue.batches)) == 4
        assert queue.batches[-1] == [0, 1, 2, 3]
        queue.batches.clear()
        for number in range(100):
            await queue.batcher.soon(queue.job(number))
        assert queue.batcher.lone > 30

    run(body)


def test_a_bad_row_fails_its_own_request_and_not_its_neighbours():
    model = Model()
    now, champion = generation(model)
    parts = [model.check({"x": [float(n)], "word": [w]}) for n, w in enumerate(["a", "bad", "c"])]
    _, both = together(now, champion, parts)
    assert both.served.score(parts[0]).tolist() == [[0.0]]
    with pytest.raises(ValueError, match="a bad word"):
        both.served.score(parts[1])
    assert both.served.score(parts[2]).tolist() == [[4.0]]
    assert model.calls == [3, 1, 1, 1]  # once together, then each alone


def test_rows_scored_together_get_what_they_would_get_alone():
    model = Model()
    now, champion = generation(model)
    chance = np.random.default_rng(3)
    parts = [
        model.check({"x": chance.normal(size=n).tolist(), "word": ["w"] * n}) for n in (1, 4, 2)
    ]
    assert joined(parts).rows == 7
    whole, both = together(now, champion, parts)
    assert whole.champion is both
    for part in parts:
        np.testing.assert_array_equal(both.served.score(part), model.score(part))
    assert model.calls[0] == 7
    other = model.check({"x": [1.0], "word": ["z"]})
    assert both.served.score(other).tolist() == [[2.0]]


def test_rows_are_only_joined_with_rows_of_the_same_kind():
    whole = check({"x": [1.0], "word": ["a"]}, SIGNATURE)
    gap = check({"x": [None], "word": ["a"]}, SIGNATURE)
    assert shape(whole) == shape(check({"x": [2], "word": ["b"]}, SIGNATURE))
    assert shape(whole) != shape(gap)


def test_a_batch_is_bounded_by_what_a_row_is_known_to_take():
    plan = Plan(*generation(Model()))
    for _ in range(5):
        plan.add(1, 0.012)
        plan.add(2, 0.022)
    assert plan.cost.row_s == pytest.approx(0.010)
    assert plan.cost.call_s == pytest.approx(0.002)
    assert plan.cost.rows_within(BATCH_S) == 4  # nine would fit, but four is what is known
    plan.add(9, 0.092)
    assert plan.cost.rows_within(BATCH_S) == 9


def test_requests_that_arrive_together_keep_their_own_answers_errors_and_ids(stage):
    here = stage()
    plain = [{**ROW, "distance": 100.0 * n} for n in range(1, 9)]
    alone = [here.predict([row])["scores"] for row in plain]
    here.app.predictor.batcher._together = 8.0

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=here.client.base_url, timeout=60) as client:
            bodies = [[row] for row in plain] + [[{**ROW, "hour": "noon"}]]
            return await asyncio.gather(
                *(client.post("/invocations", json={"dataframe_records": b}) for b in bodies)
            )

    for _ in range(3):
        answers = asyncio.run(ask())
        assert [one.status_code for one in answers] == [200] * 8 + [400]
        told = [one.json() for one in answers[:-1]]
        np.testing.assert_allclose([one["scores"] for one in told], alone, atol=1e-6)
        assert len({one["prediction_ids"][0] for one in told}) == 8
    counts = here.app.counts.of(1)
    assert (counts.requests, counts.rows, counts.errors) == (32, 32, 0)
    here.app._captures.flush()
    assert here.app._captures.written_rows == 32


def test_a_quick_model_waits_for_one_batch_of_a_slow_one_under_full_load(monkeypatch):
    clock = [0.0]  # turned by the batches: how busy the machine is must not decide who is charged
    monkeypatch.setattr(turns, "perf_counter", lambda: clock[0])

    async def body():
        of_loop(asyncio.get_running_loop()).slots = 1
        queue = Queue()

        class Noted(Batcher):
            """A batcher that counts its batches where they are decided on, in the event loop."""

            cuts = 0
            seen = 0  # of the slow one, when this one's last was cut

            def cut(self):
                self.cuts, self.seen = self.cuts + 1, slow.cuts
                return super().cut()

        def taking(seconds: float) -> Callable:
            def score(jobs) -> None:
                time.sleep(seconds / 10)
                clock[0] += seconds

            return score

        slow, quick = Noted(taking(0.05)), Noted(taking(0.001))
        over = asyncio.Event()

        async def load() -> None:
            plan = Plan(*generation(Model()))
            while not over.is_set():
                job = queue.job(0)
                job.plan = plan
                await slow.in_turn(job, staying)

        loads = [asyncio.ensure_future(load()) for _ in range(8)]
        await until(lambda: slow.waiting >= 2)
        for number in range(50):
            before = slow.cuts
            await quick.in_turn(queue.job(number, serial=2), staying)
            # One was under way. Once both are new to the turns another may come before it.
            assert quick.seen - before <= (1 if number < 2 else 0)
        over.set()
        await asyncio.gather(*loads)

    run(body)


def test_an_event_loop_that_is_far_behind_refuses_before_it_reads():
    async def body():
        queue = Queue()
        queue.batcher.shed(PATIENT)
        queue.turns.lag.seconds = 2.0
        queue.batcher.shed(PATIENT)
        with pytest.raises(OverloadedError) as found:
            queue.batcher.shed(EndpointLimits(deadline_ms=1000))
        assert found.value.retry_after_s == 2

    run(body)


def test_the_lag_of_an_event_loop_is_felt_when_it_lasts():
    async def body():
        lag = of_loop(asyncio.get_running_loop()).lag
        lag.feel()

        async def block() -> float:
            for _ in range(4):
                lag.feel()
                time.sleep(0.15)  # noqa: ASYNC251  it is blocked on purpose
                await asyncio.sleep(0)
            return lag.feel()

        assert await block() > 0.02
        await until(lambda: lag.feel() < 0.1)
        await until(lambda: not lag.seconds)  # nobody asks: nobody looks

    run(body)


def test_one_caller_gets_so_many_turns_at_a_time():
    clients = Clients()
    clients.enter("a", 2)
    clients.enter("a", 2)
    clients.enter("b", 2)
    with pytest.raises(TooManyRequestsError, match="2 requests under way"):
        clients.enter("a", 2)
    clients.leave("a")
    clients.enter("a", 2)
    assert clients.refused == 1
    for who in ("a", "a", "b", "nobody"):
        clients.leave(who)
    assert not clients._under_way


def test_limits_are_kept_live_and_over_http(stage):
    here = stage()
    body = {"dataframe_records": [ROW]}
    options = EndpointOptions(limits=EndpointLimits(per_client=0))
    here.route(options=options)
    refused = here.client.post("/invocations", json=body)
    assert (refused.status_code, refused.json()["error"]) == (429, "TOO_MANY_REQUESTS")
    assert int(refused.headers["retry-after"]) >= 1
    here.route(options=EndpointOptions(limits=EndpointLimits(per_client=1)))
    for _ in range(3):
        here.predict([ROW])
    assert here.client.get("/status").json()["queue"]["refused"] == 1
    wrong = here.client.post("/invocations", json=body, headers={"X-Request-Timeout-Ms": "soon"})
    assert (wrong.status_code, wrong.json()["field"]) == (400, "x-request-timeout-ms")
    here.predict([ROW], **{"X-Request-Timeout-Ms": "60000"})


def test_a_model_that_hangs_is_answered_in_time_and_said_to(stage, objects):
    go = threading.Event()

    class Hangs(Model):
        def score(self, rows: Prepared):
            assert go.wait(60)
            return super().score(rows)

    here = stage(loader=lambda digest: Hangs(inline=False))
    here.route(options=EndpointOptions(limits=EndpointLimits(timeout_ms=50)))
    asked = {"dataframe_records": [{"x": 1.0, "word": "a"}]}
    late = here.client.post("/invocations", json=asked)
    assert (late.status_code, late.json()["error"]) == (504, "DEADLINE")
    told = here.client.get("/status").json()
    assert "still hold a thread" in told["trouble"]
    assert (told["queue"]["hung"], told["batching"]["late"]) == (1, 1)
    assert here.client.get("/ping").status_code == 200
    go.set()
    here.route(options=EndpointOptions())
    assert here.client.post("/invocations", json=asked).json()["predictions"] == [2.0]
