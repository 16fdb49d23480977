"""Read MLflow's file store: ``mlruns`` with a folder a run and a file a metric."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mainspring.experiments.datasets import Dataset, Use
from mainspring.experiments.logged import Measured
from mainspring.experiments.metrics import Point
from mainspring.ground.errors import BadInputError
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

_TRASH, _MODELS = ".trash", "models"
_MOST = 1 << 20  #: bytes of a meta.yaml
_PART = 20_000  #: points at a time


class FolderStore:
    """A file store. Files that cannot be read are named in ``troubles`` and left out."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.uri = root.as_uri()
        self.troubles: list[tuple[str, str]] = []
        self._places: dict[str, Path] = {}
        if not any((root / name / "meta.yaml").is_file() for name in _names(root)):
            raise BadInputError(
                f"{root} is no MLflow file store: no folder in it has a meta.yaml.",
                field="uri",
                hint=_database_hint(root),
            )

    def experiments(self) -> list[FoundExperiment]:
        """Return every experiment, deleted or not."""
        found = []
        for folder, gone in ((self.root, False), (self.root / _TRASH, True)):
            for name in _names(folder):
                if name in (_TRASH, _MODELS):
                    continue
                meta = self._meta(folder / name)
                if meta is None:
                    continue
                place = folder / name
                number = text(meta.get("experiment_id") or name)
                self._places[number] = place
                found.append(
                    FoundExperiment(
                        id=number,
                        name=text(meta.get("name")) or number,
                        created=seconds(meta.get("creation_time") or 0),
                        deleted=gone or meta.get("lifecycle_stage") == "deleted",
                        tags=self._texts(place / "tags"),
                    )
                )
        return found

    def run_count(self) -> int:
        """Return about how many runs there are."""
        return sum(
            name not in ("tags", "datasets", _MODELS)
            for place in self._places.values()
            for name in _names(place)
        )

    def runs(self, experiment: str) -> Iterator[FoundRun]:
        """Go through the runs of an experiment, deleted or not."""
        place = self._places[experiment]
        for name in _names(place):
            if name in ("tags", "datasets", _MODELS):
                continue
            folder = place / name
            meta = self._meta(folder)
            if meta is None or "start_time" not in meta:
                continue
            tags = self._texts(folder / "tags")
            ended = meta.get("end_time")
            yield FoundRun(
                id=text(meta.get("run_id") or meta.get("run_uuid") or name),
                name=text(meta.get("run_name") or tags.get("mlflow.runName")),
                status=STATUSES[text(meta.get("status"))],
                started=seconds(meta.get("start_time") or 0),
                ended=None if ended is None else seconds(ended),
                deleted=meta.get("lifecycle_stage") == "deleted",
                user=text(meta.get("user_id")),
                files=text(meta.get("artifact_uri")),
                params=self._texts(folder / "params"),
                tags=tags,
                inputs=self._inputs(place, folder),
                read=[m["source_id"] for m in self._links(folder / "inputs", "MODEL_INPUT")],
                made=[
                    m["destination_id"] for m in self._links(folder / "outputs", "MODEL_OUTPUT")
                ],
            )

    def points(self, run: str, experiment: str) -> Iterator[list[Point]]:
        """Go through the whole history of a run's metrics, in parts."""
        root = self._places[experiment] / run / "metrics"
        for file in _files(root):
            key = file.relative_to(root).as_posix()
            found = [
                Point(key=key, value=float(cells[1]), step=int(cells[2]), time=seconds(cells[0]))
                for cells in self._lines(file, (3, 4, 5))
            ]
            found.sort(key=lambda point: point.time)
            for start in range(0, len(found), _PART):
                yield found[start : start + _PART]

    def logged(self, experiment: str) -> Iterator[FoundLogged]:
        """Go through the logged models of an experiment."""
        place = self._places[experiment] / _MODELS
        for name in _names(place):
            folder = place / name
            meta = self._meta(folder)
            if meta is None:
                continue
            status = text(meta.get("status"))
            yield FoundLogged(
                id=text(meta.get("model_id") or name),
                name=text(meta.get("name")),
                run=meta.get("source_run_id") or None,
                type=meta.get("model_type") or None,
                ready={"2": True, "READY": True, "3": False}.get(status),
                created=seconds(meta.get("creation_timestamp") or 0),
                changed=seconds(meta.get("last_updated_timestamp") or 0),
                files=text(meta.get("artifact_location")),
                params=self._texts(folder / "params"),
                tags=self._texts(folder / "tags"),
                metrics=list(self._measured(name, folder / "metrics")),
            )

    def models(self) -> Iterator[FoundModel]:
        """Go through the registered models."""
        for name in _names(self.root / _MODELS):
            folder = self.root / _MODELS / name
            meta = self._meta(folder)
            if meta is None or "name" not in meta:
                continue
            aliases = self._texts(folder / "aliases")
            yield FoundModel(
                name=text(meta["name"]),
                created=seconds(meta.get("creation_timestamp") or 0),
                description=text(meta.get("description")),
                tags=self._texts(folder / "tags"),
                aliases={str(alias): int(number) for alias, number in aliases.items()},
                versions=sorted(self._versions(folder), key=lambda version: version.number),
            )

    def close(self) -> None:
        """Nothing is held."""

    # ------------------------------------------------------------ parts

    def _versions(self, folder: Path) -> Iterator[FoundVersion]:
        for name in _names(folder):
            meta = self._meta(folder / name) if name.startswith("version-") else None
            if meta is None or text(meta.get("current_stage")) == "Deleted_Internal":
                continue
            yield FoundVersion(
                number=int(meta["version"]),
                created=seconds(meta.get("creation_timestamp") or 0),
                source=text(meta.get("source")),
                files=text(meta.get("storage_location") or meta.get("source")),
                run=meta.get("run_id") or None,
                link=meta.get("run_link") or None,
                logged=meta.get("model_id") or logged_of(text(meta.get("source"))),
                description=text(meta.get("description")),
                stage=text(meta.get("current_stage")) or "None",
                tags=self._texts(folder / name / "tags"),
            )

    def _inputs(self, place: Path, folder: Path) -> list[Use]:
        found = []
        for link in self._links(folder / "inputs", "DATASET", side="source_type"):
            meta = self._meta(place / "datasets" / text(link.get("source_id")))
            if meta is None:
                continue
            tags = {str(k): text(v) for k, v in (link.get("tags") or {}).items()}
            found.append(
                Use(
                    dataset=Dataset(
                        name=text(meta.get("name")),
                        digest=text(meta.get("digest")),
                        source_type=text(meta.get("source_type")),
                        source=text(meta.get("source")),
                        schema=meta.get("schema"),
                        profile=meta.get("profile"),
                    ),
                    context=tags.pop("mlflow.data.context", ""),
                    tags=tags,
                )
            )
        return found

    def _links(
        self, folder: Path, kind: str, side: str = "destination_type"
    ) -> list[dict[str, Any]]:
        several = [self._meta(folder / name) for name in _names(folder)]
        return [one for one in several if one is not None and one.get(side) == kind]

    def _measured(self, model: str, root: Path) -> Iterator[Measured]:
        for file in _files(root):
            for cells in self._lines(file, (4, 6)):
                yield Measured(
                    model=model,
                    run=cells[3],
                    key=file.relative_to(root).as_posix(),
                    value=float(cells[1]),
                    step=int(cells[2]),
                    time=seconds(cells[0]),
                    dataset_name=cells[4] if len(cells) == 6 else None,
                    dataset_digest=cells[5] if len(cells) == 6 else None,
                )

    def _lines(self, file: Path, widths: tuple[int, ...]) -> Iterator[list[str]]:
        for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
            cells = line.split()
            try:
                cells = cells if len(cells) != 2 else [*cells, "0"]  # stores before steps
                float(cells[1]), int(cells[2]), float(cells[0])
            except (IndexError, ValueError):
                self.troubles.append((f"{file}:{number}", "it is no metric line"))
                continue
            if len(cells) in widths:
                yield cells
            else:
                self.troubles.append((f"{file}:{number}", "it is no metric line"))

    def _texts(self, root: Path) -> dict[str, str]:
        found = {}
        for file in _files(root):
            try:
                found[file.relative_to(root).as_posix()] = file.read_text("utf-8")
            except UnicodeDecodeError:
                self.troubles.append((str(file), "it is not UTF-8"))
        return found

    def _meta(self, folder: Path) -> dict[str, Any] | None:
        import yaml

        file = folder / "meta.yaml"
        if not file.is_file() or file.is_symlink():
            return None
        try:
            if file.stat().st_size > _MOST:
                raise ValueError("it is larger than 1 MB")
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            found = yaml.load(file.read_text("utf-8"), Loader=loader)  # noqa: S506  a safe loader
        except (yaml.YAMLError, ValueError, OSError) as error:
            self.troubles.append((str(file), f"it cannot be read: {str(error)[:200]}"))
            return None
        return found if isinstance(found, dict) else None


def _database_hint(root: Path) -> str | None:
    """Return what to import instead: newer releases keep runs in a database beside the files."""
    for file in (root / "mlflow.db", root.parent / "mlflow.db"):
        if file.is_file():
            return f"The runs are in the database: mainspring import mlflow sqlite:///{file}"
    return None


def _names(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(one.name for one in entries if one.is_dir(follow_symlinks=False))


def _files(root: Path) -> Iterator[Path]:
    for here, names, files in os.walk(root, followlinks=False):
        names.sort()
        for name in sorted(files):
            file = Path(here) / name
            if not file.is_symlink():
                yield file
