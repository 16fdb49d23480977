"""Read MLflow's database: SQLite, or any other that SQLAlchemy has a driver for.

Tables and columns are read as they are found, so that stores of older releases, which lack some,
are read as well. Nothing is written to it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, Table, create_engine, event, func, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from mainspring.experiments.datasets import Dataset, Use
from mainspring.experiments.logged import Measured
from mainspring.experiments.metrics import Point
from mainspring.ground.errors import BadInputError, MissingExtraError
from mainspring.workspace.importing.found import (
    STATUSES,
    FoundExperiment,
    FoundLogged,
    FoundModel,
    FoundRun,
    FoundVersion,
    logged_of,
    seconds,
    text,
)

_PART = 20_000  #: points at a time
_RUNS = 200  #: runs at a time


class DatabaseStore:
    """A database that MLflow's tracking and registry write."""

    def __init__(self, uri: str) -> None:
        try:
            url = make_url(uri)
            if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
                raise BadInputError(f"There is no file {url.database!r}.", field="uri")
            self._engine = create_engine(url)
        except (SQLAlchemyError, ValueError) as error:
            raise BadInputError(f"{uri.partition(':')[0]}: {error}", field="uri") from error
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"Reading {uri.partition(':')[0]} needs the driver {error.name}.",
                hint=f"pip install {error.name}",
            ) from error
        self.uri = url.render_as_string(hide_password=True)
        if url.get_backend_name() == "sqlite":
            _only_reading(self._engine)
        self._connection = self._engine.connect()
        names = set(inspect(self._connection).get_table_names())
        if not {"experiments", "runs", "metrics"} <= names:
            self.close()
            raise BadInputError(f"{self.uri} holds no MLflow tables.", field="uri")
        held = MetaData()
        wanted = names & _TABLES
        self._tables = {name: Table(name, held, autoload_with=self._engine) for name in wanted}

    def experiments(self) -> list[FoundExperiment]:
        """Return every experiment, deleted or not."""
        tags = self._pairs("experiment_tags", "experiment_id")
        return [
            FoundExperiment(
                id=text(row["experiment_id"]),
                name=text(row["name"]),
                created=seconds(row.get("creation_time") or 0),
                deleted=row["lifecycle_stage"] == "deleted",
                tags=tags[row["experiment_id"]],
            )
            for row in self._rows("experiments", order="experiment_id")
        ]

    def run_count(self) -> int:
        """Return how many runs there are."""
        counted = select(func.count()).select_from(self._tables["runs"])
        return int(self._connection.execute(counted).scalar_one())

    def runs(self, experiment: str) -> Iterator[FoundRun]:
        """Go through the runs of an experiment, deleted or not."""
        rows = self._rows("runs", order="start_time", experiment_id=int(experiment))
        for start in range(0, len(rows), _RUNS):
            part = rows[start : start + _RUNS]
            ids = [row["run_uuid"] for row in part]
            params = self._pairs("params", "run_uuid", ids)
            tags = self._pairs("tags", "run_uuid", ids)
            uses, read, made = self._links(ids)
            for row in part:
                run, ended = row["run_uuid"], row["end_time"]
                yield FoundRun(
                    id=run,
                    name=text(row.get("name")) or tags[run].get("mlflow.runName", ""),
                    status=STATUSES[text(row["status"])],
                    started=seconds(row["start_time"] or 0),
                    ended=None if ended is None else seconds(ended),
                    deleted=row["lifecycle_stage"] == "deleted",
                    user=text(row.get("user_id")),
                    files=text(row["artifact_uri"]),
                    params=params[run],
                    tags=tags[run],
                    inputs=uses[run],
                    read=read[run],
                    made=made[run],
                )

    def points(self, run: str, experiment: str) -> Iterator[list[Point]]:  # noqa: ARG002
        """Go through the whole history of a run's metrics, in parts."""
        table = self._tables["metrics"]
        columns = table.c
        order = [columns.key, columns.timestamp]
        order += [columns[name] for name in ("step", "value") if name in columns]
        found = self._connection.execution_options(yield_per=_PART).execute(
            select(table).where(columns.run_uuid == run).order_by(*order)
        )
        for part in found.mappings().partitions(_PART):
            yield [
                Point(
                    key=row["key"],
                    value=math.nan if row.get("is_nan") else float(row["value"]),
                    step=int(row.get("step") or 0),
                    time=seconds(row["timestamp"]),
                )
                for row in part
            ]

    def logged(self, experiment: str) -> Iterator[FoundLogged]:
        """Go through the logged models of an experiment."""
        params = self._pairs(
            "logged_model_params", "model_id", key="param_key", value="param_value"
        )
        tags = self._pairs("logged_model_tags", "model_id", key="tag_key", value="tag_value")
        measured: dict[str, list[Measured]] = defaultdict(list)
        for row in self._rows("logged_model_metrics", experiment_id=int(experiment)):
            measured[row["model_id"]].append(
                Measured(
                    model=row["model_id"],
                    run=row["run_id"],
                    key=row["metric_name"],
                    value=math.nan if row["metric_value"] is None else float(row["metric_value"]),
                    step=int(row["metric_step"]),
                    time=seconds(row["metric_timestamp_ms"]),
                    dataset_name=row["dataset_name"],
                    dataset_digest=row["dataset_digest"],
                )
            )
        for row in self._rows("logged_models", experiment_id=int(experiment)):
            if row["lifecycle_stage"] == "deleted":
                continue
            model = row["model_id"]
            yield FoundLogged(
                id=model,
                name=text(row["name"]),
                run=row["source_run_id"] or None,
                type=row["model_type"] or None,
                ready={2: True, 3: False}.get(row["status"]),
                created=seconds(row["creation_timestamp_ms"]),
                changed=seconds(row["last_updated_timestamp_ms"]),
                files=text(row["artifact_location"]),
                params=params[model],
                tags=tags[model],
                metrics=measured[model],
            )

    def models(self) -> Iterator[FoundModel]:
        """Go through the registered models."""
        tags = self._pairs("registered_model_tags", "name")
        version_tags: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
        for row in self._rows("model_version_tags"):
            version_tags[row["name"], row["version"]][row["key"]] = text(row["value"])
        aliases: dict[str, dict[str, int]] = defaultdict(dict)
        for row in self._rows("registered_model_aliases"):
            aliases[row["name"]][row["alias"]] = int(row["version"])
        versions: dict[str, list[FoundVersion]] = defaultdict(list)
        for row in self._rows("model_versions", order="version"):
            if row["current_stage"] != "Deleted_Internal":
                told = version_tags[row["name"], row["version"]]
                versions[row["name"]].append(_version(row, told))
        for row in self._rows("registered_models", order="name"):
            yield FoundModel(
                name=row["name"],
                created=seconds(row["creation_time"] or 0),
                description=text(row["description"]),
                tags=tags[row["name"]],
                aliases=aliases[row["name"]],
                versions=versions[row["name"]],
            )

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()
        self._engine.dispose()

    # ------------------------------------------------------------ parts

    def _links(self, ids: Sequence[str]) -> tuple[Any, Any, Any]:
        uses: dict[str, list[Use]] = defaultdict(list)
        read: dict[str, list[str]] = defaultdict(list)
        made: dict[str, list[str]] = defaultdict(list)
        inputs = self._rows("inputs", destination_id=ids, destination_type="RUN")
        several = [row["source_id"] for row in inputs if row["source_type"] == "DATASET"]
        data = {row["dataset_uuid"]: row for row in self._rows("datasets", dataset_uuid=several)}
        tags = self._pairs(
            "input_tags", "input_uuid", [row["input_uuid"] for row in inputs], "name"
        )
        for row in inputs:
            told = data.get(row["source_id"])
            if told is not None:
                uses[row["destination_id"]].append(_use(told, tags[row["input_uuid"]]))
        for row in self._rows("inputs", source_id=ids, source_type="RUN_INPUT"):
            read[row["source_id"]].append(row["destination_id"])
        for row in self._rows("inputs", source_id=ids, source_type="RUN_OUTPUT"):
            made[row["source_id"]].append(row["destination_id"])
        return uses, read, made

    def _rows(self, name: str, order: str = "", **wanted: Any) -> list[dict[str, Any]]:
        table = self._tables.get(name)
        if table is None:
            return []
        query = select(table)
        if order:
            query = query.order_by(table.c[order])
        parts: list[Any] = [query]
        for column, value in wanted.items():
            if isinstance(value, list):
                cut = [value[n : n + 500] for n in range(0, len(value), 500)]
                parts = [one.where(table.c[column].in_(some)) for one in parts for some in cut]
            else:
                parts = [one.where(table.c[column] == value) for one in parts]
        return [
            dict(row) for one in parts for row in self._connection.execute(one).mappings().all()
        ]

    def _pairs(
        self,
        name: str,
        owner: str,
        ids: Sequence[Any] | None = None,
        key: str = "key",
        value: str = "value",
    ) -> dict[Any, dict[str, str]]:
        found: dict[Any, dict[str, str]] = defaultdict(dict)
        wanted: dict[str, Any] = {} if ids is None else {owner: list(ids)}
        for row in self._rows(name, **wanted):
            found[row[owner]][row[key]] = text(row[value])
        return found


