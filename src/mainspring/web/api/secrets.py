"""Secrets that steps are given: set, listed, removed, sealed anew. A value is never told."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Done, Name, Request
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace
from mainspring.workspace.vault.sealed import Rotated
from mainspring.workspace.vault.verbs import KeptSecret

Variable = Annotated[
    Name, Meta(description="The variable a step finds it in.", examples=["API_KEY"])
]


class SetSecret(Request, frozen=True, kw_only=True):
    """A secret and its value."""

    name: Variable
    value: Annotated[
        str,
        Meta(max_length=65_536, description="What is kept; nobody is told.", examples=["s3cr3t"]),
    ]


class RotateSecrets(Request, frozen=True, kw_only=True):
    """How all secrets are sealed anew."""

    new_key: Annotated[
        bool,
        Meta(description="Go on with a new key although values take one that is gone."),
    ] = False


class OfSecret(Request, frozen=True, kw_only=True):
    """About one secret."""

    name: Variable


@operation("secrets.list", "GET", "/api/v1/secrets", Permission.ADMIN)
def list_secrets(ws: Workspace) -> list[KeptSecret]:
    """List the names of the secrets that are kept for steps, who set them, and their key."""
    from mainspring.workspace.vault import verbs

    return verbs.listed(ws)


@operation(
    "secrets.set",
    "POST",
    "/api/v1/secrets/{name}/set",
    Permission.ADMIN,
    example={"name": "API_KEY", "value": "s3cr3t"},
)
def set_secret(ws: Workspace, request: SetSecret) -> KeptSecret:
    """Keep a secret for steps that ask for it by name; one of that name is replaced."""
    from mainspring.workspace.vault import verbs

    return verbs.put(ws, request.name, request.value)


@operation("secrets.remove", "POST", "/api/v1/secrets/{name}/remove", Permission.ADMIN)
def remove_secret(ws: Workspace, request: OfSecret) -> Done:
    """Forget a secret. A step that asks for it fails before it starts."""
    from mainspring.pipelines import secrets

    ws.write(Permission.ADMIN, lambda tx: secrets.remove(tx, request.name))
    return Done()


@operation("secrets.rotate", "POST", "/api/v1/secrets/rotate", Permission.ADMIN)
def rotate_secrets(ws: Workspace, request: RotateSecrets) -> Rotated:
    """Seal all that is kept secret with a new key; the server's own is changed."""
    from mainspring.workspace.vault import sealed

    return sealed.rotate(ws, new_key=request.new_key)
