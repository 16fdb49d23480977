"""Tell people of a group once when it begins and once when it is over.

What a group was told as last stands in its row and is changed in the transaction that writes the
page and its deliveries, so that whoever looks, and however often, one page is made a change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import delete, func, insert, select, update

from mainspring.ground.clock import iso
from mainspring.ground.identity import canonical, key_of
from mainspring.ground.objects import Record
from mainspring.ground.ports import Tx
from mainspring.ground.rules import AlarmGroup, AlarmRule, AlarmState, Channel, Message, Quiet
from mainspring.monitoring import channels, groups, quiets, rulebook, states
from mainspring.monitoring.alarm_tables import deliveries, pages
from mainspring.monitoring.alarm_tables import groups as groups_table
from mainspring.monitoring.tables import insert_once, windows

Event = Literal["ALARM", "OK"]
HOUR_S = 3600.0


class Due(Record, frozen=True, kw_only=True):
    """A group of which people should hear something."""

    group: AlarmGroup
    event: Event
    number: int  #: of the page it will be
    held: str = ""  #: why they do not hear it now, if so


class Delivery(Record, frozen=True, kw_only=True):
    """One page on its way over one channel."""

    seq: int
    page: str
    channel: str
    state: Literal["waiting", "sent", "failed"]
    made: float
    ended: float | None = None
    error: str = ""


class Page(Record, frozen=True, kw_only=True):
    """What people were told, and over which channels."""

    message: Message
    group: str
    made: float
    deliveries: list[Delivery] = []


# ---------------------------------------------------------------- what should be told


def due(tx: Tx, now: float) -> list[Due]:
    """Return the groups that people should hear of, with why not where they must not now."""
    told = groups_table.c.told
    opened = select(groups_table).where(groups_table.c.open_key.is_not(None))
    over = select(groups_table).where(told == "ALARM", groups_table.c.closed.is_not(None))
    rows = [*tx.all(opened), *tx.all(over)]
    if not rows:
        return []
    found, view = [], _View(tx, now)
    for row in rows:
        group = groups.group_of(row)
        members = states.some(tx, group.members)
        event: Event = "ALARM" if group.closed is None else "OK"
        mine = [one for one in members if one.state == "ALARM" and one.group == group.id]
        if event == "ALARM" and group.told == "ALARM" and not _asked_again(group, mine, now):
            continue
        held = view.held(mine if event == "ALARM" else members, event)
        found.append(Due(group=group, event=event, number=int(row.pages) + 1, held=held))
    return found


def _asked_again(group: AlarmGroup, mine: Sequence[AlarmState], now: float) -> bool:
    """Return whether somebody's word for an alarm has run out since people were told."""
    since = group.told_at or 0.0
    return any(
        one.acknowledged is not None
        and one.acknowledged.until is not None
        and since < one.acknowledged.until <= now
        for one in mine
    )


class _View:
    """What holds pages back, read once for all groups."""

    def __init__(self, tx: Tx, now: float) -> None:
        self._tx, self._now = tx, now
        self._rules = rulebook.every(tx)
        self._quiets: list[Quiet] = quiets.every(tx, now)

    def held(self, members: Sequence[AlarmState], event: Event) -> str:
        """Return why people are not told: the first reason, if every member has one."""
        why = ""
        for one in members:
            reason = self._quiet(one)
            if not reason and event == "ALARM":
                reason = self._hindered(one)
            if not reason:
                return ""
            why = why or reason
        return why

    def _quiet(self, one: AlarmState) -> str:
        names = [one.subject if one.kind == "rule" else f"{one.kind}:{one.subject}"]
        if not self._quiets:
            return ""
        row = self._tx.one(select(windows).where(windows.c.id == one.window))
        span = None if row is None else (row.starts, row.ends)
        return quiets.hushed(self._quiets, one.endpoint, names, self._now, span)

    def _hindered(self, one: AlarmState) -> str:
        said = one.acknowledged
        if said is not None and (said.until is None or said.until > self._now):
            return f"Acknowledged by {said.by}: {said.reason}"
        rule = self._rules.get(one.subject) if one.kind == "rule" else None
        if rule is None:
            return ""
        for name in rule.suppressed_by:
            kind, mark, subject = name.partition(":")
            key = (kind, subject) if mark else ("rule", name)
            endpoint = rule.endpoint if mark else self._endpoint(name)
            other = states.some(self._tx, [states.state_id(endpoint, *key)])
            if other and other[0].state == "ALARM":
                return f"Suppressed while {name} is in ALARM."
        if one.told_at is not None and self._now < one.told_at + rule.cooldown_s:
            return f"Its cool-down lasts until {iso(one.told_at + rule.cooldown_s)}."
        return ""

    def _endpoint(self, name: str) -> str:
        return self._rules[name].endpoint if name in self._rules else ""


