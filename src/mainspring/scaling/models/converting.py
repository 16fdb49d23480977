"""Make a package of ours of a model that MLflow's clients logged. For a process of its own.

Loading runs code: skops builds listed types only, and pickled files are not even opened unless a
person trusted the package's digest. What comes out holds no pickle: the same estimator kept by
skops, with ONNX beside it where both agree.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import Any

import msgspec
import polars as pl

from mainspring.ground.errors import BadInputError
from mainspring.ground.ports import Objects
from mainspring.scaling.models import boosted, code_form, exact, foreign, native_form, package
from mainspring.scaling.models.boosted import Library
from mainspring.scaling.models.foreign import Directory
from mainspring.scaling.models.model import Model

#: Flavors whose files we can load exactly. The others are refused by their name.
LOADED = ("sklearn", "xgboost", "lightgbm", "mainspring")

Named = Mapping[str, str]


class Converted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a foreign package."""

    package: str  #: digest of ours
    notes: list[str]  #: what a person should know, such as another version of scikit-learn


def convert(
    digest: str,
    objects: Objects,
    rows: pl.DataFrame,
    target: str,
    *,
    time: str | None = None,
    trusted: bool = False,
    environments: Named | None = None,
) -> Converted:
    """Return a package of ours that gives the same numbers as the foreign one.

    ``rows`` are examples with their target: the baseline is of them, and both forms must agree
    on them. What only its own code can load is loaded in a process of its own, in the first of
    ``environments`` (path by name) that has what it requires, or in one that is built.

    Raises:
        BadInputError: naming the flavor or type that cannot be loaded, the pickle that nobody
            trusts, or the column that is missing.
    """
    manifest = package.read_manifest(digest, objects)
    found = foreign.read(manifest, objects)
    asked = code_form.Asked(digest, manifest, found, rows, target, time)
    if found.flavor == "onnx":
        made = code_form.onnx_of(asked, objects)
        return Converted(package=package.write(made, objects), notes=[])
    if found.flavor == code_form.GRAPH:
        code_form.refuse_untrusted(manifest, trusted=trusted)
        made = code_form.graph_of(asked, objects)
        return Converted(package=package.write(made, objects), notes=[])
    if code_form.asks(found, LOADED):
        made = code_form.adopted(asked, objects, trusted=trusted, named=environments or {})
        return Converted(package=package.write(made, objects), notes=[])
    fitted, notes = _estimator(manifest, found, objects, trusted=trusted)
    features = package.features(digest, objects) if found.ours else None
    names = _columns(found, fitted, rows, (target, time), features)
    ours = Model(fitted, target=target, features=features, columns=names, time=time).adopt(
        rows.select([*names, target, *([time] if time else [])])
    )
    return Converted(package=package.write(ours, objects), notes=notes)


def estimator(digest: str, objects: Objects, *, trusted: bool = False) -> tuple[Any, list[str]]:
    """Return the estimator of a foreign package, and what a person should know of it.

    Raises:
        BadInputError: naming the flavor or type that cannot be loaded, or the pickle that nobody
            trusts.
    """
    manifest = package.read_manifest(digest, objects)
    return _estimator(manifest, foreign.read(manifest, objects), objects, trusted=trusted)


def _estimator(
    manifest: package.Manifest, found: Directory, objects: Objects, *, trusted: bool
) -> tuple[Any, list[str]]:
    if found.flavor not in LOADED:
        raise BadInputError(
            f"The version is of the flavor {found.flavor or 'none'}, and only"
            f" {', '.join(LOADED)} can be converted.",
            field="flavor",
            hint="Log it with its python_function flavor, or register a pipeline's model.",
        )
    notes: list[str] = []
    if found.flavor == "mainspring":
        code_form.refuse_untrusted(manifest, trusted=trusted)
        return exact.load(
            manifest.files, lambda path: package.read_file(manifest, path, objects)
        ), []
    if found.flavor == "sklearn":
        return _sklearn(manifest, found, objects, notes, trusted=trusted), notes
    library: Library = "xgboost" if found.flavor == "xgboost" else "lightgbm"
    return _booster(library, manifest, found, objects, notes, trusted=trusted), notes


def _booster(
    library: Library,
    manifest: package.Manifest,
    found: Directory,
    objects: Objects,
    notes: list[str],
    *,
    trusted: bool,
) -> Any:
    path = found.options.get("data")
    if not isinstance(path, str):
        raise BadInputError(f"The {library} flavor names no model file.", field="MLmodel")
    data = package.read_file(manifest, path, objects)
    if path in foreign.pickled(manifest):
        made = boosted.taken(_unpickled(data, path, trusted=trusted))
    else:
        best = "sklearn" in str(found.options.get("model_class", ""))
        made = boosted.of_file(library, data, best=best)
    theirs = found.options.get("xgb_version" if library == "xgboost" else "lgb_version")
    here = getattr(getattr(made, "facts", None), "version", theirs)
    if isinstance(theirs, str) and theirs != here:
        notes.append(f"It was logged with {library} {theirs} and is served with {here}.")
    return made


