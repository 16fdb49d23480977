"""Raise an alarm once, and end it once."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import msgspec
from sqlalchemy import literal, or_, select, tuple_, update

from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.identity import canonical, key_of
from mainspring.ground.objects import Alarm
from mainspring.ground.ports import Tx
from mainspring.monitoring.tables import alarms, insert_once

KINDS: tuple[str, ...] = get_args(get_type_hints(Alarm)["kind"])
OUTCOMES = ("promoted", "rejected", "rolled_back", "dismissed")


def alarm_id(endpoint: str, kind: str, subject: str, window: str) -> str:
    """Return the id of the alarm a window raises about a subject.

    The same finding always gets the same id, so that judging a window again after a crash
    raises nothing twice.

    >>> alarm_id("e", "drift", "age", "e:0") == alarm_id("e", "drift", "age", "e:0")
    True
    """
    return f"alarm_{key_of(endpoint, kind, subject, window)[:26]}"


def raise_(tx: Tx, alarm: Alarm) -> Alarm:
    """Keep an alarm, unless one about the same thing is open; return the one that stands.

    An id that is known already, open or ended, is left as it is and returned.

    Raises:
        BadInputError: if the alarm has ended before it was raised, or its kind is unknown.
    """
    if alarm.outcome is not None:
        raise BadInputError(
            f"Alarm {alarm.id} cannot be raised: it ended as {alarm.outcome}.", field="outcome"
        )
    if alarm.kind not in KINDS:
        raise BadInputError(
            f"An alarm's kind is one of {', '.join(KINDS)}, found {alarm.kind!r}.", field="kind"
        )
    open_key = key_of(alarm.endpoint, alarm.kind, alarm.subject)
    values = {
        "id": alarm.id,
        "endpoint": alarm.endpoint,
        "kind": alarm.kind,
        "subject": alarm.subject,
        "reason": alarm.reason,
        "raised": alarm.raised,
        "window_id": alarm.window,
        "evidence": canonical(alarm.evidence).decode(),
        "open_key": open_key,
    }
    if tx.run(insert_once(alarms, tx.dialect, values)) == 1:
        return alarm
    known = tx.one(select(alarms).where(alarms.c.id == alarm.id))
    if known is None:
        known = tx.one(select(alarms).where(alarms.c.open_key == open_key))
    return _alarm(known)


def end(tx: Tx, alarm: str, outcome: str, decision: str) -> bool:
    """End an open alarm; return False, and change nothing, if it had ended before.

    Raises:
        BadInputError: if the outcome is none of :data:`OUTCOMES`.
        NotFoundError: if there is no such alarm.
    """
    if outcome not in OUTCOMES:
        raise BadInputError(
            f"An alarm ends as one of {', '.join(OUTCOMES)}, found {outcome!r}.", field="outcome"
        )
    changed = tx.run(
        update(alarms)
        .where(alarms.c.id == alarm, alarms.c.outcome.is_(None))
        .values(outcome=outcome, decision=decision, open_key=None)
    )
    if changed == 0:
        get(tx, alarm)
    return changed == 1


def get(tx: Tx, alarm: str) -> Alarm:
    """Return one alarm.

    Raises:
        NotFoundError: if there is none by that id.
    """
    row = tx.one(select(alarms).where(alarms.c.id == alarm))
    if row is None:
        raise NotFoundError(f"There is no alarm {alarm!r}.", field="alarm")
    return _alarm(row)


def open_alarms(tx: Tx, endpoint: str | None = None) -> list[Alarm]:
    """Return the alarms that have not ended, oldest first."""
    question = select(alarms).where(alarms.c.outcome.is_(None))
    if endpoint is not None:
        question = question.where(alarms.c.endpoint == endpoint)
    return [_alarm(row) for row in tx.all(question.order_by(alarms.c.raised, alarms.c.id))]


def open_subjects(tx: Tx, endpoint: str) -> set[tuple[str, str]]:
    """Return (kind, subject) of every open alarm: what need not be alarmed about again."""
    question = select(alarms.c.kind, alarms.c.subject).where(
        alarms.c.endpoint == endpoint, alarms.c.outcome.is_(None)
    )
    return {(row.kind, row.subject) for row in tx.all(question)}


def list_alarms(tx: Tx, endpoint: str | None = None, limit: int = 100) -> list[Alarm]:
    """Return alarms, open and ended, newest first."""
    question = select(alarms)
    if endpoint is not None:
        question = question.where(alarms.c.endpoint == endpoint)
    question = question.order_by(alarms.c.raised.desc(), alarms.c.id.desc()).limit(limit)
    return [_alarm(row) for row in tx.all(question)]


def about(tx: Tx, what: str, limit: int, before: tuple[float, str] | None = None) -> list[Alarm]:
    """Return alarms of an endpoint, a kind or a subject, the newest first.

    ``before`` is the time and the id of one: older ones are returned.
    """
    mine = or_(alarms.c.endpoint == what, alarms.c.kind == what, alarms.c.subject == what)
    question = select(alarms).where(mine)
    if before is not None:
        place = tuple_(alarms.c.raised, alarms.c.id)
        question = question.where(place < tuple_(literal(before[0]), literal(before[1])))
    question = question.order_by(alarms.c.raised.desc(), alarms.c.id.desc()).limit(limit)
    return [_alarm(row) for row in tx.all(question)]


def _alarm(row: Any) -> Alarm:
    return Alarm(
        id=row.id,
        endpoint=row.endpoint,
        kind=row.kind,
        subject=row.subject,
        reason=row.reason,
        raised=row.raised,
        window=row.window_id,
        evidence=msgspec.json.decode(row.evidence),
        outcome=row.outcome,
        decision=row.decision,
    )
