"""The tables of the registry, and the triggers that are its second wall.

The first wall is :mod:`mainspring.readiness.registry`. The second stands in the database, so
that no other program, no forgotten code path and no hand on the SQL prompt can make a champion
of a version without a passed gate, leave a model without its champion, or rewrite what the
gate and the history have said.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()


def _serial() -> Column[int]:
    kind = BigInteger().with_variant(Integer, "sqlite")
    return Column("id", kind, primary_key=True, autoincrement=True)


models = Table(
    "models",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("newest", Integer, nullable=False),  # the highest number ever given
    Column("created", Float, nullable=False),
)

versions = Table(
    "versions",
    METADATA,
    Column("model", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("command", Text, unique=True),
    Column("run", Text, index=True),
    Column("package", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("record", Text, nullable=False),  # the Version as JSON
    ForeignKeyConstraint(["model"], ["models.name"]),
)

cards = Table(
    "cards",
    METADATA,
    _serial(),
    Column("model", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("card", Text, nullable=False),  # the Card as JSON; the newest stands
    Column("at", Float, nullable=False),
    Column("by", Text, nullable=False),
    ForeignKeyConstraint(["model", "number"], ["versions.model", "versions.number"]),
    Index("cards_of_version", "model", "number"),
)

aliases = Table(
    "aliases",
    METADATA,
    Column("model", Text, primary_key=True),
    Column("alias", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("moved", Float, nullable=False),
    ForeignKeyConstraint(["model", "number"], ["versions.model", "versions.number"]),
)

alias_history = Table(
    "alias_history",
    METADATA,
    _serial(),
    Column("model", Text, nullable=False),
    Column("alias", Text, nullable=False),
    Column("number", Integer),  # null: the alias was taken away
    Column("previous", Integer),
    Column("reason", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("by", Text, nullable=False),
    Index("history_of_alias", "model", "alias"),
)

gates = Table(
    "gates",
    METADATA,
    _serial(),
    Column("gate", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("passed", Integer, nullable=False),  # 0 or 1
    Column("checks", Text, nullable=False),  # the CheckResults as JSON
    Column("at", Float, nullable=False),
    Column("by", Text, nullable=False),
    UniqueConstraint("gate"),
    ForeignKeyConstraint(["model", "number"], ["versions.model", "versions.number"]),
    Index("gates_of_version", "model", "number"),
)

overrides = Table(
    "overrides",
    METADATA,
    _serial(),
    Column("model", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("by", Text, nullable=False),
    ForeignKeyConstraint(["model", "number"], ["versions.model", "versions.number"]),
    Index("overrides_of_version", "model", "number"),
)

decisions = Table(
    "decisions",
    METADATA,
    _serial(),
    Column("decision", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("made", Float, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("loop", Text),
    Column("cause", Text),
    Column("evidence", Text, nullable=False),
    UniqueConstraint("decision"),
    Index("decisions_of_loop", "loop", "id"),
    Index("decisions_on_subject", "subject", "id"),
)


# ---------------------------------------------------------------- the second wall

REFUSED = "mainspring refuses: "
_NO_GATE = REFUSED + "the champion alias needs a passed gate"
_STAYS = REFUSED + "a model that has a champion keeps one"
_UNGATED = """NEW.alias = 'champion' AND NOT EXISTS (
  SELECT 1 FROM gates
  WHERE gates.model = NEW.model AND gates.number = NEW.number AND gates.passed = 1)"""
_LEAVES = "OLD.alias = 'champion' AND (NEW.alias <> 'champion' OR NEW.model <> OLD.model)"

#: Rows of these tables are written once. A version's number can so never come back.
_WRITTEN_ONCE = ("versions", "gates", "alias_history", "overrides", "decisions")


def _sqlite(name: str, act: str, table: str, when: str, message: str) -> str:
    condition = f"WHEN {when} " if when else ""
    return (
        f"CREATE TRIGGER IF NOT EXISTS {name} BEFORE {act} ON {table} FOR EACH ROW "
        f"{condition}BEGIN SELECT RAISE(ABORT, '{message}'); END"
    )


def _postgresql(name: str, act: str, table: str, body: str) -> list[str]:
    return [
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {body} END $$",
        f"CREATE OR REPLACE TRIGGER {name} BEFORE {act} ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {name}()",
    ]


def _raise(message: str, when: str) -> str:
    # A class 23 state, so that drivers report it as an integrity error, as SQLite's do.
    return f"IF {when} THEN RAISE EXCEPTION '{message}' USING ERRCODE = '23514'; END IF;"


def _champion_guard() -> dict[str, list[str]]:
    return {
        "sqlite": [
            _sqlite("champion_insert", "INSERT", "aliases", _UNGATED, _NO_GATE),
            _sqlite("champion_update", "UPDATE", "aliases", _UNGATED, _NO_GATE),
            _sqlite("champion_leaves", "UPDATE", "aliases", _LEAVES, _STAYS),
            _sqlite("champion_delete", "DELETE", "aliases", "OLD.alias = 'champion'", _STAYS),
        ],
        "postgresql": [
            *_postgresql(
                "champion_gated",
                "INSERT OR UPDATE",
                "aliases",
                f"{_raise(_NO_GATE, _UNGATED)} RETURN NEW;",
            ),
            *_postgresql(
                "champion_leaves", "UPDATE", "aliases", f"{_raise(_STAYS, _LEAVES)} RETURN NEW;"
            ),
            *_postgresql(
                "champion_delete",
                "DELETE",
                "aliases",
                _raise(_STAYS, "OLD.alias = 'champion'") + " RETURN OLD;",
            ),
        ],
    }


def _once_guard(table: str) -> dict[str, list[str]]:
    message = f"{REFUSED}rows of {table} are written once"
    name = f"{table}_written_once"
    return {
        "sqlite": [
            _sqlite(f"{name}_{act.lower()}", act, table, "", message)
            for act in ("UPDATE", "DELETE")
        ],
        "postgresql": _postgresql(name, "UPDATE OR DELETE", table, _raise(message, "true")),
    }


#: (name, DDL by dialect), created with the tables and safe to run again.
GUARDS: list[tuple[str, dict[str, list[str]]]] = [
    ("champion", _champion_guard()),
    *((f"{table}_once", _once_guard(table)) for table in _WRITTEN_ONCE),
]
