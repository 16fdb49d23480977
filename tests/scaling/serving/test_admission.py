"""Overload: what cannot be answered in time is refused at once."""

import asyncio
from time import perf_counter

import pytest

from mainspring.ground.errors import OverloadedError
from mainspring.scaling.serving.admission import Admission


async def hold(admission: Admission, seconds: float) -> bool:
    try:
        async with admission.slot():
            await asyncio.sleep(seconds)
    except OverloadedError as error:
        return error.retry_after_s < 1
    return True


def test_a_full_queue_refuses_at_once() -> None:
    async def run() -> list[bool]:
        admission = Admission(slots=1, queue=2, deadline_s=5)
        found = await asyncio.gather(*(hold(admission, 0.02) for _ in range(10)))
        assert (admission.running, admission.waiting, admission.refused) == (0, 0, 7)
        return found

    assert asyncio.run(run()).count(True) == 3


def test_a_turn_that_would_come_too_late_is_not_waited_for() -> None:
    async def run() -> float:
        admission = Admission(slots=1, queue=1000, deadline_s=0.1)
        await hold(admission, 0.05)
        start = perf_counter()
        found = await asyncio.gather(*(hold(admission, 0.05) for _ in range(50)))
        assert 1 <= found.count(True) <= 4
        assert admission.running == 0
        assert await hold(admission, 0.0)
        return perf_counter() - start

    assert asyncio.run(run()) < 1.0


def test_one_who_leaves_the_queue_gives_nothing_up_for_others() -> None:
    async def run() -> None:
        admission = Admission(slots=1, queue=10, deadline_s=5)
        first = asyncio.create_task(hold(admission, 0.05))
        await asyncio.sleep(0.01)
        leaver = asyncio.create_task(hold(admission, 0.05))
        stayer = asyncio.create_task(hold(admission, 0.0))
        await asyncio.sleep(0.01)
        leaver.cancel()
        assert await first
        assert await stayer
        with pytest.raises(asyncio.CancelledError):
            await leaver
        assert (admission.running, admission.waiting) == (0, 0)

    asyncio.run(run())
