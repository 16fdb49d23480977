"""Ask whether a fresh version would pay, before anybody trains one.

Drift says that the inputs moved, the champion's loss that the times are harder or the model is
old; neither says whether training again would help. So a cheap challenger is trained on all
rows before the newest labelled ones, and both are compared there, row by row. What a retraining
surely saves is the lower confidence bound of that difference, times the rows until the next
check, times what a unit of loss is worth; it pays when that is more than it costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from polars.exceptions import PolarsError

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import RetrainingPolicy, Signature
from mainspring.numerics import regret as numerics
from mainspring.numerics.scores import row_losses
from mainspring.retraining import quick
from mainspring.retraining.blocks import time_blocks
from mainspring.retraining.truth import targets

_CONFIDENCE = 0.95
LEAST_TRAINING = 100
LEAST_FRESH = 30


class Regret(NamedTuple):
    """Whether a retraining pays, in one sentence and in figures."""

    pays: bool
    reason: str
    evidence: dict[str, Any]
    compared: bool = True  #: False: there was too little to compare on


def measure(
    training: pl.DataFrame,
    fresh: pl.DataFrame,
    champion_losses: npt.ArrayLike,
    signature: Signature,
    features: Mapping[str, str] | None,
    policy: RetrainingPolicy,
    volume: float | None = None,
) -> Regret:
    """Compare a cheap fresh challenger with the champion on the newest labelled rows.

    ``training`` and ``fresh`` are the frames of :func:`assemble.assemble`; ``champion_losses``
    are the champion's bounded losses on the fresh rows, in their order. ``features`` maps names
    to SQL expressions over raw columns (None: the raw columns are the features). ``volume`` is
    the rows until the next check; without it, the pace of the fresh rows tells.

    Raises:
        BadInputError: if a column is missing, a feature cannot be computed, or the losses do
            not belong to the fresh rows.
    """
    losses = np.asarray(champion_losses, dtype=np.float64)
    if losses.shape != (fresh.height,):
        raise BadInputError(
            f"Regret needs one champion loss for each of {fresh.height} fresh rows, found "
            f"{losses.size}."
        )
    if training.height < LEAST_TRAINING or fresh.height < LEAST_FRESH:
        return _too_few(training.height, fresh.height)
    names = list(features) if features else [c.name for c in signature.columns]
    older, newer = (chosen_features(part, features, names) for part in (training, fresh))
    learnt, truth = targets(training, signature), targets(fresh, signature)
    model = quick.fit(older, learnt, names, signature.kind, max(len(signature.classes), 2))
    scores = model.score(newer)
    challenger = row_losses(signature.kind, scores, truth, scale=signature.scale)
    times = fresh["_time"].to_numpy() if "_time" in fresh.columns else np.arange(fresh.height)
    return compare(losses, challenger, times, policy, volume)


def compare(
    champion_losses: npt.ArrayLike,
    challenger_losses: npt.ArrayLike,
    times: npt.ArrayLike,
    policy: RetrainingPolicy,
    volume: float | None = None,
) -> Regret:
    """Return whether the difference of two losses on the same rows pays for a retraining.

    ``times`` are the rows' event times in seconds; rows of a day count as one observation.
    """
    seconds = np.asarray(times, dtype=np.float64)
    band = numerics.regret(
        champion_losses, challenger_losses, time_blocks(seconds), confidence=_CONFIDENCE
    )
    rows = seconds.size
    expected = volume_ahead(seconds, policy) if volume is None else volume
    worth = band.low * expected * policy.value_per_loss
    pays = numerics.pays(band.low, expected, policy.value_per_loss, policy.cost)
    champion = float(np.mean(np.asarray(champion_losses, dtype=np.float64)))
    challenger = float(np.mean(np.asarray(challenger_losses, dtype=np.float64)))
    compared = (
        f"On the newest {rows} labelled rows the champion loses {champion:.4f} a row, a fresh "
        f"challenger {challenger:.4f}"
    )
    if pays:
        reason = (
            f"{compared}: surely {band.low:.4f} less. Over {expected:.0f} rows that saves "
            f"{worth:.4g}, more than the {policy.cost:.4g} that a retraining costs."
        )
    elif band.low <= 0:
        reason = (
            f"{compared}. The difference of {band.estimate:.4f} is not sure to be above 0 (lower "
            f"bound {band.low:.4f}), so a retraining is not known to help."
        )
    else:
        reason = (
            f"{compared}: surely {band.low:.4f} less. Over {expected:.0f} rows that saves "
            f"{worth:.4g}, not more than the {policy.cost:.4g} that a retraining costs."
        )
    evidence = {
        "rows": rows,
        "blocks": band.n,
        "champion_loss": champion,
        "challenger_loss": challenger,
        "regret": band.estimate,
        "low": band.low,
        "high": band.high,
        "confidence": _CONFIDENCE,
        "volume": float(expected),
        "worth": worth,
        "cost": policy.cost,
    }
    return Regret(pays, reason, evidence)


def volume_ahead(times: npt.ArrayLike, policy: RetrainingPolicy) -> float:
    """Return the rows to expect until the next check, at the pace of the rows given.

    Without a regular check it is the rows until the next retraining is allowed.
    """
    seconds = np.asarray(times, dtype=np.float64)
    ahead = policy.check_every_s if policy.check_every_s is not None else policy.cooldown_s
    span = float(np.ptp(seconds)) if seconds.size else 0.0
    # The pace of less than an hour says little about a week.
    return float(seconds.size) if span < 3600 else seconds.size * ahead / span


def chosen_features(
    rows: pl.DataFrame, features: Mapping[str, str] | None, names: list[str]
) -> pl.DataFrame:
    """Return the features of raw rows: the columns named, or SQL over them.

    Raises:
        BadInputError: if one cannot be computed.
    """
    try:
        if not features:
            return rows.select(names)
        return rows.select([pl.sql_expr(text).alias(name) for name, text in features.items()])
    except PolarsError as error:
        first = str(error).partition("\n")[0]
        raise BadInputError(
            f"The features could not be computed from the assembled rows: {first}",
            field="features",
        ) from error


def _too_few(training: int, fresh: int) -> Regret:
    reason = (
        f"There are too few labelled rows to say whether a new version pays: {training} to learn "
        f"from and {fresh} to compare on; {LEAST_TRAINING} and {LEAST_FRESH} are needed."
    )
    return Regret(False, reason, {"training_rows": training, "rows": fresh}, compared=False)
