"""Write a fitted model as a package of named, digested files, and read its manifest back.

The package is MLflow's model directory: an ``MLmodel`` file beside the model in each of its
forms. It is kept as objects; the digest of the manifest names the whole.
"""

from __future__ import annotations

import io
import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from mainspring.ground import identity
from mainspring.ground.errors import BadInputError, DamagedError, NotFoundError
from mainspring.ground.objects import Profile, Signature
from mainspring.ground.ports import Objects
from mainspring.ground.version import __version__
from mainspring.scaling.models import exact, loader, native_form, onnx_form
from mainspring.scaling.models.apart.code import Apart
from mainspring.scaling.models.boosted import FILES, Boosted
from mainspring.scaling.models.features import compile_features
from mainspring.scaling.models.files import CONTRACT, ContractFile, FeatureFile
from mainspring.scaling.models.model import FittedModel
from mainspring.scaling.models.ours import Ours
from mainspring.scaling.models.served import opened

FORMAT = 1
_LOADING = ("numpy", "scikit-learn", "scipy", "skops")
_LOCKED = ("numpy", "polars", "scikit-learn", "scipy", "skops", "onnxruntime", "skl2onnx")
#: What loads a package where Mainspring is not installed; a new text needs a new name, for
#: Python keeps one module of a name.
_CODE, _LOADER = "code", "mainspring_loader_2"
_REFERENCE = "reference.parquet"
_MLFLOW_TYPES = {"float": "double", "int": "long", "str": "string", "bool": "boolean"}


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a package holds: the digest of each file by its path."""

    format: int
    files: dict[str, str]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """``facts.json``: what is known of the fit and stands in no other file."""

    measured_on: str


def write(model: FittedModel, objects: Objects) -> str:
    """Keep a fitted model and return the digest of its manifest.

    ``model.onnx`` is there only if it agrees with the estimator; ``parity.json`` says how far.

    Raises:
        BadInputError: if the estimator cannot be kept without pickle.
    """
    onnx, parity = onnx_form.convert(
        model.estimator, model.features, model.signature, model.sample
    )
    files = {
        "MLmodel": _mlmodel(model, onnx is not None).encode(),
        **exact.files(model.estimator),
        "signature.json": identity.canonical(model.signature),
        # Not the canonical form: the estimator wants the features in the order they were told.
        "features.json": msgspec.json.encode(FeatureFile(expressions=model.features.expressions)),
        "profile.json": identity.canonical(model.baseline),
        "parity.json": identity.canonical(parity),
        "facts.json": identity.canonical(Facts(measured_on=model.measured_on)),
        "example.parquet": _parquet(model.sample),
        "requirements.txt": _told_requirements(model).encode(),
        "lock.txt": _requirements((*_LOCKED, *_library(model))).encode(),
    }
    if _travels(model.estimator):
        files[f"{_CODE}/{_LOADER}.py"] = _loader().encode()
    if model.contract is not None and model.kept is not None:
        told = ContractFile(contract=model.contract, training=model.kept)
        files[CONTRACT] = identity.canonical(told)
    if model.reference is not None:
        files[_REFERENCE] = _parquet(model.reference)
    if onnx is not None:
        files["model.onnx"] = onnx
    digests = {path: objects.put(data) for path, data in files.items()}
    return objects.put(identity.canonical(Manifest(format=FORMAT, files=digests)))


def write_files(files: Mapping[str, bytes], objects: Objects) -> str:
    """Keep files of another's making as a package; return the digest of its manifest."""
    digests = {path: objects.put(data) for path, data in sorted(files.items())}
    return objects.put(identity.canonical(Manifest(format=FORMAT, files=digests)))


def write_baseline(
    signature: Signature, profile: Profile, reference: pl.DataFrame, objects: Objects
) -> str:
    """Keep what a model is compared with, without the model; return the digest of its manifest.

    For a model that answers elsewhere: everything that looks at rows works with it, and
    nothing that would load a model.
    """
    files = {
        "signature.json": identity.canonical(signature),
        "profile.json": identity.canonical(profile),
        "facts.json": identity.canonical(Facts(measured_on="elsewhere")),
        _REFERENCE: _parquet(reference),
    }
    digests = {path: objects.put(data) for path, data in files.items()}
    return objects.put(identity.canonical(Manifest(format=FORMAT, files=digests)))


def holds_model(digest: str, objects: Objects) -> bool:
    """Return whether a package has a model in it that can score."""
    return exact.holds(read_manifest(digest, objects).files)


