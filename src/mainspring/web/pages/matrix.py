"""Runs by what differs of them: one column a param or metric, one value a run, in one order."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from mainspring.experiments.comparison import Comparison, MetricRow, Row
from mainspring.ground.objects import Run
from mainspring.web.pages import bests, strips, words
from mainspring.workspace.views.beside import Beside

_NOTHING = Comparison(
    runs=[], params=[], same_params={}, metrics=[], tags=[], same_tags={}, code=[]
)


def title_of(axis: str) -> str:
    """Return the key of a param or metric from the name of its axis.

    >>> title_of("params.max.depth")
    'max.depth'
    """
    return axis.partition(".")[2]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A column in texts, one a run."""

    key: str
    texts: list[str]
    metric: bool = False
    best: str | None = None  #: the run that has the best value


class Matrix:
    """The comparison of some runs, as pictures and tables read it."""

    def __init__(self, found: Beside) -> None:
        told = found.comparison or _NOTHING
        self.runs: list[Run] = list(found.runs)
        self.same = told.same_params
        self.declared = {
            goal.metric: goal.highest
            for one in found.experiments.values()
            if (goal := bests.declared(one.tags)) is not None
        }
        self._told = told
        self._order = list(range(len(self.runs)))
        self._rows = {row.key: row for row in _commonest(told.params)}
        self.metrics: dict[str, MetricRow] = {row.key: row for row in _commonest(told.metrics)}

    def rank(self, metric: str) -> None:
        """Put the runs in order, the best first; those without a value come last."""
        values = self._numbers(metric)
        sign = 1.0 if self.highest(metric) is False else -1.0

        def place(n: int) -> float:
            value = values[n]
            return math.inf if value is None or math.isnan(value) else sign * value

        self._order = sorted(self._order, key=place)
        found = dict(enumerate(self.runs))
        self.runs = [found[n] for n in self._order]

    def axes(self) -> list[str]:
        """Return what can be drawn: the params that differ, then the metrics."""
        return [f"params.{key}" for key in self._rows] + [f"metrics.{key}" for key in self.metrics]

    def column(self, axis: str) -> list[str | float | None]:
        """Return the values of a param or metric, one a run; NaN is a value."""
        kind, _, key = axis.partition(".")
        if kind == "metrics":
            numbers = self._numbers(key)
            return [numbers[n] for n in self._order]
        return [self._rows[key].values[n] for n in self._order]

    def highest(self, metric: str) -> bool | None:
        """Return whether more of a metric is better; None where nobody can say."""
        return self.declared.get(metric, bests.highest_is_best(metric))

    def moves(self, metric: str) -> bool:
        """Return whether a metric is not the same in all runs."""
        spread = self.metrics[metric].spread
        return spread.lowest != spread.highest

    # ------------------------------------------------------------ tables

    def sections(self) -> list[tuple[str, list[tuple[str, list[str | None]]]]]:
        """Return what differs, by kind, as texts in the order of the runs."""
        named: list[tuple[str, Any]] = [
            ("Params that differ", list(self._rows.values())),
            ("Tags that differ", self._told.tags),
            ("Code that differs", self._told.code),
            ("Data that differs", self._told.data),
            ("Packages that differ", self._told.packages),
        ]
        return [
            (title, [(row.key, [row.values[n] for n in self._order]) for row in rows])
            for title, rows in named
            if rows
        ]

    def table(self) -> list[Told]:
        """Return the columns of a table with a row a run: what differs, then the metrics."""
        found = [
            Told(key=key, texts=["" if value is None else value for value in values])
            for _, rows in self.sections()[:2]
            for key, values in rows
        ]
        return found + [
            Told(key=key, texts=self.told(key), metric=True, best=self.best(key))
            for key in self.metrics
        ]

    def best(self, metric: str) -> str | None:
        """Return the run with the best value of a metric, if it is known which end is good."""
        spread, highest = self.metrics[metric].spread, self.highest(metric)
        if highest is None or not self.moves(metric):
            return None
        return spread.highest_run if highest else spread.lowest_run

    def told(self, metric: str) -> list[str]:
        """Return the values of a metric as texts, with as many decimals each."""
        return words.aligned([_float(value) for value in self.column(f"metrics.{metric}")])

    def strip(self, metric: str) -> Any:
        """Return a picture of how the values of a metric lie."""
        known = [v for v in self._numbers(metric) if v is not None and math.isfinite(v)]
        return strips.strip(known, best_high=self.highest(metric))

    def _numbers(self, key: str) -> list[float | None]:
        return [_float(value) for value in self.metrics[key].values]


def _float(value: Any) -> float | None:
    return None if value is None else float(value)  # "nan" and "inf" are names of floats


def _commonest(rows: list[Any]) -> list[Any]:
    """Return rows with those first that most runs have a value for."""

    def lacking(row: Row | MetricRow) -> tuple[int, str]:
        return sum(value is None for value in row.values), row.key

    return sorted(rows, key=lacking)
