"""The pages of evidence: a list of it, and one piece with its figures and what it opens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainspring.ground.permissions import Permission
from mainspring.workspace.opening import Workspace

_SHOWN = 200


def gather_all(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return the newest evidence: on a subject, of a kind, or all."""
    from mainspring.readiness import evidence

    subject, kind = asked.get("subject", ""), asked.get("kind", "")
    found = ws.read(
        Permission.READ,
        lambda tx: evidence.listing(tx, subject or None, kind or None, limit=_SHOWN),
    )
    return {"found": found, "subject": subject, "kind": kind, "most": _SHOWN}


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return one piece of evidence: plain figures as a table, the rest as it was kept.

    Raises:
        NotFoundError: if there is none.
    """
    from mainspring.readiness import evidence

    one = ws.read(Permission.READ, lambda tx: evidence.get(tx, asked["id"]))
    plain = {key: v for key, v in one.detail.items() if isinstance(v, str | int | float | None)}
    tables = {key: rows for key, v in one.detail.items() if (rows := _table(v)) is not None}
    rest = {k: v for k, v in one.detail.items() if k not in plain and k not in tables and v}
    return {"one": one, "plain": plain, "tables": tables, "rest": rest}


def _table(value: object) -> tuple[list[str], list[dict[str, Any]]] | None:
    """Return the columns and rows of a list of flat records; None if it is anything else."""
    if not isinstance(value, list) or not value:
        return None
    rows = [one for one in value if isinstance(one, dict)]
    if len(rows) != len(value) or len(rows) > _SHOWN:
        return None
    flat = all(isinstance(cell, str | int | float | None) for row in rows for cell in row.values())
    columns = list(dict.fromkeys(str(key) for row in rows for key in row))
    return (columns, rows) if flat and len(columns) <= 12 else None