def read(digest: str, objects: Objects) -> FittedModel:
    """Return the fitted model that a package holds, as it was when it was written.

    Raises:
        NotFoundError, DamagedError: if an object is not there or not what it was.
        BadInputError: if it names types that may not be loaded.
    """
    manifest = read_manifest(digest, objects)

    def file(path: str) -> bytes:
        return read_file(manifest, path, objects)

    found = msgspec.json.decode(file("signature.json"), type=Signature)
    expressions = msgspec.json.decode(file("features.json"), type=FeatureFile).expressions
    baseline = msgspec.json.decode(file("profile.json"), type=Profile)
    told = contract(digest, objects)
    return FittedModel(
        contract=None if told is None else told.contract,
        kept=None if told is None else told.training,
        estimator=exact.load(manifest.files, file, opened),
        features=compile_features(expressions, found.columns),
        signature=found,
        baseline=baseline,
        metrics=baseline.metrics,
        measured_on=msgspec.json.decode(file("facts.json"), type=Facts).measured_on,
        sample=example(digest, objects),
        reference=reference(digest, objects),
    )


def read_manifest(digest: str, objects: Objects) -> Manifest:
    """Return what a package holds.

    Raises:
        NotFoundError: if there is no such object.
        DamagedError: if its bytes are not those of the digest.
        BadInputError: if it is no package, or one of a later format.
    """
    try:
        manifest = msgspec.json.decode(verified(digest, objects), type=Manifest)
    except msgspec.MsgspecError as error:
        raise BadInputError(f"Object {digest} is not a model package: {error}") from error
    if manifest.format != FORMAT:
        raise BadInputError(
            f"Package {digest} has format {manifest.format}; this release reads {FORMAT}."
        )
    return manifest


def read_file(manifest: Manifest, path: str, objects: Objects) -> bytes:
    """Return one file of a package, verified.

    Raises:
        NotFoundError: if the package has no such file.
        DamagedError: if its bytes are not those of its digest.
    """
    digest = manifest.files.get(path)
    if digest is None:
        raise NotFoundError(f"The package has no {path}; it has {', '.join(manifest.files)}.")
    return verified(digest, objects)


def verified(digest: str, objects: Objects) -> bytes:
    """Return an object's bytes after comparing them with its digest ourselves."""
    data = objects.get(digest)
    if identity.sha256(data) != digest:
        raise DamagedError(f"Object {digest} holds other bytes than it should.")
    return data


def signature(digest: str, objects: Objects) -> Signature:
    """Return what a packaged model takes and gives."""
    manifest = read_manifest(digest, objects)
    return msgspec.json.decode(read_file(manifest, "signature.json", objects), type=Signature)


def profile(digest: str, objects: Objects) -> Profile:
    """Return the training profile of a packaged model: its baseline."""
    manifest = read_manifest(digest, objects)
    return msgspec.json.decode(read_file(manifest, "profile.json", objects), type=Profile)


def contract(digest: str, objects: Objects) -> ContractFile | None:
    """Return the contract of a packaged model; None if it has none."""
    manifest = read_manifest(digest, objects)
    if CONTRACT not in manifest.files:
        return None
    return msgspec.json.decode(read_file(manifest, CONTRACT, objects), type=ContractFile)


def features(digest: str, objects: Objects) -> dict[str, str] | None:
    """Return a packaged model's feature expressions; None: the raw columns are the features."""
    manifest = read_manifest(digest, objects)
    data = read_file(manifest, "features.json", objects)
    return msgspec.json.decode(data, type=FeatureFile).expressions


def facts(digest: str, objects: Objects) -> Facts:
    """Return what is known of the fit of a packaged model."""
    manifest = read_manifest(digest, objects)
    return msgspec.json.decode(read_file(manifest, "facts.json", objects), type=Facts)


def reference(digest: str, objects: Objects) -> pl.DataFrame | None:
    """Return rows that a packaged model did not learn from, with ``_score`` and ``_y``.

    At most 20,000; None for a package made before they were kept.
    """
    manifest = read_manifest(digest, objects)
    if _REFERENCE not in manifest.files:
        return None
    return pl.read_parquet(io.BytesIO(read_file(manifest, _REFERENCE, objects)))


def example(digest: str, objects: Objects) -> pl.DataFrame:
    """Return some raw training rows of a packaged model, at most 2,000."""
    manifest = read_manifest(digest, objects)
    return pl.read_parquet(io.BytesIO(read_file(manifest, "example.parquet", objects)))


def parity(digest: str, objects: Objects) -> onnx_form.Parity:
    """Return how the ONNX form of a packaged model compares with its estimator."""
    manifest = read_manifest(digest, objects)
    data = read_file(manifest, "parity.json", objects)
    return msgspec.json.decode(data, type=onnx_form.Parity)


