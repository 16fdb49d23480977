"""Secrets that steps are given: set, listed by name, removed. A value is never told."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.pipelines.secrets import SecretName
from mainspring.web.api.fields import Done, Name, Request
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace

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


class OfSecret(Request, frozen=True, kw_only=True):
    """About one secret."""

    name: Variable


@operation("secrets.list", "GET", "/api/v1/secrets", Permission.ADMIN)
def list_secrets(ws: Workspace) -> list[SecretName]:
    """List the names of the secrets that are kept for steps, and who set them."""
    from mainspring.pipelines import secrets

    return ws.read(Permission.ADMIN, secrets.names)


@operation(
    "secrets.set",
    "POST",
    "/api/v1/secrets/{name}/set",
    Permission.ADMIN,
    example={"name": "API_KEY", "value": "s3cr3t"},
)
def set_secret(ws: Workspace, request: SetSecret) -> SecretName:
    """Keep a secret for steps that ask for it by name; one of that name is replaced."""
    from mainspring.pipelines import secrets

    return ws.write(Permission.ADMIN, lambda tx: secrets.set_one(tx, request.name, request.value))


@operation("secrets.remove", "POST", "/api/v1/secrets/{name}/remove", Permission.ADMIN)
def remove_secret(ws: Workspace, request: OfSecret) -> Done:
    """Forget a secret. A step that asks for it fails before it starts."""
    from mainspring.pipelines import secrets

    ws.write(Permission.ADMIN, lambda tx: secrets.remove(tx, request.name))
    return Done()
