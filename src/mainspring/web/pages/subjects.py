"""Name what a decision speaks of, as people do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import msgspec

from mainspring.ground.objects import Alarm, Decision
from mainspring.web.pages import words
from mainspring.workspace.views.shapes import Link, TimelineEntry


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A decision as it stands in the list; alarms dismissed together stand as one."""

    decision: Decision
    subjects: list[str]
    links: list[Link]


def rows(entries: Sequence[TimelineEntry], model: str, alarms: Sequence[Alarm]) -> list[Row]:
    """Return the decisions in their order, those that dismiss for one reason joined."""

    def alike(entry: TimelineEntry) -> tuple[object, ...]:
        one = entry.decision
        return (one.reason, one.at) if one.kind == "dismiss" else (one.id,)

    found = []
    for _, run in groupby(entries, key=alike):
        same = list(run)
        subjects = _joined([subject(entry.decision, model, alarms) for entry in same])
        found.append(
            Row(
                decision=same[0].decision,
                subjects=[text for text in subjects if text],
                links=same[0].links if len(same) == 1 else [],
            )
        )
    return found


def _joined(subjects: Sequence[str]) -> list[str]:
    """Return alarms of one kind as one: "drift of temp, wind", not each by itself."""
    found: dict[str, list[str]] = {}
    for text in subjects:
        kind, mark, name = text.partition(" of ")
        found.setdefault(f"{kind}{mark}", []).append(name)
    return [kind + ", ".join(dict.fromkeys(names)) for kind, names in found.items()]


def newest(entries: Sequence[TimelineEntry]) -> Decision | None:
    """Return the newest decision that did something; a dismissal only follows from another."""
    made = [entry.decision for entry in entries]
    return next((one for one in made if one.kind != "dismiss"), made[0] if made else None)


def subject(decision: Decision, model: str, alarms: Sequence[Alarm] = ()) -> str:
    """Return a version as ``model/7``, an alarm by kind and subject, nothing for its own loop."""
    kind, mark, name = decision.subject.partition(":")
    if mark and kind == "version":
        return f"{model}/{name}"
    if mark and kind == "loop":
        return "" if name == decision.loop else name
    if mark and kind == "alarm":
        known: Mapping[str, Alarm] = {one.id: one for one in alarms}
        found = known.get(name)
        return "an alarm" if found is None else f"{words.word(found.kind)} of {found.subject}"
    return decision.subject
