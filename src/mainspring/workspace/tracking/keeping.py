"""Keep what a script has in hand with its run: figures, tables, datasets, fitted models."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, cast

import msgspec

from mainspring.ground.display import Page
from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import check_name, sha256

if TYPE_CHECKING:
    from mainspring.experiments.datasets import Dataset
    from mainspring.ground.ports import Objects
    from mainspring.ground.profiles import Profile
    from mainspring.scaling.models.model import FittedModel
    from mainspring.workspace.tracking.writing import Target


#: Folder of a run's models and their manifests. Under a model's own name MLflow's clients would
#: list its files twice: as the run's, and as those of the logged model of that name.
MODELS = "mainspring/models"


class KeptModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a run kept."""

    id: str  #: of the logged model, as MLflow's clients find it too: models:/m-...
    name: str
    run: str
    package: str  #: digest of its manifest

    def _repr_html_(self) -> str:
        about = [("id", self.id), ("run", self.run), ("package", self.package)]
        return Page(f"model {self.name}").facts(about).html()


class Keeping(ABC):
    """What a run keeps beyond metrics, params and files."""

    @property
    @abstractmethod
    def id(self) -> str:
        """Return the run's id."""

    @property
    @abstractmethod
    def target(self) -> Target:
        """Return where the run is written to."""

    @abstractmethod
    def note_object(self, digest: str, size: int, to: str) -> None:
        """Note bytes that are an object already as a file of the run."""

    @abstractmethod
    def log_bytes(self, data: bytes, to: str) -> None:
        """Keep bytes as a file of the run."""

    @abstractmethod
    def log_extra(self, subject: str, data: dict[str, Any]) -> None:
        """Log what has a table of its own."""

    def log_figure(self, figure: Any, to: str) -> None:
        """Keep a figure, in the form that the suffix of ``to`` names: ``plots/roc.png``.

        A matplotlib figure or axes becomes .png, .svg, .pdf or .jpg; a plotly figure .json,
        .html (whole, works offline) or, with the package kaleido, an image; a Pillow image .png
        and the like. Equal figures give equal bytes.

        Raises:
            BadInputError: for what is no figure, or a suffix it cannot be written as.
        """
        from mainspring.experiments import figures

        self.log_bytes(figures.write(figure, to), to)

    def log_table(self, table: Any, to: str) -> None:
        """Keep a table: polars, pandas, pyarrow, a list of dicts, or a dict of lists.

        ``to`` ends in .parquet, .csv or .json. Its first 50 rows are kept beside it for reading,
        as ``name.preview.json``. A pandas index of its own becomes a column.

        Raises:
            BadInputError: for what is no table, or another suffix.
            NotExactError: if a column mixes types that no one column can hold.
        """
        from mainspring.experiments import tabular

        frame = tabular.frame_of(table)
        data = tabular.write(frame, to)
        self.log_bytes(data, to)
        self.log_bytes(tabular.preview(frame), str(PurePosixPath(to).with_suffix(".preview.json")))

    def log_dataset(
        self,
        data: Any,
        name: str,
        context: str = "training",
        *,
        source: str | None = None,
        profile: bool | Profile | None = None,
    ) -> Dataset:
        """Note data that the run reads: a table, a file or a folder; its bytes are not kept.

        What is noted: the digest of its content, its columns, where it came from, and its
        profile (see :func:`mainspring.profile`), which is kept with the run in
        ``mainspring/profiles``. ``context`` says what for, such as training or validation;
        ``source`` where a frame was read from. A profile takes about 0.1 s for a million
        values: unless ``profile`` is True a file of more than 100 MB gets none. A profile that
        was made already can be given.

        Raises:
            NotFoundError: if there is no such file or folder.
            BadInputError: if it is neither a path nor a table, or a name is too long.
        """
        from mainspring.experiments.datasets import Dataset, Use, check
        from mainspring.experiments.exact import exact_key
        from mainspring.experiments.sources import describe
        from mainspring.workspace import profiling

        found = describe(data, source)
        profiled = profiling.of_logged(data, profile)
        if profiled is not None:
            told = profiling.told(profiled, found.profile)
            found = msgspec.structs.replace(found, profile=told)
        dataset = check(Dataset(name=exact_key(name, "name"), **msgspec.structs.asdict(found)))
        if profiled is not None:
            to = f"{profiling.FOLDER}/{dataset.digest}.json"
            self.log_bytes(profiling.encode(profiled), to)
        use = Use(dataset=dataset, context=exact_key(context, "context"))
        self.log_extra("dataset", msgspec.to_builtins(use))
        return dataset

    def log_model(
        self,
        model: Any,
        name: str = "model",
        *,
        example: Any = None,
        target: str | None = None,
        time: str | None = None,
    ) -> KeptModel:
        """Keep a fitted model with the run, so that it can be registered, served and loaded.

        A :class:`FittedModel` is kept as it is, and so is what :func:`mainspring.Predictor` and
        :func:`mainspring.OnnxModel` return. An estimator of scikit-learn, XGBoost or LightGBM
        that was fitted elsewhere needs ``example`` rows with the ``target`` column: the
        signature, the baseline profile and the metrics are of them. ``time`` names a column of
        event time, which is no input. Nothing is pickled.

        Raises:
            BadInputError: if the model is not fitted, cannot score the example, or holds a type
                that cannot be kept without pickle.
        """
        from mainspring.scaling.models import package
        from mainspring.scaling.models.directories import Directory

        if "." in check_name(name):
            raise BadInputError(f"A model's name has no dot, found {name!r}.", field="name")
        held = _Held()
        if isinstance(model, Directory):
            package_ = package.write_files(model.files, cast("Objects", held))
            kind, params = model.flavor, {}
        else:
            fitted = _fitted(model, example, target, time)
            package_ = package.write(fitted, cast("Objects", held))
            kind = type(fitted.estimator).__name__
            params = {"kind": fitted.signature.kind, "target": fitted.signature.target}
        paths = package.read_manifest(package_, cast("Objects", held)).files
        files = {path: (digest, len(held.get(digest))) for path, digest in paths.items()}
        number = self._model_id(name, package_)
        with self.target.objects() as objects:
            for data in held.all.values():
                objects.put(data)
            for path, (digest, size) in files.items():
                self.note_object(digest, size, f"{MODELS}/{name}/{path}")
            self.note_object(package_, len(held.get(package_)), f"{MODELS}/{name}.json")
            about = {
                "id": number,
                "name": name,
                "type": kind,
                "files": files,
                "params": params,
                "tags": {"mainspring.package": package_},
            }
            self.log_extra("model", about)
        return KeptModel(id=number, name=name, run=self.id, package=package_)

    def _model_id(self, name: str, package: str) -> str:  # noqa: ARG002  a step's is made of them
        """Return the id of a model that is about to be kept."""
        return f"m-{secrets.token_hex(16)}"


class _Held:
    """Objects in memory: what takes seconds to make is made before the home's are locked."""

    def __init__(self) -> None:
        self.all: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        digest = sha256(data)
        self.all[digest] = data
        return digest

    def get(self, digest: str) -> bytes:
        return self.all[digest]


def _fitted(model: Any, example: Any, target: str | None, time: str | None) -> FittedModel:
    from mainspring.experiments import tabular
    from mainspring.scaling.models.model import FittedModel, Model

    if isinstance(model, FittedModel):
        return model
    if example is None or target is None:
        raise BadInputError(
            f"{type(model).__name__} needs example rows and the name of their target column.",
            field="example" if example is None else "target",
            hint="run.log_model(model, 'name', example=rows, target='column')",
        )
    rows = tabular.frame_of(example, "example")
    return Model(model, target=target, time=time).adopt(rows)
