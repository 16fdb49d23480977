"""What a comparison of runs says; light, so that entrances can name it without the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, overload

import msgspec

from mainspring.ground.display import Page, took, when

#: A number as JSON can hold it: "nan", "inf" and "-inf" are texts, None is missing.
Cell = float | str | None


@overload
def to_json(value: float) -> float | str: ...
@overload
def to_json(value: None) -> None: ...
@overload
def to_json(value: float | None) -> Cell: ...
def to_json(value: float | None) -> Cell:
    """Return a number as JSON can hold it: NaN and the infinities by their names.

    >>> to_json(0.5), to_json(float("-inf")), to_json(None)
    (0.5, '-inf', None)
    """
    return value if value is None or math.isfinite(value) else str(value)


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """One of the compared runs."""

    id: str
    name: str
    experiment: str
    status: str
    started: float
    ended: float | None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Something in which the runs differ, one value a run; None where a run lacks it."""

    key: str
    values: list[str | None]


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """How the finite values of a metric lie over some runs."""

    runs: int  #: how many have a finite value
    odd: int  #: how many have NaN or an infinity, which count in nothing here
    mean: Cell
    sd: Cell  #: of the runs, with n - 1; None for fewer than two
    low: Cell  #: interval of the mean (Student's, 95 %); None for fewer than two
    high: Cell
    lowest: Cell
    highest: Cell
    lowest_run: str | None
    highest_run: str | None


class MetricRow(msgspec.Struct, frozen=True, kw_only=True):
    """One metric: the last value of each run, and their spread."""

    key: str
    values: list[Cell]
    spread: Spread


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """The runs that have one value of what is grouped by."""

    value: str | None  #: None: they lack it
    runs: list[str]
    metrics: dict[str, Spread]


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one run, thinned: of each stretch its lowest and highest point stay."""

    run: str
    key: str
    steps: list[int]
    times: list[float]  #: UTC seconds
    values: list[float | str]  #: "nan", "inf" and "-inf" are texts: JSON has no number for them


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What some runs have in common and in what they differ; values are in the order of runs."""

    runs: list[Head]
    params: list[Row]  #: those that differ
    same_params: dict[str, str]
    metrics: list[MetricRow]
    tags: list[Row]  #: those that differ, but for those that tell of the code
    same_tags: dict[str, str]
    code: list[Row]  #: commit, uncommitted changes, command and the like that differ
    packages: list[Row] = []  #: versions of packages that differ
    data: list[Row] = []  #: digests of datasets that differ, by name
    by: str | None = None  #: what is grouped by, as a filter names it
    groups: list[Group] = []
    curves: list[Curve] = []  #: those that were asked for

    def _repr_html_(self) -> str:
        return page(self).html()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text("Comparison(...)" if cycle else page(self).text())


def page(found: Comparison) -> Page:
    """Return what is shown of a comparison: a column a run, a row each thing that differs."""
    names = ["", *(one.name for one in found.runs)]
    metrics = [
        [one.key, *one.values, one.spread.mean, one.spread.low, one.spread.high]
        for one in found.metrics
    ]
    about = [
        ["id", *(one.id for one in found.runs)],
        ["status", *(one.status for one in found.runs)],
        ["started (UTC)", *(when(one.started) for one in found.runs)],
        ["took", *(took(one.started, one.ended) for one in found.runs)],
    ]
    return (
        Page(f"{len(found.runs)} runs compared")
        .table("runs", names, about)
        .table("params that differ", names, _cells(found.params))
        .table("metrics", [*names, "mean", "low", "high"], metrics)
        .table("code that differs", names, _cells(found.code))
        .table("packages that differ", names, _cells(found.packages))
        .table("data that differs", names, _cells(found.data))
        .table("tags that differ", names, _cells(found.tags))
        .table("params all have alike", (), sorted(found.same_params.items()))
    )


def _cells(rows: Sequence[Row]) -> list[list[str | None]]:
    return [[one.key, *one.values] for one in rows]
