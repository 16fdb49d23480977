"""Say what is behind an alarm in lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mainspring.ground.clock import iso
from mainspring.monitoring import causes

if TYPE_CHECKING:
    from mainspring.workspace.views.causes import Cause

Pair = tuple[str, str]


def lines_of(told: Cause) -> list[str]:
    """Return a line for each thing that is known, the alarm first and what is not known last."""
    pairs = [*_itself(told), *_what(told), *_when(told), *_after(told)]
    pairs += [("not found", lost) for lost in told.missing]
    width = max(len(what) for what, _ in pairs)
    return [f"{what:<{width}}  {text}" for what, text in pairs]


def _itself(told: Cause) -> Iterator[Pair]:
    alarm = told.alarm
    ended = f"ended {alarm.outcome}" if alarm.outcome else "open"
    where = f"{alarm.kind} of {alarm.subject}, {alarm.endpoint or 'the house'}"
    yield "alarm", f"{where}, raised {iso(alarm.raised)}, {ended}: {alarm.reason}"
    if told.state is not None:
        yield "state", f"{told.state.state} since {iso(told.state.since)}"
    if told.group is not None:
        yield "group", f"{told.group.headline} ({told.group.id})"


def _what(told: Cause) -> Iterator[Pair]:
    for one in told.suspects[:10]:
        yield (
            "column",
            f"{one.column}: moved {one.moved:.3f}, {one.share:.1%} of the response hang on it",
        )
    for part in told.slices[:5]:
        yield "slice", f"{part.subject}: {part.why}"
    if told.effect is not None:
        yield "effect", told.effect.words


def _when(told: Cause) -> Iterator[Pair]:
    if told.since is not None:
        yield "since", causes.told_onset(told.since)
    if len(told.versions) > 1:
        yield "versions", ", ".join(f"{number} from {window}" for window, number in told.versions)
    for change in told.upstream[:10]:
        moved = f" ({change.old[:12]} to {change.new[:12]})" if change.old or change.new else ""
        yield "upstream", f"{iso(change.at)} {change.kind}: {change.what}{moved}"


def _after(told: Cause) -> Iterator[Pair]:
    if told.examples is not None:
        for row in told.examples.window[:3]:
            shown = ", ".join(f"{column}={row.get(column)}" for column in told.examples.columns)
            yield "row", f"{row.get('_id', '')}: {shown}"
    for one in told.did[:10]:
        yield "did", f"{iso(one.at)} {one.kind} by {one.by}: {one.reason}"
