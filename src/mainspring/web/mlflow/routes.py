"""What is behind which path, and what MLflow has that is not here."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from mainspring.ground.permissions import Permission
from mainspring.web.limits import Threads
from mainspring.web.mlflow import models
from mainspring.web.mlflow.calls import Door, Endpoint
from mainspring.web.mlflow.errors import NotServedError
from mainspring.workspace.opening import Workspace

ROOTS = ("/api/2.0/mlflow", "/ajax-api/2.0/mlflow")

_MODELS = "registered-models"
_VERSIONS = "model-versions"
ENDPOINTS = [
    Endpoint("POST", f"{_MODELS}/create", Permission.REGISTER, models.create),
    Endpoint("GET", f"{_MODELS}/get", Permission.READ, models.get),
    Endpoint("GET", f"{_MODELS}/search", Permission.READ, models.search),
    Endpoint("GET", f"{_MODELS}/get-latest-versions", Permission.READ, models.latest_versions),
    Endpoint("POST", f"{_MODELS}/get-latest-versions", Permission.READ, models.latest_versions),
    Endpoint("GET", f"{_MODELS}/alias", Permission.READ, models.by_alias),
    Endpoint("POST", f"{_MODELS}/alias", Permission.PROMOTE, models.set_alias),
    Endpoint("DELETE", f"{_MODELS}/alias", Permission.PROMOTE, models.drop_alias),
    Endpoint("GET", f"{_VERSIONS}/get", Permission.READ, models.version),
    Endpoint("GET", f"{_VERSIONS}/search", Permission.READ, models.search_versions),
    Endpoint("GET", f"{_VERSIONS}/get-download-uri", Permission.READ, models.source),
]

#: Routes of MLflow's for training and registering that answer 501 and why.
_FIXED = "Versions and models are written once here: they are neither renamed nor deleted."
_PACKAGES = (
    "Versions are registered by a pipeline, so that their data, code and gate are known:"
    " mainspring run PIPELINE --register MODEL."
)
_STAGES = "There are no stages here; set an alias instead."
_KEPT = "Models and versions have no tags or description of their own here; see the card."
_LOGGED = "Logged models are not kept here; log the files as artifacts of the run."
NOT_SERVED: list[tuple[str, str]] = [
    (f"{_MODELS}/rename", _FIXED),
    (f"{_MODELS}/delete", _FIXED),
    (f"{_MODELS}/update", _KEPT),
    (f"{_MODELS}/set-tag", _KEPT),
    (f"{_MODELS}/delete-tag", _KEPT),
    (f"{_VERSIONS}/create", _PACKAGES),
    (f"{_VERSIONS}/update", _KEPT),
    (f"{_VERSIONS}/delete", _FIXED),
    (f"{_VERSIONS}/transition-stage", _STAGES),
    (f"{_VERSIONS}/set-tag", _KEPT),
    (f"{_VERSIONS}/delete-tag", _KEPT),
    ("logged-models", _LOGGED),
    ("logged-models/{rest:path}", _LOGGED),
    ("runs/log-model", _LOGGED),
    ("runs/outputs", _LOGGED),
    ("runs/log-inputs", "Inputs of runs over this wire are not kept; log a tag or an artifact."),
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
        raise NotServedError(f"{self._path} is not served here.", hint=self._why)
