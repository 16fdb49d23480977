"""Compare versions on the rows that the newest one was measured on, and tell it as Markdown.

All are compared on the same rows, so differences are paired and their intervals small. What a
version was measured with counts, not what it answers today: it may have been fitted again on all
rows since. One that was measured on other rows is scored on these; it may have learnt from some.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Signature
from mainspring.numerics import intervals, scores
from mainspring.numerics.errors import NumericsError
from mainspring.readiness.telling import cell, table
from mainspring.scaling.models import package

if TYPE_CHECKING:
    from mainspring.ground.ports import Objects

Floats = npt.NDArray[np.float64]
BARS = 10  #: of a picture of scores
_HELD = ("_score", "_y")


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """Versions on the same rows: scores of each by what it is called, the newest first."""

    signature: Signature
    truth: Floats
    scores: dict[str, Floats]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of all versions, and how far the newest is from each of the others."""

    metric: str
    figures: dict[str, intervals.Interval]
    differences: dict[str, intervals.Interval]


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """The rows that a version was measured on, with what it answered then."""

    rows: pl.DataFrame
    truth: Floats
    scores: Floats
    apart: bool  #: it had not learnt from them


class Other(msgspec.Struct, frozen=True, kw_only=True):
    """A version to compare with."""

    served: Any
    held: Held | None = None  #: None: it kept none, or its rows stay at the server
    away: bool = False  #: it is of a server


def held(digest: str, objects: Objects) -> Held | None:
    """Return the rows that a version was measured on; None if it kept none."""
    found = package.reference(digest, objects)
    if found is None or not found.height:
        return None
    given = np.array(found["_score"].to_list(), dtype=np.float64)
    return Held(
        rows=found.drop(_HELD),
        truth=found["_y"].to_numpy(),
        scores=given.reshape(len(given), -1),
        apart=package.facts(digest, objects).measured_on == "holdout",
    )


def scored(
    newest: str, own: Held, signature: Signature, others: Mapping[str, Other]
) -> tuple[Scored, dict[str, str]]:
    """Return versions on the rows of the newest, and why some cannot be among them."""
    found, why = {newest: own.scores}, {}
    for name, other in others.items():
        theirs: Signature = other.served.signature
        if (theirs.kind, theirs.classes) != (signature.kind, signature.classes):
            why[name] = "it answers another question"
            continue
        if other.held is not None and _same(other.held, own):
            found[name] = other.held.scores
            continue
        lacking = [one.name for one in theirs.columns if one.name not in own.rows.columns]
        if lacking:
            why[name] = f"the rows lack {', '.join(lacking)}"
            continue
        try:
            found[name] = other.served.score(_of(own.rows, theirs))
        except BadInputError as error:
            why[name] = error.message
    return Scored(signature=signature, truth=own.truth, scores=found), why


def _same(one: Held, other: Held) -> bool:
    return one.rows.equals(other.rows) and np.array_equal(one.truth, other.truth)


def _of(rows: pl.DataFrame, signature: Signature) -> pl.DataFrame:
    return rows.select(column.name for column in signature.columns)


def lines_of(found: Scored) -> list[Line]:
    """Return every metric with its interval, and the paired difference to each other version."""
    kind, truth, scale = found.signature.kind, found.truth, found.signature.scale
    newest, *others = found.scores
    rows: dict[str, dict[str, Floats]] = {"loss": {}}
    for name, given in found.scores.items():
        rows["loss"][name] = scores.row_losses(kind, given, truth, scale)
        if kind == "regression":
            rows.setdefault("absolute error", {})[name] = np.abs(given[:, 0] - truth)
        else:
            places = given[:, 0] >= 0.5 if kind == "binary" else given.argmax(axis=1)
            rows.setdefault("accuracy", {})[name] = (places == truth).astype(np.float64)
    out = []
    for metric, each in rows.items():
        figures = {name: _mean(metric, values) for name, values in each.items()}
        apart = {name: intervals.paired_difference(each[newest], each[name]) for name in others}
        out.append(Line(metric=metric, figures=figures, differences=apart))
    if kind == "binary" and np.unique(truth).size == 2:
        flat = {name: given[:, 0] for name, given in found.scores.items()}
        figures = {name: intervals.delong(truth, given) for name, given in flat.items()}
        apart = {
            name: intervals.delong_difference(truth, flat[newest], flat[name]) for name in others
        }
        out.append(Line(metric="auc", figures=figures, differences=apart))
    return out


def _mean(metric: str, values: Floats) -> intervals.Interval:
    if metric == "accuracy":
        return intervals.wilson(int(values.sum()), values.size)
    return intervals.mean_interval(values)


def metrics(found: Scored) -> list[str]:
    """Return the metrics as Markdown: each with its interval, differences with theirs."""
    newest, *others = found.scores
    head = [
        "Metric",
        *map(cell, found.scores),
        *(f"{cell(newest)} less {cell(o)}" for o in others),
    ]
    try:
        told = lines_of(found)
    except NumericsError as error:
        return [f"No interval can be given: {cell(str(error))}", ""]
    rows = [
        [
            one.metric,
            *(_figure(one.figures[name]) for name in found.scores),
            *(_apart(one.differences[name]) for name in others),
        ]
        for one in told
    ]
    return [*table(head, rows), ""]


def _figure(one: intervals.Interval) -> str:
    return f"{one.estimate:.4g} ({one.low:.4g} to {one.high:.4g})"


def _apart(one: intervals.Interval) -> str:
    """Return a difference, and whether it is more than chance.

    A difference of nothing at all is that of the same scores.
    """
    if one.low == one.high == 0.0:
        return "none"
    sure = "certain" if one.low > 0 or one.high < 0 else "not certain"
    return f"{one.estimate:+.4g} ({one.low:+.4g} to {one.high:+.4g}), {sure}"


def picture(found: Scored) -> list[str]:
    """Return how scores are spread, as a chart that GitHub and GitLab draw; nothing for many."""
    if found.signature.kind == "multiclass":
        return []
    flat = {name: given[:, 0] for name, given in found.scores.items()}
    every = np.concatenate(list(flat.values()))
    low, high = (0.0, 1.0) if found.signature.kind == "binary" else _ends(every)
    edges = np.linspace(low, high, BARS + 1)
    middles = ", ".join(f'"{(a + b) / 2:.3g}"' for a, b in pairwise(edges.tolist()))
    lines = ["```mermaid", "xychart-beta", '  title "Rows by score, in percent"']
    lines += [f"  x-axis [{middles}]", '  y-axis "% of rows"']
    for place, values in enumerate(flat.values()):
        counts, _ = np.histogram(np.clip(values, low, high), edges)
        shares = ", ".join(f"{100 * one / values.size:.1f}" for one in counts)
        lines.append(f"  {'bar' if place == 0 else 'line'} [{shares}]")
    newest, *others = flat
    named = f"Bars: {cell(newest)}."
    named += f" Lines: {', '.join(map(cell, others))}." if others else ""
    return [*lines, "```", "", named, ""]


def _ends(values: Floats) -> tuple[float, float]:
    low, high = (float(one) for one in np.quantile(values, (0.01, 0.99)))
    return (low, high) if high > low else (low - 0.5, low + 0.5)
