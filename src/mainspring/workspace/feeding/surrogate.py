"""Learn what a model elsewhere listens to, by following its score with a quick one of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.numerics.relevance import response_shares

Floats = npt.NDArray[np.float64]

ROWS = 5_000
SHARE_ROWS = 1_000
#: A surrogate that explains less of the score says nothing of what the model listens to.
LEAST_EXPLAINED = 0.3
#: From here on a sum of one curve a column is enough, and no trees are grown.
ENOUGH = 0.9
_BINS = 16
_MOST_CELLS = 2_000


class _Fitted(Protocol):
    def predict(self, table: Floats, /) -> Any: ...


def shares(inputs: pl.DataFrame, scores: Floats | None) -> tuple[dict[str, float], str]:
    """Return what each input is worth to a model, from 0 to 1, and in words how it was learnt.

    ``scores`` has shape (rows, k). Where there is no score, or it cannot be followed, every
    column counts as wholly relevant: what cannot be ruled out is alarmed about.
    """
    every = dict.fromkeys(inputs.columns, 1.0)
    if scores is None or inputs.height < 50:
        return every, "every column counts as relevant: there is no score to learn it from"
    sound = np.flatnonzero(np.isfinite(scores).all(axis=1))
    if sound.size < 50:
        return every, "every column counts as relevant: too few rows have a score"
    rows = np.random.default_rng(0).permutation(sound)[:ROWS]
    table = _encoded(inputs[rows.tolist()])
    wanted = scores[rows].max(axis=1) if scores.shape[1] > 1 else scores[rows][:, 0]
    if np.ptp(wanted) == 0:
        return every, "every column counts as relevant: the score is constant"
    model, explained = _fitted(table, wanted)
    if explained < LEAST_EXPLAINED:
        return every, (
            "every column counts as relevant: the score could not be followed"
            f" (a surrogate explains {max(explained, 0.0):.0%} of it)"
        )
    names = inputs.columns
    head = table[:SHARE_ROWS]

    def score(columns: Mapping[str, Any]) -> Floats:
        return np.asarray(model.predict(np.column_stack([columns[one] for one in names])))

    found = response_shares(score, {one: head[:, at] for at, one in enumerate(names)})
    return found, (
        f"what each column is worth is learnt from a surrogate that explains {explained:.0%}"
        " of the score"
    )


def _encoded(inputs: pl.DataFrame) -> Floats:
    """Return inputs as numbers: text by how frequent it is, what is missing as NaN."""
    columns = []
    for one in inputs.columns:
        values = inputs[one]
        if values.dtype == pl.Null:
            values = values.cast(pl.Float64)
        elif not (values.dtype.is_numeric() or values.dtype == pl.Boolean):
            ranks = values.drop_nulls().value_counts(sort=True)[one].to_list()
            places = {text: place for place, text in enumerate(ranks)}
            values = values.replace_strict(places, default=None, return_dtype=pl.Float64)
        columns.append(values.cast(pl.Float64).fill_null(np.nan).to_numpy())
    return np.column_stack(columns)


def _fitted(table: Floats, wanted: Floats) -> tuple[_Fitted, float]:
    """Return a surrogate of the score, and what share of other rows' variance it explains."""
    cut = len(wanted) * 3 // 4
    spread = float(np.var(wanted[cut:]))

    def explained(model: _Fitted) -> float:
        error = float(np.mean((np.asarray(model.predict(table[cut:])) - wanted[cut:]) ** 2))
        return 1 - error / spread if spread > 0 else 0.0

    if table.shape[1] * _BINS <= _MOST_CELLS:
        curves = _Curves(table[:cut], wanted[:cut])
        found = explained(curves)
        if found >= ENOUGH:
            return curves, found
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    trees = HistGradientBoostingRegressor(max_iter=60, max_leaf_nodes=15, random_state=0)
    with threadpool_limits(limits=1):  # on a busy machine two threads wait for each other
        trees.fit(table[:cut], wanted[:cut])
        return trees, explained(trees)


class _Curves:
    """A sum of one step curve a column, by least squares: enough for most scores, and instant."""

    def __init__(self, table: Floats, wanted: Floats) -> None:
        self._edges = [_edges(column) for column in table.T]
        self._mean = float(wanted.mean())
        cells = self._cells(table)
        # A little shrinkage, or a cell without a row could be anything.
        square = cells.T @ cells + np.eye(cells.shape[1])
        self._steps = np.linalg.solve(square, cells.T @ (wanted - self._mean))

    def predict(self, table: Floats) -> Floats:
        """Return the sum of the curves at each row."""
        return np.asarray(self._mean + self._cells(table) @ self._steps, dtype=np.float64)

    def _cells(self, table: Floats) -> Floats:
        parts = []
        for column, edges in zip(table.T, self._edges, strict=True):
            place = np.searchsorted(edges, column, side="right")
            place = np.where(np.isnan(column), len(edges) + 1, place)
            parts.append(np.eye(len(edges) + 2)[place])
        return np.concatenate(parts, axis=1)


def _edges(column: Floats) -> Floats:
    there = column[np.isfinite(column)]
    if there.size == 0:
        return np.empty(0)
    return np.unique(np.quantile(there, np.linspace(0, 1, _BINS + 1)[1:-1]))
