"""Read a target column as numbers: the class's place in the signature, or the value."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Signature


def targets(rows: pl.DataFrame, signature: Signature) -> npt.NDArray[np.float64]:
    """Return the target as numbers, shape (rows,): the class's place, or the value.

    Raises:
        BadInputError: if the column is missing or holds what the signature does not know.
    """
    if "_y" in rows.columns:
        return rows["_y"].cast(pl.Float64).to_numpy()
    if signature.target not in rows.columns:
        raise BadInputError(
            f"There is no target column {signature.target!r}.", field=signature.target
        )
    numbers = places(rows[signature.target], signature)
    lost = int(numbers.is_null().sum())
    if lost:
        raise BadInputError(
            f"Target {signature.target!r} holds {lost} values that the model does not know.",
            field=signature.target,
        )
    return numbers.to_numpy()


def class_texts(values: pl.Series) -> pl.Series:
    """Return classes as the texts that stand in a signature: true, 1 and not 1.0, late."""
    if values.dtype == pl.Boolean:
        return values.replace_strict({True: "true", False: "false"}, return_dtype=pl.String)
    if values.dtype.is_float() and bool((values == values.round()).all()):
        return values.cast(pl.Int64).cast(pl.String)
    return values.cast(pl.String)


def places(values: pl.Series, signature: Signature) -> pl.Series:
    """Return each class's place, or the value; null where the signature does not know it."""
    if signature.kind == "regression":
        return values.cast(pl.Float64, strict=False)
    known = {name: float(place) for place, name in enumerate(signature.classes)}
    return class_texts(values).replace_strict(known, default=None, return_dtype=pl.Float64)
