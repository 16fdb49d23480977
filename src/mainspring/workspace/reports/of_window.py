"""Report one window of an endpoint beside the baseline of the version that answered it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.ground.errors import NotFoundError
from mainspring.ground.objects import ColumnProfile, Finding, MonitorPolicy, Profile, Window
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.ground.words import when
from mainspring.monitoring import findings, windows
from mainspring.monitoring.columns import scores_of
from mainspring.numerics.profiles import score_column
from mainspring.readiness import registry
from mainspring.scaling.models import package
from mainspring.scaling.serving import capture, endpoints
from mainspring.workspace.reports import distributions
from mainspring.workspace.reports.comparing import (
    Beside,
    ColumnBeside,
    Facts,
    judged_column,
    ordered,
)
from mainspring.workspace.reports.comparison import DataComparison
from mainspring.workspace.reports.describing import Described, describe, described
from mainspring.workspace.reports.distributions import Distribution

if TYPE_CHECKING:
    import polars as pl

    from mainspring.workspace.opening import Workspace

SCORE = "score"
_OF_COLUMNS = ("drift", "score_drift", "quality")


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A window, and what was known when it was judged; None where it is not kept any more."""

    window: Window
    baseline: Profile | None
    policy: MonitorPolicy


def compare_window(ws: Workspace, endpoint: str, window: str | None = None) -> DataComparison:
    """Return one window of an endpoint beside its baseline, the newest if none is named.

    The columns' figures are those that the monitors stored; the distributions are counted from
    the captured rows, and left out where those are not kept any more.

    Raises:
        NotFoundError: if there is no such endpoint, or no such window of it.
    """
    held = stored(ws, endpoint, window)
    one = held.window
    rows = captured(ws, one)
    by_column = _by_column(findings.of_window(one))
    columns = [
        _column(profile, rows, by_column.pop(profile.name, []), one)
        for profile in _profiles(held.baseline)
    ]
    columns += [_bare(name, found) for name, found in by_column.items()]
    version = "the baseline" if one.version is None else f"version {one.version} at training"
    span = f"{when(one.start)} to {when(one.end)}"
    found = Beside(
        before=version,
        now=f"{endpoint}, {span}",
        before_rows=0 if held.baseline is None else held.baseline.rows,
        now_rows=one.rows,
        columns=ordered(columns),
        others=[f for f in findings.of_window(one) if f.monitor not in _OF_COLUMNS],
        correlations_why="Pairs of columns are judged by the monitor of joint drift; see below.",
        alpha=held.policy.alpha,
        material=held.policy.material,
        min_rows=held.policy.min_rows,
    )
    return DataComparison(found, title=f"{endpoint}, {span} (UTC)")


def window_distributions(
    ws: Workspace, endpoint: str, window: str | None, columns: Sequence[str]
) -> tuple[dict[str, Distribution], str]:
    """Return columns of a window laid over their baseline, and why there are none.

    ``columns`` may name ``score``. What the baseline does not know is left out.

    Raises:
        NotFoundError: if there is no such endpoint, or no such window of it.
    """
    held = stored(ws, endpoint, window)
    wanted = [one for one in _profiles(held.baseline) if one.name in columns]
    if not wanted:
        return {}, "The baseline knows nothing of this column, or is not kept any more."
    raw = [one.name for one in wanted if one.name != SCORE]
    rows = captured(ws, held.window, raw)
    if rows is None:
        return {}, "The rows of this window are not kept any more: captures have a budget."
    laid = {one.name: _laid(one, rows, held.window) for one in wanted}
    return {name: found for name, found in laid.items() if found is not None}, ""


