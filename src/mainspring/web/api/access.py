"""Access: tokens and the audit log."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.web.api.fields import Limit, Request, TokenName
from mainspring.web.api.operations import operation
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.shapes import AuditRow, AuditVerdict


class CreateToken(Request, frozen=True, kw_only=True):
    """Whom the token is for, what they may, and for how long."""

    name: TokenName
    role: Literal["trigger", "viewer", "contributor", "approver", "admin"]
    ttl_s: Annotated[float, Meta(gt=0, le=1e10, description="Seconds it lives.")] | None = None


class OfToken(Request, frozen=True, kw_only=True):
    """Which token."""

    name: TokenName


class NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token's secret, never to be seen again."""

    name: str
    role: str
    token: str


class TokenRow(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it may be shown: never its secret."""

    name: str
    role: str
    created: float
    expires: float | None
    revoked: float | None


class Revoked(msgspec.Struct, frozen=True, kw_only=True):
    """It no longer counts, in every process within a second."""

    name: str


class ListAudit(Request, frozen=True, kw_only=True):
    """How many of the newest rows."""

    limit: Limit = 100


@operation(
    "tokens.create",
    "POST",
    "/api/v1/tokens",
    Permission.ADMIN,
    example={"name": "ci", "role": "contributor", "ttl_s": 86400},
)
def create_token(ws: Workspace, request: CreateToken) -> NewToken:
    """Make a token. From the first one on, tokens alone count; its secret is shown once."""
    from mainspring.workspace import tokens

    secret = ws.write(
        Permission.ADMIN,
        lambda tx: tokens.create(
            tx, request.name, request.role, now=ws.clock.now(), ttl_s=request.ttl_s
        ),
    )
    return NewToken(name=request.name, role=request.role, token=secret)


@operation("tokens.list", "GET", "/api/v1/tokens", Permission.ADMIN)
def list_tokens(ws: Workspace) -> list[TokenRow]:
    """List every token ever made, newest first, never with its secret."""
    from mainspring.workspace import tokens

    found = ws.read(Permission.ADMIN, tokens.listed)
    return [TokenRow(**msgspec.structs.asdict(one)) for one in found]


@operation("tokens.revoke", "DELETE", "/api/v1/tokens/{name}", Permission.ADMIN)
def revoke_token(ws: Workspace, request: OfToken) -> Revoked:
    """End a token; every process knows within a second."""
    from mainspring.workspace import tokens

    ws.write(Permission.ADMIN, lambda tx: tokens.revoke(tx, request.name, ws.clock.now()))
    return Revoked(name=request.name)


@operation("audit.list", "GET", "/api/v1/audit", Permission.ADMIN)
def list_audit(ws: Workspace, request: ListAudit) -> list[AuditRow]:
    """List the newest rows of the audit log, newest first."""
    from mainspring.workspace.views.house import audit_rows

    return audit_rows(ws, request.limit)


@operation("audit.verify", "GET", "/api/v1/audit/verify", Permission.ADMIN)
def verify_audit(ws: Workspace) -> AuditVerdict:
    """Walk the hash chain of the audit log and say where it breaks, if it does."""
    from mainspring.workspace.views.house import audit_verdict

    return audit_verdict(ws)
