"""Gather what is behind an alarm: what moved, since when, what changed then, what was done."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import msgspec
import polars as pl

from mainspring.experiments import datasets, runs
from mainspring.ground.errors import MainspringError, NotFoundError
from mainspring.ground.objects import (
    DAY_S,
    Alarm,
    Decision,
    Finding,
    Profile,
    Record,
    Run,
    Version,
    Window,
)
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.ground.rules import AlarmGroup, AlarmRule, AlarmState
from mainspring.monitoring import alarms, causes, groups, rulebook, rules, states, windows
from mainspring.monitoring.causes import Effect, Onset, Suspect
from mainspring.monitoring.findings import of_window
from mainspring.readiness import decisions, registry
from mainspring.scaling.models import package
from mainspring.scaling.serving import capture, endpoints
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.cause_lines import lines_of

LOOK_BACK = 60  #: windows before the alarm's
EXAMPLES = 5
MOST_COLUMNS = 8  #: of an example row
_COMMIT, _DIRTY = "mainspring.git.commit", "mainspring.git.dirty"


class Upstream(Record, frozen=True, kw_only=True):
    """Something that changed at about the time, upstream of the model."""

    kind: str  #: serving, data, code, commit
    at: float  #: wall time
    what: str  #: the sentence
    subject: str  #: model/number, run:id or dataset
    old: str = ""
    new: str = ""


class Example(Record, frozen=True, kw_only=True):
    """Rows to look at: those of the window that stick out, and some the model was made with."""

    columns: list[str]
    window: list[dict[str, Any]]
    baseline: list[dict[str, Any]]


class Cause(Record, frozen=True, kw_only=True):
    """What is known of why an alarm was raised."""

    alarm: Alarm
    state: AlarmState | None
    group: AlarmGroup | None
    rule: AlarmRule | None
    window: Window | None
    suspects: list[Suspect]  #: most suspect first
    slices: list[Finding]  #: of the window, worst first
    versions: list[tuple[str, int | None]]  #: (window, version) where it changed, oldest first
    since: Onset | None
    upstream: list[Upstream]  #: nearest in time first
    examples: Example | None
    effect: Effect | None
    did: list[Decision]  #: newest first
    lines: list[str]  #: all of it as text
    missing: list[str]  #: what could not be found


def cause(ws: Workspace, name: str) -> Cause:
    """Return what is behind an alarm.

    Raises:
        NotFoundError: if there is no alarm by that id.
    """

    def work(tx: Tx) -> Cause:
        return _cause(ws, tx, alarms.get(tx, name.removeprefix("alarm:")))

    return ws.read(Permission.READ, work)


def _cause(ws: Workspace, tx: Tx, alarm: Alarm) -> Cause:
    state = states.of_alarm(tx, alarm.id)
    rule = rulebook.every(tx).get(alarm.subject) if alarm.kind == "rule" else None
    window = _window(tx, alarm.window)
    earlier = [] if window is None else windows.before(tx, alarm.endpoint, window.start, LOOK_BACK)
    line = [*reversed(earlier), *([window] if window is not None else [])]
    model = _model(tx, alarm.endpoint)
    version = _version(tx, model, window.version if window is not None else None)
    baseline = _baseline(ws, version)
    found = causes.suspects(window, baseline) if window is not None else []
    series = rules.series_of(rule.series) if rule is not None and rule.series else None
    series = series or causes.series_of_alarm(alarm, window)
    since = causes.onset(line, series) if series is not None else None
    missing = [f"window {alarm.window}"] if window is None else []
    missing += ["the version that served"] if window is not None and version is None else []
    missing += ["the baseline"] if version is not None and baseline is None else []
    examples, lost = _examples(ws, alarm, window, version, found)
    told = Cause(
        alarm=alarm,
        state=state,
        group=_group(tx, state),
        rule=rule,
        window=window,
        suspects=found,
        slices=_slices(window),
        versions=_turns(line),
        since=since,
        upstream=_upstream(tx, alarm, line, model, since),
        examples=examples,
        effect=None if window is None or not found else causes.effect(window, found, baseline),
        did=_did(tx, alarm),
        lines=[],
        missing=missing + lost,
    )
    return msgspec.structs.replace(told, lines=lines_of(told))


# ---------------------------------------------------------------- records around it


def _window(tx: Tx, name: str) -> Window | None:
    try:
        return windows.get(tx, name)
    except NotFoundError:
        return None


def _model(tx: Tx, endpoint: str) -> str | None:
    try:
        return endpoints.get(tx, endpoint).model
    except NotFoundError:
        return None


def _version(tx: Tx, model: str | None, number: int | None) -> Version | None:
    if model is None or number is None:
        return None
    try:
        return registry.get(tx, model, number)
    except NotFoundError:
        return None


def _group(tx: Tx, state: AlarmState | None) -> AlarmGroup | None:
    if state is None or state.group is None:
        return None
    try:
        return groups.get(tx, state.group)
    except NotFoundError:
        return None


def _slices(window: Window | None) -> list[Finding]:
    found = [
        one
        for one in (of_window(window) if window is not None else [])
        if one.monitor == "slice" and one.value is not None and one.subject != "search"
    ]
    return sorted(found, key=lambda one: (one.verdict != "alarm", -(one.value or 0.0)))[:10]


def _turns(line: Sequence[Window]) -> list[tuple[str, int | None]]:
    """Return the windows in which another version began to serve."""
    return [
        (now.id, now.version)
        for before, now in zip([None, *line], line, strict=False)
        if before is None or before.version != now.version
    ]


def _did(tx: Tx, alarm: Alarm) -> list[Decision]:
    """Return what was decided about an alarm: its end, and what its loop did because of it."""
    found = decisions.list_decisions(tx, subject=f"alarm:{alarm.id}")
    if alarm.decision:
        with contextlib.suppress(NotFoundError):
            found.append(decisions.get(tx, alarm.decision))
    try:
        loop = endpoints.get(tx, alarm.endpoint).loop
    except NotFoundError:
        loop = None
    if loop is not None:
        of_loop = decisions.list_decisions(tx, loop=loop, limit=200)
        found += [one for one in of_loop if _is_about(one, alarm)]
    unique = {one.id: one for one in found}
    return sorted(unique.values(), key=lambda one: (one.at, one.made), reverse=True)


def _is_about(one: Decision, alarm: Alarm) -> bool:
    if one.subject.startswith("alarm:"):
        return one.subject == f"alarm:{alarm.id}"
    return one.cause in (f"event:window:{alarm.window}", f"event:labels:{alarm.window}")


# ---------------------------------------------------------------- upstream


def _upstream(
    tx: Tx, alarm: Alarm, line: Sequence[Window], model: str | None, since: Onset | None
) -> list[Upstream]:
    """Return what changed upstream at about the time: nearest first.

    Looked at is a day, or three windows if those are longer, before the series changed, up to
    the alarm: alias moves and versions of the model, and the datasets, code and commits of runs
    against those of the run before.
    """
    at = since.at if since is not None else (line[-1].start if line else alarm.raised)
    length = max((one.end - one.start for one in line[-1:]), default=0.0)
    begin, end = at - max(DAY_S, 3 * length), max(alarm.raised, at)
    found = [] if model is None else _of_model(tx, model, begin, end)
    found += _of_runs(tx, begin, end)
    return sorted(found, key=lambda one: abs(one.at - at))[:20]


def _of_model(tx: Tx, model: str, begin: float, end: float) -> list[Upstream]:
    found = []
    for move in registry.history(tx, model, registry.CHAMPION):
        if not begin <= move.at <= end or move.number is None:
            continue
        name = f"{model}/{move.number}"
        found.append(
            Upstream(
                kind="serving",
                at=move.at,
                what=f"{name} became champion: {move.reason}",
                subject=name,
                old="" if move.previous is None else f"{model}/{move.previous}",
                new=name,
            )
        )
        old, new = _version(tx, model, move.previous), _version(tx, model, move.number)
        if old is not None and new is not None:
            found += _between(old, new, move.at)
    return found


def _between(old: Version, new: Version, at: float) -> list[Upstream]:
    """Return in which data and code two versions differ."""
    name, found = f"{new.model}/{new.number}", []
    for key in sorted(old.data.keys() | new.data.keys()):
        a, b = old.data.get(key, ""), new.data.get(key, "")
        if a != b:
            what = f"{name} was made of another {key}"
            found.append(Upstream(kind="data", at=at, what=what, subject=name, old=a, new=b))
    if old.code != new.code:
        what = f"{name} was made by other code"
        found.append(
            Upstream(kind="code", at=at, what=what, subject=name, old=old.code, new=new.code)
        )
    return found


def _of_runs(tx: Tx, begin: float, end: float) -> list[Upstream]:
    """Return which datasets and commits runs saw that the run before them had not."""
    before: dict[tuple[str, str], tuple[str, str]] = {}
    found = []
    several = runs.started_between(tx, begin - 30 * DAY_S, end)
    used = datasets.of_runs(tx, [run.id for run in several])
    for run in several:
        for kind, key, value, shown in _seen(run, used.get(run.id, [])):
            known = before.get((kind, key))
            before[kind, key] = (value, run.id)
            if known is None or known[0] == value or run.started < begin:
                continue
            found.append(
                Upstream(
                    kind=kind,
                    at=run.started,
                    what=f"run {run.name} saw another {shown} than the run before",
                    subject=f"run:{run.id}",
                    old=known[0],
                    new=value,
                )
            )
    return found


def _seen(run: Run, used: Sequence[datasets.Use]) -> list[tuple[str, str, str, str]]:
    """Return (kind, what it is compared by, its value, how it is called) of a run."""
    seen = [
        ("data", f"{one.dataset.name}/{one.context}", one.dataset.digest, one.dataset.name)
        for one in used
    ]
    if commit := run.tags.get(_COMMIT):
        dirty = "+changes" if run.tags.get(_DIRTY) == "true" else ""
        seen.append(("commit", run.experiment, commit + dirty, "commit"))
    return seen


# ---------------------------------------------------------------- rows


def _examples(
    ws: Workspace,
    alarm: Alarm,
    window: Window | None,
    version: Version | None,
    found: Sequence[Suspect],
) -> tuple[Example | None, list[str]]:
    """Return a few rows of the window, those that stick out most, beside rows of the baseline."""
    if window is None:
        return None, []
    try:
        frame = capture.read(ws.captures(alarm.endpoint), window.start, window.end)
    except (MainspringError, OSError, pl.exceptions.PolarsError) as error:
        return None, [f"the rows of {window.id} ({error})"]
    if frame.height == 0:
        return None, [f"the rows of {window.id}: they are no longer kept"]
    sample, lost = _sample(ws, version)
    leading = [one.column for one in found if one.column in frame.columns]
    others = [c for c in (sample.columns if sample is not None else []) if c in frame.columns]
    plain = [c for c in dict.fromkeys([*leading, *others]) if not c.startswith("_")]
    columns = plain[:MOST_COLUMNS]
    baseline = _baseline(ws, version)
    out = _sticking_out(frame, leading[0] if leading else None, baseline)
    shown = [c for c in ("_id", "_time", "_score") if c in frame.columns]
    return (
        Example(
            columns=columns,
            window=out.select([*shown, *columns]).to_dicts(),
            baseline=(
                sample.select([c for c in columns if c in sample.columns])
                .head(EXAMPLES)
                .to_dicts()
                if sample is not None
                else []
            ),
        ),
        lost,
    )


def _baseline(ws: Workspace, version: Version | None) -> Profile | None:
    """Return the training profile of a version; None where its files are gone."""
    if version is None:
        return None
    try:
        return package.profile(version.package, ws.objects)
    except MainspringError:
        return None  # its files are gone; the caller says so


def _sample(ws: Workspace, version: Version | None) -> tuple[pl.DataFrame | None, list[str]]:
    if version is None:
        return None, []
    try:
        return package.example(version.package, ws.objects), []
    except MainspringError:
        return None, [f"rows that {version.model}/{version.number} was made with"]


def _sticking_out(
    frame: pl.DataFrame, column: str | None, baseline: Profile | None
) -> pl.DataFrame:
    """Return the rows whose leading column is missing, unseen or furthest from the baseline."""
    known = {one.name: one for one in (baseline.columns if baseline is not None else [])}
    profile = known.get(column or "")
    if column is None or profile is None:
        return frame.head(EXAMPLES)
    value = pl.col(column)
    if profile.type == "number" and profile.mean is not None:
        number = value.cast(pl.Float64, strict=False)
        far = (number - profile.mean).abs().fill_nan(None)
    else:
        usual = profile.categories
        rows = max(sum(usual.values()), 1)
        share = value.cast(pl.String, strict=False).replace_strict(
            {key: count / rows for key, count in usual.items()},
            default=0.0,
            return_dtype=pl.Float64,
        )
        far = 1.0 - share
    far = pl.when(value.is_null()).then(float("inf")).otherwise(far.fill_null(float("inf")))
    return frame.with_columns(far.alias("__far")).sort("__far", descending=True).head(EXAMPLES)
