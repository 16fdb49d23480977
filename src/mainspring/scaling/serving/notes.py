"""Note predictions in the process's log: the failed, the slow, and a share of the others.

A line says who asked, which version answered, how, in what time, and the id of the first row's
prediction; never a value. It is handed on and written by another thread, so nobody waits for it.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any

from mainspring.ground.errors import MainspringError
from mainspring.scaling.serving.callers import agent_class, client_of
from mainspring.scaling.serving.metrics import CHAMPION, Counts

if TYPE_CHECKING:
    from mainspring.scaling.serving.predicting import Marks, Predicted
    from mainspring.scaling.serving.protocols.calls import Call

#: (level, event, fields) -> into the log
Say = Callable[[str, str, Mapping[str, Any]], None]

#: Lines a second. A flood of failures must not push all other lines out of the folder.
MOST_A_SECOND = 50  #: of failed and slow ones
MOST_IDS = 100  #: of rows that the caller named, in a line
MOST_SAMPLED = 200  #: of the others


class Notes:
    """Notes the predictions of one endpoint process.

    Args:
        endpoint: its name.
        counts: know which part each version has in the traffic.
        say: where lines go; must not wait.
        share: of the predictions that went well, 0 to 1.
        slow_s: a prediction that took longer is noted whatever the share.
    """

    def __init__(
        self, endpoint: str, counts: Counts, say: Say, share: float, slow_s: float
    ) -> None:
        self._endpoint, self._counts, self._say = endpoint, counts, say
        self._share, self._slow_s = share, slow_s
        # Of its own, or what a user's code draws after seeding would hang on who was answered.
        self._chance = random.Random()  # noqa: S311  no secret
        self._bounds = {"failed": _Bound(MOST_A_SECOND), "well": _Bound(MOST_SAMPLED)}

    def note(self, call: Call, status: int, seconds: float, error: BaseException | None) -> None:
        """Note one answered prediction, if it is one to be noted."""
        well = status < 400
        slow = seconds > self._slow_s
        if well and not slow and (not self._share or self._chance.random() >= self._share):
            return
        bound = self._bounds["well" if well and not slow else "failed"]
        if not bound.admits():
            return
        event = (
            "prediction"
            if well and not slow
            else "slow prediction"
            if well
            else "prediction refused"
        )
        if status >= 500:
            event = "prediction failed"
        fields: dict[str, Any] = {
            "endpoint": self._endpoint,
            "request": call.request_id,
            "status": status,
            "ms": round(seconds * 1000, 3),
            "path": call.path[:200],
            "caller": _caller(call),
            "trace_id": call.trace_id,
            "unsaid": bound.taken() or None,
        }
        if call.done is not None:
            fields |= answered(call.done, self._counts)
            if slow:
                fields |= _took(call.done.marks)
        if isinstance(error, MainspringError):
            fields |= {"code": error.code, "field": None if not error.field else error.field[:80]}
        elif error is not None:
            fields["code"] = type(error).__name__
        self._say("warning" if slow or status >= 500 else "info", event, fields)


class _Bound:
    """How many lines of a kind a second may have."""

    def __init__(self, most: int) -> None:
        self._most, self._second, self._said, self._unsaid = most, 0, 0, 0

    def admits(self) -> bool:
        """Count one line; False where there were too many in this second."""
        second = int(monotonic())
        if second != self._second:
            self._second, self._said = second, 0
        self._said += 1
        if self._said <= self._most:
            return True
        self._unsaid += 1
        return False

    def taken(self) -> int:
        """Return how many were let go since the last line, and forget them."""
        found, self._unsaid = self._unsaid, 0
        return found


def answered(done: Predicted, counts: Counts) -> dict[str, Any]:
    """Return what is told of an answer: the id of its first row, how many, and who answered."""
    versions = sorted(set(done.answer.versions.tolist()))
    parts = dict.fromkeys(counts.variants.get(v, CHAMPION) for v in versions)
    return {
        "prediction": done.ids[0] if done.ids else None,
        "ids": _own(done.ids),
        "rows": len(done.ids),
        "version": ",".join(map(str, versions)) or None,
        "variant": ",".join(parts) or None,
    }


def _own(ids: list[str]) -> str | None:
    """Return the ids of the rows where the caller named them itself; ours follow each other."""
    begin, _, number = ids[0].rpartition("-") if ids else ("", "", "")
    last = f"{begin}-{int(number) + len(ids) - 1}" if number.isdecimal() else None
    return " ".join(ids[:MOST_IDS]) if ids and ids[-1] != last else None


def _took(marks: Marks) -> dict[str, float]:
    """Return how long each step took: what a slow prediction is asked for first."""
    steps = itertools.pairwise(marks._asdict().items())
    return {f"{name}_ms": round((end - begin) * 1000, 3) for (_, begin), (name, end) in steps}


def _caller(call: Call) -> str | None:
    """Return who asked, as callers are counted: no person and no address."""
    named = call.who or client_of(call.headers.get(b"x-client", b""))
    return named or agent_class(call.headers.get(b"user-agent", b"")) or None
