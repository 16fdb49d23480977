"""The pages of evidence: a list of it, and one piece with its figures and what it opens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainspring.ground.permissions import Permission
from mainspring.workspace.opening import Workspace

_SHOWN = 200
_COLUMNS, _LISTED = 12, 8
_Plain = str | int | float | None
#: Columns that say what a row is about come first.
_NAMES = ("name", "policy", "column", "kind", "subject", "path")


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
    said = {key: value for key, value in one.detail.items() if value != ""}
    plain = {key: v for key, v in said.items() if isinstance(v, _Plain)}
    tables = {key: rows for key, v in said.items() if (rows := _table(v)) is not None}
    return {"one": one, "plain": plain, "tables": tables, "whole": one.detail}


def _table(value: object) -> tuple[list[str], list[dict[str, Any]]] | None:
    """Return the columns and rows of a list of records; None if it is anything else.

    A record in a record, such as an interval, becomes columns of its own; what is deeper, or
    too wide, is left to the whole.
    """
    if not isinstance(value, list) or not value or len(value) > _SHOWN:
        return None
    rows = [_flat(one) for one in value if isinstance(one, dict)]
    if len(rows) != len(value):
        return None
    columns = list(dict.fromkeys(key for row in rows for key in row))
    columns.sort(key=lambda key: (_NAMES.index(key) if key in _NAMES else len(_NAMES), " " in key))
    return (columns[:_COLUMNS], rows) if columns else None


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            inner = {f"{key} {name}": one for name, one in value.items()}
            flat |= {name: one for name, one in inner.items() if isinstance(one, _Plain)}
        elif isinstance(value, list) and all(isinstance(one, str | int | float) for one in value):
            told = ", ".join(str(one) for one in value[:_LISTED])
            flat[key] = told + (", …" if len(value) > _LISTED else "")
        elif isinstance(value, _Plain):
            flat[key] = value
    return flat
