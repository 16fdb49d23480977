"""Take over what is no estimator: a predictor, a directory of MLflow, a graph of models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import polars as pl

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Column, Kind
from mainspring.ground.ports import Objects
from mainspring.scaling.models import graph, onnx_file, package
from mainspring.scaling.models import target as targets
from mainspring.scaling.models.apart import code, environments, places
from mainspring.scaling.models.apart.code import Apart, Facts
from mainspring.scaling.models.apart.environments import Wanted
from mainspring.scaling.models.features import type_of
from mainspring.scaling.models.foreign import Directory
from mainspring.scaling.models.model import FittedModel, Model, typed
from mainspring.scaling.models.package import Manifest
from mainspring.scaling.models.scanning import onnx_files
from mainspring.scaling.models.served import opened

PREDICTOR = "predictor"
GRAPH = "graph"


@dataclass(frozen=True)
class Asked:
    """Which package is to be taken over, and the rows it is measured on."""

    digest: str
    manifest: Manifest
    found: Directory
    rows: pl.DataFrame
    target: str
    time: str | None


def asks(found: Directory, known: tuple[str, ...]) -> bool:
    """Return whether a package can be loaded by its own code alone."""
    return found.flavor == PREDICTOR or (found.pyfunc and found.flavor not in known)


def adopted(
    asked: Asked, objects: Objects, *, trusted: bool, named: Mapping[str, str]
) -> FittedModel:
    """Return the model, measured on the rows in its own process.

    Raises:
        BadInputError: if nobody trusts its code, its environment cannot be built, it cannot be
            loaded, or the rows lack a column.
    """
    if not trusted:
        raise _untrusted()
    found, rows = asked.found, asked.rows
    columns = _columns(asked)
    values = targets.check_target(rows, asked.target)
    kind = _kind(values, found.output)
    wanted = _wanted(asked, objects)
    if wanted is not None:
        environments.python_of(wanted, places.cache() / "environments", named)
    facts = Facts(
        loader="predictor" if found.flavor == PREDICTOR else "pyfunc",
        kind=kind,
        columns=columns,
        classes=targets.classes_of(values, kind, None),
        entry=str(found.options.get("entry", "")),
        types=found.types,
        tensor=found.tensor,
        environment=wanted,
        origin=asked.digest,
    )
    manifest = asked.manifest
    made = Apart(facts, manifest.files, lambda path: package.read_file(manifest, path, objects))
    names = [column.name for column in columns]
    ready = typed(rows, columns).with_columns(
        rows[name] for name in (asked.target, asked.time) if name is not None
    )
    return Model(made, asked.target, kind, columns=names, time=asked.time).adopt(ready)


def refuse_untrusted(manifest: Manifest, *, trusted: bool) -> None:
    """Refuse a package that holds code of its own, at any depth, unless somebody trusts it.

    Raises:
        BadInputError: if nobody does.
    """
    if trusted or not any(path.rpartition("/")[2] == code.FILE for path in manifest.files):
        return
    raise _untrusted()


def _untrusted() -> BadInputError:
    return BadInputError(
        "The version runs code of its own, and nobody has said that it may.",
        field="version",
        hint="If you know where it comes from, an approver may say so: mainspring models"
        " trust MODEL/NUMBER --reason WHY.",
    )


def made_of(digest: str, objects: Objects) -> str | None:
    """Return the digest of the package whose code a package of ours holds, file by file.

    None if it holds no code, or a file that the other does not have.
    """
    files = package.read_manifest(digest, objects).files
    facts, held = graph.FILE, {p: one for p, one in files.items() if p.startswith(graph.FOLDER)}
    if facts not in files:
        facts, held = code.FILE, code.origin_files(files)
    if facts not in files:
        return None
    data = package.verified(files[facts], objects)
    origin = msgspec.json.decode(data, type=Origin).origin
    came = package.read_manifest(origin, objects).files if origin else {}
    return origin if all(came.get(path) == one for path, one in held.items()) else None


class Origin(msgspec.Struct):
    """What the facts of code and of graphs share: the package that was registered."""

    origin: str = ""


def graph_of(asked: Asked, objects: Objects) -> FittedModel:
    """Return a graph of models, measured on the rows.

    Raises:
        BadInputError: naming the stage that does not fit, or the column that the rows lack.
    """

    def read(path: str) -> bytes:
        return package.read_file(asked.manifest, path, objects)

    made = graph.loaded(asked.manifest.files, read, opened)
    made.facts = msgspec.structs.replace(made.facts, origin=asked.digest)
    names = [column.name for column in made.columns]
    ready = typed(asked.rows, made.columns).with_columns(
        asked.rows[name] for name in (asked.target, asked.time) if name is not None
    )
    model = Model(made, asked.target, made.kind, columns=names, time=asked.time)
    return model.adopt(ready)


def onnx_of(asked: Asked, objects: Objects) -> FittedModel:
    """Return an ONNX file as a model, measured on the rows.

    Raises:
        BadInputError: if it reads other files, takes or gives something else than rows, or the
            rows lack a column.
    """
    path = asked.found.options.get("data", "model.onnx")
    data = package.read_file(asked.manifest, str(path), objects)
    bad = [one.told for one in onnx_files.judged(str(path), data)]
    if bad:
        raise BadInputError(f"The ONNX file cannot be served: {'; '.join(bad)}.", field="model")
    rows, aside = asked.rows, (asked.target, asked.time)
    inputs = onnx_file.inputs_of(data)
    columns = onnx_file.columns_of(inputs, [name for name in rows.columns if name not in aside])
    values = targets.check_target(rows, asked.target)
    kind = targets.infer_kind(values)
    facts = onnx_file.Facts(
        kind=kind, columns=columns, inputs=inputs, classes=targets.classes_of(values, kind, None)
    )
    ready = typed(rows, columns).with_columns(rows[name] for name in aside if name is not None)
    made = onnx_file.OnnxFile(facts, data)
    names = [column.name for column in columns]
    return Model(made, asked.target, kind, columns=names, time=asked.time).adopt(ready)


def _columns(asked: Asked) -> list[Column]:
    found, rows = asked.found, asked.rows
    if found.columns and not found.tensor:
        return found.columns
    names = [name for name in rows.columns if name not in (asked.target, asked.time)]
    if found.tensor and len(names) != len(found.columns):
        raise BadInputError(
            f"The model takes {len(found.columns)} columns without names; the rows have"
            f" {len(names)} beside the target.",
            field="rows",
        )
    columns = []
    for name in names:
        word = "float" if found.tensor else type_of(rows[name].dtype)
        if word is None:
            raise BadInputError(
                f"Column {name!r} holds {rows[name].dtype}; an input is a number, a text or a"
                " boolean.",
                field=name,
            )
        columns.append(Column(name=name, type=word))
    return columns


def _kind(values: pl.Series, output: str) -> Kind:
    """Return the kind of task; a model that says its output is decimal has no many classes."""
    kind = targets.infer_kind(values)
    decimal = output in ("double", "float") and values.dtype.is_numeric()
    return "regression" if kind == "multiclass" and decimal else kind


def _wanted(asked: Asked, objects: Objects) -> Wanted | None:
    """Return what its environment must have; None: what Mainspring itself has will do."""
    found, files = asked.found, asked.manifest.files
    text = ""
    if "requirements.txt" in files:
        data = package.read_file(asked.manifest, "requirements.txt", objects)
        text = data.decode("utf-8", "replace")
    lines = environments.requirements(text)
    if found.flavor == PREDICTOR:
        return Wanted(requirements=lines) if lines else None
    if not any(line.startswith("mlflow") for line in lines):
        lines = sorted([*lines, f"mlflow-skinny=={found.mlflow}" if found.mlflow else "mlflow"])
    return Wanted(python=found.python, requirements=lines)
