"""The tables of the registry; the triggers that guard them are in :mod:`walls`."""

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

from mainspring.readiness import walls

METADATA = MetaData()
#: (name, DDL by dialect), created with the tables and safe to run again.
GUARDS = walls.GUARDS


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
    Column("moved", Float, nullable=False),  # wall time, by which the gate must hold
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
    Column("made", Float),  # wall time; ``at`` is event time where a loop moved it
    Index("history_of_alias", "model", "alias"),
)

stage_history = Table(
    "stage_history",
    METADATA,
    _serial(),
    Column("model", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("stage", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("by", Text, nullable=False),
    ForeignKeyConstraint(["model", "number"], ["versions.model", "versions.number"]),
    Index("history_of_stages", "model", "number"),
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
    Column("made", Float),  # wall time; null: by a release in which gates did not age
    Column("until", Float),  # wall time
    Column("policy", Text),  # the Gate as JSON, as it was declared then
    Column("rows", Text),  # digest of the rows it was judged on
    UniqueConstraint("gate"),
    ForeignKeyConstraint(["model", "number"], ["versions.model", "versions.number"]),
    Index("gates_of_version", "model", "number"),
)

# Of models that no loop looks after; the newest stands.
declared_gates = Table(
    "declared_gates",
    METADATA,
    _serial(),
    Column("model", Text, nullable=False),
    Column("gate", Text, nullable=False),  # the Gate as JSON
    Column("at", Float, nullable=False),
    Column("by", Text, nullable=False),
    ForeignKeyConstraint(["model"], ["models.name"]),
    Index("gates_of_model", "model"),
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

evidence = Table(
    "evidence",
    METADATA,
    _serial(),
    Column("evidence", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("passed", Integer),  # 0 or 1; null: nothing was judged
    Column("found", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("by", Text, nullable=False),
    Column("automatic", Integer, nullable=False),  # 0 or 1
    Column("code", Text, nullable=False),
    Column("detail", Text, nullable=False),  # JSON
    Column("opens", Text, nullable=False),  # JSON: references
    UniqueConstraint("evidence"),
    Index("evidence_on_subject", "subject", "kind", "id"),
    Index("evidence_of_kind", "kind", "id"),
)


# ---------------------------------------------------------------- what may change

# A model is known to its versions by ``name``, which can stand in URLs; ``title`` is what
# people call it, and the only one of the two that a renaming changes.
model_facts = Table(
    "model_facts",
    METADATA,
    Column("model", Text, primary_key=True),
    Column("title", Text, nullable=False, unique=True),
    Column("description", Text, nullable=False),
    Column("changed", Float, nullable=False),
    Column("created", Float),  # of a model that was made anew; else see models
    ForeignKeyConstraint(["model"], ["models.name"]),
)

model_tags = Table(
    "model_tags",
    METADATA,
    Column("model", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    ForeignKeyConstraint(["model"], ["models.name"]),
)

version_facts = Table(
    "version_facts",
    METADATA,
    Column("model", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("description", Text, nullable=False),
    Column("stage", Text, nullable=False),  # None, Staging, Production or Archived
    Column("changed", Float, nullable=False),
    Column("staged", Float),  # wall time of the newest move to that stage
    ForeignKeyConstraint(["model", "number"], ["versions.model", "versions.number"]),
)

version_tags = Table(
    "version_tags",
    METADATA,
    Column("model", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    ForeignKeyConstraint(["model", "number"], ["versions.model", "versions.number"]),
)

# Versions are written once, so deleting one hides it: its row stays, and so does its number.
deleted_versions = Table(
    "deleted_versions",
    METADATA,
    Column("model", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("by", Text, nullable=False),
    ForeignKeyConstraint(["model", "number"], ["versions.model", "versions.number"]),
)

# A deleted model's row goes when somebody makes a model of that name again: its versions stay
# hidden and its numbers go on where they were.
deleted_models = Table(
    "deleted_models",
    METADATA,
    Column("model", Text, primary_key=True),
    Column("at", Float, nullable=False),
    Column("by", Text, nullable=False),
    ForeignKeyConstraint(["model"], ["models.name"]),
)

# Aliases beside champion that ask for a passed gate, in lower case.
guarded_aliases = Table(
    "guarded_aliases",
    METADATA,
    Column("model", Text, primary_key=True),
    Column("alias", Text, primary_key=True),
    ForeignKeyConstraint(["model"], ["models.name"]),
)

# What a package that another tool wrote is served as: a package of ours, made of it.
version_forms = Table(
    "version_forms",
    METADATA,
    Column("model", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("package", Text, nullable=False),
    Column("signature", Text, nullable=False),  # JSON
    Column("metrics", Text, nullable=False),  # JSON
    Column("at", Float, nullable=False),
    Column("by", Text, nullable=False),
    ForeignKeyConstraint(["model", "number"], ["versions.model", "versions.number"]),
)

# Packages whose pickled code a person answers for.
trusted_packages = Table(
    "trusted_packages",
    METADATA,
    Column("package", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("by", Text, nullable=False),
)

# ---------------------------------------------------------------- telling others

webhooks = Table(
    "webhooks",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("events", Text, nullable=False),  # JSON: names of events
    Column("description", Text, nullable=False),
    Column("secret", Text),  # never leaves by any door; only a delivery reads it
    Column("active", Integer, nullable=False),  # 0 or 1
    Column("created", Float, nullable=False),
    Column("changed", Float, nullable=False),
)

# What happened to the registry and somebody wants to hear; a row goes once it is handed out.
registry_events = Table(
    "registry_events",
    METADATA,
    _serial(),
    Column("event", Text, nullable=False),
    Column("data", Text, nullable=False),  # JSON
    Column("at", Float, nullable=False),
    sqlite_autoincrement=True,  # a number that comes back would be a task that is done already
)
