"""The tables of the monitoring room: windows, alarms, labels, and how far each monitor is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

METADATA = MetaData()

_SERIAL = BigInteger().with_variant(Integer(), "sqlite")

windows = Table(
    "windows",
    METADATA,
    Column("id", String(255), primary_key=True),  # "<endpoint>:<start>"
    Column("endpoint", String(128), nullable=False),
    Column("starts", Float, nullable=False),
    Column("ends", Float, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("version", BigInteger),
    Column("drift", Text, nullable=False),
    Column("quality", Text, nullable=False),
    Column("traffic", Text, nullable=False),
    Column("performance", Text),  # NULL until its labels are mature
    Column("labelled", BigInteger, nullable=False),
    # The version that a part of a window's rows is of; NULL: the window itself.
    Column("side", BigInteger),
    Column("found", Text, nullable=False, default="[]"),  # what every other monitor found
    Index("windows_by_end", "endpoint", "ends"),
)

alarms = Table(
    "alarms",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("endpoint", String(128), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("subject", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("raised", Float, nullable=False),
    Column("window_id", String(255), nullable=False),
    Column("evidence", Text, nullable=False),
    Column("outcome", String(32)),
    Column("decision", String(64)),
    # Digest of endpoint, kind and subject while the alarm is open, NULL afterwards: the
    # database itself refuses a second open alarm about the same thing.
    Column("open_key", String(64), unique=True),
    Index("alarms_by_time", "endpoint", "raised"),
)

label_batches = Table(
    "label_batches",
    METADATA,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("endpoint", String(128), nullable=False),
    Column("received", Float, nullable=False),
    Column("watermark", Float),  # the newest event time known then; NULL in older homes
    Column("n", Integer, nullable=False),  # labels kept
    Column("duplicates", Integer, nullable=False),  # overwritten inside the batch
    Column("payload", LargeBinary, nullable=False),  # see labels.py
    Index("label_batches_by_endpoint", "endpoint", "id"),
    sqlite_autoincrement=True,  # a batch number is never used twice, so a cursor stays right
)

watches = Table(
    "watches",
    METADATA,
    Column("endpoint", String(128), primary_key=True),
    Column("watch", Text, nullable=False),  # see watches.py
)

monitors = Table(
    "monitors",
    METADATA,
    Column("endpoint", String(128), primary_key=True),
    Column("judged_until", Float),  # event time up to which windows are cut
    Column("empty", BigInteger, nullable=False),  # windows passed over without a row
    Column("late", BigInteger, nullable=False),  # rows that came after their window was judged
    Column("batches", BigInteger, nullable=False),  # label batches; see labels.add
    Column("relabelled", BigInteger),  # label batches looked through for late ones; see again.py
    Column("label_delay", Float),  # learnt, in seconds; see maturity.py
)


#: Windows that were judged, or judged again, and not yet put to rules: an outbox, written in
#: the transaction that keeps the window.
news = Table(
    "alarm_news",
    METADATA,
    Column("seq", _SERIAL, primary_key=True, autoincrement=True),
    Column("endpoint", String(128), nullable=False),
    Column("window_id", String(255), nullable=False),
    sqlite_autoincrement=True,
)


def start_monitor(dialect: str, endpoint: str) -> Any:
    """Return an INSERT of an endpoint's monitor that does nothing if there is one."""
    values = {"endpoint": endpoint, "judged_until": None, "empty": 0, "late": 0, "batches": 0}
    return insert_once(monitors, dialect, values)


def insert_once(table: Table, dialect: str, values: dict[str, Any]) -> Any:
    """Return an INSERT that does nothing if any unique key of the row is taken."""
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert  # type: ignore[assignment]
    return insert(table).values(values).on_conflict_do_nothing()
