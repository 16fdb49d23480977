"""Say whether serving and training see the same rows in the same way, value by value.

The captured raw rows go through the version's model once more, and their features through the
path of training and that of serving. For the first window of a version, and some later ones, the
estimator itself scores them too, beside the fast form that served. Differences are counted and
the first are shown: which row, which feature, both values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from mainspring.ground.errors import BadInputError, MainspringError
from mainspring.ground.objects import Finding, Signature
from mainspring.monitoring.columns import scores_of
from mainspring.monitoring.sight import Floats, Sight
from mainspring.numerics.intervals import wilson

#: Of a probability, or of a regression's scale: what the forms of a model may differ by.
TOLERANCE = 1e-5
SAMPLE_ROWS = 2_000
#: Windows of a version between two in which its estimator is asked too.
ESTIMATOR_EVERY = 20
_SHOWN = 5


def skew_on_inputs(sight: Sight) -> list[Finding]:
    """Return how many rows were served otherwise than the version says, and where."""
    scores, taken = scores_of(sight.frame, sight.version)
    rows = sight.frame.filter(pl.Series(taken))
    if rows.height == 0:
        return [_not_judged("score", "Not judged: no row was scored by the version.")]
    if rows.height > SAMPLE_ROWS:
        places = np.sort(np.random.default_rng(0).choice(rows.height, SAMPLE_ROWS, replace=False))
        rows, scores = rows[places], scores[places]
    found: list[Finding] = []
    try:
        if sight.score is not None:
            found.append(_scores(sight, "score", rows, scores, sight.score(rows)))
        if sight.beside.paths is not None:
            paths = sight.beside.paths(rows, _asks_estimator(sight))
            found.append(_features(sight, rows, paths.served, paths.trained))
            if paths.scores is not None:
                found.append(_scores(sight, "estimator", rows, scores, paths.scores))
    except MainspringError as error:  # rows fed in by hand need not be what the model takes
        found.append(_not_judged("score", f"Not judged: the model refuses these rows: {error}"))
    return found or [_not_judged("score", "Not judged: the version's model is not at hand.")]


def differing(
    served: Floats, again: Floats, signature: Signature, tolerance: float = TOLERANCE
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return for rows of two scorings, shape (rows, k), whether they differ by more than forms do.

    A missing score equals a missing score. Of a regression the tolerance is times its scale.
    """
    if served.shape != again.shape:
        return np.ones(len(served), dtype=np.bool_)
    reach = tolerance * (signature.scale if signature.kind == "regression" else 1.0)
    with np.errstate(invalid="ignore"):
        apart = np.abs(served - again) > reach + tolerance * np.abs(again) * (
            signature.kind == "regression"
        )
    apart |= np.isnan(served) != np.isnan(again)
    return np.asarray(apart.any(axis=1), dtype=np.bool_)


