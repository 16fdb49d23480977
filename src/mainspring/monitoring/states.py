"""Keep how every watched series and every rule stands, since when and why, and how it changed.

A *state* says what is measured; an *alarm* asks the loop for an answer and ends in one outcome;
a *page* tells people. A built-in monitor's state follows its own verdicts, and its alarms are
raised where windows are judged. A rule's state is decided in :mod:`rules`, and its alarm is
raised when the state comes to ALARM and dismissed when it leaves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, insert, select, update

from mainspring.ground.errors import NotFoundError
from mainspring.ground.identity import canonical, key_of
from mainspring.ground.objects import Alarm, Decision
from mainspring.ground.ports import Tx
from mainspring.ground.rules import Acknowledgement, AlarmState, StateChange, StateName
from mainspring.monitoring import alarms
from mainspring.monitoring.alarm_tables import changes, states
from mainspring.monitoring.rules import Judgement

#: Kinds whose alarms no loop hears of: they end with their state, or by a person's hand.
OWN_KINDS = ("rule", "channel", "log", "capture")


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm that ended with its state, and the decision that says so."""

    alarm: str
    decision: Decision


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What putting judgements to states changed."""

    changed: list[AlarmState] = []  #: as they are now
    ended: list[Ended] = []  #: whoever applies records their decisions


def state_id(endpoint: str, kind: str, subject: str) -> str:
    """Return the one id of what is watched.

    >>> state_id("e", "drift", "temp") == state_id("e", "drift", "temp")
    True
    """
    return f"state_{key_of(endpoint, kind, subject)[:26]}"


def apply(
    tx: Tx, endpoint: str, judged: Iterable[tuple[str, str, Judgement]], now: float
) -> Applied:
    """Put judgements to the states of an endpoint; each is (kind, subject, judgement).

    The same judgement twice changes nothing the second time. One that is older than what a
    state was judged at is left out. ``now`` is wall time. A state of :data:`OWN_KINDS` that
    comes to ALARM raises its alarm here, and one that leaves it ends it: exactly once, for an
    alarm that has ended otherwise meanwhile is left as it is.
    """
    wanted = {state_id(endpoint, kind, subject): (kind, subject, j) for kind, subject, j in judged}
    there = {one.id: one for one in some(tx, wanted)}
    moved: list[tuple[AlarmState | None, AlarmState]] = []
    stayed: list[AlarmState] = []
    ended: list[Ended] = []
    for name, (kind, subject, judgement) in wanted.items():
        before = there.get(name)
        if before is not None and judgement.at < before.at:
            continue
        after = _judged(name, endpoint, kind, subject, before, judgement)
        if before is not None and before.state == judgement.state:
            stayed += [after] if after != before else []
            continue
        after, over = _alarmed(tx, before, after, now)
        moved.append((before, after))
        ended += over
    _keep(tx, moved, stayed, now)
    return Applied(changed=[after for _, after in moved], ended=ended)


def some(tx: Tx, ids: Iterable[str]) -> list[AlarmState]:
    """Return the states of these ids that are there."""
    wanted, found = list(ids), []
    for start in range(0, len(wanted), 500):  # a statement takes only so many parameters
        query = select(states).where(states.c.id.in_(wanted[start : start + 500]))
        found += [_state(row) for row in tx.all(query)]
    return found


def get(tx: Tx, name: str) -> AlarmState:
    """Return one state by its id.

    Raises:
        NotFoundError: if there is none.
    """
    found = some(tx, [name])
    if not found:
        raise NotFoundError(f"There is no state {name[:80]!r}.", field="state")
    return found[0]


def of_alarm(tx: Tx, alarm: str) -> AlarmState | None:
    """Return the state that an alarm stands for, if it is known."""
    row = tx.one(select(states).where(states.c.alarm == alarm))
    return None if row is None else _state(row)


def listed(
    tx: Tx,
    endpoint: str | None = None,
    state: StateName | None = None,
    kind: str | None = None,
    limit: int = 10_000,
) -> list[AlarmState]:
    """Return states, those that changed last first."""
    query = select(states)
    for column, value in ((states.c.endpoint, endpoint), (states.c.state, state)):
        if value is not None:
            query = query.where(column == value)
    if kind is not None:
        query = query.where(states.c.kind == kind)
    query = query.order_by(states.c.since.desc(), states.c.kind, states.c.subject).limit(limit)
    return [_state(row) for row in tx.all(query)]


def history(
    tx: Tx, endpoint: str | None = None, state: str | None = None, limit: int = 100
) -> list[StateChange]:
    """Return changes of states, newest first."""
    query = select(changes)
    if endpoint is not None:
        query = query.where(changes.c.endpoint == endpoint)
    if state is not None:
        query = query.where(changes.c.state == state)
    query = query.order_by(changes.c.seq.desc()).limit(limit)
    return [
        StateChange(
            state=row.state,
            endpoint=row.endpoint,
            kind=row.kind,
            subject=row.subject,
            old=row.old,
            new=row.new,
            at=row.at,
            made=row.made,
            reason=row.reason,
            window=row.window_id,
        )
        for row in tx.all(query)
    ]


def acknowledge(tx: Tx, names: Sequence[str], said: Acknowledgement | None) -> int:
    """Note that somebody has seen what these states are in ALARM for; None takes it back."""
    text = None if said is None else canonical(said).decode()
    query = update(states).where(states.c.id.in_(list(names)), states.c.state == "ALARM")
    return tx.run(query.values(acknowledged=text))


def put_in_group(tx: Tx, names: Sequence[str], group: str) -> None:
    """Note what states are told together with."""
    tx.run(update(states).where(states.c.id.in_(list(names))).values(group_id=group))


def told(tx: Tx, names: Sequence[str], now: float) -> None:
    """Note that people were told of these states at wall time ``now``."""
    tx.run(update(states).where(states.c.id.in_(list(names))).values(told_at=now))


def forget(tx: Tx, endpoint: str, kind: str, subject: str, reason: str, now: float) -> list[Ended]:
    """Forget the state of what is watched no more; an alarm that stands for it ends.

    Its changes stay in the history.
    """
    found = some(tx, [state_id(endpoint, kind, subject)])
    if not found:
        return []
    before = found[0]
    ended = _dismiss(tx, before, reason, before.at, now)
    tx.run(delete(states).where(states.c.id == before.id))
    return ended


def dismiss(
    tx: Tx, alarm: Alarm, state: AlarmState | None, reason: str, by: str, now: float
) -> Ended | None:
    """End an alarm of :data:`OWN_KINDS` by hand; return None if it had ended before.

    Its state goes on by what is measured.
    """
    at = alarm.raised if state is None else max(alarm.raised, state.at)
    return _end(tx, alarm.id, reason, at, now, by, alarm.window)


# ---------------------------------------------------------------- one state


def _judged(
    name: str, endpoint: str, kind: str, subject: str, before: AlarmState | None, j: Judgement
) -> AlarmState:
    judged: dict[str, Any] = {
        "state": j.state,
        "reason": j.reason,
        "at": j.at,
        "window": j.window,
        "value": j.value,
    }
    if before is None:
        return AlarmState(
            id=name, endpoint=endpoint, kind=kind, subject=subject, since=j.at, **judged
        )
    if before.state == j.state:
        return msgspec.structs.replace(before, **judged)
    return msgspec.structs.replace(before, since=j.at, acknowledged=None, **judged)


def _alarmed(
    tx: Tx, before: AlarmState | None, after: AlarmState, now: float
) -> tuple[AlarmState, list[Ended]]:
    """Return the state with the alarm that stands for it, and alarms that ended with it."""
    if after.state == "ALARM":
        alarm = _alarm_of(after)
        if after.kind in OWN_KINDS:
            alarm = alarms.raise_(tx, alarm)
        return msgspec.structs.replace(after, alarm=alarm.id, group=None), []
    if before is None or before.state != "ALARM" or after.kind not in OWN_KINDS:
        return after, []
    told = "is OK again" if after.state == "OK" else "has no data any more"
    reason = f"{after.subject} {told}: {after.reason}"
    return after, _dismiss(tx, before, reason, after.at, now)


def _alarm_of(state: AlarmState) -> Alarm:
    """Return the alarm a state that is in ALARM stands for, as its monitor would raise it."""
    subject = state.subject
    if state.kind == "quality":  # one alarm a column, whatever number of its checks failed
        subject = subject.rpartition("/")[0] or subject
    window = state.window or f"{state.endpoint}:{state.at:.3f}"
    kind: Any = state.kind
    return Alarm(
        id=alarms.alarm_id(state.endpoint, state.kind, subject, window),
        endpoint=state.endpoint,
        kind=kind,
        subject=subject,
        reason=state.reason,
        raised=state.at,
        window=window,
        evidence={"state": state.id, "value": state.value},
    )


def _dismiss(tx: Tx, state: AlarmState, reason: str, at: float, now: float) -> list[Ended]:
    if state.alarm is None or state.kind not in OWN_KINDS or state.state != "ALARM":
        return []
    by = f"{state.kind}:{state.subject}"
    ended = _end(tx, state.alarm, reason, at, now, by, state.window)
    return [] if ended is None else [ended]


def _end(
    tx: Tx, alarm: str, reason: str, at: float, now: float, by: str, window: str
) -> Ended | None:
    decision = Decision(
        id=f"decision_{key_of(alarm, 'dismissed')[:26]}",
        at=at,
        made=now,
        kind="dismiss",
        subject=f"alarm:{alarm}",
        reason=reason,
        by=by,
        cause=f"window:{window}" if window else None,
    )
    if not alarms.end(tx, alarm, "dismissed", decision.id):
        return None
    return Ended(alarm=alarm, decision=decision)


def _keep(
    tx: Tx,
    moved: Sequence[tuple[AlarmState | None, AlarmState]],
    stayed: Sequence[AlarmState],
    now: float,
) -> None:
    """Keep states in few statements, for a wide model has thousands; what moved is history."""
    fresh = [_row(after) for before, after in moved if before is None]
    if fresh:
        tx.run(insert(states), fresh)
    known = [after for before, after in moved if before is not None]
    rows = [{f"new_{k}": v for k, v in _row(one).items()} for one in (*known, *stayed)]
    if rows:
        names = [name for name in rows[0] if name != "new_id"]
        change = update(states).where(states.c.id == bindparam("new_id"))
        values: dict[str, Any] = {n.removeprefix("new_"): bindparam(n) for n in names}
        tx.run(change.values(**values), rows)
    if moved:
        tx.run(insert(changes), [_change(before, after, now) for before, after in moved])


def _row(one: AlarmState) -> dict[str, Any]:
    said = one.acknowledged
    return {
        "id": one.id,
        "endpoint": one.endpoint,
        "kind": one.kind,
        "subject": one.subject,
        "state": one.state,
        "reason": one.reason,
        "since": one.since,
        "at": one.at,
        "window_id": one.window,
        "value": one.value,
        "alarm": one.alarm,
        "group_id": one.group,
        "acknowledged": None if said is None else canonical(said).decode(),
        "told_at": one.told_at,
    }


def _change(before: AlarmState | None, after: AlarmState, now: float) -> dict[str, Any]:
    return {
        "state": after.id,
        "endpoint": after.endpoint,
        "kind": after.kind,
        "subject": after.subject,
        "old": None if before is None else before.state,
        "new": after.state,
        "at": after.at,
        "made": now,
        "reason": after.reason,
        "window_id": after.window,
    }


def _state(row: Any) -> AlarmState:
    said = row.acknowledged
    return AlarmState(
        id=row.id,
        endpoint=row.endpoint,
        kind=row.kind,
        subject=row.subject,
        state=row.state,
        reason=row.reason,
        since=row.since,
        at=row.at,
        window=row.window_id,
        value=row.value,
        alarm=row.alarm,
        group=row.group_id,
        acknowledged=None if said is None else msgspec.json.decode(said, type=Acknowledgement),
        told_at=row.told_at,
    )
