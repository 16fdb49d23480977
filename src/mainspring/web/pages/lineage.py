"""The lineage page: a picture of what a thing came from and what came of it, to walk by links."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup, escape

from mainspring.ground.errors import BadInputError
from mainspring.workspace.lineage.asking import MOST_DEPTH, lineage_of, page_of
from mainspring.workspace.lineage.shapes import KINDS, Leads, Lineage, Thing
from mainspring.workspace.opening import Workspace

_WIDTH, _HEIGHT = 176, 46  # of a box
_ACROSS, _DOWN, _EDGE = 64, 16, 16  # gaps between columns and rows, and the margin
_LETTERS = 21  # that fit into a box
_MOST = 200  # boxes; beyond that those of a kind in a column are folded
_UNFOLDED = 5  # of a kind in a column stay
_LOOK = {"failed": "failed", "deleted": "failed", "gone": "failed", "running": "running"}
_WAYS = ("both", "up", "down")


def gather(ws: Workspace, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return the picture and the list of what was asked about; a form where nothing was."""
    subject, way = asked.get("subject", "").strip(), asked.get("direction", "both")
    if way not in _WAYS:
        raise BadInputError(
            f"direction is up, down or both, found {way[:80]!r}.", field="direction"
        )
    depth = _depth(asked.get("depth", ""))
    shown = {"subject": subject, "way": way, "ways": _WAYS, "depth": depth, "kinds": KINDS}
    if not subject:
        return {**shown, "found": None, "picture": "", "groups": {}, "folded": 0}
    found = lineage_of(ws, subject, way, depth=depth)  # type: ignore[arg-type]
    things, leads, folded = fold(found)
    groups: dict[str, list[Thing]] = defaultdict(list)
    for one in found.things:
        if one.ref != found.subject:
            groups[one.kind].append(one)
    return {
        **shown,
        "found": found,
        "picture": picture(found.subject, things, leads),
        "groups": dict(groups),
        "folded": folded,
        "link": link,
        "page": page_of,
    }


def _depth(text: str) -> int:
    if not text:
        return 6
    if not text.isdigit() or not 1 <= int(text[:4]) <= MOST_DEPTH:
        raise BadInputError(
            f"depth is from 1 to {MOST_DEPTH}, found {text[:20]!r}.", field="depth"
        )
    return int(text)


def link(ref: str) -> str:
    """Return the page that asks about a thing."""
    return f"/lineage?{urlencode({'subject': ref})}"


def fold(found: Lineage) -> tuple[list[Thing], list[Leads], int]:
    """Return what is drawn: all of it, or with those of a kind in a column folded into one.

    The third is how many things are not drawn.
    """
    if len(found.things) <= _MOST:
        return list(found.things), list(found.leads), 0
    several: dict[tuple[int, str], list[Thing]] = defaultdict(list)
    for one in found.things:
        several[one.depth, one.kind].append(one)
    drawn: list[Thing] = []
    into: dict[str, str] = {}
    hidden = 0
    for (depth, kind), mine in several.items():
        drawn += mine[:_UNFOLDED]
        rest = mine[_UNFOLDED:]
        if rest:
            hidden += len(rest)
            ref = f"folded:{depth}:{kind}"
            drawn.append(
                Thing(ref=ref, kind=kind, label=f"{len(rest):,} more", depth=depth, state="folded")
            )
            into |= dict.fromkeys((one.ref for one in rest), ref)
    leads = dict.fromkeys(
        Leads(up=into.get(one.up, one.up), down=into.get(one.down, one.down), how=one.how)
        for one in found.leads
    )
    return drawn, [one for one in leads if one.up != one.down], hidden


def picture(subject: str, things: Sequence[Thing], leads: Sequence[Leads]) -> Markup:
    """Return things in columns as SVG, what came before on the left; each box is a link."""
    columns: dict[int, list[Thing]] = defaultdict(list)
    for one in things:
        columns[one.depth].append(one)
    order = sorted(columns)
    tallest = max((len(column) for column in columns.values()), default=0)
    spots: dict[str, tuple[int, int]] = {}
    for number, depth in enumerate(order):
        above = (tallest - len(columns[depth])) * (_HEIGHT + _DOWN) // 2
        for row, one in enumerate(columns[depth]):
            x = _EDGE + number * (_WIDTH + _ACROSS)
            spots[one.ref] = (x, _EDGE + above + row * (_HEIGHT + _DOWN))
    right = _EDGE * 2 + len(order) * (_WIDTH + _ACROSS) - _ACROSS
    bottom = _EDGE * 2 + tallest * (_HEIGHT + _DOWN) - _DOWN
    parts = [
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}"'
            ' height="{1}" role="group" aria-label="Lineage" class="graph">'
        ).format(right, bottom)
    ]
    parts += [_line(spots, one) for one in leads if one.up in spots and one.down in spots]
    parts += [_box(one, spots[one.ref], one.ref == subject) for one in things]
    return Markup("").join([*parts, Markup("</svg>")])


def _box(one: Thing, spot: tuple[int, int], here: bool) -> Markup:
    x, y = spot
    look = "done" if here else _LOOK.get(one.state, "reused" if one.kind == "dataset" else "")
    label = one.label if len(one.label) <= _LETTERS else f"{one.label[: _LETTERS - 1]}…"
    kind = f"{one.kind}, {one.state}" if one.state in ("deleted", "gone") else one.kind
    told = " ".join(text for text in (one.kind, one.label, one.detail, one.state) if text)
    box = Markup(
        '<g class="step {look}"><title>{told}</title>'
        '<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="6" stroke-width="{thick}"/>'
        '<text x="{tx}" y="{y1}" font-size="11" class="kind">{kind}</text>'
        '<text x="{tx}" y="{y2}" font-size="13">{label}</text></g>'
    ).format(
        look=look, told=_plain(told), x=x, y=y, w=_WIDTH, h=_HEIGHT, tx=x + 10, y1=y + 17,
        y2=y + 35, thick=3 if here else 1.5, kind=kind, label=_plain(label),
    )  # fmt: skip
    if one.state == "folded":
        return box
    return Markup('<a href="{}">{}</a>').format(link(one.ref), box)


def _line(spots: Mapping[str, tuple[int, int]], edge: Leads) -> Markup:
    (ax, ay), (bx, by) = spots[edge.up], spots[edge.down]
    x1, y1, x2, y2 = ax + _WIDTH, ay + _HEIGHT // 2, bx, by + _HEIGHT // 2
    bend = (x1 + x2) // 2 if x2 > x1 else x1 + _ACROSS
    return Markup(
        '<path d="M{} {}C{} {} {} {} {} {}" fill="none" stroke-width="1.5">'
        "<title>{} {} {}</title></path>"
    ).format(x1, y1, bend, y1, bend, y2, x2, y2, _plain(edge.up), edge.how, _plain(edge.down))


def _plain(text: str) -> Markup:
    """Return text that XML can hold: escaped, without control characters."""
    return escape("".join(c if c >= " " and not "\ud800" <= c <= "\udfff" else "�" for c in text))
