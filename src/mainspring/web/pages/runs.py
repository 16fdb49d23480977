"""The table of runs: found by a filter, in any order, with the columns one chooses."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from mainspring.experiments.reserved import GROUP, USER
from mainspring.ground.errors import BadInputError, MainspringError
from mainspring.ground.objects import Run
from mainspring.web.pages import bests, sparks, words
from mainspring.web.pages.curves import is_system
from mainspring.web.pages.fields import Asked
from mainspring.workspace.opening import Workspace

_ROWS = 50
_METRICS, _PARAMS = 4, 4  # columns that are chosen where nobody has chosen
_PLACE = re.compile(r"at character (\d+)")
#: Fields that stay in the address when another one changes.
_STAYING = ("experiment", "status", "deleted", "filter", "order", "spark", "nest")
_OFFERED = 1200  # columns in the menu


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """Why a search cannot be read, and where."""

    field: str
    message: str
    hint: str
    text: str  #: what was asked
    place: int | None  #: of the character, from 0


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The head of a column."""

    name: str  #: as a filter names it
    kind: str  #: metric, param, tag or run
    key: str
    href: str  #: what sorts by it
    sorted: str = ""  #: ascending, descending, or nothing


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """The address of this table, and of those that differ from it in one thing."""

    fields: list[tuple[str, str]]

    def but(self, **changed: str | Sequence[str] | None) -> str:
        """Return the address with some fields changed; None takes one away."""
        kept = [(key, value) for key, value in self.fields if key not in changed]
        for key, value in changed.items():
            if value is not None:
                several = [value] if isinstance(value, str) else value
                kept += [(key, one) for one in several]
        return f"/runs?{urlencode(kept)}" if kept else "/runs"


def gather(ws: Workspace, asked: Asked) -> dict[str, Any]:
    """Return a page of the table; what cannot be read of the search is said beside it."""
    from mainspring.workspace.views.run_table import Wanted, run_table

    wanted = _wanted(asked)
    trouble = None
    try:
        table = run_table(ws, wanted, choose)
    except BadInputError as error:
        trouble = _trouble(error, asked)
        nothing = Wanted(limit=1, filter="id = ''", counted=False)
        table = run_table(ws, nothing, choose)
    ask = Ask(fields=_fields(asked))
    heads = {
        "attributes": [_head(ask, asked, "run", key) for key in ("status", "name", "started")],
        "duration": _head(ask, asked, "run", "duration"),
        "user": _head(ask, asked, "run", "user"),
        "group": _head(ask, asked, "run", "group"),
        "columns": [_head(ask, asked, kind, key) for kind, key in table.columns],
    }
    runs = [row.run for row in table.rows]
    return {
        "table": table,
        "trouble": trouble,
        "ask": ask,
        "heads": heads,
        "told": {
            key: dict(zip((run.id for run in runs), _aligned(runs, key), strict=True))
            for kind, key in table.columns
            if kind == "metric"
        },
        "numeric": [_numeric(runs, kind, key) for kind, key in table.columns],
        "offered": [] if asked.get("part") else _offered(table),
        "sparks": {run: sparks.curve(_finite(found)) for run, found in table.sparks.items()},
        "has_user": any(USER in run.tags for run in runs),
        "has_group": any(GROUP in run.tags for run in runs),
        "names": {one.key: one.name for one in table.experiments},
        "wanted": wanted,
        "asked": asked,
        "searching": bool(wanted.filter or wanted.status or wanted.deleted),
        "now": ws.clock.now(),
    }


def found_by(ws: Workspace, asked: Asked, most: int) -> tuple[list[str], bool]:
    """Return the ids of the runs that the address asks for, and whether there are more.

    Raises:
        BadInputError: naming what of the search cannot be read.
    """
    from mainspring.workspace.views.run_table import found_ids

    wanted = msgspec.structs.replace(_wanted(asked), limit=most, folded=False)
    return found_ids(ws, wanted)