def _parquet(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


def _needed(model: FittedModel) -> tuple[str, ...]:
    """Return what the loader needs; polars only where it computes features."""
    needed = _LOADING if model.features.plain else (*_LOADING, "polars")
    return (*needed, *_library(model))


def _travels(estimator: Any) -> bool:
    """Return whether MLflow's clients can load the package without us."""
    return isinstance(estimator, Boosted) or not isinstance(estimator, Ours)


def _told_requirements(model: FittedModel) -> str:
    if not isinstance(model.estimator, Apart):
        return _requirements(_needed(model))
    asked = model.estimator.facts.environment
    return "".join(f"{line}\n" for line in (asked.requirements if asked else ()))


def _library(model: FittedModel) -> tuple[str, ...]:
    """Return the distribution of the library that a booster is of."""
    if not isinstance(model.estimator, Boosted):
        return ()
    wanted: str = model.estimator.facts.library
    # XGBoost's wheel without code for graphics cards bears another name.
    held = {one.metadata["Name"] for one in metadata.distributions()}
    return (next((one for one in (wanted, f"{wanted}-cpu") if one in held), wanted),)


def _requirements(names: tuple[str, ...]) -> str:
    lines = [f"# written by mainspring {__version__}, which is not needed to load it"]
    lines += [f"{name}=={metadata.version(name)}" for name in names]
    return "\n".join(lines) + "\n"


def _loader() -> str:
    """Return the text of the loader, with the types that it may build."""
    text = Path(loader.__file__).read_text("utf-8")
    blank = "ALLOWED: list[str] = []"
    allowed = json.dumps(sorted(native_form.ALLOWED), indent=4)
    return text.replace(blank, f"ALLOWED: list[str] = {allowed}")


def _mlmodel(model: FittedModel, has_onnx: bool) -> str:
    """Return the MLmodel file; each value is a JSON scalar, which is YAML too."""
    inputs = [
        {
            "name": column.name,
            "type": _MLFLOW_TYPES[column.type],
            "required": not column.nullable,
        }
        for column in model.signature.columns
    ]
    lines = ["flavors:", "  mainspring:", f"    format: {FORMAT}"]
    lines += ["    signature: signature.json", "    features: features.json"]
    if has_onnx:
        lines += ["  onnx:", "    data: model.onnx"]
        lines += [f"    onnx_version: {_text(metadata.version('onnx'))}"]
    if _travels(model.estimator):
        lines += ["  python_function:", f"    code: {_CODE}", f"    loader_module: {_LOADER}"]
        lines += ["    config:", "      output: predictions", "    env: requirements.txt"]
        lines += [f"    python_version: {_text(platform.python_version())}"]
        lines += _flavor(model.estimator)
    lines += ["signature:", f"  inputs: {_text(msgspec.json.encode(inputs).decode())}"]
    output = [{"name": model.signature.target, "type": _output(model.signature), "required": True}]
    lines += [f"  outputs: {_text(msgspec.json.encode(output).decode())}"]
    return "\n".join(lines) + "\n"


def _flavor(estimator: Any) -> list[str]:
    """Return the flavor by which MLflow's clients load the estimator itself, if there is one."""
    if not isinstance(estimator, Boosted):
        lines = ["  sklearn:", "    pickled_model: model.skops"]
        lines += ["    serialization_format: skops"]
        named = msgspec.json.encode(native_form.named(estimator)).decode()
        lines += [f"    skops_trusted_types: {named}"]
        return [*lines, f"    sklearn_version: {_text(metadata.version('scikit-learn'))}"]
    facts = estimator.facts
    if facts.wrapped:
        return []  # no flavor of theirs has transformers in front of a booster
    short = {"xgboost": "xgb", "lightgbm": "lgb"}[facts.library]
    lines = [f"  {facts.library}:", f"    data: {FILES[facts.library]}"]
    lines += [f"    {short}_version: {_text(facts.version)}"]
    if facts.library == "xgboost":
        lines += ["    model_class: xgboost.core.Booster", "    model_format: ubj"]
    else:
        lines += ["    model_class: lightgbm.basic.Booster"]
    return lines


def _output(signature: Signature) -> str:
    classes = signature.classes
    if signature.kind == "regression":
        return "double"
    if set(classes) <= {"true", "false"}:
        return "boolean"
    whole = all(one.removeprefix("-").isdecimal() and str(int(one)) == one for one in classes)
    return "long" if whole else "string"


def _text(value: str) -> str:
    return msgspec.json.encode(value).decode()
