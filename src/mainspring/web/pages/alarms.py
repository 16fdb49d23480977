"""The list of alarms: what is in ALARM folded by its cause, and how all that is watched stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlencode

import msgspec

from mainspring.ground.objects import Alarm
from mainspring.ground.rules import AlarmState, StateName
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.alarming import GroupRow

Shown = Literal["alarm", "insufficient", "ok", "ended"]

#: What may be looked at, in the order of the page, and how it is called.
STATES: dict[str, str] = {
    "alarm": "in alarm",
    "insufficient": "no data",
    "ok": "well",
    "ended": "ended",
}
_NAMES: dict[str, StateName] = {"alarm": "ALARM", "insufficient": "INSUFFICIENT_DATA", "ok": "OK"}
_MOST = 500


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One alarm in the list: as it was raised, or as its state stands, or both."""

    kind: str
    subject: str
    reason: str
    at: float
    tone: str  #: what its badge says
    alarm: str | None  #: the id that its page goes by
    state: AlarmState | None = None


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Alarms that share a cause, or that one window raised, told together."""

    id: str
    headline: str
    endpoint: str
    at: float
    members: list[Member]
    cause: str = ""  #: what they share, if that is known
    held: str = ""  #: why nobody is told of it now
    told_at: float | None = None  #: wall time of the last page

    @property
    def open(self) -> int:
        """Return how many of them are in ALARM, or have not ended."""
        return sum(1 for one in self.members if one.tone in ("ALARM", "open"))

    @property
    def acknowledged(self) -> bool:
        """Return whether somebody has seen all of it that is in ALARM."""
        mine = [one.state for one in self.members if one.state is not None]
        ringing = [one for one in mine if one.state == "ALARM"]
        return bool(ringing) and all(one.acknowledged is not None for one in ringing)

    @property
    def can_acknowledge(self) -> bool:
        """Return whether there is anything in ALARM that an acknowledgement is of."""
        return any(one.state is not None and one.state.state == "ALARM" for one in self.members)


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return what was asked for: by state, kind and endpoint."""
    from mainspring.workspace.views import alarming
    from mainspring.workspace.views.endpoints import endpoint_boards

    state = asked.get("state", "alarm")
    state = state if state in STATES else "alarm"
    endpoint, kind = asked.get("endpoint", ""), asked.get("kind", "")
    every = _groups(ws, state, endpoint or None)
    kinds = sorted({one.kind for group in every for one in group.members})
    found = [one for group in every if (one := _only(group, kind)) is not None]
    return {
        "groups": found,
        "count": sum(len(one.members) for one in found),
        "most": _MOST,
        "state": state,
        "states": STATES,
        "kind": kind,
        "kinds": kinds if kind in ("", *kinds) else [*kinds, kind],
        "endpoint": endpoint,
        "endpoints": [one.name for one in endpoint_boards(ws)],
        "quiets": alarming.quiet_list(ws)[:20],
        "now": ws.clock.now(),
        "query": lambda **changed: _query(asked, changed),
    }


def _groups(ws: Workspace, state: str, endpoint: str | None) -> list[Group]:
    from mainspring.workspace.views import alarming
    from mainspring.workspace.views.monitoring import alarm_list

    if state == "ended":
        return grouped(alarm_list(ws, endpoint, open_only=False, limit=_MOST))
    watched = alarming.state_list(ws, endpoint, _NAMES[state], limit=_MOST)
    if state != "alarm":
        return [_alone(one, {}) for one in watched]
    rows = alarming.group_list(ws, endpoint, open_only=True, limit=_MOST)
    waiting = alarm_list(ws, endpoint, open_only=True, limit=_MOST)
    ids = {_about(one.endpoint, one.kind, one.subject): one.id for one in waiting}
    told = [_of_cause(row, ids) for row in rows]
    known = {one.state.id for group in told for one in group.members if one.state is not None}
    told += [_alone(one, ids) for one in watched if one.id not in known]
    # What loops still have to answer, where no state stands for it (any more).
    shown = {one.alarm for group in told for one in group.members}
    told += grouped([one for one in waiting if one.id not in shown])
    return sorted(told, key=lambda one: -one.at)