def _wanted(asked: Asked) -> Any:
    from mainspring.workspace.views.run_table import Wanted

    text = asked.get("filter", "").strip()
    named = asked.several("column")
    flat = asked.get("nest") == "no" or bool(text) or asked.get("deleted") == "yes"
    return Wanted(
        filter=text,
        order=asked.get("order", "").strip(),
        experiment=asked.get("experiment") or None,
        status=asked.get("status") or None,
        deleted=asked.get("deleted") == "yes",
        folded=not flat and not asked.get("status"),
        opened=frozenset(asked.several("open")),
        columns=[one for one in named if one] if named else None,
        spark=asked.get("spark") or None,
        limit=_ROWS,
        cursor=asked.get("cursor") or None,
    )


def _fields(asked: Asked) -> list[tuple[str, str]]:
    found = [(key, asked[key]) for key in _STAYING if asked.get(key)]
    found += [("column", one) for one in asked.several("column")]
    return found + [("open", one) for one in asked.several("open")]


def _trouble(error: MainspringError, asked: Asked) -> Trouble:
    field = error.field or "filter"
    place = _PLACE.search(error.message)
    return Trouble(
        field=field,
        message=error.message,
        hint=error.hint or "",
        text=asked.get(field, ""),
        place=int(place[1]) - 1 if place else None,
    )


# ---------------------------------------------------------------- columns


def choose(known: Any, runs: Sequence[Run], experiment: Any) -> list[tuple[Any, str]]:
    """Return the columns of a table for which nobody chose any.

    The metric that the experiment declares to count, then those that most runs have, names that
    say which end is good before others; and params that differ between these runs.
    """
    goal = None if experiment is None else bests.declared(experiment.tags)

    def rank(column: Any) -> tuple[bool, int, bool, int, str]:
        named = goal is not None and column.key == goal.metric
        good = bests.highest_is_best(column.key) is not None
        return (not named, -column.runs, not good, column.key.count("/"), column.key)

    own = sorted((one for one in known.metrics if not is_system(one.key)), key=rank)
    params = [one.key for one in known.params]
    given = {key: {run.params[key] for run in runs if key in run.params} for key in params}
    differing = [key for key in params if len(given[key]) > 1]
    return [
        *(("metric", one.key) for one in own[:_METRICS]),
        *(("param", key) for key in (differing or params)[:_PARAMS]),
    ]


def _head(ask: Ask, asked: Asked, kind: Any, key: str) -> Header:
    from mainspring.experiments.expressions import column

    name = column(kind, key)
    now = asked.get("order", "").strip()
    first = f"-{name}" if _falls_first(kind, key) else name
    other = name if first.startswith("-") else f"-{name}"
    # Once one way, once the other, then as if nobody had asked.
    after = {first: other, other: None}.get(now, first)
    state = {name: "ascending", f"-{name}": "descending"}.get(now, "")
    return Header(name=name, kind=kind, key=key, href=ask.but(order=after), sorted=state)


def _falls_first(kind: str, key: str) -> bool:
    if kind == "metric":
        return bests.highest_is_best(key) is not False
    return kind == "run" and key in ("started", "duration")


def _numeric(runs: Sequence[Run], kind: str, key: str) -> bool:
    if kind == "metric":
        return True
    found = [(run.params if kind == "param" else run.tags).get(key) for run in runs]
    return all(_is_number(text) for text in found if text is not None)


def _aligned(runs: Sequence[Run], key: str) -> list[str]:
    return words.aligned([run.metrics.get(key) for run in runs])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return len(text) <= 40


def _offered(table: Any) -> list[tuple[str, str, str, int, bool]]:
    """Return what the menu of columns offers: name, kind, key, runs that have it, shown now."""
    from mainspring.experiments.expressions import column

    shown = set(table.columns)
    every: list[tuple[Any, Any]] = [
        *(("metric", one) for one in table.known.metrics),
        *(("param", one) for one in table.known.params),
        *(("tag", one) for one in table.known.tags if not one.key.startswith("mainspring.")),
    ]
    found: list[tuple[str, Any, str, int, bool]] = [
        (column(kind, one.key), kind, one.key, one.runs, (kind, one.key) in shown)
        for kind, one in every
    ]
    there = {(kind, key) for _, kind, key, *_ in found}
    found += [
        (column(kind, key), kind, key, 0, True)
        for kind, key in table.columns
        if (kind, key) not in there and kind != "run"
    ]
    found.sort(key=lambda one: not one[4])
    return found[:_OFFERED]


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]
