"""Put one window through every check, and word the alarms it deserves.

Pure: takes rows and a baseline, returns a record and alarms. Whoever calls keeps them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
import polars as pl

from mainspring.ground.objects import (
    Alarm,
    ColumnProfile,
    Finding,
    MonitorPolicy,
    Profile,
    Signature,
    Window,
)
from mainspring.monitoring.alarms import alarm_id
from mainspring.monitoring.columns import Summary, scores_of, summarise, summarise_scores
from mainspring.monitoring.labels import Joined
from mainspring.monitoring.monitors import ON_INPUTS, ON_LABELS, ONCE, look
from mainspring.monitoring.performance import measure_performance
from mainspring.monitoring.quality import judge_quality
from mainspring.monitoring.seasons import Phase, judge_in_season, phase_of, usual_for_phase
from mainspring.monitoring.sight import NOTHING_BESIDE, Beside, Score, Sight
from mainspring.monitoring.streaks import (
    Reckoned,
    event_order,
    order_among,
    reckoned,
    with_score_streaks,
    with_streaks,
)
from mainspring.monitoring.traffic import main_version, measure_traffic
from mainspring.monitoring.windows import window_id

Open = Collection[tuple[str, str]]
Found = dict[str, Any]


def judge_inputs(
    frame: pl.DataFrame,
    baseline: Profile,
    signature: Signature,
    policy: MonitorPolicy,
    span: tuple[float, float],
    endpoint: str,
    version: int | None = None,
    *,
    open_subjects: Open = (),
    calls: int | None = None,
    earlier: Sequence[Window] = (),
    reference: pl.DataFrame | None = None,
    score: Score | None = None,
    beside: Beside = NOTHING_BESIDE,
) -> tuple[Window, list[Alarm]]:
    """Return the record of a window and the alarms its inputs deserve.

    ``frame`` holds captured rows (``_id``, ``_time``, ``_version``, ``_score`` and so on, and
    the raw columns); rows whose event time is outside ``span`` are counted and left out.
    ``version`` is the champion, by default the version that answered most rows, and
    ``baseline`` its profile. ``open_subjects`` are (kind, subject) of alarms that are open:
    they are not raised again, though the rows of the record still say what was found.
    ``earlier``, ``reference``, ``score`` and ``beside`` are for the monitors that look at more
    than the profile; see :class:`mainspring.monitoring.sight.Sight`.

    Nothing raises for odd data: an empty window, a vanished column, values of another type are
    stated in the record.
    """
    frame, outside = _inside(frame, span)
    version = main_version(frame) if version is None else version
    summaries = _summaries(frame, baseline, signature)
    order = event_order(frame)
    summaries = [with_streaks(one, _column(frame, one.baseline.name), order) for one in summaries]
    scored = None
    if baseline.score is not None:
        scores, taken = scores_of(frame, version)
        scored = summarise_scores(scores, baseline.score)
        scored = with_score_streaks(scored, scores, order_among(order, taken))
    known = _known(summaries, scored, earlier, version, policy)
    drift = judge_in_season(summaries, scored, policy, known, span, earlier, version)
    extra = _extra(frame, baseline, signature)
    quality = judge_quality(summaries, scored, extra, policy, known)
    quality = usual_for_phase(quality, phase_of(policy, span[0]), policy, earlier)
    sight = Sight(
        frame=frame,
        baseline=baseline,
        signature=signature,
        policy=policy,
        span=span,
        endpoint=endpoint,
        version=version,
        window=window_id(endpoint, span[0]),
        earlier=earlier,
        reference=reference,
        score=score,
        beside=beside,
    )
    window = Window(
        id=sight.window,
        endpoint=endpoint,
        start=span[0],
        end=span[1],
        rows=frame.height,
        version=version,
        drift=drift,
        quality=quality,
        traffic=measure_traffic(frame, span, calls, outside),
        found=look(sight, ON_INPUTS),
    )
    raised = _drift_alarms(window, open_subjects) + _quality_alarms(window, open_subjects)
    return window, raised + _found_alarms(window, window.found, open_subjects)


def judge_labels(
    window: Window,
    joined: pl.DataFrame | Joined,
    baseline_loss: float | None,
    policy: MonitorPolicy,
    *,
    signature: Signature,
    open_subjects: Open = (),
    reference: pl.DataFrame | None = None,
    earlier: Sequence[Window] = (),
) -> tuple[Found, list[Alarm]]:
    """Return the performance of a window whose labels are mature, and the alarm it deserves.

    ``joined`` is what :func:`mainspring.monitoring.labels.join_counted` returns for the
    window's rows (or its plain frame, then what could not be joined is not known).
    ``baseline_loss`` is the champion's mean bounded loss on its holdout, and ``reference`` rows
    of it, which say how sure that is. ``earlier`` are the windows before, newest first.
    """
    if isinstance(joined, pl.DataFrame):
        joined = Joined(rows=joined, labels=joined.height, replaced=0, unmatched=0, foreign={})
    rows, _ = _inside(joined.rows, (window.start, window.end))
    joined = msgspec.structs.replace(joined, rows=rows)
    found = measure_performance(
        window, joined, baseline_loss, policy, signature, reference, earlier
    )
    if found["verdict"] != "alarm" or ("performance", "loss") in open_subjects:
        return found, []
    kept = ("loss", "lower_bound", "line", "baseline_loss", "rows", "coverage", "metrics")
    evidence = {key: found[key] for key in kept}
    return found, [_alarm(window, "performance", "loss", found["why"], evidence)]


def judge_truth(
    window: Window, sight: Sight, *, open_subjects: Open = (), again: bool = False
) -> tuple[list[Finding], list[Alarm]]:
    """Return what the monitors of mature labels found in a window, and the alarms it deserves.

    ``sight.joined`` holds the window's labelled rows. ``again`` leaves out those monitors that
    have taken the window's labels already and must not take any twice.
    """
    asked = {name: one for name, one in ON_LABELS.items() if not (again and name in ONCE)}
    found = look(sight, asked)
    return found, _found_alarms(window, found, open_subjects)


def _inside(frame: pl.DataFrame, span: tuple[float, float]) -> tuple[pl.DataFrame, int]:
    if "_time" not in frame.columns:
        return frame, 0
    inside = frame.filter((pl.col("_time") >= span[0]) & (pl.col("_time") < span[1]))
    return inside, frame.height - inside.height


def _summaries(frame: pl.DataFrame, baseline: Profile, signature: Signature) -> list[Summary]:
    declared = {column.name: column.type for column in signature.columns}
    profiled = {column.name for column in baseline.columns}
    # An input without statistics is judged too, so that the record says it could not be.
    bare = [
        ColumnProfile(
            name=column.name,
            type="number" if column.type in ("float", "int") else "category",
            rows=0,
            missing=0,
        )
        for column in signature.columns
        if column.name not in profiled
    ]
    return [
        summarise(_column(frame, one.name), one, declared.get(one.name), frame.height)
        for one in [*baseline.columns, *bare]
    ]


def _column(frame: pl.DataFrame, name: str) -> pl.Series | None:
    return frame[name] if name in frame.columns else None


def _known(
    summaries: Sequence[Summary],
    scored: Summary | None,
    earlier: Sequence[Window],
    version: int | None,
    policy: MonitorPolicy,
) -> dict[str, Reckoned]:
    """Return the dependence to reckon with, by column: learned where there were windows before."""
    named = {one.baseline.name: one for one in summaries}
    if scored is not None:
        named["score"] = scored

    def phase(window: Window) -> Phase | None:
        return phase_of(policy, window.start)

    return {
        name: reckoned(one.dependence, name, earlier, version, phase)
        for name, one in named.items()
    }


def _extra(frame: pl.DataFrame, baseline: Profile, signature: Signature) -> list[str]:
    known = {column.name for column in baseline.columns}
    known |= {column.name for column in signature.columns}
    known |= {signature.target, signature.time or ""}
    return [name for name in frame.columns if name not in known and not name.startswith("_")]


def _drift_alarms(window: Window, open_subjects: Open) -> list[Alarm]:
    return [
        _alarm(window, row["kind"], row["column"], f"{row['column']}: {row['why']}", row)
        for row in window.drift
        if row["verdict"] == "alarm" and (row["kind"], row["column"]) not in open_subjects
    ]


def _quality_alarms(window: Window, open_subjects: Open) -> list[Alarm]:
    """Return one alarm a column, whatever number of its checks failed."""
    failed: dict[str, list[Found]] = {}
    for row in window.quality:
        if row["verdict"] == "alarm" and ("quality", row["column"]) not in open_subjects:
            failed.setdefault(row["column"], []).append(row)
    return [
        _alarm(window, "quality", column, f"{column}: {_all(rows)}", {"checks": rows})
        for column, rows in failed.items()
    ]


def _found_alarms(window: Window, found: Sequence[Finding], open_subjects: Open) -> list[Alarm]:
    return [
        _alarm(
            window,
            one.monitor,
            one.subject,
            f"{one.subject}: {one.why}",
            {key: value for key, value in msgspec.to_builtins(one).items() if key != "why"},
        )
        for one in found
        if one.verdict == "alarm" and (one.monitor, one.subject) not in open_subjects
    ]


def _all(rows: Sequence[Found]) -> str:
    return " ".join(row["why"] for row in rows)


def _alarm(window: Window, kind: Any, subject: str, reason: str, evidence: Found) -> Alarm:
    return Alarm(
        id=alarm_id(window.endpoint, kind, subject, window.id),
        endpoint=window.endpoint,
        kind=kind,
        subject=subject,
        reason=reason,
        raised=window.end,
        window=window.id,
        evidence=evidence,
    )
