"""Ask on demand what a window is told apart from its reference by: a domain classifier.

Boosted trees learn to say of a row whether it is of the window or of the reference. If they
cannot (an area of 0.5 under the curve, on rows they did not learn from), no combination of columns
has moved that they could see. If they can, the columns they need for it are the explanation. It
alarms on nothing: it takes seconds, and is asked after a monitor said that something moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.objects import ColumnProfile, Record
from mainspring.monitoring.columns import Floats, as_numbers
from mainspring.monitoring.streaks import event_order
from mainspring.numerics.correlation import auc_lower_bound
from mainspring.numerics.dependence import design_effects
from mainspring.numerics.profiles import OTHER
from mainspring.numerics.scores import auc

#: Rows of either side that are learned from.
MOST_ROWS = 5_000
MOST_COLUMNS = 60
FOLDS = 4
LEAST_ROWS = 100
#: From this area on the two are told apart well enough to matter.
LINE = 0.55
CHANCE = 0.001
#: Levels of a category that are told from each other; scikit-learn's trees take 255.
_LEVELS = 250


class Share(Record, frozen=True, kw_only=True):
    """What one column is worth for telling a window from its reference."""

    column: str
    loss: float  #: of the area under the curve, when the column is shuffled among held-out rows
    share: float  #: of all such losses, 0 to 1


class Telling(Record, frozen=True, kw_only=True):
    """How well a window can be told from its reference, and by what."""

    area: float | None  #: under the curve, on rows not learned from; None: ``why`` says why not
    low: float | None = None  #: its lower bound: chance alone is below it in 999 of 1,000 windows
    line: float = LINE  #: from this lower bound on it matters
    apart: bool = False
    rows: int = 0  #: of the window
    reference_rows: int = 0
    effect: float = 1.0  #: so many rows of the window count as one, because they come in runs
    columns: list[Share] = []  #: those worth most first
    why: str


def tell_apart(
    frame: pl.DataFrame,
    reference: pl.DataFrame | None,
    columns: Sequence[ColumnProfile],
    seed: int = 0,
) -> Telling:
    """Return how well rows of ``frame`` are told from ``reference``, and by which columns.

    Both hold the raw columns; those of ``columns`` that both have are looked at. Four folds are
    cut by event time, so that a row is not told by its neighbour. The same rows and seed give
    the same answer.

    Source: the classifier two-sample test, Lopez-Paz and Oquab, Revisiting classifier
    two-sample tests (2017); the bound of
    :func:`mainspring.numerics.correlation.auc_lower_bound`; importances by permutation, Breiman,
    Random forests, Machine Learning 45 (2001).
    """
    if reference is None:
        return Telling(area=None, why="The version keeps no reference rows to tell them from.")
    used = [one for one in columns if one.name in frame.columns and one.name in reference.columns]
    used = sorted(used, key=lambda one: (-one.share, one.name))[:MOST_COLUMNS]
    now, before = _sampled(_in_order(frame)), _sampled(reference)
    if min(now.height, before.height) < LEAST_ROWS or not used:
        few = f"{LEAST_ROWS} rows on each side and a column that both have are needed"
        return Telling(area=None, rows=now.height, reference_rows=before.height, why=f"{few}.")
    table = np.concatenate([_encoded(side, used) for side in (now, before)])
    ours = np.concatenate([np.ones(now.height), np.zeros(before.height)])
    folds = np.concatenate([_folds(now.height), _folds(before.height)])
    scores, losses = _crossed(table, ours, folds, used, seed)
    area = auc(scores, ours)
    mine = scores[: now.height]
    effect = design_effects([mine > np.median(mine)]).certain(CHANCE)
    fewer = [max(round(side.height / effect), 1) for side in (now, before)]
    low = auc_lower_bound(area, fewer[0], fewer[1], CHANCE)
    shares = _shares(used, losses)
    return Telling(
        area=area,
        low=low,
        apart=low > LINE,
        rows=now.height,
        reference_rows=before.height,
        effect=effect,
        columns=shares,
        why=_words(area, low, shares),
    )


def _words(area: float, low: float, shares: Sequence[Share]) -> str:
    told = f"A classifier tells rows of the window from the reference with an area of {area:.3f}"
    if low <= 0.5:
        return f"{told}: chance alone reaches that. Nothing that it could see has moved."
    if low <= LINE:
        return f"{told} (at least {low:.3f}): a certain shift, but below {LINE:g}."
    names = ", ".join(f"{one.column} ({100 * one.share:.0f} %)" for one in shares[:3])
    return f"{told} (at least {low:.3f}), mostly by {names}."


def _crossed(
    table: Floats,
    ours: Floats,
    folds: npt.NDArray[np.int64],
    used: Sequence[ColumnProfile],
    seed: int,
) -> tuple[Floats, Floats]:
    """Return the score of every row by trees that did not see it, and each column's worth."""
    import sklearn.ensemble  # noqa: F401  its threads can be limited only once they are there
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    scores = np.empty(ours.size)
    losses = np.zeros(len(used))
    rng = np.random.default_rng(seed)
    # Trees this small gain nothing from threads, which wait for each other on a busy machine.
    with threadpool_limits(1, user_api="openmp"):
        for fold in range(FOLDS):
            held = folds == fold
            trees = _fitted(table[~held], ours[~held], used, seed)
            scores[held] = trees.predict_proba(table[held])[:, 1]
            whole = auc(scores[held], ours[held])
            for place in range(len(used)):
                shuffled = table[held]
                shuffled[:, place] = rng.permutation(shuffled[:, place])
                losses[place] += whole - auc(trees.predict_proba(shuffled)[:, 1], ours[held])
    return scores, losses / FOLDS


