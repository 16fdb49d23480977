"""The tables of the debt room."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, Table, Text

METADATA = MetaData()

#: What people say of datasets; the newest row of a name stands, the older ones are its history.
data_sheets = Table(
    "data_sheets",
    METADATA,
    Column(
        "id",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    Column("name", Text, nullable=False),
    Column("sheet", Text, nullable=False),  # the DataSheet as JSON
    Column("at", Float, nullable=False),
    Column("by", Text, nullable=False),
    Index("data_sheets_of", "name", "id"),
)
