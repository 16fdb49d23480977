"""The timeline of decisions: of all loops or one, of all kinds or one, with what each rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from mainspring.ground.errors import NotFoundError
from mainspring.ground.objects import Alarm, Decision
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.web.pages.subjects import Row, rows
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.shapes import TimelineEntry

_SHOWN = 60
#: Kinds that a reader looks for first; the others follow by name.
_FIRST = ("promote", "reject", "roll_back", "retrain", "canary", "shadow", "blue_green", "wait")


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return a page of decisions, the newest first.

    Raises:
        NotFoundError: if the decision to go on after, or the one asked for, is not there.
    """
    from mainspring.engine import reactor
    from mainspring.readiness import decisions

    loop, kind, one = (asked.get(key, "") for key in ("loop", "kind", "one"))
    after = asked.get("after") or None

    def work(tx: Tx) -> tuple[list[Decision], dict[str, int], dict[str, str], list[Alarm]]:
        models = {spec.name: spec.model for spec in reactor.loops(tx)}
        if one:
            found = [decisions.get(tx, one)]
        else:
            found = decisions.list_decisions(
                tx, loop=loop or None, limit=_SHOWN + 1, before=after, kind=kind or None
            )
        return found, decisions.kinds(tx, loop or None), models, _alarms(tx, found)

    found, kinds, models, alarms = ws.read(Permission.READ, work)
    shown = found[:_SHOWN]

    def query(**changes: str) -> str:
        chosen = {"loop": loop, "kind": kind} | changes
        told = urlencode({key: value for key, value in chosen.items() if value})
        return f"/decisions?{told}" if told else "/decisions"

    return {
        "rows": laid(shown, models, alarms),
        "models": models,
        "kinds": _ordered(kinds),
        "loop": loop,
        "kind": kind,
        "one": one,
        "query": query,
        "after": shown[-1].id if len(found) > _SHOWN else None,
        "later": after is not None,
    }


def laid(
    found: Sequence[Decision], models: Mapping[str, str], alarms: Sequence[Alarm]
) -> list[Row]:
    """Return decisions as rows; alarms of one loop dismissed together stand as one."""
    from mainspring.workspace.views.loops import links_of

    laid: list[Row] = []
    for loop, some in groupby(found, key=lambda one: one.loop):
        model = models.get(loop or "", "")
        entries = [TimelineEntry(decision=one, links=links_of(one, model or None)) for one in some]
        laid += rows(entries, model, alarms)
    return laid


def _alarms(tx: Tx, found: Sequence[Decision]) -> list[Alarm]:
    """Return the alarms that decisions speak of; one that is deleted stays without a name."""
    from mainspring.monitoring import alarms

    named = {one.subject.partition(":")[2] for one in found if one.subject.startswith("alarm:")}
    known = []
    for name in sorted(named):
        try:
            known.append(alarms.get(tx, name))
        except NotFoundError:
            continue
    return known


def _ordered(kinds: Mapping[str, int]) -> list[tuple[str, int]]:
    first = [(kind, kinds[kind]) for kind in _FIRST if kind in kinds]
    return first + sorted((kind, n) for kind, n in kinds.items() if kind not in _FIRST)