def stored(ws: Workspace, endpoint: str, window: str | None = None) -> Stored:
    """Return a window with its baseline and the policy in force; the newest if none is named.

    Raises:
        NotFoundError: if there is no such endpoint, or no such window of it.
    """

    def look(tx: Tx) -> tuple[Window, str | None, MonitorPolicy]:
        served = endpoints.get(tx, endpoint)
        one = windows.latest(tx, endpoint) if window is None else windows.get(tx, window)
        hint = f"Windows are listed by: mainspring monitor {endpoint}"
        if one is None:
            told = f"No window of endpoint {endpoint!r} has been judged yet."
            raise NotFoundError(told, field="window", hint=hint)
        if one.endpoint != endpoint:
            told = f"There is no window {window!r} of endpoint {endpoint!r}."
            raise NotFoundError(told, field="window", hint=hint)
        digest = None
        if one.version is not None:
            digest = registry.get(tx, served.model, one.version).package
        return one, digest, _policy(tx, served.loop)

    one, digest, policy = ws.read(Permission.READ, look)
    return Stored(window=one, baseline=_baseline(ws, digest), policy=policy)


def captured(ws: Workspace, one: Window, columns: list[str] | None = None) -> pl.DataFrame | None:
    """Return the captured rows of a window, or None if none of them is kept any more."""
    rows = capture.read(ws.captures(one.endpoint), one.start, one.end, columns)
    return rows if rows.height else None


def _policy(tx: Tx, loop: str | None) -> MonitorPolicy:
    from mainspring.engine import reactor

    return MonitorPolicy() if loop is None else reactor.spec(tx, loop).monitor


def _baseline(ws: Workspace, digest: str | None) -> Profile | None:
    if digest is None:
        return None
    try:
        return package.profile(digest, ws.objects)
    except NotFoundError:
        return None  # a version that was purged; its windows stay


def _profiles(baseline: Profile | None) -> list[ColumnProfile]:
    if baseline is None:
        return []
    score = [] if baseline.score is None else [msgspec.structs.replace(baseline.score, name=SCORE)]
    return [*score, *baseline.columns]


def _by_column(found: Sequence[Finding]) -> dict[str, list[Finding]]:
    told: dict[str, list[Finding]] = {}
    for one in found:
        if one.monitor in _OF_COLUMNS:
            told.setdefault(str(one.detail.get("column", one.subject)), []).append(one)
    return told


def _column(
    profile: ColumnProfile, rows: pl.DataFrame | None, found: list[Finding], one: Window
) -> ColumnBeside:
    now = None if rows is None else _now(profile, rows, one)
    told = Facts(
        name=profile.name,
        kind=profile.type,
        before=described(profile),
        # Without its rows a column is neither missing nor new: nothing is known of it.
        now=now if rows is not None else Described(rows=one.rows, missing=0, type=profile.type),
    )
    laid = None if rows is None else _laid(profile, rows, one)
    return judged_column(told, found, laid, of_model=True)


def _bare(name: str, found: list[Finding]) -> ColumnBeside:
    """Return a column that only findings know of: it is new, or its baseline is gone."""
    facts = Facts(name=name, kind="other", before=None, now=None)
    return judged_column(facts, found, None, of_model=True)


def _now(profile: ColumnProfile, rows: pl.DataFrame, one: Window) -> Described | None:
    import polars as pl

    if profile.name == SCORE:
        scores = score_column(scores_of(rows, one.version)[0])
        found = describe(pl.Series(SCORE, scores.tolist(), strict=False))
    elif profile.name in rows.columns:
        found = describe(rows[profile.name])
    else:
        return None
    # Types of captures and of profiles are called otherwise; only a real change is told.
    return msgspec.structs.replace(found, type=profile.type)


def _laid(profile: ColumnProfile, rows: pl.DataFrame, one: Window) -> Distribution | None:
    import polars as pl

    from mainspring.numerics.profiles import count_categories

    values: Any
    if profile.name == SCORE:
        values = score_column(scores_of(rows, one.version)[0])
    elif profile.name in rows.columns:
        values = rows[profile.name]
    else:
        return None
    if profile.type == "number":
        numbers = pl.Series(values).cast(pl.Float64, strict=False).drop_nulls().to_numpy()
        return distributions.of_numbers(profile, numbers)
    return distributions.of_categories(profile.categories, count_categories(values)[0])
