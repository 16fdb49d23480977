"""Gather what is known of one prediction: who answered, how fast, beside whom, and how it went."""

from __future__ import annotations

from typing import Any

import msgspec
import polars as pl

from mainspring.ground.errors import NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.ground.records import Record
from mainspring.ground.words import figure, when
from mainspring.scaling.serving import capture, endpoints
from mainspring.workspace.logs import predictions as noted
from mainspring.workspace.logs.lines import LogLine
from mainspring.workspace.opening import Workspace

_WEEK_S = 7 * 86_400.0
_STEPS = ("check", "wait", "score", "capture")


class PredictionNote(Record, frozen=True, kw_only=True):
    """What an endpoint noted of the request that a prediction belongs to."""

    time: float
    event: str  #: prediction, slow prediction, prediction failed, prediction refused
    request: str | None = None  #: as in the answer's X-Request-Id
    status: int | None = None
    ms: float | None = None  #: the whole request
    steps_ms: dict[str, float] = {}  #: of a slow one: check, wait, score, capture
    rows: int | None = None  #: of the request
    version: str | None = None
    variant: str | None = None
    caller: str | None = None
    code: str | None = None  #: of the error
    trace_id: str | None = None  #: of OpenTelemetry


class PredictionStory(Record, frozen=True, kw_only=True):
    """One prediction, as far as it is known: captured, noted in the logs, or both."""

    id: str
    endpoint: str
    captured: bool  #: its row is kept
    at: float | None = None  #: event time
    version: int | None = None  #: that answered
    role: str | None = None  #: champion or challenger
    scores: list[float] = []
    ms: float | None = None  #: its request took
    other_version: int | None = None  #: that scored it beside
    other_scores: list[float] = []
    notes: list[PredictionNote] = []  #: newest first
    lines: list[str] = []  #: the same in sentences


def prediction_story(ws: Workspace, prediction: str) -> PredictionStory:
    """Return what is known of a prediction, by its id.

    Raises:
        NotFoundError: if no captured row and no line of the logs has it.
    """
    lines = noted.of_prediction(ws, prediction)
    names = [line.endpoint for line in lines if line.endpoint]
    known = ws.read(Permission.READ, lambda tx: [e.name for e in endpoints.list_endpoints(tx)])
    for name in dict.fromkeys([*(one for one in names if one in known), *known]):
        row = _row(ws, name, prediction)
        if row is not None:
            return _told(prediction, name, row, lines)
    if not names:
        raise NotFoundError(
            f"No captured row and no line of the logs has the prediction id {prediction[:80]!r}.",
            field="id",
            hint="It stands in the answer, as prediction_ids. Rows go with the capture budget.",
        )
    return _told(prediction, names[0], None, lines)


def _row(ws: Workspace, endpoint: str, prediction: str) -> dict[str, Any] | None:
    folder = ws.captures(endpoint)
    if not capture.there(folder, pl.Series([prediction]))[0]:
        return None
    newest = capture.watermark(folder) or 0.0
    for since in (newest - _WEEK_S, None):  # mostly a late one is asked about
        rows = capture.read(folder, since, None, [], about=True)
        found = rows.filter(pl.col("_id") == prediction)
        if found.height:
            return found.row(0, named=True)
    return None


def _told(
    prediction: str, endpoint: str, row: dict[str, Any] | None, lines: list[LogLine]
) -> PredictionStory:
    notes = [_note(line) for line in lines]
    if row is None:
        story = PredictionStory(id=prediction, endpoint=endpoint, captured=False, notes=notes)
    else:
        story = PredictionStory(
            id=prediction,
            endpoint=endpoint,
            captured=True,
            at=row["_time"],
            version=row["_version"],
            role=row.get("_role"),
            scores=_scores(row["_score"]),
            ms=row.get("_ms"),
            other_version=row.get("_other_version"),
            other_scores=_scores(row.get("_other_score")),
            notes=notes,
        )
    return _with_lines(story)


def _note(line: LogLine) -> PredictionNote:
    told = line.fields
    steps = {step: told[f"{step}_ms"] for step in _STEPS if f"{step}_ms" in told}
    return PredictionNote(
        time=line.time,
        event=line.event,
        request=line.request,
        status=told.get("status"),
        ms=told.get("ms"),
        steps_ms=steps,
        rows=told.get("rows"),
        version=line.version,
        variant=told.get("variant"),
        caller=told.get("caller"),
        code=told.get("code"),
        trace_id=told.get("trace_id"),
    )


def _scores(value: Any) -> list[float]:
    if value is None:
        return []
    return [float(one) for one in value] if isinstance(value, list) else [float(value)]


def _with_lines(story: PredictionStory) -> PredictionStory:
    said = []
    if story.captured:
        part = f" as {story.role}" if story.role else ""
        took = "" if story.ms is None else f"; its request took {figure(story.ms)} ms"
        said.append(
            f"Version {story.version} of endpoint {story.endpoint} answered{part}"
            f" {_listed(story.scores)} for a row of {when(story.at)}{took}."
        )
        if story.other_version is not None and story.other_scores:
            other = f"Version {story.other_version} scored it beside"
            said.append(f"{other}: {_listed(story.other_scores)}.")
    else:
        said.append(f"Its row is not kept by endpoint {story.endpoint} (any more).")
    said += [_sentence(one) for one in story.notes]
    if not story.notes:
        said.append("The logs have no line of it: it went well, and was not of those drawn.")
    if story.captured:
        said.append(f"From values to score: GET /api/v1/endpoints/{story.endpoint}/predictions/ID")
    return msgspec.structs.replace(story, lines=said)


def _listed(scores: list[float]) -> str:
    return ", ".join(figure(one) for one in scores)


def _sentence(one: PredictionNote) -> str:
    parts = [f"{when(one.time)}: {one.event}, answered {one.status} in {figure(one.ms)} ms"]
    if one.rows:
        parts.append(f"with {one.rows} row{'s' if one.rows != 1 else ''}")
    if one.steps_ms:
        steps = (f"{name} {figure(ms)} ms" for name, ms in one.steps_ms.items())
        parts.append(f"({', '.join(steps)})")
    if one.code:
        parts.append(f"for {one.code}")
    if one.caller:
        parts.append(f"asked by {one.caller}")
    parts.append(f"as request {one.request}")
    if one.trace_id:
        parts.append(f"in trace {one.trace_id}")
    return " ".join(parts) + "."