def compare_values(
    left: pl.DataFrame, right: pl.DataFrame, columns: Iterable[str], tolerance: float = 1e-6
) -> dict[str, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Return for each column which rows of two frames differ.

    Numbers may differ by ``tolerance`` of the greater of them, other values must be equal;
    missing equals missing (NaN counts as missing), and nothing else.
    """
    found = {}
    for name in columns:
        one, two = left[name], right[name]
        if one.dtype.is_numeric() and two.dtype.is_numeric():
            a, b = (_numbers(values) for values in (one, two))
            with np.errstate(invalid="ignore"):
                apart = np.abs(a - b) > tolerance * np.maximum(np.abs(a), np.abs(b))
            apart |= np.isnan(a) != np.isnan(b)
        else:
            apart = ~_texts(one).eq_missing(_texts(two)).to_numpy()
        found[name] = np.asarray(apart, dtype=np.bool_)
    return found


def _texts(values: pl.Series) -> pl.Series:
    if values.dtype == pl.Boolean:
        return values.cast(pl.String)
    if values.dtype.is_float():
        return values.fill_nan(None).cast(pl.String)
    return values.cast(pl.String)


def _numbers(values: pl.Series) -> Floats:
    floats = values.cast(pl.Float64)
    return np.asarray(floats.fill_null(np.nan).to_numpy(), dtype=np.float64)


def _asks_estimator(sight: Sight) -> bool:
    for count, window in enumerate(sight.earlier):
        if window.version != sight.version or count >= ESTIMATOR_EVERY:
            break
        if any(one.monitor == "skew" and one.subject == "estimator" for one in window.found):
            return False
    return True


def _scores(
    sight: Sight, subject: str, rows: pl.DataFrame, served: Floats, again: Floats
) -> Finding:
    apart = differing(served, again, sight.signature)
    words = {"score": "the version's own model", "estimator": "the estimator that was trained"}
    where = [
        {"row": rows["_id"][int(at)], "served": _plain(served[at]), "again": _plain(again[at])}
        for at in np.flatnonzero(apart)[:_SHOWN]
    ]
    return _judged(sight, subject, apart, where, f"answers differ from what {words[subject]} says")


def _features(
    sight: Sight, rows: pl.DataFrame, served: pl.DataFrame, trained: pl.DataFrame
) -> Finding:
    shared = [name for name in trained.columns if name in served.columns]
    columns = compare_values(served, trained, shared)
    whole = np.zeros(rows.height, dtype=np.bool_)
    where: list[dict[str, Any]] = []
    for name, apart in columns.items():
        whole |= apart
        where += [
            {
                "row": rows["_id"][int(at)],
                "feature": name,
                "served": _value(served[name][int(at)]),
                "trained": _value(trained[name][int(at)]),
            }
            for at in np.flatnonzero(apart)[: max(_SHOWN - len(where), 0)]
        ]
    missing = sorted(set(trained.columns) ^ set(served.columns))
    if missing:
        whole[:] = True
        where.insert(0, {"feature": missing[0], "served": None, "trained": None})
    return _judged(sight, "features", whole, where, "rows have other features than in training")


def _judged(
    sight: Sight, subject: str, apart: Any, where: list[dict[str, Any]], words: str
) -> Finding:
    rows, count = len(apart), int(apart.sum())
    band = wilson(count, rows)
    rate = sight.policy.skew_rate
    told = f"{count:,} of {rows:,} {words}, beyond {TOLERANCE:g}"
    if where:
        first = ", ".join(f"{key} {value}" for key, value in where[0].items())
        told += f"; the first: {first}"
    # Of a sample: more differ for certain than are tolerated.
    alarming = count > 0 and band.low > rate
    return Finding(
        monitor="skew",
        subject=subject,
        value=band.estimate,
        low=band.low,
        high=band.high,
        baseline=0.0,
        line=rate,
        rows=rows,
        verdict="alarm" if alarming else "notice" if count else "quiet",
        why=f"{told}.",
        detail={"differ": count, "tolerance": TOLERANCE, "where": where},
    )


def _plain(scores: Floats) -> Any:
    values = [_value(float(one)) for one in scores]
    return values[0] if len(values) == 1 else values


def _value(value: Any) -> Any:
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)


def _not_judged(subject: str, why: str) -> Finding:
    return Finding(monitor="skew", subject=subject, value=None, verdict="not judged", why=why)


@dataclass(frozen=True, slots=True)
class Against:
    """What a comparison with source rows found."""

    findings: list[Finding]
    unmatched: int  # captured rows whose key the source does not have


def against_source(
    captured: pl.DataFrame, source: pl.DataFrame, key: str, columns: list[str]
) -> Against:
    """Return for each column how captured values differ from those of the source, joined by key.

    A column that the source lacks is said to be missing there.

    Raises:
        BadInputError: if several rows of the source have the same key: which one counts?
    """
    keyed = source.with_columns(_texts(source[key]).alias("_key")).filter(
        pl.col("_key").is_not_null()
    )
    twice = keyed.filter(pl.col("_key").is_duplicated())
    if twice.height:
        raise BadInputError(
            f"{twice.height:,} rows of the source share a key, such as {twice['_key'][0]!r}.",
            field="key",
        )
    rows = captured.with_columns(_texts(captured[key]).alias("_key"))
    both = rows.join(keyed, on="_key", how="inner", suffix="_of_source", maintain_order="left")
    found = []
    for name in columns:
        if name == key:
            continue
        other = f"{name}_of_source"
        if other not in both.columns:
            found.append(_not_judged(name, f"The source has no column {name!r}."))
        elif both.height == 0:
            found.append(_not_judged(name, "No captured row has its key in the source."))
        else:
            found.append(_of_column(both, name, other, key))
    return Against(found, rows.height - both.height)


def _of_column(both: pl.DataFrame, name: str, other: str, key: str) -> Finding:
    pair = pl.DataFrame({name: both[name]}), pl.DataFrame({name: both[other]})
    apart = compare_values(*pair, [name])[name]
    where = [
        {key: both["_key"][int(at)], "served": _value(both[name][int(at)]),
         "source": _value(both[other][int(at)])}
        for at in np.flatnonzero(apart)[:_SHOWN]
    ]  # fmt: skip
    count, band = int(apart.sum()), wilson(int(apart.sum()), both.height)
    told = f"{count:,} of {both.height:,} values differ from the source"
    if where:
        told += f"; the first: {', '.join(f'{k} {v}' for k, v in where[0].items())}"
    return Finding(
        monitor="skew",
        subject=name,
        value=band.estimate,
        low=band.low,
        high=band.high,
        baseline=0.0,
        rows=both.height,
        verdict="alarm" if count else "quiet",
        why=f"{told}.",
        detail={"differ": count, "where": where},
    )
