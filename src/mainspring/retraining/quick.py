"""A cheap stand-in for a real model: small boosted trees on any table, fit in a moment.

It answers one question only, "would a model that has seen the newer rows do better?", so it
has to be as quick and as deterministic as possible, and good enough to be comparable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.objects import Kind

Floats = npt.NDArray[np.float64]

MOST_ROWS = 20_000
_TREES = 40
_LEAVES = 15
_RATE = 0.15
#: Text columns keep that many values as categories; the rest is one "other".
_CATEGORIES = 200


@dataclass(frozen=True)
class QuickModel:
    """Trees, and how the columns they were grown on become numbers."""

    kind: Kind
    columns: tuple[str, ...]
    codes: dict[str, dict[str, int]]
    estimator: Any  #: None where one class was all there was to learn
    width: int  #: scores a row
    constant: int = 0  #: the class to answer with where there is no estimator

    def score(self, frame: pl.DataFrame) -> Floats:
        """Return probabilities or values, shape (rows, k); binary: of the positive class."""
        if self.estimator is None:
            scores = np.zeros((frame.height, max(self.width, 2)))
            scores[:, self.constant] = 1.0
            return scores[:, 1:] if self.kind == "binary" else scores
        if frame.height == 0:
            return np.zeros((0, self.width))
        numbers = encode(frame, self.columns, self.codes)
        if self.kind == "regression":
            return np.asarray(_on_one_thread(self.estimator.predict, numbers))[:, None]
        raw = np.asarray(_on_one_thread(self.estimator.predict_proba, numbers))
        spread = np.zeros((frame.height, max(self.width, 2)))
        spread[:, self.estimator.classes_.astype(np.int64)] = raw
        return spread[:, 1:] if self.kind == "binary" else spread


def fit(
    frame: pl.DataFrame,
    target: npt.ArrayLike,
    columns: Sequence[str],
    kind: Kind,
    classes: int = 2,
    most: int = MOST_ROWS,
    weights: npt.ArrayLike | None = None,
) -> QuickModel:
    """Grow trees on the newest ``most`` rows; the same rows always give the same trees.

    ``frame`` holds the oldest row first. ``target`` has shape (rows,): the class's number, or
    the value. ``classes`` counts those of the whole problem, as some may be missing here.
    ``weights`` say how much each row counts, shape (rows,).
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    rows = frame.tail(most)
    truth = np.asarray(target, dtype=np.float64)[-most:]
    width = classes if kind == "multiclass" else 1
    codes = {name: numbered(rows[name]) for name in columns if is_text(rows[name])}
    if kind != "regression" and np.unique(truth).size < 2:
        only = int(truth[0]) if truth.size else 0
        return QuickModel(kind, tuple(columns), codes, None, width, only)
    numbers = encode(rows, columns, codes)
    # scikit-learn cannot bin a column without a single value; one value everywhere says as much.
    numbers[:, np.isnan(numbers).all(axis=0)] = 0.0
    given: dict[str, Any] = {
        "max_iter": _TREES,
        "max_leaf_nodes": _LEAVES,
        "learning_rate": _RATE,
        "l2_regularization": 1.0,
        "early_stopping": False,
        "categorical_features": [name in codes for name in columns] if codes else None,
        "random_state": 0,
    }
    if kind == "regression":
        estimator = HistGradientBoostingRegressor(**given)
    else:
        estimator = HistGradientBoostingClassifier(**given)
        truth = truth.astype(np.int64)
    counts = None if weights is None else np.asarray(weights, dtype=np.float64)[-most:]
    _on_one_thread(estimator.fit, numbers, truth, counts)
    return QuickModel(kind, tuple(columns), codes, estimator, width)


def encode(
    frame: pl.DataFrame, columns: Sequence[str], codes: dict[str, dict[str, int]]
) -> Floats:
    """Return columns as numbers, shape (rows, columns); what is missing is NaN."""
    parts = []
    for name in columns:
        values = frame[name]
        if name in codes:
            text = values.cast(pl.String)
            known = codes[name]
            # A value not seen in training is missing to the trees, which know what to do then.
            numbers = (
                text.replace_strict(
                    list(known), list(known.values()), default=None, return_dtype=pl.Float64
                )
                if known
                else pl.Series([None] * values.len(), dtype=pl.Float64)
            )
        else:
            numbers = as_number(values)
        parts.append(numbers.fill_null(np.nan).to_numpy())
    out = np.column_stack(parts) if parts else np.zeros((frame.height, 1))
    out[~np.isfinite(out)] = np.nan
    return np.asarray(out, dtype=np.float64)


def as_number(values: pl.Series) -> pl.Series:
    """Return numbers, truth values and times as decimal numbers."""
    if values.dtype.is_temporal():
        # Trees see order only, so the unit does not matter as long as it stays the same.
        return values.to_physical().cast(pl.Float64)
    return values.cast(pl.Float64, strict=False)


def is_text(values: pl.Series) -> bool:
    """Return whether a column holds names rather than amounts."""
    return values.dtype in (pl.String, pl.Categorical, pl.Enum)


def numbered(values: pl.Series) -> dict[str, int]:
    """Number the most frequent values; of equal counts the first by name."""
    counted = (
        values.cast(pl.String)
        .drop_nulls()
        .alias("value")
        .value_counts(name="rows")
        .sort(["rows", "value"], descending=[True, False])
        .head(_CATEGORIES)
    )
    return {name: code for code, name in enumerate(counted["value"].to_list())}


def _on_one_thread(work: Any, *given: Any) -> Any:
    # Trees this small gain nothing from threads, and waiting for each other on a busy machine
    # can cost twenty times the work itself.
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1, user_api="openmp"):
        return work(*given)