def _fitted(table: Floats, ours: Floats, used: Sequence[ColumnProfile], seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    table = table.copy()
    # scikit-learn cannot bin a column without a single value; one value everywhere says as much.
    table[:, np.isnan(table).all(axis=0)] = 0.0
    trees = HistGradientBoostingClassifier(
        max_iter=40,
        max_leaf_nodes=15,
        learning_rate=0.15,
        l2_regularization=1.0,
        early_stopping=False,
        categorical_features=[one.type == "category" for one in used],
        random_state=seed,
    )
    return trees.fit(table, ours)


def _shares(used: Sequence[ColumnProfile], losses: Floats) -> list[Share]:
    worth = np.maximum(losses, 0.0)
    total = float(worth.sum())
    found = [
        Share(column=one.name, loss=float(loss), share=float(loss) / total if total else 0.0)
        for one, loss in zip(used, worth, strict=True)
    ]
    return sorted(found, key=lambda one: (-one.share, one.column))


def _in_order(frame: pl.DataFrame) -> pl.DataFrame:
    order = event_order(frame)
    return frame if order is None or order.size == 0 else frame[order]


def _sampled(frame: pl.DataFrame) -> pl.DataFrame:
    if frame.height <= MOST_ROWS:
        return frame
    return frame[np.linspace(0, frame.height - 1, MOST_ROWS).astype(np.int64)]


def _folds(rows: int) -> npt.NDArray[np.int64]:
    return np.asarray(np.arange(rows) * FOLDS // rows, dtype=np.int64)


def _encoded(frame: pl.DataFrame, used: Sequence[ColumnProfile]) -> Floats:
    return np.stack([_values(frame[one.name], one) for one in used], axis=1)


def _values(column: pl.Series, profile: ColumnProfile) -> Floats:
    if profile.type == "number":
        values = as_numbers(column)[0]
        # Trees bin what is finite.
        return np.where(np.isposinf(values), 1e300, np.where(np.isneginf(values), -1e300, values))
    if column.dtype in (pl.Object, pl.Null) or column.dtype.is_nested():
        return np.full(column.len(), np.nan)
    levels = {k: n for k, n in profile.categories.items() if k != OTHER}
    ranked = sorted(levels, key=lambda name: (-levels[name], name))[:_LEVELS]
    codes = {name: float(place) for place, name in enumerate(ranked)}
    text = column.cast(pl.String, strict=False)
    # What training did not know, or hardly, is one level more.
    found = text.replace_strict(codes, default=float(_LEVELS), return_dtype=pl.Float64)
    return as_numbers(found.set(text.is_null(), None))[0]