def _about(endpoint: str, kind: str, subject: str) -> tuple[str, str, str]:
    """Return what an alarm and a state share: one alarm stands for all checks of a column."""
    column, mark, _ = subject.rpartition("/")
    return endpoint, kind, column if mark and kind == "quality" else subject


def _of_cause(row: GroupRow, ids: Mapping[tuple[str, str, str], str]) -> Group:
    group = row.group
    return Group(
        id=group.id,
        headline=group.headline,
        endpoint=group.endpoint,
        at=group.opened,
        members=[_of_state(one, ids) for one in row.members],
        cause=group.cause,
        held=row.held,
        told_at=group.told_at,
    )


def _alone(state: AlarmState, ids: Mapping[tuple[str, str, str], str]) -> Group:
    member = _of_state(state, ids)
    kind = state.kind.replace("_", " ")
    return Group(
        id=state.id,
        headline=f"{kind} of {state.subject}",
        endpoint=state.endpoint,
        at=state.since,
        members=[member],
    )


def _of_state(state: AlarmState, ids: Mapping[tuple[str, str, str], str]) -> Member:
    return Member(
        kind=state.kind,
        subject=state.subject,
        reason=state.reason,
        at=state.since,
        tone=state.state,
        # The one that is open, or else the last that stood for it.
        alarm=ids.get(_about(state.endpoint, state.kind, state.subject)) or state.alarm,
        state=state,
    )


def _only(group: Group, kind: str) -> Group | None:
    """Return a group with its members of one kind; None if it has none of it."""
    kept = [one for one in group.members if kind in ("", one.kind)]
    if not kept:
        return None
    return group if len(kept) == len(group.members) else msgspec.structs.replace(
        group, members=kept
    )  # fmt: skip


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
            at=max(one.raised for one in several),
            members=[
                Member(
                    kind=one.kind,
                    subject=one.subject,
                    reason=one.reason,
                    at=one.raised,
                    tone=one.outcome or "open",
                    alarm=one.id,
                )
                for one in several
            ],
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
    found = urlencode({key: value for key, value in kept.items() if value})
    return f"/alarms?{found}" if found else "/alarms"


# ---------------------------------------------------------------- what its forms do


def acknowledge(ws: Workspace, given: Mapping[str, str]) -> str:
    """Say that somebody has seen an alarm or a group; nobody is paged about it meanwhile."""
    from mainspring.workspace.alarming import verbs

    until = _until(ws, given.get("for", ""))
    verbs.acknowledge(ws, given.get("what", ""), given.get("reason", ""), until)
    return "/alarms"


def rest(ws: Workspace, given: Mapping[str, str]) -> str:
    """Page nobody for a time: maintenance of one endpoint, or of all."""
    from mainspring.ground.errors import BadInputError
    from mainspring.workspace.alarming import verbs

    until = _until(ws, given.get("for", ""))
    if until is None:
        raise BadInputError("Say for how long, such as 2h.", field="for")
    reason = given.get("reason", "").strip()
    if not reason:
        raise BadInputError("Maintenance needs a reason.", field="reason")
    verbs.add_quiet(ws, reason, endpoint=given.get("endpoint", ""), ends=until)
    return "/alarms"


def wake(ws: Workspace, given: Mapping[str, str]) -> str:
    """End a quiet time."""
    from mainspring.workspace.alarming import verbs

    verbs.remove_quiet(ws, given.get("quiet", ""))
    return "/alarms"


def _until(ws: Workspace, length: str) -> float | None:
    from mainspring.ground.durations import seconds

    return ws.clock.now() + seconds(length.strip(), "for") if length.strip() else None


#: Path -> what a form that is sent there does.
ACTS: dict[str, Callable[[Workspace, Mapping[str, str]], str]] = {
    "/alarms/acknowledge": acknowledge,
    "/alarms/maintenance": rest,
    "/alarms/maintenance/end": wake,
}
