"""The tables of experiments: runs, their params, tags, metrics and artifacts."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from mainspring.experiments.readings import head_of, number_of

METADATA = MetaData()


def _in_order(name: str, table: Table) -> None:
    """Index texts by what they read as: numbers by value, then texts by their first characters."""
    text = table.c.value
    Index(name, table.c.key, number_of(text), head_of(text), table.c.run)


runs = Table(
    "runs",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("experiment", String(128), nullable=False),
    Column("name", String(250), nullable=False),
    Column("status", String(16), nullable=False),
    Column("started", Float, nullable=False),
    Column("ended", Float),
    Column("pipeline", String(250)),
    Column("parent", String(64)),
    Column("cause", String(250)),
    Index("runs_newest", "started", "id"),
    Index("runs_by_end", "ended", "id"),
    Index("runs_of_experiment", "experiment", "started", "id"),
    Index("runs_of_cause", "cause"),
    Index("runs_of_parent", "parent"),
    Index("runs_of_pipeline", "pipeline", "started", "id"),
)

params = Table(
    "params",
    METADATA,
    Column("run", String(64), ForeignKey("runs.id"), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
)
_in_order("params_in_order", params)

tags = Table(
    "tags",
    METADATA,
    Column("run", String(64), ForeignKey("runs.id"), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
)
_in_order("tags_in_order", tags)

# SQLite turns NaN into NULL on its way in, so NULL is how a NaN is kept, everywhere.
metrics = Table(
    "metrics",
    METADATA,
    Column("run", String(64), ForeignKey("runs.id"), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("step", BigInteger, nullable=False),
    Column("time", Float, nullable=False),
    Column("value", Float),
    # Walked from either end for "the best by this metric"; ``run`` breaks ties within it.
    Index("metrics_by_value", "key", "value", "run"),
)

metric_points = Table(
    "metric_points",
    METADATA,
    Column(
        "id",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    Column("run", String(64), ForeignKey("runs.id"), nullable=False),
    Column("key", String(250), nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("time", Float, nullable=False),
    Column("value", Float),
    Index("metric_points_of", "run", "key", "id"),
)

# Points packed by column (see chunks.py). All chunks of a key come before its rows in
# metric_points: together, in that order, they are its points in the order of arrival.
metric_chunks = Table(
    "metric_chunks",
    METADATA,
    Column("run", String(64), ForeignKey("runs.id"), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("first", BigInteger, primary_key=True),  # how many points of the key are before it
    Column("count", Integer, nullable=False),
    Column("step_low", BigInteger, nullable=False),
    Column("step_high", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

# How far each process's journal is folded; see folding.py.
journals = Table(
    "journals",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("owner", String(250), nullable=False),  # the principal that began it
    Column("position", BigInteger, nullable=False),
    Column("open", Text, nullable=False),  # ids of the runs that end with it, as JSON
    Column("seen", Float, nullable=False),
    Column("closed", Float),
)

# What was logged and could not be taken, such as a param that had another value already.
run_notes = Table(
    "run_notes",
    METADATA,
    Column(
        "id",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    Column("run", String(64), nullable=False),
    Column("at", Float, nullable=False),
    Column("text", Text, nullable=False),
    Index("run_notes_of", "run", "id"),
)

# An experiment is known to its runs by ``key``, which follows from its name and can stand in
# URLs; ``id`` stays when the name changes.
experiments = Table(
    "experiments",
    METADATA,
    Column(
        "id",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    Column("key", String(128), nullable=False, unique=True),
    Column("name", String(500), nullable=False),
    Column("created", Float, nullable=False),
    Column("changed", Float, nullable=False),
    Column("deleted", Float),
)

experiment_tags = Table(
    "experiment_tags",
    METADATA,
    Column("experiment", BigInteger, ForeignKey("experiments.id"), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
)

# A run that was deleted is hidden, not gone: its row here goes when it is restored.
deleted_runs = Table(
    "deleted_runs",
    METADATA,
    Column("run", String(64), ForeignKey("runs.id"), primary_key=True),
    Column("at", Float, nullable=False),
)

artifacts = Table(
    "artifacts",
    METADATA,
    Column("run", String(64), ForeignKey("runs.id"), primary_key=True),
    Column("path", String(500), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("time", Float, nullable=False),
)

# How long the runs of an experiment are kept; what is not said here is kept for ever.
retention = Table(
    "retention",
    METADATA,
    Column("experiment", BigInteger, ForeignKey("experiments.id"), primary_key=True),
    Column("keep_s", Float, nullable=False),  # after its end a run is kept this long
    Column("best", Integer),  # so many of the best stay whatever their age
    Column("metric", String(250)),  # by the latest value of this
    Column("lowest", Boolean, nullable=False),  # whether the lowest is the best
    Column("changed", Float, nullable=False),
    Column("by", String(250), nullable=False),
)

# A dataset is known by all that is said of it: said the same way twice, it is kept once.
datasets = Table(
    "datasets",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("name", String(500), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("source_type", String(100), nullable=False),
    Column("source", Text, nullable=False),
    Column("schema", Text),
    Column("profile", Text),
    Column("created", Float, nullable=False),
    Index("datasets_by_name", "name", "digest"),
)

# Which datasets a run read, in the order in which it said so.
run_datasets = Table(
    "run_datasets",
    METADATA,
    Column(
        "id",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    Column("run", String(64), ForeignKey("runs.id"), nullable=False),
    Column("dataset", String(64), ForeignKey("datasets.id"), nullable=False),
    Column("context", String(500), nullable=False),  # such as training; empty where none is told
    Column("tags", Text, nullable=False),  # JSON
    Index("run_datasets_of", "run", "dataset", "context", unique=True),
    Index("run_datasets_by_dataset", "dataset"),
)

# A model that was logged, whether or not anybody registers it: its files, and what was measured
# of it. The run that made it may be gone by now, or may never have been here.
logged_models = Table(
    "logged_models",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("experiment", BigInteger, ForeignKey("experiments.id"), nullable=False),
    Column("name", String(500), nullable=False),
    Column("run", String(64)),
    Column("type", String(500)),
    Column("status", String(16), nullable=False),
    Column("message", Text),
    Column("created", Float, nullable=False),
    Column("changed", Float, nullable=False),
    Column("deleted", Float),
    Index("logged_models_of_experiment", "experiment", "created", "id"),
    Index("logged_models_of_run", "run"),
)

logged_params = Table(
    "logged_params",
    METADATA,
    Column("model", String(64), ForeignKey("logged_models.id"), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
)

logged_tags = Table(
    "logged_tags",
    METADATA,
    Column("model", String(64), ForeignKey("logged_models.id"), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
)

logged_metrics = Table(
    "logged_metrics",
    METADATA,
    Column(
        "id",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    Column("model", String(64), ForeignKey("logged_models.id"), nullable=False),
    Column("run", String(64), ForeignKey("runs.id"), nullable=False),
    Column("key", String(250), nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("time", Float, nullable=False),
    Column("value", String(32), nullable=False),  # as Python writes it: SQLite loses NaN and -0.0
    Column("dataset_name", String(500)),
    Column("dataset_digest", String(64)),
    Index("logged_metrics_of", "model", "key", "step", "time"),
)

logged_artifacts = Table(
    "logged_artifacts",
    METADATA,
    Column("model", String(64), ForeignKey("logged_models.id"), primary_key=True),
    Column("path", String(500), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("time", Float, nullable=False),
)

# Which logged models a run read or made.
run_models = Table(
    "run_models",
    METADATA,
    Column(
        "id",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    Column("run", String(64), ForeignKey("runs.id"), nullable=False),
    Column("model", String(64), nullable=False),
    Column("role", String(8), nullable=False),  # input or output
    Column("step", BigInteger, nullable=False),
    Index("run_models_of", "run", "role", "model", unique=True),
    Index("run_models_by_model", "model", "role"),
)
