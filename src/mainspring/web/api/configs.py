"""Configurations: of a run, a version or a loop, flat, so that two can be compared."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Request
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace

ConfigRef = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=300,
        description="A run's id, a version (flights/7), or a loop (loop:flights, loop:flights@2).",
        examples=["flights/7", "loop:flights"],
    ),
]


class OfConfig(Request, frozen=True, kw_only=True):
    """Whose configuration."""

    ref: ConfigRef


class Flat(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration by its dotted keys."""

    ref: str
    keys: dict[str, str]


@operation("configs.get", "GET", "/api/v1/configs", Permission.READ)
def get_config(ws: Workspace, request: OfConfig) -> Flat:
    """Show what decides how a run, a version or a loop behaves, by dotted keys."""
    from mainspring.workspace import configs

    return Flat(ref=request.ref, keys=configs.configuration(ws, request.ref))
