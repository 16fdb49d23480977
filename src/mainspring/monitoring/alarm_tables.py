"""The tables of alarming: rules, states, groups, quiet times, channels, pages."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

METADATA = MetaData()

_SERIAL = BigInteger().with_variant(Integer(), "sqlite")

rules = Table(
    "alarm_rules",
    METADATA,
    Column("name", String(128), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("endpoint", String(128), nullable=False),
    Column("rule", Text, nullable=False),  # the AlarmRule as JSON
    Column("active", Boolean, nullable=False),  # the version in force; none: it was deleted
    Column("made", Float, nullable=False),
    Column("by", String(256), nullable=False),
    Column("why", Text, nullable=False),  # of an edit or a deletion
)

states = Table(
    "alarm_states",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("endpoint", String(128), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("subject", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", Float, nullable=False),
    Column("at", Float, nullable=False),
    Column("window_id", String(255), nullable=False),
    Column("value", Float),
    Column("alarm", String(64), index=True),
    Column("group_id", String(64), index=True),
    Column("acknowledged", Text),  # an Acknowledgement as JSON
    Column("told_at", Float),  # wall time of the last page that told of it; for cool-downs
    Index("alarm_states_of", "endpoint", "kind"),
)

changes = Table(
    "alarm_changes",
    METADATA,
    Column("seq", _SERIAL, primary_key=True, autoincrement=True),
    Column("state", String(64), nullable=False),
    Column("endpoint", String(128), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("subject", Text, nullable=False),
    Column("old", String(20)),
    Column("new", String(20), nullable=False),
    Column("at", Float, nullable=False),
    Column("made", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Column("window_id", String(255), nullable=False),
    Index("alarm_changes_of", "state", "seq"),
    sqlite_autoincrement=True,
)

groups = Table(
    "alarm_groups",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("endpoint", String(128), nullable=False),
    Column("cause", Text, nullable=False),
    Column("headline", Text, nullable=False),
    Column("opened", Float, nullable=False),
    Column("closed", Float),
    Column("window_id", String(255), nullable=False),
    Column("told", String(8), nullable=False),
    Column("told_at", Float),
    Column("pages", Integer, nullable=False),  # how many there were; numbers the next
    Column("members", Text, nullable=False),  # JSON list of state ids
    # Digest of endpoint and cause while it is open, NULL afterwards: one open group a cause.
    Column("open_key", String(64), unique=True),
    Index("alarm_groups_by_time", "endpoint", "opened"),
    Index("alarm_groups_told", "told", "closed"),
)

quiets = Table(
    "alarm_quiets",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("quiet", Text, nullable=False),  # the Quiet as JSON
    Column("made", Float, nullable=False),
)

channels = Table(
    "channels",
    METADATA,
    Column("name", String(128), primary_key=True),
    Column("channel", Text, nullable=False),  # the Channel as JSON, without its secret
    Column("secret", Text),
    Column("created", Float, nullable=False),
)

pages = Table(
    "pages",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("group_id", String(64), nullable=False, index=True),
    Column("endpoint", String(128), nullable=False),
    Column("event", String(8), nullable=False),
    Column("message", Text, nullable=False),  # the Message as JSON
    Column("made", Float, nullable=False),
)

deliveries = Table(
    "deliveries",
    METADATA,
    Column("seq", _SERIAL, primary_key=True, autoincrement=True),
    Column("page", String(64), nullable=False, index=True),
    Column("channel", String(128), nullable=False),
    Column("state", String(8), nullable=False),  # waiting, sent, failed
    Column("made", Float, nullable=False),
    Column("ended", Float),
    Column("error", Text, nullable=False),
    Column("message", String(64)),  # what it was sent in; several that waited share one
    # One delivery of a page a channel, whoever hands it out.
    Column("key", String(64), nullable=False, unique=True),
    Index("deliveries_of", "channel", "state", "seq"),
    sqlite_autoincrement=True,
)
