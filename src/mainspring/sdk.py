"""The verbs and words a user types: ``import mainspring as ms``.

A project file is plain Python: functions marked ``@ms.step``, one ``@ms.pipeline`` that wires
them, and one ``ms.Loop`` that says what to do with the result.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from mainspring.ground import objects
from mainspring.ground.bounds import at_least, share, within
from mainspring.ground.contracts import Contract, Expect
from mainspring.ground.durations import seconds
from mainspring.ground.errors import BadInputError, ProjectError
from mainspring.ground.identity import check_name
from mainspring.ground.monitors import AlarmKind
from mainspring.ground.objects import (
    Assumption,
    Card,
    Finding,
    Forecast,
    Kind,
    LoopSpec,
    MonitorPolicy,
    Ranking,
    RetrainingPolicy,
    RolloutPolicy,
)
from mainspring.ground.seasons import check_season
from mainspring.monitoring.declaring import Facet
from mainspring.pipelines.dynamics import Dynamic, dynamic
from mainspring.pipelines.graph import target_of
from mainspring.pipelines.monitors import custom_of, monitor, with_code
from mainspring.pipelines.shaping import (
    catch,
    choose,
    iterate,
    map,  # noqa: A004
    parallel,
    run_pipeline,
    when,
)
from mainspring.pipelines.waits import (
    wait,
    wait_for_approval,
    wait_for_callback,
    wait_for_event,
    wait_until,
)
from mainspring.readiness.declaring import Gate
from mainspring.retraining.declaring import Freeze, Retraining, Rollout
from mainspring.scaling.models.directories import OnnxModel, Predictor
from mainspring.scaling.models.model import FittedModel, Model
from mainspring.scaling.models.stages import Graph
from mainspring.workspace.adding import register
from mainspring.workspace.found import Runs, compare, search
from mainspring.workspace.tracking.verbs import current_run, log, run
from mainspring.workspace.words import Pipeline, Ref, Step, pipeline, step

if TYPE_CHECKING:
    import polars as pl

    from mainspring.workspace.opening import Workspace

__all__ = [
    "Assumption",
    "Card",
    "Contract",
    "Dynamic",
    "Expect",
    "Facet",
    "Finding",
    "FittedModel",
    "Freeze",
    "Gate",
    "Graph",
    "Loop",
    "Model",
    "Monitor",
    "OnnxModel",
    "Pipeline",
    "Predictor",
    "Ref",
    "Retraining",
    "Rollout",
    "Runs",
    "Step",
    "catch",
    "choose",
    "compare",
    "current_run",
    "dynamic",
    "iterate",
    "log",
    "map",
    "monitor",
    "open",
    "parallel",
    "pipeline",
    "register",
    "rows",
    "run",
    "run_pipeline",
    "search",
    "step",
    "wait",
    "wait_for_approval",
    "wait_for_callback",
    "wait_for_event",
    "wait_until",
    "when",
]


def Monitor(  # noqa: N802
    window: str | float = "7d",
    *,
    window_rows: int | None = None,
    season: str | float | None = None,
    season_phases: int = 0,
    grace: str | float = 0,
    label_delay: str | float = "3d",
    alpha: float = 0.001,
    material: float = 0.05,
    material_score: float = 0.03,
    material_joint: float = 0.1,
    relevant: float = 0.01,
    loss_tolerance: float = 0.01,
    min_rows: int = 200,
    raise_after: dict[str, tuple[int, int]] | None = None,
    sources: dict[str, list[str]] | None = None,
    slices: Sequence[str] = (),
    search_slices: bool = True,
    run_length: float = 20_000,
    reopened: int = 12,
    query: str | None = None,
    top: int = 10,
    forecast: dict[str, Any] | None = None,
    bias: Sequence[objects.Facet] = (),
    attribution_line: float = 0.9,
    max_error_rate: float | None = None,
    max_p99_ms: float | None = None,
    skew_rate: float = 0.001,
    max_age: str | float | None = None,
    custom: Sequence[Callable[..., Any]] = (),
) -> MonitorPolicy:
    """Say how traffic is cut into windows and what is alarming.

    ``window`` is a stretch of event time, or ``"batch"``: then each batch that is fed is a
    window. ``window_rows`` cuts by so many rows in the order of event time instead. Rows may
    come ``grace`` late; what comes later is counted, and in no window.

    Where mornings are not evenings, ``season`` says after how long things come again: ``"day"``,
    ``"week"``, ``"year"`` or a duration. Windows shorter than it are compared with those of the
    same phase before them; there are as many phases as windows, or ``season_phases``. A season
    is a whole number of windows, at most 58, or a window a whole number of seasons.

    ``alpha`` is the chance of a false alarm in one window, however many columns there are. An
    alarm also needs a distance above ``material`` in a column worth ``relevant`` to the model
    (``material_score`` in its score; a rank correlation that changed by ``material_joint``).
    ``raise_after`` lets a monitor raise only if N of the newest M windows say so, such as
    ``{"drift": (2, 3)}``; ``sources`` names columns that come from one place, such as
    ``{"weather": ["temp", "wind"]}``: their alarms are told together.

    ``label_delay`` is how long after its end a window waits for its labels: a duration, or
    ``"learned"`` for the age by which 95 % of this endpoint's labels came (3 days, until enough
    have come). Labels that come later still change the ``reopened`` newest judged windows.
    ``slices`` are columns, or conditions in SQL such as ``"distance > 1000"``, whose loss is
    watched apart; ``search_slices`` looks for bad ones that nobody declared. ``run_length`` is
    the least mean number of labels between false alarms of the watch on concept drift.

    Where rows are answers to a query, ``query`` is the column that says which, and ``top`` how
    many are shown. Where they are forecasts, ``forecast`` names captured columns: ``horizon``,
    ``lower`` and ``upper`` (which should hold the truth with the chance ``coverage``), and
    ``naive``, the forecast to beat.

    ``bias`` are the facets that are watched (:func:`Facet`). Below ``attribution_line`` the
    ranking of what the model listens to has moved. ``max_error_rate`` (0 to 1) and
    ``max_p99_ms`` are of the requests of each version; volume is judged against what is usual at
    this time of the ``season``, or of the week if none is declared. More than ``skew_rate`` of
    the rows served otherwise than the model says, or a champion whose newest training row is
    older than ``max_age``, are alarming. ``custom`` are functions marked :func:`monitor`.

    >>> Monitor(label_delay="learned", slices=["carrier"]).label_share
    0.95
    """
    length, by_batch = _window(window, window_rows)
    by_time = not (by_batch or window_rows)
    return MonitorPolicy(
        window_s=length,
        window_rows=window_rows,
        season_s=check_season(season, season_phases, length, cut_by_time=by_time),
        season_phases=season_phases,
        by_batch=by_batch,
        grace_s=seconds(grace, "grace"),
        **_label_delay(label_delay),
        **_limits(alpha, attribution_line, max_error_rate, max_p99_ms, skew_rate),
        material=material,
        material_score=material_score,
        material_joint=material_joint,
        relevant=relevant,
        loss_tolerance=loss_tolerance,
        min_rows=min_rows,
        raise_after=_raise_after(raise_after or {}),
        sources={name: list(columns) for name, columns in (sources or {}).items()},
        slices=_slices(slices),
        search_slices=search_slices,
        run_length=at_least("run_length", run_length, 100),
        reopened=int(at_least("reopened", reopened, 0)),
        **_shaped(query, top, forecast),
        bias=list(bias),
        max_age_s=None if max_age is None else seconds(max_age, "max_age"),
        custom=[custom_of(function) for function in custom],
    )


class Loop:
    """A closed loop: the model, the pipeline that makes it, and the policy that renews it.

    With ``fed`` its champion answers elsewhere: no process of ours serves it, and its
    predictions and labels are fed (``mainspring monitor feed``). A challenger scores the fed
    rows beside it.
    """

    def __init__(
        self,
        name: str,
        *,
        pipeline: Pipeline[..., Any] | Callable[..., Any],
        target: str,
        kind: Kind,
        model: str | None = None,
        endpoint: str | None = None,
        time: str | None = None,
        positive: str | None = None,
        gate: objects.Gate | None = None,
        rollout: RolloutPolicy | None = None,
        monitor: MonitorPolicy | None = None,
        retraining: RetrainingPolicy | None = None,
        card: Card | None = None,
        params: dict[str, Any] | None = None,
        fed: bool = False,
    ) -> None:
        if not isinstance(pipeline, Pipeline):
            raise ProjectError(
                f"Loop {name!r} needs a function marked @ms.pipeline, found {pipeline!r}.",
                field="pipeline",
            )
        self.name = check_name(name, "Loop name")
        self.pipeline = pipeline
        self._spec = LoopSpec(
            name=name,
            model=check_name(model or name, "model"),
            pipeline=target_of(pipeline.function),
            endpoint=check_name(endpoint or name, "endpoint"),
            target=target,
            kind=kind,
            time=time,
            positive=positive,
            gate=gate or objects.Gate(),
            rollout=rollout or RolloutPolicy(),
            monitor=monitor or MonitorPolicy(),
            retraining=retraining or RetrainingPolicy(),
            params=params or {},
            card=card,
            fed=fed,
        )

    @classmethod
    def around(
        cls,
        script: str,
        *,
        model: str,
        target: str,
        rows: str,
        name: str | None = None,
        kind: Kind | None = None,
        time: str | None = None,
        writes: str | None = None,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        python: str | None = None,
        retraining: RetrainingPolicy | None = None,
        card: Card | None = None,
        **policies: Any,
    ) -> Loop:
        """Close a loop around a training script that stays as it is.

        ``rows`` is the CSV, JSON lines or Parquet file that the script reads. For a retraining it
        runs in a copy of the project in which that file holds the assembled rows: those of the
        file as known then, and captured ones with their labels. A script that is told where its
        rows are is told by ``args`` or ``env``, with ``{rows}`` in place of the path;
        ``MAINSPRING_ROWS`` always says it. What it registers or logs with MLflow's client becomes
        the next version, or the model file that it ``writes`` (skops, or joblib once a person
        trusts the script). A model that is registered already becomes the first version as it is.
        ``python`` is the interpreter, such as that of an environment with MLflow in it.

        The remaining words are those of :class:`Loop`: ``gate``, ``rollout``, ``monitor``, ...

        Raises:
            BadInputError: naming what cannot be.
        """
        from mainspring.workspace.around import declaring

        frame = sys._getframe(1).f_globals  # noqa: SLF001  where the pipeline has to be found
        told = declaring.described(
            Path(frame.get("__file__") or "x").resolve().parent,
            script,
            model=model,
            target=target,
            rows=rows,
            kind=kind,
            time=time,
            writes=writes,
            args=args,
            env=env,
            python=python,
        )
        return cls(
            name or model,
            pipeline=declaring.wired(told, frame),
            target=target,
            kind=told.kind,
            model=model,
            time=time,
            retraining=declaring.learning_from(retraining, told),
            card=card or declaring.card_of(told),
            **policies,
        )

    def spec(self, root: str = "", code: str = "") -> LoopSpec:
        """Return the loop as it is stored."""
        import msgspec

        return msgspec.structs.replace(with_code(self._spec), root=root, code=code)


def rows(digest: str) -> pl.DataFrame:
    """Return the rows that the loop assembled, inside a step, by the digest it was given."""
    import io

    import polars as pl

    from mainspring.pipelines.context import objects

    return pl.read_parquet(io.BytesIO(objects().get(digest)))


def open(home: str | Path | None = None) -> Workspace:  # noqa: A001  ms.open reads best
    """Open the workspace of a home (default: MAINSPRING_HOME, else .mainspring)."""
    from mainspring.ground.settings import load
    from mainspring.workspace.opening import open_workspace

    return open_workspace(load({"home": None if home is None else os.fspath(home)}))


def _window(window: str | float, rows: int | None) -> tuple[float, bool]:
    """Return how long windows are, and whether each batch is one."""
    by_batch = window == "batch"
    length = MonitorPolicy().window_s if by_batch else seconds(window, "window")
    if length <= 0:
        raise BadInputError("window must be longer than 0 s.", field="window")
    if rows is not None and rows < 1:
        raise BadInputError(f"window_rows must be 1 or more, found {rows}.", field="window_rows")
    return length, by_batch


def _slices(given: Sequence[str]) -> list[str]:
    found: list[Any] = [given] if isinstance(given, str) else list(given)
    if isinstance(given, str) or not all(isinstance(one, str) and one.strip() for one in found):
        raise BadInputError(
            f"slices are columns or conditions, such as ['carrier'], found {given!r}.",
            field="slices",
        )
    return found


def _forecast(given: dict[str, Any]) -> Forecast:
    import msgspec

    unknown = sorted(set(given) - set(Forecast.__struct_fields__))
    if unknown:
        raise BadInputError(
            f"forecast has no {unknown[0]!r}.",
            field="forecast",
            hint=f"It has {', '.join(Forecast.__struct_fields__)}.",
        )
    try:
        found = msgspec.convert(given, Forecast)
    except msgspec.ValidationError as error:
        raise BadInputError(f"forecast cannot be read: {error}.", field="forecast") from error
    within("coverage", found.coverage, 0, 1)
    if (found.lower is None) != (found.upper is None):
        raise BadInputError(
            "A range has two ends: give both lower and upper, or neither.", field="forecast"
        )
    return found


def _raise_after(given: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for kind, pair in given.items():
        if kind not in get_args(AlarmKind):
            raise BadInputError(
                f"raise_after names monitors, found {kind!r}.",
                field="raise_after",
                hint=f"Monitors: {', '.join(get_args(AlarmKind))}.",
            )
        at_least, of = pair
        if not 1 <= at_least <= of <= 60:
            raise BadInputError(
                f"raise_after of {kind} is N of M windows, 1 to M and at most 60, found"
                f" {at_least} of {of}.",
                field="raise_after",
            )
        found[kind] = (at_least, of)
    return found


def _limits(
    alpha: float,
    attribution_line: float,
    max_error_rate: float | None,
    max_p99_ms: float | None,
    skew_rate: float,
) -> dict[str, Any]:
    """Return what must lie within bounds, once it was seen to."""
    within("alpha", alpha, 0, 1)
    within("attribution_line", attribution_line, 0, 1)
    if max_error_rate is not None:
        share("max_error_rate", max_error_rate)
    if max_p99_ms is not None and not max_p99_ms > 0:
        raise BadInputError(f"max_p99_ms must be above 0, found {max_p99_ms}.", field="max_p99_ms")
    share("skew_rate", skew_rate)
    return {
        "alpha": alpha,
        "attribution_line": attribution_line,
        "max_error_rate": max_error_rate,
        "max_p99_ms": max_p99_ms,
        "skew_rate": skew_rate,
    }


def _label_delay(given: str | float) -> dict[str, Any]:
    """Return how long windows wait for labels, and what share of them if that is learned."""
    if given == "learned":
        return {"label_delay_s": MonitorPolicy().label_delay_s, "label_share": 0.95}
    return {"label_delay_s": seconds(given, "label_delay"), "label_share": None}


def _shaped(query: str | None, top: int, forecast: dict[str, Any] | None) -> dict[str, Any]:
    """Return what rows are, if they are no single predictions."""
    return {
        "ranking": None if query is None else Ranking(query=query, top=at_least("top", top, 1)),
        "forecast": None if forecast is None else _forecast(forecast),
    }
