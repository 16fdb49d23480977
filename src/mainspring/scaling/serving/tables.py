"""The tables of endpoints and rollouts."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

METADATA = MetaData()

endpoints = Table(
    "endpoints",
    METADATA,
    Column("name", String(128), primary_key=True),
    Column("model", String(128), nullable=False, index=True),
    Column("loop", String(128)),
    Column("created", Float(53), nullable=False),
    Column("kind", String(16)),  # NULL: served by a process of ours; "fed": answered elsewhere
    Column("options", Text),  # JSON: EndpointOptions; NULL: all as they are by default
)

fed_versions = Table(
    "fed_versions",
    METADATA,
    Column("endpoint", String(128), primary_key=True),
    Column("name", String(255), primary_key=True),  # what the rows call it
    Column("number", BigInteger, nullable=False),  # of the endpoint's model
)

fed_batches = Table(
    "fed_batches",
    METADATA,
    Column("endpoint", String(128), primary_key=True),
    Column("batch", String(128), primary_key=True),  # the client's own name for it
    Column("digest", String(64), nullable=False),  # of the bytes and of how they were read
    Column("answer", Text, nullable=False),  # JSON: what the client was told
    Column("at", Float(53), nullable=False),
    Column("by", String(128), nullable=False),
)

rollouts = Table(
    "rollouts",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("endpoint", String(128), nullable=False),
    Column("model", String(128), nullable=False),
    Column("champion", Integer, nullable=False),
    Column("challenger", Integer, nullable=False),
    Column("strategy", String(16), nullable=False),
    Column("share", Float(53), nullable=False),
    Column("state", String(16), nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("started", Float(53), nullable=False),
    Column("ended", Float(53)),
    Column("better", Text, nullable=False),  # JSON list of floats
    Column("worse", Text, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("cursor", BigInteger, nullable=False),
    Column("more", Text),  # JSON: how it was begun by hand, its steps and its arms; NULL: none
    Index("rollouts_by_endpoint", "endpoint", "started"),
)

# The database itself refuses a second running rollout, whoever asks at the same moment.
Index(
    "rollouts_one_running",
    rollouts.c.endpoint,
    unique=True,
    sqlite_where=text("state = 'running'"),
    postgresql_where=text("state = 'running'"),
)
