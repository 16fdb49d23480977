"""Read a target column: which kind of task it is, its classes, its values as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Kind, Signature

MAX_CLASSES = 100  # more classes than that are most likely an id or a measured number


def class_name(value: Any) -> str:
    """Return a class as the text that stands in a signature.

    >>> [class_name(v) for v in (True, 1, 1.0, "late")]
    ['true', '1', '1', 'late']
    """
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def infer_kind(target: pl.Series) -> Kind:
    """Return the kind of task a target asks for.

    Two values are ``binary`` (for decimal numbers only if both are whole), text is
    ``multiclass``, whole numbers with at most 20 values are too; the rest is ``regression``.
    """
    values = target.unique()
    whole = not target.dtype.is_float() or bool((values == values.round()).all())
    if values.len() == 2 and whole:
        return "binary"
    if not target.dtype.is_numeric():
        return "multiclass"
    if target.dtype.is_integer() and values.len() <= 20:
        return "multiclass"
    return "regression"


def classes_of(target: pl.Series, kind: Kind, positive: str | None) -> list[str]:
    """Return the classes in the order of the scores; for binary [negative, positive].

    Without ``positive`` the greater value is positive: 1, true, "yes" before "no".

    Raises:
        BadInputError: if the target is constant, has more classes than the kind allows, or
            ``positive`` is none of them.
    """
    if kind == "regression":
        if not target.dtype.is_numeric():
            raise BadInputError(
                f"Target {target.name!r} holds {target.dtype}; a regression needs numbers.",
                field=target.name,
            )
        return []
    if target.dtype in (pl.Categorical, pl.Enum):
        target = target.cast(pl.String)
    names = [class_name(value) for value in target.unique().sort().to_list()]
    most = 2 if kind == "binary" else MAX_CLASSES
    if len(names) > most:
        raise BadInputError(
            f"Target {target.name!r} has {len(names)} values; {kind} allows at most {most}.",
            field=target.name,
        )
    if kind == "binary" and positive is not None:
        wanted = class_name(positive)
        if wanted not in names:
            raise BadInputError(
                f"positive is {wanted!r}, but target {target.name!r} holds {', '.join(names)}.",
                field="positive",
            )
        names = [*(name for name in names if name != wanted), wanted]
    return names


def check_target(rows: pl.DataFrame, name: str) -> pl.Series:
    """Return the target column, or say why it cannot be learnt from.

    Raises:
        BadInputError: if it is missing, has missing or infinite values, or is constant.
    """
    target = check_target_values(rows, name)
    if target.n_unique() < 2:
        raise BadInputError(
            f"Target {name!r} holds one value only ({target[0]!r}), so that there is nothing to"
            " learn.",
            field=name,
        )
    return target


def check_target_values(rows: pl.DataFrame, name: str) -> pl.Series:
    """Return the target column with a value in every row.

    Raises:
        BadInputError: if it is missing or has missing or infinite values.
    """
    if name not in rows.columns:
        raise BadInputError(
            f"There is no target column {name!r}; found {', '.join(rows.columns[:30])}.",
            field=name,
        )
    target = rows[name]
    missing = target.null_count()
    if target.dtype.is_float():
        missing += int((~target.drop_nulls().is_finite()).sum())
    if missing:
        raise BadInputError(
            f"Target {name!r} is missing or not finite in {missing} of {rows.height} rows;"
            " leave them out first.",
            field=name,
        )
    return target


def target_numbers(values: pl.Series, signature: Signature) -> npt.NDArray[np.float64]:
    """Return a target as numbers, shape (rows,): the class's place, or the value itself.

    Raises:
        BadInputError: for a class the signature does not know, naming the row.
    """
    if signature.kind == "regression":
        return values.cast(pl.Float64).to_numpy()
    place = {name: index for index, name in enumerate(signature.classes)}
    if values.dtype in (pl.Categorical, pl.Enum):
        values = values.cast(pl.String)
    out = np.empty(values.len())
    for row, value in enumerate(values.to_list()):
        found = place.get(class_name(value))
        if found is None:
            raise BadInputError(
                f"Target {values.name!r} is {value!r} in row {row}; known classes are"
                f" {', '.join(signature.classes)}.",
                field=values.name,
            )
        out[row] = found
    return out
