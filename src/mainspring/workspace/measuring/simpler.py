"""Train simpler models on a candidate's own rows and compare them on the fresh ones.

They learn from what the candidate learnt from, as it is kept, and see the same features: numbers,
and the most frequent values of texts as columns of 0 and 1.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from mainspring.ground.errors import MainspringError
from mainspring.numerics import simple
from mainspring.numerics.errors import NumericsError
from mainspring.numerics.intervals import by_block_or_row
from mainspring.numerics.scores import row_losses
from mainspring.readiness.measured import BaselineFigures, BaselinesMeasured
from mainspring.scaling.models import target as targets
from mainspring.workspace.measuring.subject import Candidate, Floats, Fresh

#: Rows that simpler models learn from, taken evenly from all.
MOST_ROWS = 10_000
#: Fresh rows below which nothing can be shown, and training rows that are worth learning from.
LEAST_ROWS, LEAST_LEARNT = 30, 100
#: Values of a text column that become columns of their own.
_LEVELS = 20
_MOST_COLUMNS = 100
#: One-sided at 95 %, as the champion is compared.
_TWO_SIDED = 0.90
_PARQUET = b"PAR1"


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """The rows a candidate learnt from: its features, and the target as numbers."""

    features: pl.DataFrame
    target: Floats


def measure(candidate: Candidate, fresh: Fresh | None, data: Sequence[str]) -> BaselinesMeasured:
    """Return what simpler models lose on the fresh rows, each beside the candidate."""
    if fresh is None or fresh.rows.height < LEAST_ROWS:
        rows = 0 if fresh is None else fresh.rows.height
        why = f"{rows} labelled fresh rows, {LEAST_ROWS} are needed"
        return BaselinesMeasured(rows=rows, why=why)
    learnt, why = _learnt(candidate, data)
    found = [_constant(candidate, fresh, learnt)]
    found += _fitted(candidate, fresh, learnt, why)
    if fresh.theirs is not None:
        found.append(_beside("champion", fresh, fresh.theirs, None, "the version that serves"))
    return BaselinesMeasured(
        rows=fresh.rows.height, candidate_loss=float(fresh.losses.mean()), models=found
    )


def _learnt(candidate: Candidate, data: Sequence[str]) -> tuple[Learnt | None, str]:
    """Return the candidate's training rows, or why there are none to learn from."""
    signature = candidate.served.signature
    for digest in data:
        if not candidate.objects.has(digest):
            continue
        found = candidate.objects.get(digest)
        if found[:4] != _PARQUET:
            continue
        rows = pl.read_parquet(io.BytesIO(found))
        if signature.target not in rows.columns:
            continue
        rows = rows.drop_nulls(signature.target)
        rows = rows.gather_every(-(-rows.height // MOST_ROWS)) if rows.height else rows
        if rows.height < LEAST_LEARNT:
            return None, f"{rows.height} training rows, {LEAST_LEARNT} are needed"
        try:
            values = targets.check_target_values(rows, signature.target)
            truth = targets.target_numbers(values, signature)
            return Learnt(features=candidate.served.features(rows), target=truth), ""
        except MainspringError as error:
            return None, f"its training rows cannot be read again: {error}"
    return None, "its training rows are not kept"


def _constant(candidate: Candidate, fresh: Fresh, learnt: Learnt | None) -> BaselineFigures:
    signature, reference = candidate.served.signature, candidate.reference
    truth, where = fresh.target, "the fresh rows themselves, which favours the constant"
    if learnt is not None:
        truth, where = learnt.target, "its training rows"
    elif reference is not None and reference.height:
        truth, where = reference["_y"].to_numpy(), "the rows it was measured on"
    model = simple.constant(signature.kind, truth, max(len(signature.classes), 2))
    losses = row_losses(
        signature.kind, model.score(fresh.target.size), fresh.target, signature.scale
    )
    return _beside("constant", fresh, losses, int(truth.size), where)


def _fitted(
    candidate: Candidate, fresh: Fresh, learnt: Learnt | None, why: str
) -> Iterator[BaselineFigures]:
    if learnt is None:
        yield from (BaselineFigures(name=name, why=why) for name in ("linear", "tree"))
        return
    signature = candidate.served.signature
    encode = encoder(learnt.features)
    train, test = encode(learnt.features), encode(candidate.served.features(fresh.rows))
    classes = max(len(signature.classes), 2)
    for name, fit in (("linear", simple.linear), ("tree", simple.tree)):
        try:
            scores = fit(signature.kind, train, learnt.target, classes).score(test)
            scores = scores if signature.kind == "regression" else np.clip(scores, 0, 1)
            losses = row_losses(signature.kind, scores, fresh.target, signature.scale)
        except (NumericsError, np.linalg.LinAlgError) as error:
            yield BaselineFigures(name=name, why=str(error))
            continue
        yield _beside(name, fresh, losses, int(learnt.target.size), "its training rows")


def _beside(
    name: str, fresh: Fresh, losses: Floats, learnt: int | None, where: str
) -> BaselineFigures:
    band, _ = by_block_or_row(fresh.losses - losses, fresh.blocks, _TWO_SIDED)
    return BaselineFigures(
        name=name,
        loss=float(losses.mean()),
        difference=band.estimate,
        low=band.low,
        high=band.high,
        learnt=learnt,
        where=where,
    )


def encoder(learnt: pl.DataFrame) -> Callable[[pl.DataFrame], Floats]:
    """Return what makes numbers of features, by what the training rows hold.

    A missing number becomes the mean and, where any was missing at training, a 1 in a column of
    its own. A text becomes a column of 0 and 1 for each of its most frequent values.
    """
    numbers: list[tuple[str, float, float, bool]] = []
    texts: list[tuple[str, list[str]]] = []
    width = 0
    for column in learnt.get_columns():
        if width >= _MOST_COLUMNS:
            break
        if column.dtype.is_numeric() or column.dtype == pl.Boolean:
            values = _finite(column)
            there = values[np.isfinite(values)]
            middle = float(there.mean()) if there.size else 0.0
            reach = float(np.abs(there - middle).max()) if there.size else 0.0
            numbers.append((column.name, middle, reach, there.size < values.size))
            width += 2
        else:
            counted = column.cast(pl.String).drop_nulls().alias("value").value_counts(name="rows")
            most = counted.sort(["rows", "value"], descending=[True, False])["value"]
            texts.append((column.name, most.head(_LEVELS).to_list()))
            width += len(texts[-1][1])

    def encode(rows: pl.DataFrame) -> Floats:
        parts: list[Floats] = []
        for name, middle, reach, gaps in numbers:
            values = _finite(rows[name])
            there = np.isfinite(values)
            # What training never came near would be carried without end by a straight line.
            near = np.clip(np.where(there, values, middle), middle - reach, middle + reach)
            parts.append(near)
            if gaps:
                parts.append((~there).astype(np.float64))
        for name, levels in texts:
            told = rows[name].cast(pl.String)
            parts += [
                (told == level).fill_null(value=False).to_numpy().astype(np.float64)
                for level in levels
            ]
        return np.column_stack(parts) if parts else np.zeros((rows.height, 1))

    return encode


def _finite(column: pl.Series) -> Floats:
    values = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    return np.asarray(np.where(np.isfinite(values), values, np.nan), dtype=np.float64)
