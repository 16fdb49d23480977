"""Say how much of a model's response each column carries, so that drift elsewhere can be a note.

A column the model does not listen to may move as it likes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import ShapesDifferError

Column = npt.NDArray[Any] | Sequence[Any]
ScoreFunction = Callable[[Mapping[str, Column]], npt.ArrayLike]


def response_shares(
    score_function: ScoreFunction, columns: Mapping[str, Column], rng_seed: int = 0
) -> dict[str, float]:
    """Return the share of the model's response that each column carries; the shares sum to 1.

    Each column in turn is shuffled among the rows, and the mean absolute change of the model's
    own score is its effect (no labels are needed). ``score_function`` takes the columns and
    returns scores of shape (rows,) or (rows, k); a thousand rows are enough. All shares are 0
    if nothing moves the score. Columns that carry the same information split their share, so a
    low share of a column with a twin does not prove it unimportant. The same seed gives the
    same shares.

    Raises:
        ShapesDifferError: if the columns do not have the same number of rows.

    Example:
        >>> table = {"a": np.arange(9.0), "b": np.zeros(9)}
        >>> response_shares(lambda rows: np.asarray(rows["a"]) * 2, table)
        {'a': 1.0, 'b': 0.0}

    Source: Breiman, Random forests, Machine Learning 45 (2001), section 10, with the change of
    the score in place of the change of the error.
    """
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise ShapesDifferError(f"Columns must have equal rows, found {sorted(lengths)}.")
    if not lengths:
        return {}
    rng = np.random.default_rng(rng_seed)
    order = rng.permutation(lengths.pop())
    usual = np.asarray(score_function(columns), dtype=np.float64)
    effects: dict[str, float] = {}
    for name, column in columns.items():
        shuffled = column[order] if isinstance(column, np.ndarray) else [column[i] for i in order]
        scores = np.asarray(score_function({**columns, name: shuffled}), dtype=np.float64)
        effects[name] = float(np.abs(scores - usual).mean()) if scores.size else 0.0
    total = sum(effects.values())
    return {name: effect / total if total > 0 else 0.0 for name, effect in effects.items()}
