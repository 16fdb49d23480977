"""The engine's tables: work to do, events to react to, loops and schedules."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

METADATA = MetaData()

_SERIAL = BigInteger().with_variant(Integer, "sqlite")

tasks = Table(
    "tasks",
    METADATA,
    Column("seq", _SERIAL, primary_key=True, autoincrement=True),  # first come, first served
    Column("id", String, nullable=False, unique=True),
    Column("kind", String, nullable=False),
    Column("payload", Text, nullable=False),
    Column("group", String),
    Column("state", String, nullable=False),
    Column("always", Boolean, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("due", Float),  # wall time before which nobody takes it
    Column("unfinished", Integer, nullable=False),  # needs that are not final yet
    Column("attempt", Integer, nullable=False),  # grows with every lease, never reset
    Column("last_attempt", Integer, nullable=False),  # the attempt after which it fails
    Column("max_attempts", Integer, nullable=False),
    Column("backoff_s", Float, nullable=False),
    Column("owner", String),
    Column("lease_until", Float),  # on the lease clock, see Tx.lease_now
    Column("lease_s", Float),
    Column("stop", Boolean, nullable=False),  # asked to stop while leased
    Column("result", Text),
    Column("error", Text, nullable=False),
    Column("trace", Text, nullable=False),
    Column("started", Float),  # wall time of the last lease
    Column("ended", Float),
    Column("pool", String),  # of its lots of tasks ...
    Column("pool_size", Integer),  # ... at most so many have begun and not ended
    Column("lot", Integer),  # which of them: see pools
    Column("held", Boolean),  # its lot has no place in the pool yet
    Index("tasks_by_state", "state", "priority", "seq"),
    Index("tasks_by_group", "group", "state"),
    Index(
        "tasks_by_lot",
        "pool",
        "held",
        "lot",
        sqlite_where=text("pool IS NOT NULL"),
        postgresql_where=text("pool IS NOT NULL"),
    ),
)

edges = Table(
    "edges",
    METADATA,
    Column("task", String, nullable=False),
    Column("needs", String, nullable=False),
    Column("anyhow", Boolean, nullable=False, default=False),  # waits for its end, good or bad
    PrimaryKeyConstraint("task", "needs"),
    Index("edges_by_needs", "needs"),
)

events = Table(
    "events",
    METADATA,
    Column("seq", _SERIAL, primary_key=True, autoincrement=True),
    Column("key", String, nullable=False, unique=True),
    Column("loop", String, nullable=False),
    Column("at", Float, nullable=False),  # event time
    Column("body", Text, nullable=False),
    Column("handled", Float),  # wall time
    Index("events_by_handled", "handled", "seq"),
    Index("events_by_loop", "loop", "seq"),
)

loops = Table(
    "loops",
    METADATA,
    Column("name", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("spec", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("declared", Float, nullable=False),
    Column("by", String),  # who declared it; null: in a release that did not keep it
    PrimaryKeyConstraint("name", "version"),
)

views = Table(
    "views",
    METADATA,
    Column("loop", String, primary_key=True),
    Column("view", Text, nullable=False),
    Column("decision", String),  # the last decision that did something, for alarms that end later
)

schedules = Table(
    "schedules",
    METADATA,
    Column("name", String, primary_key=True),
    Column("cron", String, nullable=False),
    Column("tz", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("payload", Text, nullable=False),
    Column("since", Float, nullable=False),  # wall time of its declaration; nothing earlier fires
    Column("rules", Text),  # JSON: distance, catch-up, overlap, span; null: of an older release
    Column("seen", Float),  # the newest fire time that was dealt with by the clock
    Column("paused", Float),  # wall time since when it rests
)

firings = Table(
    "firings",
    METADATA,
    Column("schedule", String, nullable=False),
    Column("fire_at", Float, nullable=False),
    Column("fired", Float, nullable=False),
    Column("missed", Integer, nullable=False),  # earlier fire times this one stands for
    Column("outcome", String),  # fired (or null), queued or skipped
    Column("why", Text),  # it did not fire
    Column("by", String),  # who asked for it by hand; null: the clock
    Column("open", Boolean),  # its work is not known to be over
    PrimaryKeyConstraint("schedule", "fire_at"),
    Index("firings_by_outcome", "outcome", "schedule", "fire_at"),
)

triggers = Table(
    "triggers",
    METADATA,
    Column("name", String, primary_key=True),
    Column("spec", Text, nullable=False),  # JSON: see triggers.Trigger
    Column("secret", String),  # of a webhook's senders
    Column("since", Float, nullable=False),  # wall time from which its runs are counted
    Column("baseline", Text, nullable=False),  # JSON: keys of what was there when it was added
    Column("paused", Float),  # wall time since when it rests
    Column("why", Text, nullable=False),  # it rests
)

trigger_events = Table(
    "trigger_events",
    METADATA,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("trigger", String, nullable=False),
    Column("key", String, nullable=False),  # by which the same event is known again
    Column("at", Float, nullable=False),  # wall time at which it was noted
    Column("body", Text, nullable=False),  # JSON: what happened
    Column("depth", Integer, nullable=False),  # of the chain of triggers that led to it
    Column("state", String, nullable=False),  # waiting, begun, skipped or failed
    Column("why", Text, nullable=False),
    Column("task", String),  # that starts its run
    Column("begun", Float),  # wall time
    Index("trigger_events_once", "trigger", "key", unique=True),
    Index("trigger_events_by_state", "state", "trigger", "id"),
    Index("trigger_events_of", "trigger", "id"),
)

marks = Table(
    "marks",
    METADATA,
    Column("name", String, primary_key=True),
    Column("value", Float, nullable=False),
    Column("at", Float, nullable=False),  # wall time
)
