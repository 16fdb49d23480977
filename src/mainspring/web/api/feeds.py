"""Monitors of models that answer elsewhere: declare them, feed their predictions, judge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from mainspring.ground.objects import Kind, MonitorPolicy
from mainspring.ground.permissions import Permission
from mainspring.monitoring.watches import Watch
from mainspring.web.api.fields import ColumnName, Done, EndpointName, ModelName, Request
from mainspring.web.api.operations import operation
from mainspring.workspace.feeding.declared import Declared
from mainspring.workspace.feeding.naming import Columns
from mainspring.workspace.feeding.taking import Fed
from mainspring.workspace.opening import Workspace

#: Of one request. A file may be larger where it is fed in the home itself.
MOST_BYTES = 1 << 30

BatchName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=128,
        description="The client's name of this batch: sent again under it, nothing is doubled.",
        examples=["2026-11-28T10:00"],
    ),
]
VersionName = Annotated[
    str, Meta(min_length=1, max_length=255, description="What rows call the version.")
]
Stretch = Annotated[str, Meta(max_length=40, description="Such as 7d, 6h or 90s.")]
Whole = Annotated[int, Meta(ge=1, le=10**9)]
Share = Annotated[float, Meta(gt=0, le=1)]


class WithColumns(Request, frozen=True, kw_only=True):
    """Which column of the rows is what; what is left out is guessed by usual names."""

    id_column: ColumnName | None = None
    time_column: ColumnName | None = None
    score_column: Annotated[
        str, Meta(max_length=5000, description="Several, parted by commas: one a class.")
    ] | None = None  # fmt: skip
    prediction_column: ColumnName | None = None
    label_column: ColumnName | None = None
    version_column: ColumnName | None = None


class WithPolicy(WithColumns, frozen=True, kw_only=True):
    """How rows are cut into windows, and what is alarming; what is left out stays as it was."""

    window: Annotated[
        str, Meta(max_length=40, description="Such as 1d, or batch: each batch is a window.")
    ] | None = None  # fmt: skip
    window_rows: Whole | None = None
    grace: Stretch | None = None
    label_delay: Stretch | None = None
    min_rows: Whole | None = None
    alpha: Share | None = None


class CreateMonitor(WithPolicy, frozen=True, kw_only=True):
    """What to watch, and a version of ours to compare it with."""

    name: EndpointName
    model: ModelName | None = None
    baseline: Annotated[
        str, Meta(min_length=1, max_length=300, description="name/7 or name@champion.")
    ] | None = None  # fmt: skip
    version: VersionName | None = None


class GiveBaseline(WithPolicy, frozen=True, kw_only=True):
    """What to watch; the body is the rows to compare it with."""

    name: EndpointName
    model: ModelName | None = None
    version: VersionName | None = None
    kind: Kind | None = None
    positive: Annotated[str, Meta(max_length=1000)] | None = None
    file: Annotated[str, Meta(max_length=300, description="The file's name.")] = "the baseline"


class Feed(WithColumns, frozen=True, kw_only=True):
    """Whose predictions the body holds."""

    endpoint: EndpointName
    batch: BatchName | None = None
    file: Annotated[str, Meta(max_length=300, description="The file's name.")] = "the body"


class JudgeNow(Request, frozen=True, kw_only=True):
    """Which window to judge again."""

    endpoint: EndpointName
    window: Annotated[str, Meta(min_length=1, max_length=255, description="The window's id.")]


class OfName(Request, frozen=True, kw_only=True):
    """Which monitor."""

    name: EndpointName


class Asked(Done, frozen=True, kw_only=True):
    """What will judge it."""

    task: str


@operation("feeds.list", "GET", "/api/v1/monitors", Permission.READ)
def list_monitors(ws: Workspace) -> list[Watch]:
    """List what is watched without a loop: monitors of models that answer elsewhere."""
    from mainspring.monitoring import watches

    return ws.read(Permission.READ, watches.every)


@operation(
    "feeds.create",
    "POST",
    "/api/v1/monitors",
    Permission.SERVE,
    example={"name": "fraud-eu", "baseline": "fraud@champion", "window": "1d"},
)
def create(ws: Workspace, request: CreateMonitor) -> Declared:
    """Watch a model that answers elsewhere, compared with a version of ours."""
    from mainspring.workspace.feeding import declared

    return declared.create(
        ws,
        request.name,
        baseline=request.baseline,
        model=request.model,
        version=request.version,
        policy=policy_of(ws, request.name, request),
        columns=columns_of(request),
    )


@operation(
    "feeds.baseline",
    "POST",
    "/api/v1/monitors/{name}/baseline",
    Permission.SERVE,
    takes_bytes=MOST_BYTES,
    example={"name": "fraud-eu", "window": "1d"},
)
def baseline(ws: Workspace, request: GiveBaseline, body: Path) -> Declared:
    """Watch a model that answers elsewhere, compared with rows: the body, CSV, JSON or Parquet."""
    from mainspring.workspace.feeding import declared

    return declared.create(
        ws,
        request.name,
        baseline=body,
        model=request.model,
        version=request.version,
        kind=request.kind,
        positive=request.positive,
        policy=policy_of(ws, request.name, request),
        columns=columns_of(request),
        called=request.file,
    )


@operation("feeds.remove", "DELETE", "/api/v1/monitors/{name}", Permission.SERVE)
def remove(ws: Workspace, request: OfName) -> Done:
    """Watch a model elsewhere no more; its rows, windows and labels are kept."""
    from mainspring.workspace.feeding import declared

    declared.remove(ws, request.name)
    return Done()


@operation(
    "feeds.send",
    "POST",
    "/api/v1/monitor/{endpoint}/predictions",
    Permission.LABEL,
    takes_bytes=MOST_BYTES,
    accepts=("application/json", "application/x-ndjson", "application/jsonl", "text/csv"),
    example={"endpoint": "fraud-eu", "batch": "2026-11-28T10:00"},
)
def send(ws: Workspace, request: Feed, body: Path) -> Fed:
    """Append predictions that were made elsewhere: JSON, JSON lines, CSV or Parquet.

    All rows of the body are kept, or none; once this has answered they are on disk. A batch
    that is sent again under its name changes nothing. Without a name every request is a
    batch of its own.
    """
    from mainspring.ground.identity import new_id
    from mainspring.workspace.feeding.taking import feed

    return feed(
        ws,
        request.endpoint,
        body,
        batch=request.batch or new_id("batch"),
        columns=columns_of(request),
        name=request.file,
    )


@operation(
    "feeds.judge",
    "POST",
    "/api/v1/monitor/{endpoint}/judge",
    Permission.LOOP,
    example={"endpoint": "fraud-eu", "window": "fraud-eu:1764288000"},
)
def judge(ws: Workspace, request: JudgeNow) -> Asked:
    """Judge one window once more, such as one that could not be judged."""
    from mainspring.workspace.catching_up import ask_again

    return Asked(task=ask_again(ws, request.endpoint, request.window))


def columns_of(request: WithColumns) -> Columns:
    """Return which column is what, as far as it was said."""
    scores = [one.strip() for one in (request.score_column or "").split(",") if one.strip()]
    return Columns(
        id=request.id_column,
        time=request.time_column,
        score=scores,
        prediction=request.prediction_column,
        label=request.label_column,
        version=request.version_column,
    )


def policy_of(ws: Workspace, name: str, request: WithPolicy) -> MonitorPolicy | None:
    """Return how rows are to be cut and judged: what was said, over what was said before."""
    import msgspec

    from mainspring import sdk
    from mainspring.monitoring import watches

    fields: tuple[Literal["grace", "label_delay", "min_rows", "alpha"], ...]
    fields = ("grace", "label_delay", "min_rows", "alpha")
    given: dict[str, Any] = {f: getattr(request, f) for f in fields}
    given |= {"window": request.window, "window_rows": request.window_rows}
    given = {key: value for key, value in given.items() if value is not None}
    if not given:
        return None
    said = sdk.Monitor(**given)
    before = ws.read(Permission.READ, lambda tx: watches.find(tx, name))
    if before is None:
        return said
    takes = {"grace": "grace_s", "label_delay": "label_delay_s"}
    changed = {takes.get(f, f): getattr(said, takes.get(f, f)) for f in fields if f in given}
    if request.window is not None or request.window_rows is not None:
        cut = ("window_s", "window_rows", "by_batch")
        changed |= {one: getattr(said, one) for one in cut}
    return msgspec.structs.replace(before.monitor, **changed)
