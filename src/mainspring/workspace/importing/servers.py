"""Read an MLflow server over HTTP, as its own clients do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import httpx
import msgspec

from mainspring.experiments.datasets import Dataset, Use
from mainspring.experiments.logged import Measured
from mainspring.experiments.metrics import Point
from mainspring.ground.errors import BadInputError, UnavailableError
from mainspring.workspace.importing.files import Unread, spooled
from mainspring.workspace.importing.found import (
    STATUSES,
    FoundExperiment,
    FoundLogged,
    FoundModel,
    FoundRun,
    FoundVersion,
    logged_of,
    seconds,
    text,
)

_API = "/api/2.0/mlflow"
_PROXY = "/api/2.0/mlflow-artifacts/artifacts"
_PAGE, _POINTS = 500, 20_000
_DEEPEST = 30  #: folders within folders


class ServedFile(msgspec.Struct, frozen=True):
    """A file that a server gives."""

    path: str
    size: int
    client: httpx.Client
    url: str
    query: dict[str, str]
    spool: Path

    @contextmanager
    def open(self) -> Iterator[Path]:
        """Give the file on this disk, for as long as it is needed."""
        with self.client.stream("GET", self.url, params=self.query) as reply:
            if not reply.is_success:
                raise UnavailableError(f"The server answered {reply.status_code} for {self.path}.")
            with spooled(reply.iter_bytes(1 << 20), self.spool) as file:
                yield file


class ServerStore:
    """A server. A user and password, or a token, may stand in its URL."""

    def __init__(self, uri: str, spool: Path) -> None:
        split = urlsplit(uri)
        host = split.hostname or ""
        where = f"{host}:{split.port}" if split.port else host
        self.uri = urlunsplit((split.scheme, where, split.path.rstrip("/"), "", ""))
        auth = (split.username, split.password or "") if split.username else None
        self._client = httpx.Client(base_url=self.uri, auth=auth, timeout=60.0, trust_env=False)
        self._spool = spool
        self._count = 0

    def experiments(self) -> list[FoundExperiment]:
        """Return every experiment, deleted or not."""
        asked = {"view_type": "ALL"}
        return [
            FoundExperiment(
                id=text(one["experiment_id"]),
                name=text(one["name"]),
                created=seconds(one.get("creation_time") or 0),
                deleted=one.get("lifecycle_stage") == "deleted",
                tags=_pairs(one.get("tags")),
            )
            for one in self._pages("experiments/search", "experiments", asked)
        ]

    def run_count(self) -> int:
        """Return 0: a server does not say."""
        return 0

    def runs(self, experiment: str) -> Iterator[FoundRun]:
        """Go through the runs of an experiment, deleted or not."""
        asked = {"experiment_ids": [experiment], "run_view_type": "ALL"}
        for one in self._pages("runs/search", "runs", asked):
            yield _run(one)

    def points(self, run: str, experiment: str) -> Iterator[list[Point]]:  # noqa: ARG002
        """Go through the whole history of a run's metrics, in parts."""
        data = self._get("runs/get", {"run_id": run})["run"].get("data", {})
        for latest in data.get("metrics") or []:
            asked: dict[str, Any] = {"run_id": run, "metric_key": latest["key"]}
            asked["max_results"] = _POINTS
            while True:
                page = self._get("metrics/get-history", asked)
                yield [
                    Point(
                        key=one["key"],
                        value=float(one["value"]),
                        step=int(one.get("step") or 0),
                        time=seconds(one["timestamp"]),
                    )
                    for one in page.get("metrics") or []
                ]
                if not page.get("next_page_token"):
                    break
                asked["page_token"] = page["next_page_token"]

    def logged(self, experiment: str) -> Iterator[FoundLogged]:
        """Go through the logged models of an experiment; older servers have none."""
        asked = {"experiment_ids": [experiment]}
        try:
            several = list(self._pages("logged-models/search", "models", asked, most=50))
        except UnavailableError:
            return
        for one in several:
            yield _logged(one)

    def models(self) -> Iterator[FoundModel]:
        """Go through the registered models."""
        for one in self._pages("registered-models/search", "registered_models", method="GET"):
            name = text(one["name"])
            quoted = name.replace("\\", "\\\\").replace("'", "\\'")
            versions = self._pages(
                "model-versions/search",
                "model_versions",
                {"filter": f"name='{quoted}'"},
                method="GET",
            )
            yield FoundModel(
                name=name,
                created=seconds(one.get("creation_timestamp") or 0),
                description=text(one.get("description")),
                tags=_pairs(one.get("tags")),
                aliases={a["alias"]: int(a["version"]) for a in one.get("aliases") or []},
                versions=sorted(
                    (self._version(version) for version in versions),
                    key=lambda version: version.number,
                ),
            )

    def walk(self, uri: str, *beside: str) -> Iterator[ServedFile | Unread]:
        """Go through the files below an artifact URI."""
        split = urlsplit(uri)
        if split.scheme == "mlflow-artifacts":
            yield from self._proxied(split.path.strip("/"), "", 0)
        elif len(beside) == 3:
            yield from self._of_run(beside[1], "", 0)
        elif len(beside) == 4:
            yield from self._of_logged(beside[2], "", 0)
        else:
            yield Unread(uri, "the server does not hand it out")

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    # ------------------------------------------------------------ parts

    def _proxied(self, root: str, folder: str, deep: int) -> Iterator[ServedFile | Unread]:
        where = f"{root}/{folder}" if folder else root
        for one in self._ask("GET", _PROXY, query={"path": where}).get("files") or []:
            path = f"{folder}/{one['path']}" if folder else one["path"]
            if one.get("is_dir"):
                if deep < _DEEPEST:
                    yield from self._proxied(root, path, deep + 1)
                continue
            url = f"{_PROXY}/{quote(f'{root}/{path}')}"
            size = int(one.get("file_size") or 0)
            yield ServedFile(path, size, self._client, url, {}, self._spool)

    def _of_run(self, run: str, folder: str, deep: int) -> Iterator[ServedFile | Unread]:
        asked = {"run_id": run, **({"path": folder} if folder else {})}
        for one in self._get("artifacts/list", asked).get("files") or []:
            if one.get("is_dir"):
                if deep < _DEEPEST:
                    yield from self._of_run(run, one["path"], deep + 1)
                continue
            query = {"run_uuid": run, "path": one["path"]}
            size = int(one.get("file_size") or 0)
            yield ServedFile(one["path"], size, self._client, "/get-artifact", query, self._spool)

    def _of_logged(self, model: str, folder: str, deep: int) -> Iterator[ServedFile | Unread]:
        asked = {"artifact_directory_path": folder} if folder else {}
        found = self._get(f"logged-models/{quote(model)}/artifacts/directories", asked)
        for one in found.get("files") or []:
            if one.get("is_dir"):
                if deep < _DEEPEST:
                    yield from self._of_logged(model, one["path"], deep + 1)
                continue
            url = f"/ajax-api/2.0/mlflow/logged-models/{quote(model)}/artifacts/files"
            query = {"artifact_file_path": one["path"]}
            size = int(one.get("file_size") or 0)
            yield ServedFile(one["path"], size, self._client, url, query, self._spool)

    def _version(self, one: dict[str, Any]) -> FoundVersion:
        asked = {"name": text(one["name"]), "version": text(one["version"])}
        files = self._get("model-versions/get-download-uri", asked).get("artifact_uri")
        return FoundVersion(
            number=int(one["version"]),
            created=seconds(one.get("creation_timestamp") or 0),
            source=text(one.get("source")),
            files=text(files) or text(one.get("source")),
            run=one.get("run_id") or None,
            link=one.get("run_link") or None,
            logged=one.get("model_id") or logged_of(text(one.get("source"))),
            description=text(one.get("description")),
            stage=text(one.get("current_stage")) or "None",
            tags=_pairs(one.get("tags")),
        )

    def _pages(
        self,
        path: str,
        name: str,
        asked: dict[str, Any] | None = None,
        method: str = "POST",
        most: int = _PAGE,
    ) -> Iterator[dict[str, Any]]:
        wanted: dict[str, Any] = {**(asked or {}), "max_results": most}
        while True:
            if method == "POST":
                page = self._ask("POST", f"{_API}/{path}", body=wanted)
            else:
                page = self._get(path, wanted)
            yield from page.get(name) or []
            if not page.get("next_page_token"):
                return
            wanted["page_token"] = page["next_page_token"]

    def _get(self, path: str, query: dict[str, Any]) -> dict[str, Any]:
        return self._ask("GET", f"{_API}/{path}", query=query)

    def _ask(
        self,
        method: str,
        path: str,
        query: dict[str, Any] | None = None,
        body: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        try:
            reply = self._client.request(method, path, params=query, json=body)
        except httpx.HTTPError as error:
            raise UnavailableError(f"No server answers at {self.uri}: {error}.") from error
        if reply.status_code in (401, 403):
            raise BadInputError(
                f"{self.uri} refuses: {reply.status_code}.",
                field="uri",
                hint="Give a user and password in the URL: http://USER:PASSWORD@HOST.",
            )
        try:
            found = reply.json()
        except ValueError:
            found = None
        if not reply.is_success or not isinstance(found, dict):
            told = found.get("message") if isinstance(found, dict) else reply.text[:200]
            raise UnavailableError(f"{self.uri}{path} answered {reply.status_code}: {told}")
        return found


def _pairs(several: Any) -> dict[str, str]:
    return {one["key"]: text(one.get("value")) for one in several or []}


def _run(one: dict[str, Any]) -> FoundRun:
    info, data = one["info"], one.get("data") or {}
    tags = _pairs(data.get("tags"))
    ended = info.get("end_time")
    given, outputs = one.get("inputs") or {}, one.get("outputs") or {}
    return FoundRun(
        id=text(info["run_id"]),
        name=text(info.get("run_name")) or tags.get("mlflow.runName", ""),
        status=STATUSES[text(info.get("status") or "FINISHED")],
        started=seconds(info.get("start_time") or 0),
        ended=seconds(ended) if ended else None,
        deleted=info.get("lifecycle_stage") == "deleted",
        user=text(info.get("user_id")),
        files=text(info.get("artifact_uri")),
        params=_pairs(data.get("params")),
        tags=tags,
        inputs=[_use(used) for used in given.get("dataset_inputs") or []],
        read=[text(used.get("model_id")) for used in given.get("model_inputs") or []],
        made=[text(used.get("model_id")) for used in outputs.get("model_outputs") or []],
    )


def _use(one: dict[str, Any]) -> Use:
    data, tags = one["dataset"], _pairs(one.get("tags"))
    return Use(
        dataset=Dataset(
            name=text(data.get("name")),
            digest=text(data.get("digest")),
            source_type=text(data.get("source_type")),
            source=text(data.get("source")),
            schema=data.get("schema"),
            profile=data.get("profile"),
        ),
        context=tags.pop("mlflow.data.context", ""),
        tags=tags,
    )


def _logged(one: dict[str, Any]) -> FoundLogged:
    info, data = one["info"], one.get("data") or {}
    model = text(info["model_id"])
    return FoundLogged(
        id=model,
        name=text(info.get("name")),
        run=info.get("source_run_id") or None,
        type=info.get("model_type") or None,
        ready={"LOGGED_MODEL_READY": True, "LOGGED_MODEL_UPLOAD_FAILED": False}.get(
            text(info.get("status"))
        ),
        created=seconds(info.get("creation_timestamp_ms") or 0),
        changed=seconds(info.get("last_updated_timestamp_ms") or 0),
        files=text(info.get("artifact_uri")),
        params=_pairs(data.get("params")),
        tags=_pairs(info.get("tags")),
        metrics=[
            Measured(
                model=model,
                run=text(point.get("run_id")),
                key=text(point["key"]),
                value=float(point["value"]),
                step=int(point.get("step") or 0),
                time=seconds(point["timestamp"]),
                dataset_name=point.get("dataset_name"),
                dataset_digest=point.get("dataset_digest"),
            )
            for point in data.get("metrics") or []
        ],
    )
