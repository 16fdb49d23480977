"""Search and compare from Python: ``ms.search``, ``ms.compare``, and what they give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, overload

import msgspec

from mainspring.ground.display import Page, took, when
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Halt, Run, RunStatus
from mainspring.ground.settings import load

if TYPE_CHECKING:
    import polars as pl

    from mainspring.experiments.comparison import Comparison
    from mainspring.workspace.asking import Server
    from mainspring.workspace.opening import Workspace

_LATEST_S = 2.5e11  #: the year 9892: past what a data frame holds as a time
_AT_ONCE = 1000  #: runs of one question
_MOST_SHOWN = 8  #: params, and metrics, of a table in a notebook


class Runs(Sequence[Run]):
    """Found runs, in the order asked for: a list, and a table where one is wanted."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = list(runs)

    def __len__(self) -> int:
        return len(self._runs)

    @overload
    def __getitem__(self, place: int) -> Run: ...
    @overload
    def __getitem__(self, place: slice) -> Runs: ...
    def __getitem__(self, place: int | slice) -> Run | Runs:
        """Return one run, or some of them."""
        if isinstance(place, slice):
            return Runs(self._runs[place])
        return self._runs[place]

    def __repr__(self) -> str:
        return f"Runs({len(self)}: {', '.join(run.id for run in self._runs[:3])}{self._more})"

    def _repr_html_(self) -> str:
        return self._page().html()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text("Runs(...)" if cycle else self._page().text())

    def _page(self) -> Page:
        """Return a row a run; of params and metrics those that most runs have."""
        params = _frequent([run.params for run in self._runs])
        metrics = _frequent([run.metrics for run in self._runs])
        rows = [
            [
                run.name,
                run.id,
                run.standing,
                when(run.started),
                took(run.started, run.ended),
                *(run.params.get(key) for key in params),
                *(run.metrics.get(key) for key in metrics),
            ]
            for run in self._runs
        ]
        columns = ("name", "id", "status", "started (UTC)", "took", *params, *metrics)
        return Page(f"{len(self)} runs").table("", columns, rows)

    def __eq__(self, other: object) -> bool:
        return list(other) == self._runs if isinstance(other, Runs | list) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # a list is none either

    @property
    def _more(self) -> str:
        return ", ..." if len(self) > 3 else ""

    @property
    def ids(self) -> list[str]:
        """Return the ids of the runs."""
        return [run.id for run in self._runs]

    def to_polars(self) -> pl.DataFrame:
        """Return a row a run: attributes, then ``params.C``, ``metrics.auc``, ``tags.x``.

        Params and tags are text, as they are kept; what a run lacks is null; NaN stays NaN.
        """
        import polars as pl

        columns: dict[str, pl.Series] = {
            "id": pl.Series(self.ids, dtype=pl.String),
            "name": pl.Series([run.name for run in self._runs], dtype=pl.String),
            "experiment": pl.Series([run.experiment for run in self._runs], dtype=pl.String),
            "status": pl.Series([str(run.status) for run in self._runs], dtype=pl.String),
            "started": _times([run.started for run in self._runs]),
            "ended": _times([run.ended for run in self._runs]),
            "parent": pl.Series([run.parent for run in self._runs], dtype=pl.String),
        }
        for kind, dtype in (("params", pl.String), ("metrics", pl.Float64), ("tags", pl.String)):
            held: list[dict[str, Any]] = [getattr(run, kind) for run in self._runs]
            for key in sorted({key for one in held for key in one}):
                columns[f"{kind}.{key}"] = pl.Series([one.get(key) for one in held], dtype=dtype)
        return pl.DataFrame(columns)

    def to_pandas(self) -> Any:
        """Return the same as a pandas data frame; a metric that a run lacks is NaN there."""
        import pandas as pd

        frame = self.to_polars()
        return pd.DataFrame({name: frame[name].to_list() for name in frame.columns})


