"""Read label values as the model's target: a class's number, or a value."""

from __future__ import annotations

import math
from collections import Counter

import polars as pl

from mainspring.ground.objects import Signature

_SAID = {"true": "1.0", "false": "0.0"}


def written(value: bool | int | float | str) -> str:
    """Return a label as the text by which it is joined.

    >>> written(True), written(3), written(0.5), written("late")
    ('true', '3', '0.5', 'late')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def targets(labels: pl.Series, signature: Signature) -> pl.Series:
    """Return the target of every label, null where it is none of the model's.

    ``labels`` are texts of :func:`written`. Classes are met as they are written first, then by
    meaning: ``true``, ``1`` and ``1.0`` are one answer. Regression takes finite numbers only.

    >>> late = Signature(columns=[], kind="binary", target="late", classes=["0", "1"])
    >>> targets(pl.Series(["1", "true", "0.0", "maybe"]), late).to_list()
    [1, 1, 0, None]
    """
    if signature.kind == "regression":
        numbers = labels.cast(pl.String).cast(pl.Float64, strict=False)
        return numbers.set(numbers.is_infinite() | numbers.is_nan(), None)
    seen = labels.cast(pl.String).unique().drop_nulls().to_list()
    classes = signature.classes or (["false", "true"] if signature.kind == "binary" else [])
    exact = {name: number for number, name in enumerate(classes)}
    meanings = [_meaning(name) for name in classes]
    # Classes of one meaning, such as 1 and 1.0, can be told apart by their writing only.
    told_apart = {meaning for meaning, count in Counter(meanings).items() if count == 1}
    loose = {meaning: n for n, meaning in enumerate(meanings) if meaning in told_apart}
    meant = {text: exact.get(text, loose.get(_meaning(text))) for text in seen}
    found = {text: number for text, number in meant.items() if number is not None}
    if not found:
        return pl.Series([None] * labels.len(), dtype=pl.Int64)
    return labels.replace_strict(found, default=None, return_dtype=pl.Int64)


def _meaning(text: str) -> str:
    """Return one text for everything that means the same number or truth value."""
    said = _SAID.get(text.lower())
    if said is not None:
        return said
    try:
        number = float(text)
    except ValueError:
        return text
    return repr(number + 0.0) if math.isfinite(number) else text