def _sklearn(
    manifest: package.Manifest,
    found: Directory,
    objects: Objects,
    notes: list[str],
    *,
    trusted: bool,
) -> Any:
    path = found.options.get("pickled_model")
    if not isinstance(path, str):
        raise BadInputError("The sklearn flavor names no model file.", field="MLmodel")
    data = package.read_file(manifest, path, objects)
    kept = found.options.get("serialization_format", "pickle")
    _compare_versions(found.options.get("sklearn_version"), notes)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        estimator = (
            native_form.load(data, trusted=trusted)
            if kept == "skops"
            else _unpickled(data, path, trusted=trusted)
        )
    notes += sorted({str(one.message).partition("\n")[0][:200] for one in heard})[:5]
    return estimator


def _unpickled(data: bytes, path: str, *, trusted: bool) -> Any:
    if not trusted:
        raise BadInputError(
            f"{path} is pickled, and loading a pickle runs whatever code is in it.",
            field="version",
            hint="If you know where it comes from, an approver may say so: mainspring models"
            " trust MODEL/NUMBER --reason WHY. Or log it with serialization_format='skops'.",
        )
    import pickle

    try:
        return pickle.loads(data)  # noqa: S301, TID251  an approver answers for this digest
    # Unpickling runs the package's own code, which raises whatever it likes.
    except Exception as error:
        told = f"{type(error).__name__}: {str(error)[:200]}"
        raise BadInputError(
            f"{path} cannot be loaded here: {told}",
            field="version",
            hint="Its code must be importable here, or the model logged with skops.",
        ) from error


def _compare_versions(theirs: Any, notes: list[str]) -> None:
    import sklearn

    if isinstance(theirs, str) and theirs != sklearn.__version__:
        notes.append(
            f"It was logged with scikit-learn {theirs} and is served with {sklearn.__version__}."
        )


def _columns(
    found: Directory,
    estimator: Any,
    rows: pl.DataFrame,
    aside: tuple[str | None, ...],
    features: dict[str, str] | None,
) -> list[str]:
    """Return the columns that the estimator wants, in its order."""
    if features is not None:  # it wants what they give
        return [column.name for column in found.columns]
    told = getattr(estimator, "feature_names_in_", None)
    if told is not None:
        return [str(name) for name in told]
    if found.columns and not found.tensor:
        return [column.name for column in found.columns]
    names = [name for name in rows.columns if name not in aside]
    wanted = getattr(estimator, "n_features_in_", len(names))
    if isinstance(estimator, boosted.Boosted):
        wanted = estimator.facts.inputs
    if len(names) != wanted:
        raise BadInputError(
            f"The model takes {wanted} columns without names; the rows have {len(names)} beside"
            " the target.",
            field="rows",
            hint="Give the rows exactly the model's columns, in its order, and the target.",
        )
    return names


def labelled(rows: pl.DataFrame, digest: str, objects: Objects) -> pl.DataFrame:
    """Return rows as the gate reads them: raw columns, ``_y`` and ``_time``.

    ``_time`` is that of the signature's time column, in UTC seconds; 0 where rows have none.

    Raises:
        BadInputError: naming the column that is missing or holds what it may not.
    """
    from mainspring.scaling.models.model import typed
    from mainspring.scaling.models.target import check_target_values, target_numbers

    signature = package.signature(digest, objects)
    truth = target_numbers(check_target_values(rows, signature.target), signature)
    ready = typed(rows, signature.columns)
    return ready.with_columns(_y=pl.Series(truth), _time=_times(rows, signature.time))


def _times(rows: pl.DataFrame, name: str | None) -> pl.Series:
    from mainspring.scaling.models.check import event_times

    if name is None or name not in rows.columns:
        return pl.zeros(rows.height, dtype=pl.Float64, eager=True)
    values = rows[name]
    if values.dtype in (pl.Datetime, pl.Date):
        values = values.cast(pl.Datetime("us")).dt.epoch("us") / 1e6
    return pl.Series(event_times(values.to_list(), name), dtype=pl.Float64)


def frame(digest: str, objects: Objects) -> pl.DataFrame:
    """Return rows that are kept as Parquet."""
    return pl.read_parquet(io.BytesIO(objects.get(digest)))
