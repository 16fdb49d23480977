"""Name what a decision speaks of, as people do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainspring.ground.objects import Alarm, Decision
from mainspring.web.pages import words


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
