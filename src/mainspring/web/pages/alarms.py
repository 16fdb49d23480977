"""The list of alarms: what is open first, those of one window folded into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args
from urllib.parse import urlencode

import msgspec

from mainspring.ground.monitors import AlarmKind
from mainspring.ground.objects import Alarm
from mainspring.workspace.opening import Workspace

KINDS: tuple[str, ...] = get_args(AlarmKind)
STATES = ("open", "ended", "all")
_MOST = 500


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Alarms that one window of one endpoint raised, told together."""

    id: str
    headline: str
    endpoint: str
    raised: float
    alarms: list[Alarm]

    @property
    def open(self) -> int:
        """Return how many of them have not ended."""
        return sum(1 for one in self.alarms if one.outcome is None)


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return the alarms that were asked for: by state, kind and endpoint."""
    from mainspring.workspace.views.endpoints import endpoint_boards
    from mainspring.workspace.views.monitoring import alarm_list

    state = asked.get("state", "open")
    state = state if state in STATES else "open"
    endpoint, kind = asked.get("endpoint", ""), asked.get("kind", "")
    only = {"open": True, "ended": False, "all": None}[state]
    every = alarm_list(ws, endpoint or None, open_only=only, limit=_MOST)
    found = [one for one in every if kind in ("", one.kind)]
    return {
        "groups": grouped(found),
        "count": len(found),
        "most": _MOST,
        "state": state,
        "states": STATES,
        "kind": kind,
        "kinds": sorted({one.kind for one in every} | ({kind} if kind in KINDS else set())),
        "endpoint": endpoint,
        "endpoints": [one.name for one in endpoint_boards(ws)],
        "query": lambda **changed: _query(asked, changed),
    }


def grouped(found: Sequence[Alarm]) -> list[Group]:
    """Return alarms, those of one window together, in their order."""
    by_window: dict[tuple[str, str], list[Alarm]] = {}
    for one in found:
        by_window.setdefault((one.endpoint, one.window), []).append(one)
    return [
        Group(
            id=several[0].id,
            headline=headline(several),
            endpoint=endpoint,
            raised=max(one.raised for one in several),
            alarms=several,
        )
        for (endpoint, _), several in by_window.items()
    ]


def headline(several: Sequence[Alarm]) -> str:
    """Return what alarms are about, in one line.

    >>> from mainspring.ground.objects import Alarm
    >>> both = [Alarm(id=n, endpoint="e", kind="drift", subject=n, reason="", raised=0.0,
    ...               window="e:0") for n in ("temp", "wind")]
    >>> headline(both)
    'drift of temp, wind'
    """
    by_kind: dict[str, list[str]] = {}
    for one in several:
        by_kind.setdefault(one.kind.replace("_", " "), []).append(one.subject)
    parts = []
    for kind, subjects in by_kind.items():
        more = f" and {len(subjects) - 4} more" if len(subjects) > 4 else ""
        parts.append(f"{kind} of {', '.join(one[:60] for one in subjects[:4])}{more}")
    return "; ".join(parts)


def _query(asked: Mapping[str, str], changed: Mapping[str, Any]) -> str:
    kept = {key: asked[key] for key in ("state", "kind", "endpoint") if asked.get(key)}
    kept |= {key: str(value) for key, value in changed.items()}
    return "/alarms?" + urlencode({key: value for key, value in kept.items() if value})
