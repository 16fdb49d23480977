"""Keep what starts a pipeline when something happens: triggers, and the events they noted.

An event is known by its trigger and its key, which the database keeps unique: whoever notes it
again changes nothing. It waits until a run begins for it, or is skipped with a reason.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import and_, delete, func, select, update

from mainspring.engine import inserting
from mainspring.engine.firetimes import Overlap
from mainspring.engine.firing import at_work
from mainspring.engine.tables import trigger_events, triggers
from mainspring.ground.errors import NotFoundError
from mainspring.ground.identity import canonical, check_name
from mainspring.ground.nearest import meant
from mainspring.ground.ports import Tx

Source = Literal["dataset", "file", "model", "run", "alarm", "webhook"]
State = Literal["waiting", "begun", "skipped", "failed"]
_MOST_NAMED = 500  # SQLite takes a bounded number of variables


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """What happens that starts what, and how often at most."""

    name: str
    source: Source
    what: str  #: a dataset, path, model@alias, pipeline:status, monitor; empty for a webhook
    root: str
    pipeline: str
    params: dict[str, Any] = {}  #: texts may hold {event.NAME}
    filters: list[str] = []  #: all of them must hold
    register: str | None = None
    debounce_s: float = 0.0  #: events that come closer than this start one run together
    overlap: Overlap = "queue"  #: what an event does while the last run goes on
    per_hour: int = 60  #: so many runs within an hour at most; the rest waits
    depth: int = 3  #: an event at the end of a longer chain of triggers starts nothing
    fails: int = 5  #: after so many failed runs in a row it rests

    @property
    def on(self) -> str:
        """Return what it waits for, as it is written."""
        return f"{self.source}:{self.what}" if self.what else self.source


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger as it stands."""

    trigger: Trigger
    since: float
    baseline: frozenset[str]
    paused: float | None
    why: str
    has_secret: bool


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, as its source tells it."""

    key: str
    body: dict[str, Any]
    depth: int = 0


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, and what becomes of it."""

    id: int
    trigger: str
    key: str
    at: float
    body: dict[str, Any]
    depth: int
    state: State
    why: str
    task: str | None
    begun: float | None


def put(
    tx: Tx, trigger: Trigger, baseline: Collection[str], secret: str | None, now: float
) -> None:
    """Keep a trigger, or keep it anew; ``baseline`` are the keys of what has happened already."""
    check_name(trigger.name, "trigger")
    row = {
        "spec": canonical(trigger).decode(),
        "secret": secret,
        "since": now,
        "baseline": canonical(sorted(baseline)).decode(),
        "paused": None,
        "why": "",
    }
    query = inserting.insert(tx, triggers).values(name=trigger.name, **row)
    tx.run(query.on_conflict_do_update(index_elements=["name"], set_=row))


def remove(tx: Tx, name: str) -> None:
    """Forget a trigger and what it noted; runs that it began go on.

    Raises:
        NotFoundError: if there is no such trigger.
    """
    get(tx, name)
    tx.run(delete(trigger_events).where(trigger_events.c.trigger == name))
    tx.run(delete(triggers).where(triggers.c.name == name))


def rest(tx: Tx, name: str, why: str, now: float) -> None:
    """Let a trigger rest: it notes nothing and begins nothing."""
    get(tx, name)
    tx.run(update(triggers).where(triggers.c.name == name).values(paused=now, why=why))


def wake(tx: Tx, name: str, baseline: Collection[str], now: float) -> None:
    """Let a trigger work again; what happened while it rested has happened already."""
    get(tx, name)
    there = canonical(sorted(baseline)).decode()
    cells = {"paused": None, "why": "", "since": now, "baseline": there}
    tx.run(update(triggers).where(triggers.c.name == name).values(**cells))


def get(tx: Tx, name: str) -> Standing:
    """Return one trigger as it stands.

    Raises:
        NotFoundError: if there is none by that name.
    """
    row = tx.one(select(triggers).where(triggers.c.name == name))
    if row is None:
        known = [one.name for one in tx.all(select(triggers.c.name).order_by(triggers.c.name))]
        raise NotFoundError(
            f"There is no trigger {name[:80]!r}.", field="name", hint=meant(name, known)
        )
    return _standing(row)


def every(tx: Tx) -> list[Standing]:
    """Return every trigger by name."""
    return [_standing(row) for row in tx.all(select(triggers).order_by(triggers.c.name))]


def secret_of(tx: Tx, name: str) -> str | None:
    """Return what a webhook's senders sign with; for the door alone."""
    row = tx.one(select(triggers.c.secret).where(triggers.c.name == name))
    return None if row is None else row.secret


