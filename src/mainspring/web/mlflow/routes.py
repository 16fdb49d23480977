"""What is behind which path, and what MLflow has that is not here."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from mainspring.ground.permissions import Permission
from mainspring.web.limits import Threads
from mainspring.web.mlflow import (
    about,
    artifacts,
    batches,
    experiments,
    files,
    histories,
    inputs,
    logged,
    logged_search,
    models,
    multipart,
    packages,
    runs,
    versions,
    webhooks,
)
from mainspring.web.mlflow.calls import Door, Endpoint
from mainspring.web.mlflow.errors import NotServedError
from mainspring.workspace.opening import Workspace

ROOTS = ("/api/2.0/mlflow", "/ajax-api/2.0/mlflow")
FILE_ROOTS = tuple(f"{root}-artifacts" for root in ROOTS)

_MODELS = "registered-models"
_VERSIONS = "model-versions"
_LOGGED = "logged-models/{model_id}"
_READ, _LOG = Permission.READ, Permission.LOG
ENDPOINTS = [
    Endpoint("POST", "experiments/create", _LOG, experiments.create),
    Endpoint("GET", "experiments/get", _READ, experiments.get),
    Endpoint("GET", "experiments/get-by-name", _READ, experiments.by_name),
    Endpoint("GET", "experiments/search", _READ, experiments.search),
    Endpoint("POST", "experiments/search", _READ, experiments.search),
    Endpoint("POST", "experiments/update", _LOG, experiments.update),
    Endpoint("POST", "experiments/delete", _LOG, experiments.delete),
    Endpoint("POST", "experiments/restore", _LOG, experiments.restore),
    Endpoint("POST", "experiments/set-experiment-tag", _LOG, experiments.set_tag),
    Endpoint("POST", "experiments/delete-experiment-tag", _LOG, experiments.delete_tag),
    Endpoint("POST", "runs/create", _LOG, runs.create),
    Endpoint("GET", "runs/get", _READ, runs.get),
    Endpoint("POST", "runs/update", _LOG, runs.update),
    Endpoint("POST", "runs/search", _READ, runs.search),
    Endpoint("POST", "runs/delete", _LOG, runs.delete),
    Endpoint("POST", "runs/restore", _LOG, runs.restore),
    Endpoint("POST", "runs/log-batch", _LOG, batches.batch, batches.MOST_BYTES),
    Endpoint("POST", "runs/log-metric", _LOG, batches.metric),
    Endpoint("POST", "runs/log-parameter", _LOG, batches.param),
    Endpoint("POST", "runs/set-tag", _LOG, batches.tag),
    Endpoint("POST", "runs/delete-tag", _LOG, batches.delete_tag),
    Endpoint("GET", "metrics/get-history", _READ, histories.history),
    Endpoint("POST", "runs/log-inputs", _LOG, inputs.log_inputs),
    Endpoint("POST", "runs/outputs", _LOG, inputs.log_outputs),
    Endpoint("POST", "experiments/search-datasets", _READ, inputs.search),
    Endpoint("GET", "metrics/get-history-bulk", _READ, histories.bulk),
    Endpoint("GET", "metrics/get-history-bulk-interval", _READ, histories.interval),
    Endpoint("GET", "artifacts/list", _READ, artifacts.listed),
    Endpoint("POST", "logged-models", _LOG, logged.create),
    Endpoint("POST", "logged-models/search", _READ, logged_search.search),
    Endpoint("GET", _LOGGED, _READ, logged.get),
    Endpoint("PATCH", _LOGGED, _LOG, logged.finalize),
    Endpoint("DELETE", _LOGGED, _LOG, logged.delete),
    Endpoint("POST", f"{_LOGGED}/params", _LOG, logged.log_params),
    Endpoint("PATCH", f"{_LOGGED}/tags", _LOG, logged.set_tags),
    Endpoint("DELETE", f"{_LOGGED}/tags/{{tag_key:path}}", _LOG, logged.delete_tag),
    Endpoint("GET", f"{_LOGGED}/artifacts/directories", _READ, logged.listed),
    Endpoint("POST", f"{_MODELS}/create", Permission.REGISTER, models.create),
    Endpoint("GET", f"{_MODELS}/get", Permission.READ, models.get),
    Endpoint("GET", f"{_MODELS}/search", Permission.READ, models.search),
    Endpoint("GET", f"{_MODELS}/get-latest-versions", Permission.READ, models.latest_versions),
    Endpoint("POST", f"{_MODELS}/get-latest-versions", Permission.READ, models.latest_versions),
    Endpoint("GET", f"{_MODELS}/alias", Permission.READ, models.by_alias),
    Endpoint("POST", f"{_MODELS}/alias", Permission.PROMOTE, models.set_alias),
    Endpoint("DELETE", f"{_MODELS}/alias", Permission.PROMOTE, models.drop_alias),
    Endpoint("PATCH", f"{_MODELS}/update", Permission.REGISTER, models.update),
    Endpoint("POST", f"{_MODELS}/rename", Permission.REGISTER, models.rename),
    Endpoint("DELETE", f"{_MODELS}/delete", Permission.REGISTER, models.delete),
    Endpoint("POST", f"{_MODELS}/set-tag", Permission.REGISTER, models.set_tag),
    Endpoint("DELETE", f"{_MODELS}/delete-tag", Permission.REGISTER, models.delete_tag),
    Endpoint("POST", f"{_VERSIONS}/create", Permission.REGISTER, versions.create),
    Endpoint("GET", f"{_VERSIONS}/get", Permission.READ, versions.get),
    Endpoint("PATCH", f"{_VERSIONS}/update", Permission.REGISTER, versions.update),
    Endpoint("DELETE", f"{_VERSIONS}/delete", Permission.REGISTER, versions.delete),
    Endpoint("POST", f"{_VERSIONS}/transition-stage", Permission.PROMOTE, versions.transition),
    Endpoint("GET", f"{_VERSIONS}/search", Permission.READ, versions.search),
    Endpoint("GET", f"{_VERSIONS}/get-download-uri", Permission.READ, versions.source),
    Endpoint("POST", f"{_VERSIONS}/set-tag", Permission.REGISTER, versions.set_tag),
    Endpoint("DELETE", f"{_VERSIONS}/delete-tag", Permission.REGISTER, versions.delete_tag),
    Endpoint("POST", "webhooks", Permission.ADMIN, webhooks.create),
    Endpoint("GET", "webhooks", Permission.ADMIN, webhooks.listed),
    Endpoint("GET", "webhooks/{webhook_id}", Permission.ADMIN, webhooks.get),
    Endpoint("PATCH", "webhooks/{webhook_id}", Permission.ADMIN, webhooks.update),
    Endpoint("DELETE", "webhooks/{webhook_id}", Permission.ADMIN, webhooks.delete),
    Endpoint("POST", "webhooks/{webhook_id}/test", Permission.ADMIN, webhooks.try_out),
]

#: Routes of MLflow's for training and registering that answer 501 and why.
_OLDER = "Models are logged as MLflow 3 does it; this route is of clients before it."
_PROXIED = "Files go through this server: GET them below artifacts/."
NOT_SERVED: list[tuple[str, str]] = [
    ("runs/log-model", _OLDER),
]


def routes(ws: Workspace, threads: Threads) -> list[BaseRoute]:
    """Return the routes of the wire; what is not among them is refused as no endpoint."""
    found: list[BaseRoute] = []
    for root in ROOTS:
        found += [
            Route(f"{root}/{one.path}", Door(ws, threads, one), methods=[one.method])
            for one in ENDPOINTS
        ]
        found += [
            Route(f"{root}/{path}", _NotServed(path, why), methods=_METHODS)
            for path, why in NOT_SERVED
        ]
    streamed = packages.Packages(ws, threads, files.Files(ws, threads))
    for root in FILE_ROOTS:
        found.append(Route(f"{root}/artifacts", streamed, methods=["GET"]))
        found.append(
            Route(f"{root}/artifacts/{{path:path}}", streamed, methods=["GET", "PUT", "DELETE"])
        )
        parts = multipart.Multipart(ws, threads, f"{root}/mpu")
        found += [
            Route(f"{root}/mpu/part/{{upload}}/{{part:int}}", parts, methods=["PUT"]),
            Route(f"{root}/mpu/{{verb}}/{{path:path}}", parts, methods=["POST"]),
            Route(
                f"{root}/presigned/{{rest:path}}",
                _NotServed("presigned", _PROXIED),
                methods=_METHODS,
            ),
        ]
    info = about.ServerInfo()
    found += [Route(f"/{root}/3.0/mlflow/server-info", info) for root in ("api", "ajax-api")]
    of_run = files.OneFile(ws, threads, files.of_run)
    of_upload = files.OneFile(ws, threads, files.of_upload)
    of_model = files.OneFile(ws, threads, files.of_model)
    ajax = "/ajax-api/2.0/mlflow"
    of_version = packages.OneOfVersion(ws, threads, streamed)
    found.append(Route("/get-artifact", of_run, methods=["GET"]))
    found.append(Route("/model-versions/get-artifact", of_version, methods=["GET"]))
    found.append(Route(f"{ajax}/upload-artifact", of_upload, methods=["POST"]))
    found.append(Route(f"{ajax}/{_LOGGED}/artifacts/files", of_model, methods=["GET"]))
    return found


_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class _NotServed:
    """Refuses requests for one route, and says why."""

    def __init__(self, path: str, why: str) -> None:
        self._path = path
        self._why = why

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Refuse one request."""
        scope["state"]["route"] = "/api/2.0/mlflow/not-served"
        path = self._path.partition("/{")[0]
        raise NotServedError(f"{path} is not served here.", hint=self._why)
