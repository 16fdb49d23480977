"""Say how much was asked, who answered, how fast and how often in vain; and whether that is usual.

Volume alarms against the band that earlier windows taught (:mod:`volume`), a window without any
row included. Errors and latency of each version alarm against what was declared; errors also
against the version's own past. Latency that doubled against the past is a notice: machines vary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
from msgspec.structs import replace

from mainspring.ground.monitors import LATENCY_EDGES_S
from mainspring.ground.objects import Finding, MonitorPolicy, Tally, Window
from mainspring.monitoring import volume
from mainspring.monitoring.shares import alpha_of
from mainspring.monitoring.sight import Sight
from mainspring.numerics.intervals import wilson

#: Requests of a version that a rate or a percentile needs.
LEAST_REQUESTS = 50
#: Against the past: earlier windows, and by how much more errors must be.
LEAST_EARLIER = 5
MATERIAL_RATE = 0.01
SLOWER = 2.0


def traffic_on_inputs(sight: Sight) -> list[Finding]:
    """Return what the volume of a window, its errors and its latencies say."""
    found = [judge_volume(sight)]
    for tally in sight.beside.tallies:
        if tally.version is not None and tally.requests:
            found += _of_version(tally, sight.policy, sight.earlier)
    return found


def judge_volume(sight: Sight) -> Finding:
    """Return whether a window has as many rows as its hour lets expect."""
    rows, start = answered_rows(sight.frame), sight.span[0]
    length = sight.span[1] - start
    state = volume_state(sight.earlier)
    alpha, season = alpha_of("volume", sight.policy.alpha), season_of(sight.policy)
    band = volume.expected(state, start, length, alpha, season)
    detail = {"state": volume.learned(state, start, length, rows, band, season)}
    if band is None:
        return Finding(
            monitor="traffic",
            subject="volume",
            value=float(rows),
            rows=rows,
            verdict="not judged",
            why=f"Not judged: {int(state.get('windows', 0))} earlier windows;"
            f" {volume.LEAST_IN_ALL} and a season of {season / 86_400:g} days are needed.",
            detail=detail,
        )
    outside = rows < band.low or rows > band.high
    material = rows * volume.FACTOR < band.expected or rows > band.expected * volume.FACTOR
    told = (
        f"{rows:,} rows; {band.low:,.0f} to {band.high:,.0f} were to be expected, from"
        f" {band.windows} windows at {band.level}"
    )
    if rows == 0 and outside:
        told = f"No traffic: {told}"
    return Finding(
        monitor="traffic",
        subject="volume",
        value=float(rows),
        low=band.low,
        high=band.high,
        baseline=band.expected,
        line=band.low if rows < band.expected else band.high,
        rows=rows,
        verdict="alarm" if outside and material else "notice" if outside else "quiet",
        why=f"{told}.",
        detail={
            **detail,
            "band": "low and high are what was expected, at their share of the policy's alpha",
        },
    )


def answered_rows(frame: pl.DataFrame) -> int:
    """Return of about how many answered rows the captured ones were drawn.

    Each stands for as many as its share says (Horvitz and Thompson, JASA 47, 1952, eq. 3.1), so
    that another share of the rows is no other traffic.

    >>> answered_rows(pl.DataFrame({"x": [1, 2, 3], "_share": [0.1, 0.1, None]}))
    21
    """
    if "_share" not in frame.columns:
        return frame.height
    return round(float((1.0 / frame["_share"].fill_null(1.0)).sum()))


def season_of(policy: MonitorPolicy) -> float:
    """Return after how long traffic repeats itself: as declared, but at most a week."""
    return min(policy.season_s or volume.WEEK_S, volume.WEEK_S)


def volume_state(earlier: Sequence[Window]) -> volume.State:
    """Return what the newest of earlier windows knew of the volume."""
    for window in earlier:
        for one in window.found:
            if one.monitor == "traffic" and one.subject == "volume" and "state" in one.detail:
                state: volume.State = one.detail["state"]
                return state
    return {}


def expects_traffic(
    earlier: Sequence[Window], span: tuple[float, float], policy: MonitorPolicy
) -> bool:
    """Return whether a window without any row would be a finding."""
    length = span[1] - span[0]
    state, season = volume_state(earlier), season_of(policy)
    band = volume.expected(state, span[0], length, alpha_of("volume", policy.alpha), season)
    return band is not None and band.low > 0.5


def percentile_ms(latencies: dict[int, int], share: float) -> float | None:
    """Return the latency in ms that ``share`` of the requests did not exceed, within 30 %."""
    wanted, seen = share * sum(latencies.values()), 0
    for bucket in sorted(latencies):
        seen += latencies[bucket]
        if seen >= wanted and seen:
            return LATENCY_EDGES_S[min(bucket, len(LATENCY_EDGES_S) - 1)] * 1000
    return None


def _of_version(
    tally: Tally, policy: MonitorPolicy, earlier: Sequence[Window]
) -> Iterator[Finding]:
    yield _errors(tally, policy, earlier)
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        value = percentile_ms(tally.latencies, share)
        if value is not None:
            yield Finding(
                monitor="traffic",
                subject=f"{name}_ms/{tally.version}",
                value=value,
                rows=sum(tally.latencies.values()),
            )
    yield _slowest(tally, policy, earlier)


def _errors(tally: Tally, policy: MonitorPolicy, earlier: Sequence[Window]) -> Finding:
    subject = f"error_rate/{tally.version}"
    band = wilson(tally.errors, tally.requests)
    # One-sided at alpha: a two-sided interval with alpha on either side.
    confidence = 1 - 2 * alpha_of("errors", policy.alpha)
    least = wilson(tally.errors, tally.requests, confidence).low
    past = [one for one in _past(earlier, subject) if one.value is not None]
    line, why = policy.max_error_rate, "declared"
    baseline = None
    if past:
        errors = sum(round((one.value or 0.0) * one.rows) for one in past)
        requests = sum(one.rows for one in past)
        baseline = errors / requests
        if line is None and len(past) >= LEAST_EARLIER:
            usual = wilson(errors, requests, confidence).high
            line, why = usual + MATERIAL_RATE, "the past and a hundredth"
    told = f"{tally.errors:,} of {tally.requests:,} requests failed, at least {least:.2%}"
    if line is not None:
        told += f"; the line is {line:.2%} ({why})"
    few = tally.requests < LEAST_REQUESTS
    return Finding(
        monitor="traffic",
        subject=subject,
        value=band.estimate,
        low=band.low,
        high=band.high,
        baseline=baseline,
        line=line,
        rows=tally.requests,
        verdict="too few rows"
        if few
        else "alarm"
        if line is not None and least > line
        else "quiet",
        why=f"{told}.",
        detail={"refused": tally.refused},
    )


def _slowest(tally: Tally, policy: MonitorPolicy, earlier: Sequence[Window]) -> Finding:
    subject = f"p99_ms/{tally.version}"
    answered = sum(tally.latencies.values())
    value = percentile_ms(tally.latencies, 0.99)
    past = sorted(one.value for one in _past(earlier, subject) if one.value is not None)
    usual = past[len(past) // 2] if len(past) >= LEAST_EARLIER else None
    finding = Finding(
        monitor="traffic",
        subject=subject,
        value=value,
        baseline=usual,
        line=policy.max_p99_ms,
        rows=answered,
        detail={"latencies": {str(bucket): n for bucket, n in tally.latencies.items()}},
    )
    alpha = alpha_of("latency", policy.alpha)
    if answered < LEAST_REQUESTS or value is None:
        why = f"Not judged: {answered:,} requests were answered, {LEAST_REQUESTS} are needed."
        return replace(finding, verdict="too few rows", why=why)
    if policy.max_p99_ms is not None and _surely_slower(tally, policy.max_p99_ms, alpha):
        why = (
            f"p99 is {value:.3g} ms; more than one in a hundred took above {policy.max_p99_ms:g}."
        )
        return replace(finding, verdict="alarm", why=why)
    if usual is not None and _surely_slower(tally, usual * SLOWER, alpha):
        why = f"p99 is {value:.3g} ms, {usual:.3g} ms in the windows before."
        return replace(finding, verdict="notice", why=why)
    return replace(finding, why=f"p99 is {value:.3g} ms.")


def _surely_slower(tally: Tally, limit_ms: float, alpha: float) -> bool:
    """Return whether more than one in a hundred requests took longer, and not by chance.

    A bucket counts as slower only if it lies wholly above the limit.
    """
    slow = sum(
        count
        for bucket, count in tally.latencies.items()
        if bucket > 0 and LATENCY_EDGES_S[bucket - 1] * 1000 >= limit_ms
    )
    return wilson(slow, sum(tally.latencies.values()), 1 - 2 * alpha).low > 0.01


def _past(earlier: Sequence[Window], subject: str) -> list[Finding]:
    return [
        one
        for window in earlier
        for one in window.found
        if one.monitor == "traffic" and one.subject == subject
    ]


def measure_traffic(
    frame: pl.DataFrame, span: tuple[float, float], calls: int | None = None, outside: int = 0
) -> dict[str, Any]:
    """Return rows, rate and the share of each version in a window.

    ``frame`` holds the rows inside the span, ``outside`` counts those given that were not.
    ``calls`` is the number of HTTP calls, where it is known. Times are event time; ``first``
    and ``last`` are None without a row.
    """
    rows, length = frame.height, span[1] - span[0]
    times = (
        frame["_time"].drop_nulls()
        if "_time" in frame.columns
        else pl.Series([], dtype=pl.Float64)
    )
    answered: dict[str, int] = {}
    if "_version" in frame.columns and rows:
        counted = frame["_version"].drop_nulls().value_counts().sort("_version")
        answered = {str(version): count for version, count in counted.rows()}
    both = 0
    if "_other_score" in frame.columns:
        both = frame["_other_score"].len() - frame["_other_score"].null_count()
    return {
        "rows": rows,
        "calls": calls,
        "rows_per_s": rows / length if length > 0 else None,
        "first": float(times.min()) if times.len() else None,  # type: ignore[arg-type]
        "last": float(times.max()) if times.len() else None,  # type: ignore[arg-type]
        "outside": outside,
        "versions": {v: {"rows": n, "share": n / rows} for v, n in answered.items()},
        "scored_by_two": both,
    }


def main_version(frame: pl.DataFrame) -> int | None:
    """Return the version that answered most rows, the newest of equals; None without a row."""
    if "_version" not in frame.columns:
        return None
    known = frame["_version"].drop_nulls()
    if known.len() == 0:
        return None
    counted = known.value_counts().sort(["count", "_version"], descending=True)
    return int(counted["_version"][0])