# ---------------------------------------------------------------- pages


def tell(tx: Tx, wanted: Due, now: float) -> str | None:
    """Make the page of a group and its deliveries; return its id, or None if that is done.

    ``wanted`` is what :func:`due` found; if the group has moved on since, nothing happens.
    """
    group = wanted.group
    change = (
        update(groups_table)
        .where(
            groups_table.c.id == group.id,
            groups_table.c.pages == wanted.number - 1,
            groups_table.c.closed.is_(None)
            if wanted.event == "ALARM"
            else groups_table.c.closed.is_not(None),
        )
        .values(pages=wanted.number, told=wanted.event, told_at=now)
    )
    if tx.run(change) == 0:
        return None
    group = groups.get(tx, group.id)
    known = rulebook.every(tx)
    members = states.some(tx, group.members)
    message = message_of(group, members, known, wanted.event, wanted.number, now)
    tx.run(
        insert(pages).values(
            id=message.id,
            group_id=group.id,
            endpoint=group.endpoint,
            event=wanted.event,
            message=canonical(message).decode(),
            made=now,
        )
    )
    if wanted.event == "ALARM":
        states.told(tx, [one.id for one in members if one.state == "ALARM"], now)
    for channel in _channels_for(tx, group, members, known):
        _queue(tx, message.id, channel.name, now)
    return message.id


def message_of(
    group: AlarmGroup,
    members: Sequence[AlarmState],
    known: Mapping[str, AlarmRule],
    event: Event,
    number: int,
    now: float,
) -> Message:
    """Return what people are told of a group; each page of it has one id for ever."""
    lines = []
    for one in members:
        state = "" if event == "ALARM" and one.state == "ALARM" else f" is {one.state}"
        lines.append(f"{one.kind} {one.subject}{state}: {one.reason}")
        if event == "ALARM" and one.kind == "rule" and one.subject in known:
            lines += [known[one.subject].note] if known[one.subject].note else []
    first = next((one.alarm for one in members if one.alarm is not None), None)
    if event == "ALARM" and first is not None:
        lines.append(f"mainspring why alarm:{first}")
    title = group.headline
    if event == "OK":
        lasted = (group.closed or group.opened) - group.opened
        title = f"Over after {lasted / HOUR_S:.4g} hours: {title}"
    return Message(
        id=f"page_{key_of(group.id, number)[:26]}",
        event=event,
        title=title,
        lines=lines,
        at=now,
        endpoint=group.endpoint,
        data={
            "group": group.id,
            "cause": group.cause,
            "opened": group.opened,
            "window": group.window,
            "alarms": [one.alarm for one in members if one.alarm is not None],
        },
    )


def _channels_for(
    tx: Tx, group: AlarmGroup, members: Sequence[AlarmState], known: Mapping[str, AlarmRule]
) -> list[Channel]:
    every = [
        one
        for one in channels.every(tx)
        if one.active and (not one.endpoints or group.endpoint in ("", *one.endpoints))
    ]
    dead = {one.subject for one in members if one.kind == "channel"}
    if dead:  # told over the others: it cannot tell of itself
        return [one for one in every if one.name not in dead]
    named: set[str] = set()
    for one in members:
        rule = known.get(one.subject) if one.kind == "rule" else None
        if rule is None or not rule.channels:
            return every
        named |= set(rule.channels)
    return [one for one in every if one.name in named]


def notify(tx: Tx, message: Message, about: str, over: Sequence[str], now: float) -> None:
    """Tell people of something that is no alarm, over these channels; twice is as good as once.

    ``about`` says what it concerns, where a page of alarms names its group.
    """
    values = {
        "id": message.id,
        "group_id": about,
        "endpoint": message.endpoint,
        "event": message.event,
        "message": canonical(message).decode(),
        "made": now,
    }
    tx.run(insert_once(pages, tx.dialect, values))
    for channel in over:
        _queue(tx, message.id, channel, now)


def _queue(tx: Tx, page: str, channel: str, now: float) -> None:
    values: dict[str, Any] = {
        "page": page,
        "channel": channel,
        "state": "waiting",
        "made": now,
        "ended": None,
        "error": "",
        "message": None,
        "key": key_of(page, channel),
    }
    tx.run(insert_once(deliveries, tx.dialect, values))


# ---------------------------------------------------------------- deliveries


def waiting_channels(tx: Tx, now: float) -> dict[str, int]:
    """Return the newest waiting delivery of each channel that may tell something now.

    A channel that has told ``per_hour`` messages in the last hour waits; what comes meanwhile
    is told together.
    """
    query = select(deliveries.c.channel, func.max(deliveries.c.seq).label("seq"))
    query = query.where(deliveries.c.state == "waiting").group_by(deliveries.c.channel)
    found: dict[str, int] = {}
    known: dict[str, Channel] = {}
    for row in tx.all(query):
        known = known or {one.name: one for one in channels.every(tx)}
        channel = known.get(row.channel)
        if channel is not None and _told_last_hour(tx, row.channel, now) < channel.per_hour:
            found[row.channel] = int(row.seq)
    return found