# ---------------------------------------------------------------- events


def known(tx: Tx, name: str, keys: Sequence[str]) -> set[str]:
    """Return which of these keys a trigger has noted."""
    found: set[str] = set()
    for start in range(0, len(keys), _MOST_NAMED):
        part = trigger_events.c.key.in_(list(keys[start : start + _MOST_NAMED]))
        mine = and_(trigger_events.c.trigger == name, part)
        found |= {row.key for row in tx.all(select(trigger_events.c.key).where(mine))}
    return found


def note(tx: Tx, name: str, one: Happened, why_not: str, now: float) -> bool:
    """Note an event once; with ``why_not`` it starts nothing. Return whether it was new."""
    row = {
        "trigger": name,
        "key": one.key[:500],
        "at": now,
        "body": canonical(one.body).decode(),
        "depth": one.depth,
        "state": "skipped" if why_not else "waiting",
        "why": why_not,
    }
    query = inserting.insert(tx, trigger_events).values(**row).on_conflict_do_nothing()
    return tx.one(query.returning(trigger_events.c.id)) is not None


def waiting(tx: Tx, name: str, limit: int = 1000) -> list[Event]:
    """Return the events that wait for a run, oldest first."""
    mine = and_(trigger_events.c.state == "waiting", trigger_events.c.trigger == name)
    query = select(trigger_events).where(mine).order_by(trigger_events.c.id).limit(limit)
    return [_event(row) for row in tx.all(query)]


def some(tx: Tx, ids: Sequence[int]) -> list[Event]:
    """Return events by their numbers, oldest first."""
    query = select(trigger_events).where(trigger_events.c.id.in_(list(ids)))
    return [_event(row) for row in tx.all(query.order_by(trigger_events.c.id))]


def settle(
    tx: Tx, ids: Sequence[int], state: State, why: str, task: str | None, now: float
) -> int:
    """Say what became of events that waited; return how many did."""
    here = and_(trigger_events.c.id.in_(list(ids)), trigger_events.c.state == "waiting")
    begun = now if task is not None else None
    cells = {"state": str(state), "why": why, "task": task, "begun": begun}
    return tx.run(update(trigger_events).where(here).values(**cells))


def begun_since(tx: Tx, name: str, since: float) -> int:
    """Return how many runs a trigger began since then."""
    mine = and_(trigger_events.c.trigger == name, trigger_events.c.begun >= since)
    row = tx.one(select(func.count(trigger_events.c.task.distinct()).label("n")).where(mine))
    return 0 if row is None else int(row.n)


def last_tasks(tx: Tx, name: str, since: float, limit: int) -> list[tuple[str, State]]:
    """Return the tasks that a trigger's last runs began by, the newest first."""
    mine = and_(
        trigger_events.c.trigger == name,
        trigger_events.c.task.is_not(None),
        trigger_events.c.begun >= since,
    )
    columns = (trigger_events.c.task, trigger_events.c.state)
    query = select(*columns, func.max(trigger_events.c.id).label("id")).where(mine)
    rows = tx.all(query.group_by(*columns).order_by(func.max(trigger_events.c.id).desc()))
    return [(row.task, row.state) for row in rows[:limit]]


def goes_on(tx: Tx, name: str) -> str | None:
    """Return in words that the last run of a trigger is not over; None if it is."""
    for task, state in last_tasks(tx, name, 0.0, 20):
        if state == "begun" and (why := at_work(tx, task, f"for {task}")) is not None:
            return why
    return None


def past(tx: Tx, name: str, limit: int = 20) -> list[Event]:
    """Return the newest events of a trigger, the newest first."""
    query = select(trigger_events).where(trigger_events.c.trigger == name)
    rows = tx.all(query.order_by(trigger_events.c.id.desc()).limit(limit))
    return [_event(row) for row in rows]


def of_task(tx: Tx, name: str, task: str) -> list[Event]:
    """Return the events for which a task began a run, oldest first."""
    mine = and_(trigger_events.c.trigger == name, trigger_events.c.task == task)
    return [
        _event(row)
        for row in tx.all(select(trigger_events).where(mine).order_by(trigger_events.c.id))
    ]


def _standing(row: Any) -> Standing:
    return Standing(
        trigger=msgspec.json.decode(row.spec, type=Trigger),
        since=row.since,
        baseline=frozenset(msgspec.json.decode(row.baseline)),
        paused=row.paused,
        why=row.why,
        has_secret=row.secret is not None,
    )


def _event(row: Any) -> Event:
    fields = {name: getattr(row, name) for name in Event.__struct_fields__}
    return Event(**{**fields, "body": msgspec.json.decode(row.body)})
