"""Endpoints: create, look at, ask, and send labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import EndpointOptions
from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import (
    Done,
    EndpointName,
    ModelName,
    OfEndpoint,
    Request,
    Rows,
)
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace
from mainspring.workspace.scoring.shapes import Followed
from mainspring.workspace.views.batching import EndpointBatching
from mainspring.workspace.views.shapes import Boards, EndpointBoard, Labelled

MOST_LABEL_BYTES = 1 << 30


class CreateEndpoint(Request, frozen=True, kw_only=True):
    """Under which name to serve which model's champion, and where."""

    name: EndpointName
    model: ModelName
    shared: Annotated[
        bool,
        Meta(description="By the process that many endpoints share, its model loaded on demand."),
    ] = False


class ConfigureEndpoint(Request, frozen=True, kw_only=True):
    """How to serve an endpoint from now on; what is left out stays as it is."""

    name: EndpointName
    place: Annotated[
        Literal["own", "shared"] | None,
        Meta(description="In processes of its own, or with others in one that loads on demand."),
    ] = None
    fewest: Annotated[
        int | None, Meta(description="Workers at least. With 0 an idle endpoint has none.")
    ] = None
    most: Annotated[int | None, Meta(description="Workers at most.")] = None
    in_flight: Annotated[
        float | None, Meta(description="Requests under way that each worker should have.")
    ] = None
    latency_ms: Annotated[
        float | None,
        Meta(description="What the 95th percentile should stay below; 0: in flight alone counts."),
    ] = None
    out_after_s: Annotated[
        float | None, Meta(description="Seconds between two steps to more workers.")
    ] = None
    in_after_s: Annotated[
        float | None,
        Meta(description="Seconds that fewer workers must have been enough for a step down."),
    ] = None
    idle_s: Annotated[
        float | None, Meta(description="Seconds without a request until the last worker ends.")
    ] = None
    queue: Annotated[int | None, Meta(description="Requests that may wait for a turn.")] = None
    deadline_ms: Annotated[
        float | None, Meta(description="Who cannot have a turn within it is refused.")
    ] = None
    timeout_ms: Annotated[
        float | None, Meta(description="A scoring that takes longer is given up.")
    ] = None
    per_client: Annotated[
        int | None, Meta(description="Requests under way of one caller; 0: no limit.")
    ] = None
    batch_rows: Annotated[
        int | None, Meta(description="Rows that are scored at once, at most.")
    ] = None
    memory_mb: Annotated[
        int | None, Meta(description="Memory of a model's own process; 0: no limit.")
    ] = None
    capture_share: Annotated[
        float | None, Meta(description="Share of the rows that are recorded, 0 to 1.")
    ] = None
    grpc: Annotated[
        int | None,
        Meta(description="Port on loopback for the inference protocol over gRPC; 0: none."),
    ] = None


class Predict(Request, frozen=True, kw_only=True):
    """Which endpoint to ask about which rows."""

    name: EndpointName
    rows: Rows
    ids: Annotated[
        list[Annotated[str, Meta(max_length=64)]] | None,
        Meta(description="Prediction ids of your own, one a row; by default they are made."),
    ] = None
    sticky: Annotated[
        Annotated[str, Meta(max_length=200)] | None,
        Meta(description="In a rollout: one version answers all rows of a key."),
    ] = None
    version: Annotated[
        str | int | None,
        Meta(description="A version's number, or champion or challenger, to answer alone."),
    ] = None
    explain: Annotated[
        bool, Meta(description="Say what each column carried of each score; at most 32 rows.")
    ] = False


class OfPrediction(Request, frozen=True, kw_only=True):
    """One prediction of one endpoint."""

    name: EndpointName
    prediction: Annotated[
        str,
        Meta(min_length=1, max_length=200, description="Its id, from the answer."),
    ]


class AddLabels(Request, frozen=True, kw_only=True):
    """Ground truth: a value for each prediction id."""

    name: EndpointName
    ids: Annotated[list[Annotated[str, Meta(max_length=128)]], Meta(min_length=1)]
    values: Annotated[list[str | int | float | bool], Meta(min_length=1)]


class AddLabelFile(Request, frozen=True, kw_only=True):
    """Ground truth in a table: the body, CSV, Parquet, JSON lines or JSON."""

    name: EndpointName
    id_column: Annotated[str, Meta(max_length=200, description="Of prediction ids.")] = "id"
    value_column: Annotated[str, Meta(max_length=200, description="Of labels.")] = "value"
    file: Annotated[
        str, Meta(max_length=300, description="What the table is called in complaints.")
    ] = "the table"


class LabelBatch(msgspec.Struct, frozen=True, kw_only=True):
    """The batch that the labels were kept in."""

    batch: int


@operation("endpoints.list", "GET", "/api/v1/endpoints", Permission.READ)
def list_endpoints(ws: Workspace) -> list[EndpointBoard]:
    """List the endpoints by name, each with its own account of its traffic."""
    from mainspring.workspace.views.endpoints import endpoint_boards

    return endpoint_boards(ws)


@operation("endpoints.get", "GET", "/api/v1/endpoints/{name}", Permission.READ)
def get_endpoint(ws: Workspace, request: OfEndpoint) -> EndpointBoard:
    """Show one endpoint: versions, traffic, latency, errors, and its rollout."""
    from mainspring.workspace.views.endpoints import endpoint_board

    return endpoint_board(ws, request.name)


