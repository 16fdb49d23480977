"""Which rows to learn from: all, the newest, or all with the newest counting more.

After a change old rows mislead, before one they are all there is. So the windows are tried: a
cheap challenger learns from each, and all are compared on the fresh rows, row by row. The first
one named is kept unless another is surely better there, so that nothing is changed by chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.identity import sha256
from mainspring.ground.objects import Record, Signature
from mainspring.ground.training import ALL, Window, window
from mainspring.numerics.intervals import block_difference
from mainspring.numerics.scores import row_losses
from mainspring.retraining import quick
from mainspring.retraining.blocks import time_blocks
from mainspring.retraining.regret import chosen_features
from mainspring.retraining.truth import targets

#: Fewer rows than that are no window: a model of so few is compared with nothing.
LEAST_ROWS = 100
_CONFIDENCE = 0.95


class Tried(Record, frozen=True, kw_only=True):
    """How one window did."""

    name: str
    rows: int
    since: float | None  #: event time of its oldest row; None where rows have none
    loss: float | None = None  #: of a cheap challenger on the fresh rows; None: not tried
    gain: tuple[float, float, float] | None = None  #: loss less than the first's, with both ends
    why: str = ""  #: why it was not tried


class Choice(Record, frozen=True, kw_only=True):
    """The window that is trained on, and how all of them did."""

    name: str
    tried: list[Tried]
    found: str  #: one sentence with figures


def weights(rows: pl.DataFrame, one: Window) -> npt.NDArray[np.float64]:
    """Return what each row counts in a window, 0 to 1, shape (rows,).

    ``rows`` have ``_time``. Rows without a time (minus infinity) are older than all others:
    they are in ``all`` alone.
    """
    times = rows["_time"].to_numpy().astype(np.float64)
    dated = times[np.isfinite(times)]
    if one.name == ALL or dated.size == 0:
        return np.ones(times.size)
    newest = float(dated.max())
    if one.half_life_s is not None:
        with np.errstate(over="ignore"):
            return np.asarray(np.exp2(-(newest - times) / one.half_life_s))
    start = (float(dated.min()) + newest) / 2 if one.half else newest - (one.span_s or 0.0)
    return np.asarray((times > start).astype(np.float64))


def thinned(rows: pl.DataFrame, counts: npt.NDArray[np.float64], seed: str) -> pl.DataFrame:
    """Return rows each kept with its weight as chance: for training that takes no weights.

    The same rows, weights and seed always keep the same rows.
    """
    if bool(((counts == 0) | (counts == 1)).all()):
        return rows.filter(pl.Series(counts > 0))
    chance = np.random.default_rng(int(sha256(seed.encode())[:16], 16))
    return rows.filter(pl.Series(chance.random(rows.height) < counts))


def choose(
    training: pl.DataFrame,
    fresh: pl.DataFrame,
    signature: Signature,
    features: Mapping[str, str] | None,
    names: Sequence[str],
) -> Choice:
    """Try windows of the training rows on the fresh ones and return the one to train on.

    ``training`` has ``_time`` and the target; ``fresh`` are the rows of
    :func:`assemble.assemble`. The first window stands unless the lower bound of another's gain
    over it, by block of time and at Bonferroni's level for all of them, is above 0; of several
    such the one with the least loss.

    Raises:
        BadInputError: if a column is missing or a feature cannot be computed.
    """
    several = [window(name) for name in names] or [window(ALL)]
    sets = [(one, weights(training, one)) for one in several]
    if len(several) == 1:
        only = _described(training, *sets[0])
        return Choice(name=only.name, tried=[only], found=f"{only.rows:,} rows: {only.name}.")
    columns = list(features) if features else [c.name for c in signature.columns]
    newer, truth = chosen_features(fresh, features, columns), targets(fresh, signature)
    blocks = time_blocks(fresh["_time"].to_numpy())
    losses: dict[str, Any] = {}
    tried: list[Tried] = []
    for one, counts in sets:
        about = _described(training, one, counts)
        why = _unfit(about, tried)
        if not why:
            model = _fitted(training, counts, signature, features, columns)
            losses[one.name] = row_losses(
                signature.kind, model.score(newer), truth, scale=signature.scale
            )
            about = _replace(about, loss=float(losses[one.name].mean()))
        tried.append(_replace(about, why=why))
    return _chosen(tried, losses, blocks)


# ---------------------------------------------------------------- parts


def _chosen(tried: list[Tried], losses: dict[str, Any], blocks: Any) -> Choice:
    first = tried[0]
    others = [one for one in tried[1:] if one.loss is not None]
    if first.loss is None or not others or np.unique(blocks).size < 2:
        found = f"{first.rows:,} rows: {first.name}; there was nothing to compare it with."
        return Choice(name=first.name, tried=tried, found=found)
    level = 1 - 2 * (1 - _CONFIDENCE) / len(others)
    best = first
    seen = [first]
    for other in tried[1:]:
        if other.loss is None:
            seen.append(other)
            continue
        band = block_difference(losses[first.name] - losses[other.name], blocks, level)
        seen.append(_replace(other, gain=(band.estimate, band.low, band.high)))
        if band.low > 0 and other.loss < (best.loss or 0.0):
            best = seen[-1]
    told = ", ".join(f"{one.name} loses {one.loss:.4f}" for one in seen if one.loss is not None)
    end = f"none is surely better than {first.name}"
    if best is not first and best.gain is not None:
        end = f"{best.name} is better than {first.name} by {best.gain[0]:.4f}"
        end += f" (at least {best.gain[1]:.4f})"
    rows = len(next(iter(losses.values())))
    found = f"Tried on {rows:,} fresh rows: {told}; {end}."
    return Choice(name=best.name, tried=seen, found=found)


def _described(training: pl.DataFrame, one: Window, counts: npt.NDArray[np.float64]) -> Tried:
    inside = training["_time"].to_numpy()[counts > 0]
    dated = inside[np.isfinite(inside)]
    since = float(dated.min()) if dated.size else None
    rows = round(float(counts.sum())) if one.half_life_s is not None else int((counts > 0).sum())
    return Tried(name=one.name, rows=rows, since=since)


def _unfit(about: Tried, before: list[Tried]) -> str:
    if about.rows < LEAST_ROWS:
        return f"{about.rows} rows are too few"
    if any(one.rows == about.rows and one.since == about.since for one in before):
        return "it holds the same rows as another"
    return ""


def _fitted(
    training: pl.DataFrame,
    counts: npt.NDArray[np.float64],
    signature: Signature,
    features: Mapping[str, str] | None,
    columns: list[str],
) -> quick.QuickModel:
    """Fit on at most ``quick.MOST_ROWS`` rows, evenly over the window and not its newest."""
    inside = np.flatnonzero(counts > 0)
    if inside.size > quick.MOST_ROWS:
        inside = inside[np.linspace(0, inside.size - 1, quick.MOST_ROWS).astype(np.int64)]
    rows = training[inside]
    return quick.fit(
        chosen_features(rows, features, columns),
        targets(rows, signature),
        columns,
        signature.kind,
        max(len(signature.classes), 2),
        weights=counts[inside],
    )


def _replace(tried: Tried, **changes: Any) -> Tried:
    import msgspec

    return msgspec.structs.replace(tried, **changes)
