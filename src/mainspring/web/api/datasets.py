"""Datasets: the profile of one that a run logged."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Request
from mainspring.web.api.operations import operation
from mainspring.workspace.datasets import Found
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


@operation("datasets.profile", "GET", "/api/v1/dataset-profile", Permission.READ)
def profile(ws: Workspace, request: OneDataset) -> Found:
    """Show the newest profile of a dataset: the statistics of every column."""
    from mainspring.workspace.datasets import of_dataset

    return of_dataset(ws, request.name, request.digest)
