"""Set the steps of two runs of one pipeline side by side: which differ, how long, and why."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mainspring.experiments import runs
from mainspring.ground.objects import Record, Run, StepRecord
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import boxes, reading
from mainspring.workspace.opening import Workspace

_ITEM = re.compile(r"\[\d+\]")
_MOST = 300  #: rows


class Side(Record, frozen=True, kw_only=True):
    """How a step, or all items of a map together, did in one run."""

    state: str
    seconds: float | None  #: at work; None if its result was reused, or it never ran
    step: str  #: to look at
    why: str


class Row(Record, frozen=True, kw_only=True):
    """A step in both runs; None where a run has none of the name."""

    name: str
    first: Side | None
    second: Side | None
    same: bool | None  #: it returned the very same; None if one of the two returned nothing

    @property
    def slower(self) -> float | None:
        """Return how many times as long the second took, if both worked for a while."""
        pair = [one.seconds for one in (self.first, self.second) if one is not None]
        if len(pair) < 2 or not pair[0] or not pair[1] or max(pair[0], pair[1]) < 0.05:
            return None
        return pair[1] / pair[0]


def rows(ws: Workspace, found: Sequence[Run]) -> list[Row]:
    """Return the steps of two runs of one pipeline; nothing for other runs, or for more."""
    if len(found) != 2 or not found[0].pipeline or found[0].pipeline != found[1].pipeline:
        return []

    def look(tx: Tx) -> list[list[StepRecord]]:
        return [reading.steps_of(tx, runs.get(tx, one.id).id) for one in found]

    first, second = (_by_name(steps) for steps in ws.read(Permission.READ, look))
    return [_row(name, first.get(name, []), second.get(name, [])) for name in {**second, **first}][
        :_MOST
    ]


def _by_name(steps: Sequence[StepRecord]) -> dict[str, list[StepRecord]]:
    """Return steps by name, the items of a map or the rounds of a loop together."""
    found: dict[str, list[StepRecord]] = {}
    for one in steps:
        found.setdefault(_ITEM.sub("[…]", one.step), []).append(one)
    return found


def _row(name: str, first: Sequence[StepRecord], second: Sequence[StepRecord]) -> Row:
    outputs = [sorted(one.output or "" for one in side) for side in (first, second)]
    given = all(side and all(side) for side in outputs)
    return Row(
        name=name,
        first=_side(first),
        second=_side(second),
        same=outputs[0] == outputs[1] if given else None,
    )


def _side(steps: Sequence[StepRecord]) -> Side | None:
    if not steps:
        return None
    worst = boxes.state_of(steps)
    shown = next(one for one in steps if str(one.state) == worst)
    worked = [one.wall_s for one in steps if one.state not in ("reused", "skipped", "waiting")]
    return Side(
        state=worst,
        seconds=sum(worked) if worked else None,
        step=shown.step,
        why=shown.error.partition("\n")[0] or shown.why,
    )
