"""Models so simple that a real one has to beat them: a constant, a linear model, a shallow tree.

All take numbers, shape (rows, features), every one finite, and a target as in
:mod:`mainspring.numerics.scores`: 0 or 1, the class's number, or the value. They learn in
milliseconds, and the same rows always give the same model.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError, TooFewError
from mainspring.numerics.scores import Kind

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Levels of questions in a shallow tree: at most eight leaves, which a person can read.
DEPTH = 3
#: Rows that a leaf holds at least.
LEAF_ROWS = 20
#: Thresholds that are tried in a column: its quantiles.
CUTS = 32
_STEPS = 30


@dataclass(frozen=True, slots=True)
class Constant:
    """The same answer for every row: the shares of the classes, or the mean."""

    answer: Floats  # (k,): p(positive), one share a class, or the value

    def score(self, rows: int) -> Floats:
        """Return the answer for so many rows, shape (rows, k)."""
        return np.tile(self.answer, (rows, 1))


def constant(kind: Kind, target: npt.ArrayLike, classes: int = 2) -> Constant:
    """Return the constant with the least squared loss on a target.

    That is the mean: of the value, or of each class (its share), which no other constant beats
    in squared error, and which says the majority class as well.

    Raises:
        TooFewError: if there is no row.
        OutOfRangeError: if a class is unknown or a value is missing.

    Example:
        >>> constant("binary", [0, 0, 0, 1]).score(2).tolist()
        [[0.25], [0.25]]
    """
    return Constant(_outputs(kind, target, classes).mean(axis=0))


@dataclass(frozen=True, slots=True)
class Linear:
    """Weights on standardised columns; binary and multiclass through the logistic function."""

    kind: Kind
    weights: Floats  # (1 + features, k): the intercepts first
    middle: Floats  # (features,)
    spread: Floats  # (features,): 1 where a column is constant

    def score(self, features: npt.ArrayLike) -> Floats:
        """Return scores of shape (rows, k).

        Raises:
            ShapesDifferError: if the columns are not those it learnt from.
        """
        matrix = _features(features)
        if matrix.shape[1] != self.middle.size:
            raise ShapesDifferError(f"Learnt {self.middle.size} columns, found {matrix.shape[1]}.")
        raw = _design((matrix - self.middle) / self.spread) @ self.weights
        if self.kind == "regression":
            return np.asarray(raw, dtype=np.float64)
        chances = _logistic(raw)
        if self.kind == "binary":
            return chances
        total = chances.sum(axis=1, keepdims=True)
        even = np.full_like(chances, 1 / chances.shape[1])
        return np.where(total > 0, chances / np.where(total > 0, total, 1.0), even)


def linear(
    kind: Kind,
    features: npt.ArrayLike,
    target: npt.ArrayLike,
    classes: int = 2,
    penalty: float = 1.0,
) -> Linear:
    """Fit a ridge regression, or a logistic one (several classes: one against the rest).

    Columns are standardised first; ``penalty`` times half the squared weights, without the
    intercept, is added to the summed loss.

    Raises:
        TooFewError: if there is no row.
        ShapesDifferError: if features and target are not of the same rows.
        OutOfRangeError: if a number is missing, or the penalty is not above 0.

    Source: Hoerl and Kennard, Ridge regression, Technometrics 12 (1970); le Cessie and van
    Houwelingen, Ridge estimators in logistic regression, Applied Statistics 41 (1992), by Newton
    steps, as sklearn.linear_model.Ridge(alpha) and LogisticRegression(C=1/penalty).
    """
    matrix, wanted = _learnt(kind, features, target, classes)
    if not penalty > 0:
        raise OutOfRangeError(f"A penalty must be above 0, found {penalty}.")
    middle, spread = matrix.mean(axis=0), matrix.std(axis=0)
    spread = np.where(spread > 1e-12 * np.maximum(np.abs(middle), 1.0), spread, 1.0)
    design = _design((matrix - middle) / spread)
    ridge = np.full(design.shape[1], penalty)
    ridge[0] = 0.0
    if kind == "regression":
        weights = np.linalg.lstsq(
            np.vstack([design, np.diag(np.sqrt(ridge))]),
            np.vstack([wanted, np.zeros((design.shape[1], 1))]),
            rcond=None,
        )[0]
    else:
        columns = [_newton(design, wanted[:, one], ridge) for one in range(wanted.shape[1])]
        weights = np.column_stack(columns)
    return Linear(kind, np.asarray(weights, dtype=np.float64), middle, spread)


@dataclass(frozen=True, slots=True)
class Tree:
    """At most eight leaves: for each a path of questions and the mean of its rows."""

    column: int | None  # None: a leaf
    line: float  # rows at or below go left
    left: "Tree | None"
    right: "Tree | None"
    answer: Floats  # (k,)

    def score(self, features: npt.ArrayLike) -> Floats:
        """Return scores of shape (rows, k)."""
        matrix = _features(features)
        out = np.tile(self.answer, (matrix.shape[0], 1))
        if self.column is None or self.left is None or self.right is None:
            return out
        below = matrix[:, self.column] <= self.line
        if below.any():
            out[below] = self.left.score(matrix[below])
        if not below.all():
            out[~below] = self.right.score(matrix[~below])
        return out

    @property
    def leaves(self) -> int:
        """How many leaves there are."""
        if self.left is None or self.right is None:
            return 1
        return self.left.leaves + self.right.leaves


def tree(
    kind: Kind,
    features: npt.ArrayLike,
    target: npt.ArrayLike,
    classes: int = 2,
    depth: int = DEPTH,
    leaf_rows: int = LEAF_ROWS,
) -> Tree:
    """Grow a tree that a person can read: each question is the one that lowers the loss most.

    Raises:
        as :func:`linear`.

    Example:
        >>> found = tree("regression", [[1.0], [2.0], [3.0], [4.0]], [0, 0, 9, 9], leaf_rows=1)
        >>> found.score([[1.5], [3.5]]).tolist()
        [[0.0], [9.0]]

    Source: Breiman, Friedman, Olshen and Stone, Classification and regression trees (1984); the
    summed squared error of the outputs, which for classes is half of Gini's index. Thresholds are
    quantiles of the whole column, as histogram-based trees have them.
    """
    matrix, wanted = _learnt(kind, features, target, classes)
    lines = [_lines(matrix[:, one]) for one in range(matrix.shape[1])]
    codes = [np.searchsorted(cuts, matrix[:, at]) for at, cuts in enumerate(lines)]
    return _grow(codes, lines, wanted, np.arange(wanted.shape[0]), depth, max(leaf_rows, 1))


def _grow(
    codes: list[Ints], lines: list[Floats], wanted: Floats, rows: Ints, depth: int, least: int
) -> Tree:
    answer = wanted[rows].mean(axis=0)
    leaf = Tree(None, 0.0, None, None, answer)
    if depth == 0 or rows.size < 2 * least:
        return leaf
    best, chosen = 1e-12 * max(float(((wanted[rows] - answer) ** 2).sum()), 1e-300), None
    sums = wanted[rows].sum(axis=0)
    usual = float((sums**2).sum()) / rows.size
    for column, cuts in enumerate(lines):
        if not cuts.size:
            continue
        at = codes[column][rows]
        count = np.cumsum(np.bincount(at, minlength=cuts.size + 1))[:-1]
        parts = np.stack(
            [
                np.cumsum(np.bincount(at, weights=wanted[rows, k], minlength=cuts.size + 1))[:-1]
                for k in range(wanted.shape[1])
            ],
            axis=1,
        )
        able = (count >= least) & (rows.size - count >= least)
        if not able.any():
            continue
        below, above = np.maximum(count, 1), np.maximum(rows.size - count, 1)
        gain = (parts**2).sum(axis=1) / below + ((sums - parts) ** 2).sum(axis=1) / above - usual
        place = int(np.where(able, gain, -np.inf).argmax())
        if gain[place] > best:
            best, chosen = float(gain[place]), (column, place)
    if chosen is None:
        return leaf
    column, place = chosen
    left = codes[column][rows] <= place
    halves = [_grow(codes, lines, wanted, rows[part], depth - 1, least) for part in (left, ~left)]
    return Tree(column, float(lines[column][place]), halves[0], halves[1], answer)


def _lines(values: Floats) -> Floats:
    found = np.unique(np.quantile(values, np.linspace(0, 1, CUTS + 1)[1:-1], method="lower"))
    return np.asarray(found[found < values.max()], dtype=np.float64)


def _newton(design: Floats, wanted: Floats, ridge: Floats) -> Floats:
    weights = np.zeros(design.shape[1])

    def cost(given: Floats) -> float:
        raw = design @ given
        return float((np.logaddexp(0.0, raw) - wanted * raw).sum() + (ridge * given**2).sum() / 2)

    at = cost(weights)
    for _ in range(_STEPS):
        chance = _logistic(design @ weights)
        slope = design.T @ (wanted - chance) - ridge * weights
        curve = design.T @ (design * (chance * (1 - chance))[:, None]) + np.diag(ridge + 1e-9)
        step = np.linalg.solve(curve, slope)
        while (after := cost(weights + step)) > at + 1e-12 and np.abs(step).max() > 1e-12:
            step = step / 2  # where one class is rare a full step may overshoot
        weights, at = weights + step, min(after, at)
        if np.abs(step).max() < 1e-9:
            break
    return weights


def _logistic(raw: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(raw, -700, 700))), dtype=np.float64)


def _design(matrix: Floats) -> Floats:
    return np.column_stack([np.ones(matrix.shape[0]), matrix])


def _features(features: npt.ArrayLike) -> Floats:
    matrix = np.asarray(features, dtype=np.float64)
    if matrix.ndim != 2:
        raise ShapesDifferError(f"Features have shape (rows, columns), found {matrix.shape}.")
    if not np.isfinite(matrix).all():
        raise OutOfRangeError("Features must be finite; fill missing numbers first.")
    return matrix


def _learnt(
    kind: Kind, features: npt.ArrayLike, target: npt.ArrayLike, classes: int
) -> tuple[Floats, Floats]:
    matrix, wanted = _features(features), _outputs(kind, target, classes)
    if matrix.shape[0] != wanted.shape[0]:
        raise ShapesDifferError(f"{matrix.shape[0]} rows for {wanted.shape[0]} targets.")
    return matrix, wanted


def _outputs(kind: Kind, target: npt.ArrayLike, classes: int) -> Floats:
    """Return what the scores should be, shape (rows, k)."""
    truth = np.asarray(target, dtype=np.float64).ravel()
    if truth.size == 0:
        raise TooFewError("A model needs at least one row to learn from, found none.")
    if not np.isfinite(truth).all():
        raise OutOfRangeError("Targets must be finite; leave rows without one out first.")
    if kind == "regression":
        return truth[:, None]
    if not np.isin(truth, np.arange(2 if kind == "binary" else classes)).all():
        raise OutOfRangeError(f"{kind} targets must be class numbers.")
    if kind == "binary":
        return truth[:, None]
    return np.asarray(truth[:, None] == np.arange(classes), dtype=np.float64)