def _frequent(several: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys that most have, by name; how busy a machine was is not among them."""
    counted = Counter(key for one in several for key in one if not key.startswith("system/"))
    return sorted(key for key, _ in counted.most_common(_MOST_SHOWN))


def search(
    filter: str = "",  # noqa: A002  as it is called everywhere
    *,
    experiment: str | None = None,
    order: str | Sequence[str] = "",
    limit: int | None = 100,
    columns: str | Sequence[str] | None = None,
    deleted: bool = False,
) -> Runs:
    """Return the runs that meet a filter: ``ms.search("metrics.auc > 0.9")``.

    Args:
        filter: What must hold, such as ``"metrics.auc > 0.9 and params.C != '1'"``.
        experiment: Only of the experiment of this name.
        order: Names with a minus in front for falling, such as ``"-metrics.auc"``; the newest
            come first if none is given.
        limit: How many at most; None for all of them.
        columns: Load these params, metrics and tags alone, such as ``["params.C"]``.
        deleted: Deleted runs alone.

    The runs are those of the home, or of the server that MAINSPRING_URL names.

    Raises:
        BadInputError: naming what is wrong, and where in the filter.
    """
    if limit is not None and limit < 1:
        raise BadInputError(f"limit must be 1 or more, found {limit}.", field="limit")
    asked = {
        "filter": filter,
        "experiment": experiment,
        "order": _joined(order),
        "columns": None if columns is None else _joined(columns),
        "deleted": deleted,
    }
    found: list[Run] = []
    cursor: str | None = None
    with asked_place() as place:
        while True:
            rest = _AT_ONCE if limit is None else min(limit - len(found), _AT_ONCE)
            runs, cursor = _page(place, {**asked, "limit": rest, "cursor": cursor})
            found += runs
            if cursor is None or len(found) == limit:
                return Runs(found)


def compare(
    runs: Sequence[str | Run] | None = None,
    *,
    filter: str = "",  # noqa: A002
    experiment: str | None = None,
    order: str | Sequence[str] = "",
    limit: int = 100,
    columns: str | Sequence[str] | None = None,
    by: str | None = None,
    curves: Sequence[str] = (),
    points: int = 500,
) -> Comparison:
    """Return in what runs differ and how their metrics spread: ``ms.compare([first, second])``.

    Args:
        runs: Runs, or their ids, at most 300; None: those that meet the filter.
        filter: What must hold of them, as in ``ms.search``.
        experiment: Only of the experiment of this name.
        order: By what found runs are ordered.
        limit: How many found runs at most, up to 300.
        columns: Only these params, metrics and tags.
        by: What to group by, such as ``"params.C"``: mean, deviation and interval of each.
        curves: Metrics whose histories are wanted too; runs times these is at most 50.
        points: Of how many points each curve, at most; every peak stays.

    Raises:
        BadInputError: naming what is wrong, and where in the filter.
        NotFoundError: if a run is not there, or fewer than two are found.
    """
    if runs is not None and (filter or experiment):
        raise BadInputError("Name runs or give a filter, not both.", field="filter")
    if not 2 <= limit <= 300:
        raise BadInputError(f"limit must be 2 to 300, found {limit}.", field="limit")
    ids = None if runs is None else [run if isinstance(run, str) else run.id for run in runs]
    asked: dict[str, Any] = {
        "filter": filter,
        "experiment": experiment,
        "order": _joined(order),
        "limit": limit,
        "columns": None if columns is None else _joined(columns),
        "by": by,
        "curves": list(curves),
        "points": points,
    }
    with asked_place() as place:
        return _compared(place, ids, asked)


@contextmanager
def asked_place() -> Iterator[Workspace | Server]:
    """Give what answers: the server that the settings name, else the home."""
    settings = load({})
    place: Workspace | Server
    if settings.url:
        from mainspring.workspace.asking import Server

        place = Server(settings.url, settings.token)
    else:
        from mainspring.workspace.opening import open_workspace

        place = open_workspace(settings, create=False)
    try:
        yield place
    finally:
        place.close()


def _page(place: Workspace | Server, asked: dict[str, Any]) -> tuple[list[Run], str | None]:
    from mainspring.workspace.asking import Server

    if isinstance(place, Server):
        query = {k: v for k, v in asked.items() if v not in (None, "", False)}
        told = place.ask("GET", "/api/v1/runs", query={**query, **_flags(asked)})
        return [_run(one) for one in told["runs"]], told["cursor"]
    from mainspring.workspace.views.searching import run_page

    page = run_page(place, **asked)
    return page.runs, page.cursor


def _compared(
    place: Workspace | Server, ids: list[str] | None, asked: dict[str, Any]
) -> Comparison:
    from mainspring.experiments.comparison import Comparison
    from mainspring.workspace.asking import Server

    if isinstance(place, Server):
        body = {k: v for k, v in {"runs": ids, **asked}.items() if v not in (None, "")}
        told = place.ask("POST", "/api/v1/run-comparison", body=body)
        return msgspec.convert(told, Comparison)
    from mainspring.workspace.views.comparing import compare_runs

    return compare_runs(place, ids, **asked)


def _flags(asked: dict[str, Any]) -> dict[str, str]:
    return {"deleted": "true"} if asked["deleted"] else {}


def _run(told: dict[str, Any]) -> Run:
    metrics = {key: float(value) for key, value in told["metrics"].items()}
    halt = told.get("halt")  # servers of older releases do not say it
    kinds = {"status": RunStatus(told["status"]), "halt": halt and msgspec.convert(halt, Halt)}
    return Run(**{**told, **kinds, "metrics": metrics})


def _joined(names: str | Sequence[str]) -> str:
    return names if isinstance(names, str) else ",".join(names)


def _times(seconds: Sequence[float | None]) -> pl.Series:
    import polars as pl

    moments = [
        None if one is None or not 0 <= one < _LATEST_S else datetime.fromtimestamp(one, UTC)
        for one in seconds
    ]
    return pl.Series(moments, dtype=pl.Datetime("us", "UTC"))
