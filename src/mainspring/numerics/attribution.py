"""Say how far the ranking of what a model listens to has changed (NDCG, as Clarify does)."""

import math
from collections.abc import Mapping

from mainspring.numerics.errors import OutOfRangeError, TooFewError


def ndcg(training: Mapping[str, float], live: Mapping[str, float]) -> float:
    """Return how well the live ranking keeps what mattered at training on top, 0 to 1.

    Both hold how much each column matters (at least 0); only the order of ``live`` counts, and
    1 means that the ranking is the same. Columns of ``training`` that are not in ``live`` count
    as worth nothing there; others are left out. Live ties stand in the order of training, so
    a tie is never held against the model. 1 if nothing mattered at training.

    Blind spot: what stands on top at training weighs most. With one column of nearly all the
    weight that stays on top, the figure stays near 1 whatever happens to the rest.

    Raises:
        TooFewError: if there is no column.
        OutOfRangeError: if a value is negative or not finite.

    Example:
        >>> training = {"SAT score": 0.70, "GPA": 0.50, "class rank": 0.05}
        >>> live = {"SAT score": 0.10, "GPA": 0.20, "class rank": 0.70}
        >>> round(ndcg(training, live), 3)
        0.688

    Source: SageMaker Developer Guide, "Feature Attribution Drift": DCG sums the training
    attribution of the i-th of the live ranking over log2(i + 1); NDCG divides by the same in
    training order. Alarm below 0.90.
    """
    if not training:
        raise TooFewError("A ranking needs at least one column, found none.")
    for values in (training, live):
        for name, value in values.items():
            if not (math.isfinite(value) and value >= 0):
                raise OutOfRangeError(f"What {name!r} matters is at least 0, found {value}.")
    ideal = sorted(training, key=lambda name: (-training[name], name))
    now = sorted(training, key=lambda name: (-live.get(name, 0.0), -training[name], name))
    best = _gain(training, ideal)
    return _gain(training, now) / best if best > 0 else 1.0


def _gain(worth: Mapping[str, float], order: list[str]) -> float:
    return sum(worth[name] / math.log2(place + 2) for place, name in enumerate(order))
