"""The pages of models: all of them, and one with its versions and all that is known of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mainspring.ground.errors import NotFoundError
from mainspring.ground.objects import DAY_S, Deprecation, Evidence, GateResult, Version
from mainspring.ground.permissions import Permission
from mainspring.web.pages import scored
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.shapes import ModelDetail

_SHOWN = 30  # versions of a page of the table
_METRICS = 4  # of them as columns; the version itself shows all
_EVIDENCE = 30

_WORST = ("fail", "stale", "pass")
OVERRIDDEN = ", OVERRIDDEN"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One version in the table."""

    version: Version
    aliases: list[str]
    standing: str  #: passed, stale, refused, waits for approval, not judged
    overridden: bool
    judged: float | None  #: wall time, where it is known
    holds: str  #: for how long its gate holds, in days
    gone: Deprecation | None


def gather_all(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG001
    """Return every model by name."""
    from mainspring.workspace.views.models import model_list

    return {"models": model_list(ws)}


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return one model: its versions as a table, and everything that is known of one of them.

    That one is the version asked for, else the champion, else the newest.

    Raises:
        NotFoundError: if there is no such model or version.
    """
    from mainspring.workspace.views.models import model_detail

    found = model_detail(ws, asked["model"])
    ordered = sorted(found.versions, key=lambda version: version.number, reverse=True)
    before = _number(asked.get("before")) or ordered[0].number + 1 if ordered else 0
    older = [version for version in ordered if version.number < before]
    number = _chosen(found, ordered, asked.get("version"))
    now = asked.get("score") == "now"
    return {
        "model": found,
        "rows": _rows(ws, found, older[:_SHOWN]),
        "metrics": _columns(older[:_SHOWN]),
        "before": older[_SHOWN - 1].number if len(older) > _SHOWN else None,
        "later": before <= ordered[0].number if ordered else False,
        "chosen": None if number is None else _one(ws, found.name, number),
        "score": scored.now(ws, found.name) if now else scored.kept(ws, found.name),
        "counted_now": now,
    }


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 10 else None


def _chosen(found: ModelDetail, ordered: Sequence[Version], asked: str | None) -> int | None:
    if asked:
        number = _number(asked)
        if number not in {version.number for version in ordered}:
            raise NotFoundError(f"{found.name} has no version {asked[:20]!r}.", field="version")
        return number
    if found.champion is not None:
        return found.champion
    return ordered[0].number if ordered else None


def _columns(versions: Sequence[Version]) -> list[str]:
    """Return the metrics that most of the versions have, a few, by name."""
    counts: dict[str, int] = {}
    for version in versions:
        for key in version.metrics:
            counts[key] = counts.get(key, 0) + 1
    return sorted(sorted(counts, key=lambda key: (-counts[key], key))[:_METRICS])


def _rows(ws: Workspace, found: ModelDetail, versions: Sequence[Version]) -> list[Row]:
    from mainspring.readiness import gate

    now = ws.clock.now()
    judged = ws.read(
        Permission.READ,
        lambda tx: {v.number: gate.latest(tx, found.name, v.number) for v in versions},
    )
    gone = {one.subject: one for one in found.deprecations}
    rows = []
    for version in versions:
        said = found.standings.get(str(version.number), "not judged")
        newest = judged[version.number]
        rows.append(
            Row(
                version=version,
                aliases=[a for a, number in found.aliases.items() if number == version.number],
                standing=said.removesuffix(OVERRIDDEN),
                overridden=said.endswith(OVERRIDDEN),
                judged=None if newest is None else newest.made,
                holds=holds(newest, now),
                gone=gone.get(f"{version.model}/{version.number}"),
            )
        )
    return rows


def holds(gate: GateResult | None, now: float) -> str:
    """Return for how many days a passed gate still holds, or since when it does not."""
    if gate is None or not gate.passed or gate.until is None:
        return ""
    days = abs(gate.until - now) / DAY_S
    span = "less than a day" if days < 1 else f"{int(days)} day{'s' if int(days) != 1 else ''}"
    return f"holds {span} more" if gate.fresh(now) else f"ran out {span} ago"


def _one(ws: Workspace, model: str, number: int) -> dict[str, Any]:
    from mainspring.workspace.views import models, readiness, whynot

    ref = f"{model}/{number}"
    detail = models.version_detail(ws, model, number)
    newest = detail.gates[0] if detail.gates else None
    checklist = readiness.checklist(ws, model, number)
    # What the gate found stands in its own table; here it stands where it is not well.
    asked = [
        item
        for item in checklist.items
        if item.state in ("fail", "stale")
        or (item.state == "pass" and not item.name.startswith("gate: "))
    ]
    return {
        "ref": ref,
        "detail": detail,
        "standing": detail.standing.removesuffix(OVERRIDDEN),
        "gate": newest,
        "holds": holds(newest, ws.clock.now()),
        "checklist": checklist,
        "items": sorted(asked, key=lambda item: _WORST.index(item.state)),
        "unasked": [item for item in checklist.items if item.state == "not asked"],
        "why": models.why(ws, ref),
        "why_not": None if "champion" in detail.aliases else whynot.of_version(ws, ref),
        "evidence": _evidence(ws, ref),
    }


def _evidence(ws: Workspace, subject: str) -> list[Evidence]:
    from mainspring.readiness import evidence

    return ws.read(Permission.READ, lambda tx: evidence.listing(tx, subject, limit=_EVIDENCE))
