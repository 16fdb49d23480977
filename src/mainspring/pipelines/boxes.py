"""Fold the steps of a run into the boxes of a picture: one for a map, however many its items.

A step is drawn as itself, unless a controller that plants many stands over it, or its column of
a large graph holds many of its name. What is folded is counted, and listed when asked for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from mainspring.ground.objects import StepRecord, StepState
from mainspring.ground.words import lasting, minutes
from mainspring.pipelines.graph import WAITS
from mainspring.pipelines.picture import Box, layers

_WAITING = {
    "approval": "asks for approval",
    "event": "waits for news",
    "callback": "waits for a callback",
}
_FOLDS = ("map", "iterate")  #: kinds whose steps are never drawn one by one
_MOST_PLANTED = 8  #: of one controller that are drawn one by one
_MOST_DRAWN = 80  #: boxes; in a larger graph those of a name in a column are folded
_LEAST_FOLDED = 6  #: of a name in a column
_NUMBERED = re.compile(r"_\d+$")
_GOOD = (StepState.DONE, StepState.REUSED)
_WORST = (StepState.FAILED, StepState.RUNNING, StepState.WAITING, StepState.SKIPPED)


def boxes(
    steps: Sequence[StepRecord], now: float, items: Mapping[str, Mapping[str, int]] | None = None
) -> list[Box]:
    """Return what is drawn of a run's steps, with what each needs and how far it is.

    ``items`` says of controllers that are not wholly among the steps how many of what they
    planted stand how.
    """
    counted = items or {}
    known = {one.step: one for one in steps}
    planted = _planted(steps)
    over = _folded_into(known, planted)
    beneath = _beneath(over)
    drawn = [one for one in steps if one.step not in over]
    inner = {name: [o for o in several if o not in over] for name, several in planted.items()}
    found = [
        Box(
            name=one.step,
            state=look_of(one),
            detail=_detail(one, members, now),
            needs=_needs(one, known, over, inner.get(one.step, ())),
            members=members,
        )
        for one in drawn
        for members in [beneath.get(one.step, [])]
    ]
    if len(found) > _MOST_DRAWN:
        found = _several(found, known)
    return [_with_counts(one, known, counted) if one.members else one for one in found]


def look_of(step: StepRecord) -> str:
    """Return how a step stands, in one word: its state, or that it waits for news."""
    waits = step.kind in WAITS and step.state is StepState.RUNNING
    return "asks" if waits else str(step.state)


def items_of(name: str, steps: Sequence[StepRecord]) -> dict[str, list[StepRecord]]:
    """Return the steps of each item of a map, or of each round of a loop, by the item's name."""
    own = re.compile(re.escape(name) + r"\[\d+\]")
    found: dict[str, list[StepRecord]] = {}
    for one in steps:
        item = own.match(one.step)
        found.setdefault(item.group() if item else one.step, []).append(one)
    return found


def state_of(steps: Sequence[StepRecord]) -> str:
    """Return how several steps stand together: as the one that is worst off."""
    states = {one.state for one in steps}
    for state in _WORST:
        if state in states:
            return str(state)
    return str(StepState.DONE if StepState.DONE in states else StepState.REUSED)


def told(states: Sequence[str], *, reused: bool = True) -> str:
    """Return how many of several are done, and what of the others.

    >>> told(["done", "reused", "failed", "done"])
    '3 of 4 done, 1 failed, 1 reused'
    """
    return told_of(Counter(states), reused=reused)


def told_of(counts: Mapping[str, int], *, reused: bool = True) -> str:
    """Return the same of counts by state."""
    good = sum(counts.get(state, 0) for state in _GOOD)
    others = (*_WORST, StepState.REUSED) if reused else _WORST
    rest = [f"{counts[one]:,} {one}" for one in others if counts.get(one)]
    return ", ".join([f"{good:,} of {sum(counts.values()):,} done", *rest])


def _planted(steps: Sequence[StepRecord]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in steps:
        if one.within is not None:
            found.setdefault(one.within, []).append(one.step)
    return found


def _folded_into(
    known: Mapping[str, StepRecord], planted: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Return the box that each step is folded into; those drawn as themselves are left out."""
    over: dict[str, str] = {}
    for name in known:
        line = [name]
        while (up := known[line[-1]].within) in known and up not in line:
            line.append(str(up))
        for above in reversed(line[1:]):  # the outermost first
            if known[above].kind in _FOLDS or len(planted[above]) > _MOST_PLANTED:
                over[name] = above
                break
    return over


def _beneath(over: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, above in over.items():
        found.setdefault(above, []).append(name)
    return found


def _needs(
    step: StepRecord,
    known: Mapping[str, StepRecord],
    over: Mapping[str, str],
    inner: Sequence[str],
) -> list[str]:
    """Return the boxes before one.

    What a controller planted stands between what it needs and the controller, which gathers it.
    """
    needs = list(step.needs)
    above = step
    while not needs and above.within is not None and above.within in known:
        above = known[above.within]
        needs = list(above.needs)
    found = [over.get(need, need) for need in [*needs, *inner]]
    return [need for need in dict.fromkeys(found) if need in known and need != step.step]


def _detail(step: StepRecord, members: Sequence[str], now: float) -> str:
    """Return how long a step took, or what it is about."""
    state = look_of(step)
    if state == "skipped":
        return "not taken" if step.handled else "skipped"
    if state in ("reused", "asks"):
        return _WAITING.get(step.kind, "waits") if state == "asks" else "reused"
    if members or step.started is None:
        return ""  # of a fold the counts stand there
    again = f", try {step.attempt}" if step.attempt > 1 else ""
    if step.ended is None:
        return minutes(now - step.started) + again
    return (lasting(step.ended - step.started) or "0 s") + again


def _with_counts(
    box: Box, known: Mapping[str, StepRecord], counted: Mapping[str, Mapping[str, int]]
) -> Box:
    if box.name in counted and not box.several:
        return box.but(detail=told_of(counted[box.name], reused=False))
    items = items_of(box.name, [known[name] for name in box.members])
    states = [state_of(several) for several in items.values()]
    return box.but(detail=told(states, reused=False))


def _several(found: Sequence[Box], known: Mapping[str, StepRecord]) -> list[Box]:
    """Fold boxes of one name in one column, such as score, score_2, ..., into one."""
    members = _alike(found, known)
    into = {name: first for first, several in members.items() for name in several}
    needs: dict[str, dict[str, None]] = {}
    for one in found:
        mine = needs.setdefault(into.get(one.name, one.name), {})
        mine |= dict.fromkeys(into.get(need, need) for need in one.needs)
    drawn = []
    for one in found:
        own = [need for need in needs.get(one.name, ()) if need != one.name]
        if one.name in members:
            some = members[one.name]
            state = state_of([known[name] for name in some])
            drawn.append(one.but(needs=own, members=some, several=True, state=state))
        elif one.name not in into:
            drawn.append(one.but(needs=own))
    return drawn


def _alike(found: Sequence[Box], known: Mapping[str, StepRecord]) -> dict[str, list[str]]:
    """Return the names that are folded, by the first of each."""
    groups: dict[tuple[int, str], list[str]] = {}
    for number, column in enumerate(layers({one.name: one.needs for one in found})):
        for name in column:
            if known[name].kind == "step":
                groups.setdefault((number, _NUMBERED.sub("", name)), []).append(name)
    return {some[0]: some for some in groups.values() if len(some) >= _LEAST_FOLDED}
