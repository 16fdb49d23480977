"""The tables of data versions: which there are, and where bytes that are known are kept."""

from __future__ import annotations

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
from sqlalchemy.engine import Dialect

METADATA = MetaData()


class Plain(LargeBinary):
    """Bytes as the database's library takes and gives them: half a million are noted at once."""

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> None:
        """Leave what is sent as it is."""

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        """Leave what comes as it is."""


# A version that was removed keeps its row, without its manifest: its number never comes back.
data_versions = Table(
    "data_versions",
    METADATA,
    Column("name", String(128), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("digest", String(64), nullable=False),  # of the content; see manifest.digest_of
    Column("manifest", String(64)),  # the object; None once it was removed
    Column("kind", String(16), nullable=False),  # file, folder, table or query
    Column("created", Float, nullable=False),
    Column("by", String(250), nullable=False),
    Column("message", Text, nullable=False, default=""),
    Column("files", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("source", Text, nullable=False, default=""),  # a path or URL, where it came from
    Column("meta", Text, nullable=False, default="{}"),  # JSON: schema, rows, the query
    Column("removed", Float),
    Index("data_versions_by_digest", "digest"),
)

# Where a file or a chunk of one is kept, so that it is kept once. Only a hint: whoever goes by
# it makes sure that the object is there. Bytes, not text, so that no row keeps an object alive.
data_parts = Table(
    "data_parts",
    METADATA,
    Column("digest", Plain(32), primary_key=True),
    Column("object", Plain(32), nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("length", BigInteger, nullable=False),
    Index("data_parts_by_object", "object"),
)
