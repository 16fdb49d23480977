"""Who may do what: a few roles, one table, one question, denied by default."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from mainspring.ground.errors import PermissionDeniedError


class Permission(StrEnum):
    """One kind of act. Every question to the store names the one it needs."""

    READ = "read"  #: see runs, models, decisions, alarms
    PREDICT = "predict"  #: ask an endpoint
    LOG = "log"  #: write runs, metrics, artifacts
    RUN = "run"  #: start and cancel pipelines
    REGISTER = "register"  #: register a candidate version and its card
    LABEL = "label"  #: send ground truth
    SERVE = "serve"  #: create and change endpoints
    RETRAIN = "retrain"  #: ask a loop for a new version
    LOOP = "loop"  #: declare, pause and resume a loop
    PROMOTE = "promote"  #: move an alias, roll back, override, acknowledge alarms
    WORK = "work"  #: be the engine: claim tasks, apply commands, write what monitors see
    ADMIN = "admin"  #: tokens, audit, settings


class Role(StrEnum):
    """What a principal may be. From viewer on each may all that the one before it may."""

    TRIGGER = "trigger"  #: for a program of others: it asks for a new version and sees nothing
    VIEWER = "viewer"
    CONTRIBUTOR = "contributor"
    APPROVER = "approver"
    ADMIN = "admin"
    SERVICE = "service"  #: the engine, endpoints and the web server themselves; no token has it


_VIEWER = {Permission.READ, Permission.PREDICT}
_CONTRIBUTOR = _VIEWER | {
    Permission.LOG,
    Permission.RUN,
    Permission.REGISTER,
    Permission.LABEL,
    Permission.SERVE,
    Permission.RETRAIN,
    Permission.LOOP,
}
_APPROVER = _CONTRIBUTOR | {Permission.PROMOTE}

ALLOWED: dict[Role, frozenset[Permission]] = {
    Role.TRIGGER: frozenset({Permission.RETRAIN}),
    Role.VIEWER: frozenset(_VIEWER),
    Role.CONTRIBUTOR: frozenset(_CONTRIBUTOR),
    Role.APPROVER: frozenset(_APPROVER),
    Role.ADMIN: frozenset(Permission) - {Permission.WORK},
    Role.SERVICE: frozenset(Permission) - {Permission.ADMIN},
}


class Principal(msgspec.Struct, frozen=True):
    """Somebody who asks: a token's name, the owner of the files, or a service of ours."""

    name: str
    role: Role


def owner(name: str = "owner") -> Principal:
    """Return the owner of the files, who is admin before the first token exists."""
    return Principal(name=name, role=Role.ADMIN)


def service(name: str) -> Principal:
    """Return one of our own processes, such as ``service("engine")``."""
    return Principal(name=f"service:{name}", role=Role.SERVICE)


def authorise(who: Principal, permission: Permission) -> None:
    """Let pass, or refuse.

    Raises:
        PermissionDeniedError: if the principal's role does not hold the permission.
    """
    if permission not in ALLOWED.get(who.role, frozenset()):
        enough = next((r for r in Role if permission in ALLOWED[r]), Role.ADMIN)
        raise PermissionDeniedError(
            f"{who.name} ({who.role}) may not {permission}.",
            hint=f"Ask an admin for a token with the role {enough}.",
        )
