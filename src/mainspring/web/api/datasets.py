"""Datasets: the profile of one that a run logged."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Limit, Request
from mainspring.web.api.operations import operation
from mainspring.workspace.datasets import Found, Named, Shown
from mainspring.workspace.opening import Workspace

DatasetName = Annotated[
    str, Meta(min_length=1, max_length=500, description="What it was logged as.")
]
DataDigest = Annotated[
    str,
    Meta(min_length=1, max_length=64, description="Of its content, or the beginning of it."),
]


class OneDataset(Request, frozen=True, kw_only=True):
    """Which dataset."""

    name: DatasetName
    digest: DataDigest | None = None


class ListDatasets(Request, frozen=True, kw_only=True):
    """How many."""

    limit: Limit = 100


@operation("datasets.profile", "GET", "/api/v1/dataset-profile", Permission.READ)
def profile(ws: Workspace, request: OneDataset) -> Found:
    """Show the newest profile of a dataset: the statistics of every column."""
    from mainspring.workspace.datasets import of_dataset

    return of_dataset(ws, request.name, request.digest)


@operation("datasets.list", "GET", "/api/v1/datasets", Permission.READ)
def list_datasets(ws: Workspace, request: ListDatasets) -> list[Named]:
    """List the datasets that runs read, by name: the newest version of each, and how many."""
    from mainspring.workspace.datasets import every

    return every(ws, request.limit)


@operation(
    "datasets.show",
    "GET",
    "/api/v1/dataset",
    Permission.READ,
    example={"name": "flights-training", "digest": "3f2a"},
)
def show(ws: Workspace, request: OneDataset) -> Shown:
    """Show a dataset: which runs read it, its columns, and for a loop's rows how they came about.

    ``training_set`` is what a loop wrote down when it assembled them.
    """
    from mainspring.workspace.datasets import shown

    return shown(ws, request.name, request.digest)