def waiting(tx: Tx, channel: str, last: int) -> list[tuple[int, Message]]:
    """Return what waits for a channel up to a number, oldest first."""
    query = (
        select(deliveries.c.seq, pages.c.message)
        .join(pages, pages.c.id == deliveries.c.page)
        .where(
            deliveries.c.channel == channel,
            deliveries.c.state == "waiting",
            deliveries.c.seq <= last,
        )
        .order_by(deliveries.c.seq)
    )
    return [(int(r.seq), msgspec.json.decode(r.message, type=Message)) for r in tx.all(query)]


def together(several: Sequence[Message], name: str) -> Message:
    """Return one message for several that waited, under an id that is the same at every try."""
    if len(several) == 1:
        return several[0]
    events = [one.event for one in several]
    event = next((one for one in ("ALARM", "OK") if one in events), several[0].event)
    return Message(
        id=f"page_{key_of(name, *(one.id for one in several))[:26]}",
        event=event,
        title=f"{len(several)} pages that had to wait, the first: {several[0].title}",
        lines=[f"{iso(one.at)} {one.event} {one.title}" for one in several],
        at=several[-1].at,
        data={"pages": [one.id for one in several]},
    )


def ended(
    tx: Tx, seqs: Sequence[int], now: float, *, message: str, error: str | None = None
) -> None:
    """Note how deliveries ended: sent, or failed with what went wrong."""
    state = "sent" if error is None else "failed"
    change = update(deliveries).where(deliveries.c.seq.in_(list(seqs)))
    change = change.where(deliveries.c.state == "waiting")
    tx.run(change.values(state=state, ended=now, error=error or "", message=message))


def again(tx: Tx, channel: str) -> int:
    """Let what could not be told over a channel wait for another try; return how many."""
    change = update(deliveries).where(
        deliveries.c.channel == channel, deliveries.c.state == "failed"
    )
    return tx.run(change.values(state="waiting", ended=None, error="", message=None))


def drop(tx: Tx, channel: str) -> int:
    """Forget what waits for a channel that is gone."""
    return tx.run(
        delete(deliveries).where(deliveries.c.channel == channel, deliveries.c.state == "waiting")
    )


def counts(tx: Tx) -> dict[str, dict[str, int]]:
    """Return how many deliveries of each channel are in each state."""
    query = select(deliveries.c.channel, deliveries.c.state, func.count().label("n"))
    found: dict[str, dict[str, int]] = {}
    for row in tx.all(query.group_by(deliveries.c.channel, deliveries.c.state)):
        found.setdefault(row.channel, {})[row.state] = int(row.n)
    return found


def trouble(tx: Tx, channel: str) -> str:
    """Return what went wrong with the newest delivery of a channel, if it did."""
    query = select(deliveries.c.error).where(
        deliveries.c.channel == channel, deliveries.c.state != "waiting"
    )
    row = tx.one(query.order_by(deliveries.c.seq.desc()).limit(1))
    return "" if row is None else str(row.error)


def listed(
    tx: Tx, endpoint: str | None = None, group: str | None = None, limit: int = 100
) -> list[Page]:
    """Return pages, newest first."""
    query = select(pages)
    if endpoint is not None:
        query = query.where(pages.c.endpoint == endpoint)
    if group is not None:
        query = query.where(pages.c.group_id == group)
    rows = tx.all(query.order_by(pages.c.made.desc(), pages.c.id).limit(limit))
    by_page: dict[str, list[Delivery]] = {}
    mine = select(deliveries).where(deliveries.c.page.in_([row.id for row in rows]))
    for row in tx.all(mine.order_by(deliveries.c.seq)) if rows else ():
        by_page.setdefault(row.page, []).append(
            Delivery(
                seq=row.seq,
                page=row.page,
                channel=row.channel,
                state=row.state,
                made=row.made,
                ended=row.ended,
                error=row.error,
            )
        )
    return [
        Page(
            message=msgspec.json.decode(row.message, type=Message),
            group=row.group_id,
            made=row.made,
            deliveries=by_page.get(row.id, []),
        )
        for row in rows
    ]


def _told_last_hour(tx: Tx, channel: str, now: float) -> int:
    query = select(func.count(func.distinct(deliveries.c.message)).label("n")).where(
        deliveries.c.channel == channel,
        deliveries.c.state == "sent",
        deliveries.c.ended > now - HOUR_S,
    )
    row = tx.one(query)
    return 0 if row is None else int(row.n)