_TABLES = frozenset(
    {"experiments", "experiment_tags", "runs", "metrics", "params", "tags", "inputs", "input_tags"}
    | {"datasets", "logged_models", "logged_model_params", "logged_model_tags"}
    | {"logged_model_metrics", "registered_models", "registered_model_tags"}
    | {"registered_model_aliases", "model_versions", "model_version_tags"}
)


def _version(row: dict[str, Any], tags: dict[str, str]) -> FoundVersion:
    source = text(row["source"])
    return FoundVersion(
        number=int(row["version"]),
        created=seconds(row["creation_time"] or 0),
        source=source,
        files=text(row.get("storage_location")) or source,
        run=row["run_id"] or None,
        link=row.get("run_link") or None,
        logged=logged_of(source),
        description=text(row["description"]),
        stage=text(row["current_stage"]) or "None",
        tags=tags,
    )


def _use(row: dict[str, Any], tags: dict[str, str]) -> Use:
    return Use(
        dataset=Dataset(
            name=text(row["name"]),
            digest=text(row["digest"]),
            source_type=text(row["dataset_source_type"]),
            source=text(row["dataset_source"]),
            schema=row["dataset_schema"],
            profile=row["dataset_profile"],
        ),
        context=tags.pop("mlflow.data.context", ""),
        tags=tags,
    )


def _only_reading(engine: Any) -> None:
    @event.listens_for(engine, "connect")
    def look(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA query_only = ON")
