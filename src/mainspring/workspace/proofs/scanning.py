"""Look through a version's files before they are loaded, and keep what was found as evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.ground.identity import new_id
from mainspring.ground.objects import Evidence, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import evidence, forms, registry
from mainspring.readiness.scans import verdict
from mainspring.scaling.models import code_form
from mainspring.workspace import calling

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace


def scan(
    ws: Workspace,
    model: str,
    number: int,
    *,
    served: str | None = None,
    permission: Permission = Permission.WORK,
    lease: Lease | None = None,
) -> Evidence:
    """Scan what a version serves and what that was made of; keep it as evidence, and return it.

    ``served`` is the package it would serve, where that is not the registered one yet. It is
    done in a process of its own, which loads nothing.

    Raises:
        NotFoundError: if there is no such version.
    """

    def look(tx: Tx) -> tuple[Version, dict[str, forms.Trust]]:
        found = registry.get(tx, model, number)
        trusts = {digest: forms.trusted(tx, digest) for digest in _packages(found, served)}
        return found, {digest: one for digest, one in trusts.items() if one is not None}

    version, trusts = ws.read(Permission.READ, look)
    scanned: list[dict[str, Any]] = calling.child(
        ws, "scan", {"packages": _packages(version, served)}, lease
    )
    granted = {
        digest: f"{one.by} trusts it: {one.reason.strip()}" for digest, one in trusts.items()
    }
    for digest in _packages(version, served):
        # Who trusts a package's code trusts it in the package that was made of it.
        origin = None if digest in granted else code_form.made_of(digest, ws.objects)
        if origin is not None and origin in granted:
            granted[digest] = granted[origin]
    passed, told = verdict(scanned, granted)
    made = Evidence(
        id=new_id("ev"),
        kind="scan",
        subject=f"{version.model}/{version.number}",
        passed=passed,
        found=told,
        at=ws.clock.now(),
        by=ws.who.name,
        code=version.code,
        detail={"packages": scanned, "granted": granted},
    )
    ws.write(permission, lambda tx: evidence.record(tx, made))
    return made


def _packages(version: Version, served: str | None) -> list[str]:
    """Return the packages behind a version, each once: what serves first."""
    every = [served, version.package, version.origin]
    return list(dict.fromkeys(one for one in every if one))


def in_child(payload: dict[str, Any], objects: Any) -> list[dict[str, Any]]:
    """Return what a scan of each package found. For a process of its own."""
    from mainspring.scaling.models.scanning import whole

    found = [whole.scan(digest, objects) for digest in payload["packages"]]
    plain: list[dict[str, Any]] = msgspec.to_builtins(found)
    return plain
