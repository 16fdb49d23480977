"""Data versions: list them, show what one holds, remove one, push, pull, collect the garbage."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.pipelines.data.versions import DataVersion, Named
from mainspring.web.api.fields import Limit, Name, Number, Request
from mainspring.web.api.operations import operation
from mainspring.workspace.data.moving import Moved
from mainspring.workspace.keeping.pruning import Pruned
from mainspring.workspace.opening import Workspace

DatasetName = Annotated[
    Name, Meta(description="What the dataset is called.", examples=["flights"])
]
DataRef = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=300,
        description="A version: name@7, name@latest, or name@ and digits of its digest.",
        examples=["flights@7", "flights@latest"],
    ),
]
Remote = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2000,
        description="A folder of the server's, a home, or s3://bucket/prefix.",
        examples=["s3://team-data/flights"],
    ),
]


class OfDataset(Request, frozen=True, kw_only=True):
    """About one dataset."""

    name: DatasetName


class ShowData(Request, frozen=True, kw_only=True):
    """Which version, and which of its files."""

    version: DataRef
    limit: Limit = 100
    after: Annotated[str, Meta(max_length=4000, description="Only files behind this path.")] = ""


class OneData(Request, frozen=True, kw_only=True):
    """Which version."""

    name: DatasetName
    number: Number


class MoveData(Request, frozen=True, kw_only=True):
    """Where to, and which datasets or versions; without any, all."""

    remote: Remote
    versions: Annotated[list[DataRef], Meta(max_length=1000)] = []


class CollectData(Request, frozen=True, kw_only=True):
    """How to collect."""

    dry_run: bool = False
    unused_s: Annotated[
        float, Meta(ge=0, description="Copies that runs read go after so long without use.")
    ] = 7 * 86_400.0


class DataFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a version."""

    path: str
    size: int
    sha256: str
    executable: bool


class DataShown(msgspec.Struct, frozen=True, kw_only=True):
    """A version and a page of its files, by path."""

    version: DataVersion
    files: list[DataFile]
    more: bool


@operation("data.list", "GET", "/api/v1/data", Permission.READ)
def list_data(ws: Workspace) -> list[Named]:
    """List the datasets that have versions, by name: the newest of each, and how many."""
    from mainspring.pipelines.data import versions

    return ws.read(Permission.READ, versions.names)


@operation("data.log", "GET", "/api/v1/data/{name}/versions", Permission.READ)
def log(ws: Workspace, request: OfDataset) -> list[DataVersion]:
    """List the versions of a dataset, the newest first."""
    from mainspring.pipelines.data import versions

    return ws.read(Permission.READ, lambda tx: versions.every(tx, request.name))


@operation("data.show", "GET", "/api/v1/data-version", Permission.READ)
def show(ws: Workspace, request: ShowData) -> DataShown:
    """Show a version of a dataset and its files, by path, a page at a time."""
    from mainspring.pipelines.data import manifest, versions

    version = ws.read(Permission.READ, lambda tx: versions.resolve(tx, request.version))
    held = manifest.read(version.manifest or "", ws.objects)
    found = [one for one in held.entries if one.path > request.after]
    page = [
        DataFile(path=one.path, size=one.size, sha256=one.sha256, executable=one.executable)
        for one in found[: request.limit]
    ]
    return DataShown(version=version, files=page, more=len(found) > len(page))


@operation("data.remove", "DELETE", "/api/v1/data/{name}/versions/{number}", Permission.REGISTER)
def remove(ws: Workspace, request: OneData) -> DataVersion:
    """Remove a version of a dataset. Its number never comes back.

    Its bytes go with the next collection, but for those that another version, or a run that
    read it, still needs.
    """
    from mainspring.pipelines.data import versions

    return ws.write(
        Permission.REGISTER, lambda tx: versions.remove(tx, request.name, request.number)
    )


@operation(
    "data.push",
    "POST",
    "/api/v1/data-push",
    Permission.ADMIN,
    example={"remote": "s3://team-data/flights", "versions": ["flights@7"]},
)
def push(ws: Workspace, request: MoveData) -> list[Moved]:
    """Send versions to another place, which gets only what it lacks."""
    from mainspring.workspace.data import moving

    return moving.push(ws, request.remote, request.versions)


@operation(
    "data.pull",
    "POST",
    "/api/v1/data-pull",
    Permission.ADMIN,
    example={"remote": "s3://team-data/flights", "versions": ["flights@latest"]},
)
def pull(ws: Workspace, request: MoveData) -> list[Moved]:
    """Bring versions from another place, and only what lacks here.

    A version is known by its content: under which number it is here stands in the answer.
    """
    from mainspring.workspace.data import moving

    return moving.pull(ws, request.remote, request.versions)


@operation("data.gc", "POST", "/api/v1/data-gc", Permission.ADMIN)
def gc(ws: Workspace, request: CollectData) -> Pruned:
    """Reclaim the space of data that no version, run or step needs."""
    from mainspring.workspace.keeping import pruning

    given: dict[str, Any] = {"dry_run": request.dry_run, "unused_s": request.unused_s}
    return pruning.prune(ws, **given)