@operation(
    "endpoints.create",
    "POST",
    "/api/v1/endpoints",
    Permission.SERVE,
    example={"name": "flights", "model": "flights", "shared": True},
)
def create_endpoint(ws: Workspace, request: CreateEndpoint) -> Done:
    """Serve a model's champion under a name; the engine starts its process."""
    from mainspring.workspace import acts

    acts.create_endpoint(ws, request.name, request.model, shared=request.shared)
    return Done()


@operation("endpoints.options", "GET", "/api/v1/endpoints/{name}/options", Permission.READ)
def options(ws: Workspace, request: OfEndpoint) -> EndpointOptions:
    """Show how an endpoint is served: place, workers, limits, share of captured rows."""
    from mainspring.workspace import endpoint_options

    return endpoint_options.look(ws, request.name)


@operation(
    "endpoints.configure",
    "POST",
    "/api/v1/endpoints/{name}/options",
    Permission.SERVE,
    example={"name": "flights", "fewest": 0, "most": 4, "in_flight": 8, "idle_s": 300.0},
)
def configure(ws: Workspace, request: ConfigureEndpoint) -> EndpointOptions:
    """Change how an endpoint is served, while it serves; audited."""
    from mainspring.workspace import endpoint_options

    found = msgspec.to_builtins(request)
    changes = {k: v for k, v in found.items() if k != "name" and v is not None}
    return endpoint_options.configure(ws, request.name, changes)


@operation("endpoints.remove", "DELETE", "/api/v1/endpoints/{name}", Permission.SERVE)
def remove_endpoint(ws: Workspace, request: OfEndpoint) -> Done:
    """Stop serving under a name. Captured traffic and labels are kept."""
    from mainspring.workspace import acts

    acts.remove_endpoint(ws, request.name)
    return Done()


@operation(
    "endpoints.predict",
    "POST",
    "/api/v1/endpoints/{name}/predict",
    Permission.PREDICT,
    example={
        "name": "flights",
        "rows": [{"distance": 731.0, "carrier": "B6"}],
        "ids": ["order-17"],
        "sticky": "customer-4",
        "version": "champion",
        "explain": True,
    },
)
def predict(ws: Workspace, request: Predict) -> dict[str, Any]:
    """Ask an endpoint for predictions; the answer holds a prediction id for each row."""
    from mainspring.workspace.views import endpoint_http

    return endpoint_http.predict(
        ws,
        request.name,
        request.rows,
        ids=request.ids,
        sticky=request.sticky,
        version=request.version,
        explain=request.explain,
    )


@operation(
    "endpoints.label",
    "POST",
    "/api/v1/endpoints/{name}/labels",
    Permission.LABEL,
    example={"name": "flights", "ids": ["p_01"], "values": ["delayed"]},
)
def label(ws: Workspace, request: AddLabels) -> LabelBatch:
    """Send ground truth by prediction id; a later label for the same id wins."""
    from mainspring.workspace import acts

    if len(request.ids) != len(request.values):
        raise BadInputError(
            f"There are {len(request.ids)} ids and {len(request.values)} values.", field="values"
        )
    return LabelBatch(batch=acts.add_labels(ws, request.name, request.ids, request.values))


@operation(
    "endpoints.label_file",
    "POST",
    "/api/v1/endpoints/{name}/labels/file",
    Permission.LABEL,
    takes_bytes=MOST_LABEL_BYTES,
    accepts=("application/json", "application/x-ndjson", "application/jsonl", "text/csv"),
    example={"name": "flights", "id_column": "prediction_id", "value_column": "late"},
)
def label_file(ws: Workspace, request: AddLabelFile, body: Path) -> Labelled:
    """Send a table of ground truth by prediction id: all of it is kept, or none.

    The answer counts what was new, what says otherwise than before, what was known already, and
    whose prediction is not captured by now. Sent again, it changes nothing.
    """
    from mainspring.workspace.truths import take_file

    return take_file(
        ws,
        request.name,
        body,
        id_column=request.id_column,
        value_column=request.value_column,
        name=request.file,
    )


@operation("endpoints.series", "GET", "/api/v1/endpoints/{name}/series", Permission.READ)
def series(ws: Workspace, request: OfEndpoint) -> Boards:
    """Show what the board's charts are drawn from: drift and quality, window by window."""
    from mainspring.workspace.views import monitoring

    return Boards(
        drift=monitoring.drift_series(ws, request.name),
        quality=monitoring.quality_series(ws, request.name),
        windows=monitoring.window_list(ws, request.name),
    )


@operation("endpoints.batching", "GET", "/api/v1/endpoints/{name}/batching", Permission.READ)
def batching(ws: Workspace, request: OfEndpoint) -> EndpointBatching:
    """Say how an endpoint batches: where it scores, how large batches are and why, what waits."""
    from mainspring.workspace.views.batching import endpoint_batching

    return endpoint_batching(ws, request.name)


@operation(
    "endpoints.follow",
    "GET",
    "/api/v1/endpoints/{name}/predictions/{prediction}",
    Permission.READ,
)
def follow(ws: Workspace, request: OfPrediction) -> Followed:
    """Follow a captured prediction from its raw values over its features to its score.

    The version that answered it scores it again, and each column says what it carried.
    """
    from mainspring.workspace.scoring import debugging

    return debugging.follow(ws, request.name, request.prediction)
