"""The tables of pipelines: the steps of every run, what can be reused, how far they are."""

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
    text,
)

METADATA = MetaData()

steps = Table(
    "steps",
    METADATA,
    Column(
        "id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    ),
    Column("run", String(64), nullable=False),
    Column("step", String(250), nullable=False),
    Column("position", Integer, nullable=False),
    Column("pipeline", String(500), nullable=False),
    Column("target", String(500), nullable=False),
    Column("args", Text, nullable=False),  # JSON: see graph.Argument
    Column("options", Text, nullable=False),  # JSON: see declare.Options
    Column("needs", Text, nullable=False),  # JSON: names of steps
    Column("code", String(64), nullable=False),
    Column("code_parts", Text, nullable=False),  # JSON: name -> digest
    Column("code_texts", Text),  # JSON: name -> digest of its text; None in older rows
    Column("env", String(64), nullable=False),
    Column("fresh", Boolean, nullable=False),  # asked to run anew
    Column("seed", Integer),  # of the run; None in rows of older releases
    Column("pinned", String(64)),  # the run whose result is taken, whatever there is newer
    Column("state", String(16), nullable=False),
    Column("key", String(64)),
    Column("why", Text, nullable=False, default=""),
    Column("parts", Text),  # JSON: see keys.parts_of
    Column("inputs", Text, nullable=False, default="{}"),  # JSON: argument -> digest
    Column("output", String(64)),
    Column("output_type", String(64)),
    Column("reused_from", String(64)),
    Column("started", Float),
    Column("ended", Float),
    Column("attempt", Integer, nullable=False, default=0),
    Column("tried", Text),  # JSON: by which rule it was tried again how often
    Column("error", Text, nullable=False, default=""),
    Column("trace", Text, nullable=False, default=""),
    Column("log", String(64)),
    Column("wall_s", Float, nullable=False, default=0.0),
    Column("cpu_s", Float, nullable=False, default=0.0),
    Column("kind", String(16), nullable=False, default="step"),  # see controls
    Column("within", String(250)),  # the controller that planted it
    Column("lot", Integer, nullable=False, default=0),  # which item, round or branch of it
    Column("handled", Boolean, nullable=False, default=False),  # its failure breaks nothing
    Column("spec", Text),  # JSON, of controllers: see growing.Spec
    Column("memo", Text),  # JSON, of controllers: what one noted
    Column("stops", Integer),  # of controllers: more failed lots than that stop the others
    Column("error_types", Text, nullable=False, default="[]"),  # JSON: what was raised, its bases
    Column("reads", Text),  # JSON: files that it read and had not said; None: no file
    Index("steps_of_run", "run", "step", unique=True),
    Index("steps_by_output", "output"),
    Index(
        "steps_within",
        "run",
        "within",
        "state",
        "lot",
        "kind",  # so that states are counted in the index alone
        sqlite_where=text("within IS NOT NULL"),
        postgresql_where=text("within IS NOT NULL"),
    ),
    Index(
        "steps_wired",
        "run",
        "position",
        sqlite_where=text("within IS NULL"),
        postgresql_where=text("within IS NULL"),
    ),
    Index("steps_before", "pipeline", "step", "id"),
)

step_results = Table(
    "step_results",
    METADATA,
    Column("key", String(64), primary_key=True),
    Column("output", String(64), nullable=False),
    Column("output_type", String(64), nullable=False),
    Column("blobs", Text, nullable=False),  # JSON: every object the output needs
    Column("run", String(64), nullable=False),
    Column("step", String(250), nullable=False),
    Column("made", Float, nullable=False),
    Column("wall_s", Float, nullable=False, default=0.0),
    Column("metrics", Text, nullable=False, default="[]"),  # JSON: the last of each
    Column("reads", Text),  # JSON: as in steps
)

checkpoints = Table(
    "checkpoints",
    METADATA,
    Column("scope", String(64), primary_key=True),  # the step's key: see checkpoints.scope_of
    Column("number", Integer, primary_key=True),  # how far the step was
    Column("digest", String(64), nullable=False),
    Column("type", String(64), nullable=False),
    Column("blobs", Text, nullable=False),  # JSON: every object it needs
    Column("run", String(64), nullable=False),
    Column("step", String(250), nullable=False),
    Column("at", Float, nullable=False),
)

secrets = Table(
    "secrets",
    METADATA,
    Column("name", String(200), primary_key=True),
    Column("secret", Text, nullable=False),
    Column("set_by", String(250), nullable=False),
    Column("at", Float, nullable=False),
)

callbacks = Table(
    "callbacks",
    METADATA,
    Column("digest", String(64), primary_key=True),  # of the token, which is kept nowhere
    Column("run", String(64), nullable=False),
    Column("step", String(250), nullable=False),  # the one that waits
    Column("asked", Integer, nullable=False),  # the how manieth time it waits
    Column("at", Float, nullable=False),
    Index("callbacks_of", "run"),
)

environments = Table(
    "environments",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("listing", Text, nullable=False),  # JSON: distribution -> version
    Column("lock", Text),  # JSON: see ground.locks.Lock; None in rows of older releases
)

code_texts = Table(
    "code_texts",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("text", Text, nullable=False),  # JSON: see texts.CodeText
)
