"""Write down how the fast form of a version compares with the exact one, as evidence."""

from __future__ import annotations

import msgspec

from mainspring.ground.objects import Evidence, Version
from mainspring.ground.ports import Tx
from mainspring.readiness import evidence
from mainspring.scaling.models import package
from mainspring.scaling.models.onnx_form import Parity
from mainspring.workspace.opening import Workspace

KIND = "parity"


def of(ws: Workspace, digest: str) -> Parity | None:
    """Return how both forms of a package compare; None if nobody compared them."""
    if "parity.json" not in package.read_manifest(digest, ws.objects).files:
        return None
    return package.parity(digest, ws.objects)


def keep(tx: Tx, version: Version, found: Parity | None, at: float) -> None:
    """Keep what was compared as evidence on a version; once for each package it had."""
    if found is None:
        return
    evidence.record(
        tx,
        Evidence(
            id=f"ev-parity-{version.model}-{version.number}-{version.package[:12]}",
            kind=KIND,
            subject=f"{version.model}/{version.number}",
            passed=found.passed if found.rows else None,
            found=said(found),
            at=at,
            by=tx.who.name,
            code=version.package,
            detail=msgspec.to_builtins(found),
        ),
    )


def said(found: Parity) -> str:
    """Return a comparison in one sentence, with figures."""
    if not found.rows:
        return f"Served by its library, for there is no ONNX form: {found.reason}"
    most = "not a number" if found.max_difference is None else f"{found.max_difference:.1e}"
    figures = (
        f"{found.rows:,} rows, {found.gaps:,} of them with a missing value: scores differ by at"
        f" most {most} ({found.tolerance:.1e} allowed), {found.labels_differ:,} labels differ"
    )
    if not found.passed:
        return f"Served by its library, for ONNX does not agree with it: {figures}."
    if not found.missing:
        return f"Served as ONNX where no value is missing, else by its library: {figures}."
    return f"Served as ONNX: {figures}."
