"""Change a candidate's rows and see what becomes of its answers.

Each nullable column missing, each number far out of its range, each text a value never seen, all
decimal numbers moved a little; and, told but not judged unless asked for, numbers as large as
JSON permits. JSON knows no infinity, and an endpoint refuses one, so none is tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.errors import MainspringError
from mainspring.ground.limits import RobustnessLimits
from mainspring.ground.objects import Column
from mainspring.readiness.measured import Probe, RobustnessMeasured
from mainspring.scaling.models.check import EXACT
from mainspring.scaling.models.features import DTYPES
from mainspring.scaling.models.load import Served
from mainspring.workspace.measuring.subject import Candidate, Floats

#: A number out of range lies so many times its range away from it.
_FAR = 10.0
_HUGE = 1e300
_UNSEEN = "never seen before"

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One changed copy of the rows."""

    kind: str
    column: str
    rows: pl.DataFrame


def measure(candidate: Candidate, limits: RobustnessLimits) -> RobustnessMeasured:
    """Return what the version did with every changed copy of some of its training rows."""
    served, rows = candidate.served, candidate.example.head(limits.rows)
    if not rows.height:
        return RobustnessMeasured(why="the package keeps no rows")
    asked = candidate.heaviest(limits.columns)
    known = {one.name: one for one in served.signature.columns}
    usual = served.score(rows)
    probes: list[Probe] = []
    changes = list(_changes(candidate.example, rows, [known[name] for name in asked], limits))
    # One call for many copies; rows with a gap apart, as they may be scored by another form.
    for kinds in (("noise", "out of range", "unseen"), ("missing",), ("extreme",)):
        several = [one for one in changes if one.kind in kinds]
        probes += _answered(served, several, usual, limits.epsilon)
    left = [one.name for one in served.signature.columns if one.name not in asked]
    return RobustnessMeasured(rows=rows.height, probes=probes, untried=left)


def _changes(
    example: pl.DataFrame, rows: pl.DataFrame, columns: Sequence[Column], limits: RobustnessLimits
) -> Iterator[Change]:
    noisy = _noisy(example, rows, columns, limits.noise)
    if noisy is not None:
        yield Change(kind="noise", column="", rows=noisy)
    for column in columns:
        name = column.name
        if column.nullable:
            gap = pl.lit(None, dtype=DTYPES[column.type]).alias(name)
            yield Change(kind="missing", column=name, rows=rows.with_columns(gap))
        if column.type == "str":
            yield _set(rows, column, "unseen", [_UNSEEN])
        elif column.type in ("float", "int"):
            yield _set(rows, column, "out of range", _far(example[name], column))
            top = _HUGE if column.type == "float" else float(EXACT)
            yield _set(rows, column, "extreme", [-top, top])


def _set(rows: pl.DataFrame, column: Column, kind: str, values: Sequence[float | str]) -> Change:
    """Return the rows with one column's values replaced by a few, in turn."""
    made: Sequence[float | str] = [values[at % len(values)] for at in range(rows.height)]
    if column.type == "int":
        made = [int(value) for value in made]
    new = pl.Series(column.name, made, dtype=DTYPES[column.type])
    return Change(kind=kind, column=column.name, rows=rows.with_columns(new))


def _far(values: pl.Series, column: Column) -> list[float]:
    there = values.drop_nulls().cast(pl.Float64)
    low = float(there.min()) if there.len() else 0.0  # type: ignore[arg-type]
    high = float(there.max()) if there.len() else 0.0  # type: ignore[arg-type]
    span = max(high - low, 1.0)
    most = float(EXACT) if column.type == "int" else 1e30
    return [max(low - _FAR * span, -most), min(high + _FAR * span, most)]


def _noisy(
    example: pl.DataFrame, rows: pl.DataFrame, columns: Sequence[Column], noise: float
) -> pl.DataFrame | None:
    """Return the rows with every decimal number moved a little; None if there is none to move."""
    rng = np.random.default_rng(0)
    moved = []
    for column in columns:
        if column.type != "float":
            continue  # a whole number may be a code, whose neighbours are something else
        spread = example[column.name].drop_nulls().std()
        if isinstance(spread, float) and spread > 0:
            step = pl.Series(rng.normal(0, noise * spread, rows.height))
            moved.append((rows[column.name] + step).alias(column.name))
    return rows.with_columns(moved) if moved else None


def _answered(
    served: Served, changes: Sequence[Change], usual: Floats, epsilon: float
) -> list[Probe]:
    sent = [one for one in changes if not _refused(served, one)]
    out = [
        _told(served, one, usual, epsilon, None, "refused") for one in changes if one not in sent
    ]
    if not sent:
        return out
    try:
        scores = served.score(pl.concat([one.rows for one in sent]))
    # Whatever an estimator raises is the finding; whose fault it is, is asked one by one.
    except Exception:  # noqa: BLE001
        return out + [_alone(served, one, usual, epsilon) for one in sent]
    size = usual.shape[0]
    return out + [
        _told(served, one, usual, epsilon, scores[at * size : (at + 1) * size])
        for at, one in enumerate(sent)
    ]


def _alone(served: Served, change: Change, usual: Floats, epsilon: float) -> Probe:
    try:
        scores = served.score(change.rows)
    # The same: the version raised, and that is what is told.
    except Exception as error:  # noqa: BLE001
        first = str(error).partition("\n")[0][:200]
        name = type(error).__name__
        told = first if isinstance(error, MainspringError) else f"{name}: {first}"
        return Probe(
            kind=change.kind, column=change.column, rows=change.rows.height, error=told or name
        )
    return _told(served, change, usual, epsilon, scores)


def _told(
    served: Served,
    change: Change,
    usual: Floats,
    epsilon: float,
    scores: Floats | None,
    refused: str = "",
) -> Probe:
    rows = change.rows.height
    if scores is None:
        return Probe(kind=change.kind, column=change.column, rows=rows, refused=bool(refused))
    sound: Bools = np.asarray(np.isfinite(scores).all(axis=1), dtype=np.bool_)
    signature = served.signature
    line = epsilon * (signature.scale if signature.kind == "regression" else 1.0)
    with np.errstate(invalid="ignore", over="ignore"):
        farthest: Floats = np.abs(scores - usual).max(axis=1)
    moved = sound & (farthest > line)
    if signature.kind == "regression":
        flipped = moved
    elif signature.kind == "binary":
        flipped = sound & ((scores[:, 0] >= 0.5) != (usual[:, 0] >= 0.5))
    else:
        whole = np.where(sound[:, None], scores, usual)
        flipped = whole.argmax(axis=1) != usual.argmax(axis=1)
    return Probe(
        kind=change.kind,
        column=change.column,
        rows=rows,
        flipped=int(flipped.sum()),
        moved=int(moved.sum()),
        not_finite=int((~sound).sum()),
    )


def _refused(served: Served, change: Change) -> bool:
    """Return whether the version's own contract keeps such rows from it."""
    if not served.asks or not served.asks.refuses or not change.column:
        return False
    values = {change.column: change.rows[change.column].to_list()}
    return any(one.strict for one in served.asks.broken(values))
