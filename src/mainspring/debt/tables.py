"""The tables of debt: data sheets, scans, what was accepted, who uses what, what goes away."""

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
)

METADATA = MetaData()

_SERIAL = BigInteger().with_variant(Integer(), "sqlite")

#: What people say of datasets; the newest row of a name stands, the older ones are its history.
data_sheets = Table(
    "data_sheets",
    METADATA,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("sheet", Text, nullable=False),  # the DataSheet as JSON
    Column("at", Float, nullable=False),
    Column("by", Text, nullable=False),
    Index("data_sheets_of", "name", "id"),
)

scans = Table(
    "debt_scans",
    METADATA,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("scan", String(64), nullable=False, unique=True),
    Column("at", Float(53), nullable=False),
    Column("by", String(256), nullable=False),
    Column("scope", String(128), nullable=False),  # a model's name; blank: everything
    Column("open", Integer, nullable=False),
    Column("accepted", Integer, nullable=False),
    Column("weight", Integer, nullable=False),
    Column("counts", Text, nullable=False),  # JSON: kind -> how many count
    Column("ids", Text, nullable=False),  # JSON: of every finding
    Column("findings", Text, nullable=False),  # JSON; of the newest scan of its scope alone
    Column("unseen", Text, nullable=False),  # JSON: what could not be looked at
    Index("debt_scans_of", "scope", "id"),
)

# Somebody's word that a finding may stand for a time. The newest of a finding holds.
acceptances = Table(
    "debt_acceptances",
    METADATA,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("acceptance", String(64), nullable=False, unique=True),
    Column("finding", String(64), nullable=False),
    Column("until", Float(53), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Float(53), nullable=False),
    Column("by", String(256), nullable=False),
    Index("debt_acceptances_of", "finding", "id"),
)

consumers = Table(
    "consumers",
    METADATA,
    Column("endpoint", String(128), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("owner", String(500), nullable=False),
    Column("tokens", Text, nullable=False),  # JSON: names of tokens it shows
    Column("clients", Text, nullable=False),  # JSON: what it says in X-Client
    Column("channel", String(128)),  # over which it is told what happens to the endpoint
    Column("at", Float(53), nullable=False),
    Column("by", String(256), nullable=False),
)

deprecations = Table(
    "deprecations",
    METADATA,
    Column("subject", String(300), primary_key=True),
    Column("since", Float(53), nullable=False),
    Column("until", Float(53), nullable=False),
    Column("reason", Text, nullable=False),
    Column("use", String(300), nullable=False),
    Column("by", String(256), nullable=False),
)
