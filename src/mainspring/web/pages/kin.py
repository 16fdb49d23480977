"""Draw a lineage: what stands alike folded into one box, columns by distance, each box a link."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec
from markupsafe import Markup, escape

from mainspring.workspace.lineage.shapes import Leads, Lineage, Thing

WIDTH, HEIGHT = 176, 46  # of a box
_ACROSS, _DOWN, _EDGE = 64, 14, 16  # gaps between columns and rows, and the margin
_LETTERS, _OF = 21, 14  # letters that fit into a box, and beside its kind
FEW = 24  # boxes of a picture in which nothing is folded
ALIKE = 8  # of a kind in a column that stay beside a folded box
AT_ONCE = 60  # of a kind in a column that are drawn where it was unfolded
_SWEEPS = 4  # of the order of columns, forth and back; more changed nothing that was looked at
_LOOK = {"failed": "failed", "deleted": "failed", "gone": "failed", "running": "running"}
_ILL = ("failed", "deleted", "gone", "running")


class Fold(msgspec.Struct, frozen=True):
    """Things of a kind in a column that are one box."""

    ref: str
    depth: int
    kind: str
    count: int
    whole: bool  #: whether it could be drawn whole


class Drawn(msgspec.Struct, frozen=True):
    """What of a lineage is drawn."""

    things: list[Thing]
    leads: list[Leads]
    folds: list[Fold]

    @property
    def hidden(self) -> int:
        """Return how many things stand in folded boxes."""
        return sum(one.count for one in self.folds)


def fold(
    found: Lineage, *, found_refs: Collection[str] = (), opened: Collection[str] = ()
) -> Drawn:
    """Return what is drawn: all of it where it is little, else with what stands alike folded.

    Of a kind in a column some stay: those that were searched for, that are not well, that lead
    furthest, and that what stays before them leads to. One of ``opened``, as ``DEPTH:KIND``, is
    drawn as far as a picture can.
    """
    several: dict[tuple[int, str], list[Thing]] = defaultdict(list)
    for one in found.things:
        several[one.depth, one.kind].append(one)
    reach, beside = _reach(found), _beside(found.leads)
    little = len(found.things) <= FEW
    drawn: list[Thing] = []
    shown: set[str] = set()
    folds: list[Fold] = []
    into: dict[str, str] = {}

    def rank(one: Thing) -> tuple[bool, bool, bool, int, bool, int]:
        is_here, is_found, ill = one.ref == found.subject, one.ref in found_refs, one.state in _ILL
        apart = shown.isdisjoint(beside[one.ref])
        return (not is_here, not is_found, not ill, -reach[one.ref], apart, -len(beside[one.ref]))

    for (depth, kind), mine in sorted(several.items(), key=lambda one: abs(one[0][0])):
        key = f"{depth}:{kind}"
        stay = AT_ONCE if key in opened else len(mine) if little else ALIKE
        kept = mine
        if len(mine) > stay + 1:  # a box for one more would save nothing
            kept = sorted(mine, key=rank)[:stay]
            rest = len(mine) - len(kept)
            ref = f"folded:{key}"
            folds.append(Fold(ref, depth, kind, rest, key not in opened))
            label = f"{rest:,} more"
            drawn.append(Thing(ref=ref, kind=kind, label=label, depth=depth, state="folded"))
            into |= {one.ref: ref for one in mine} | {one.ref: one.ref for one in kept}
        drawn += kept
        shown.update(one.ref for one in kept)
    leads = dict.fromkeys(
        Leads(up=into.get(one.up, one.up), down=into.get(one.down, one.down), how=one.how)
        for one in found.leads
    )
    return Drawn(drawn, [one for one in leads if one.up != one.down], folds)


def _beside(leads: Sequence[Leads]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for edge in leads:
        found[edge.up].append(edge.down)
        found[edge.down].append(edge.up)
    return found


def _reach(found: Lineage) -> dict[str, int]:
    """Return of each thing how far away the furthest is that it leads on to."""
    depths = {one.ref: abs(one.depth) for one in found.things}
    reach = dict(depths)
    beside = _beside(found.leads)
    for ref in sorted(depths, key=lambda one: -depths[one]):
        for other in beside[ref]:
            if depths.get(other, -1) == depths[ref] - 1:
                reach[other] = max(reach[other], reach[ref])
    return reach


def columns(things: Sequence[Thing], leads: Sequence[Leads]) -> list[list[Thing]]:
    """Return things in columns by distance, each column in an order in which few lines cross.

    A box stands near the mean of those it is tied to in the column beside it, swept forth and
    back: the barycenter order of layered graphs (Sugiyama, Tagawa and Toda, 1981).
    """
    held: dict[int, list[Thing]] = defaultdict(list)
    for one in things:
        held[one.depth].append(one)
    order = [held[depth] for depth in sorted(held)]
    beside = _beside(leads)
    for sweep in range(_SWEEPS):
        forth = sweep % 2 == 0
        numbers = range(1, len(order)) if forth else range(len(order) - 2, -1, -1)
        for number in numbers:
            spots = _spots(order[number - 1 if forth else number + 1])
            _settle(order[number], spots, beside)
    return order


def _spots(column: Sequence[Thing]) -> dict[str, float]:
    """Return how far down its column each thing stands, from 0 to 1."""
    return {one.ref: (place + 0.5) / len(column) for place, one in enumerate(column)}


def _settle(
    column: list[Thing], spots: Mapping[str, float], beside: Mapping[str, list[str]]
) -> None:
    own = _spots(column)

    def middle(one: Thing) -> tuple[str, bool, float]:
        tied = [spots[other] for other in beside.get(one.ref, ()) if other in spots]
        place = sum(tied) / len(tied) if tied else own[one.ref]
        return (one.kind, one.state == "folded", place)  # those of a kind stand together

    column.sort(key=middle)


def picture(
    subject: str,
    drawn: Drawn,
    link: Callable[[Thing], str],
    marked: Collection[str] | None = None,
) -> Markup:
    """Return things in columns as SVG, what came before on the left; each box is a link.

    Of ``marked`` things the boxes stand out and the others step back; None: nothing is looked for.
    """
    order = columns(drawn.things, drawn.leads)
    tallest = max((len(column) for column in order), default=0)
    spots: dict[str, tuple[int, int]] = {}
    for number, column in enumerate(order):
        above = (tallest - len(column)) * (HEIGHT + _DOWN) // 2
        for row, one in enumerate(column):
            x = _EDGE + number * (WIDTH + _ACROSS)
            spots[one.ref] = (x, _EDGE + above + row * (HEIGHT + _DOWN))
    right = _EDGE * 2 + len(order) * (WIDTH + _ACROSS) - _ACROSS
    bottom = _EDGE * 2 + tallest * (HEIGHT + _DOWN) - _DOWN
    parts = [
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}"'
            ' height="{1}" role="group" aria-label="Lineage" class="graph kin">'
        ).format(right, bottom)
    ]
    parts += [_line(spots, one) for one in drawn.leads if {one.up, one.down} <= spots.keys()]
    for number, column in enumerate(order):
        for row, one in enumerate(column):
            dim = marked is not None and one.ref not in marked
            parts.append(_box(one, spots[one.ref], (number, row), one.ref == subject, dim, link))
    return Markup("").join([*parts, Markup("</svg>")])


def _box(
    one: Thing,
    spot: tuple[int, int],
    place: tuple[int, int],
    here: bool,
    dim: bool,
    link: Callable[[Thing], str],
) -> Markup:
    x, y = spot
    look = "done" if here else _LOOK.get(one.state, "reused" if one.kind == "dataset" else "")
    look += " folded" if one.state == "folded" else " dim" if dim else ""
    label = one.label if len(one.label) <= _LETTERS else _cut(one)
    kind = f"{_kind(one)}, {one.state}" if one.state in _ILL else _kind(one)
    told = " ".join(text for text in (one.kind, one.label, one.detail, one.state) if text)
    box = Markup(
        '<g class="step {look}"><title>{told}</title>'
        '<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="6" stroke-width="{thick}"/>'
        '<text x="{tx}" y="{y1}" font-size="11" class="kind">{kind}</text>'
        '<text x="{tx}" y="{y2}" font-size="13">{label}</text></g>'
    ).format(
        look=look, told=_plain(told), x=x, y=y, w=WIDTH, h=HEIGHT, tx=x + 10, y1=y + 17,
        y2=y + 35, thick=3 if here else 1.5, kind=kind, label=_plain(label),
    )  # fmt: skip
    return Markup('<a href="{}" data-ref="{}" data-at="{},{}"{}>{}</a>').format(
        link(one), _plain(one.ref), *place, Markup(' aria-current="true"') if here else "", box
    )


def _kind(one: Thing) -> Markup:
    """Return what a thing is; of a step also of which run, for each has one of that name."""
    if one.kind != "step" or one.state == "folded":
        return escape(one.kind)
    run = one.ref.partition(":")[2].partition("/")[0]
    return escape("step of ") + _plain(run if len(run) <= _OF else f"…{run[1 - _OF :]}")


def _cut(one: Thing) -> str:
    """Return a long label by the end that tells it from the others of its kind."""
    if one.kind in ("run", "file", "artifact", "prediction"):
        return f"…{one.label[1 - _LETTERS :]}"
    return f"{one.label[: _LETTERS - 1]}…"


def _line(spots: Mapping[str, tuple[int, int]], edge: Leads) -> Markup:
    (ax, ay), (bx, by) = spots[edge.up], spots[edge.down]
    x1, y1, x2, y2 = ax + WIDTH, ay + HEIGHT // 2, bx, by + HEIGHT // 2
    one, other = x1 + _ACROSS // 2, x2 - _ACROSS // 2
    if ax == bx:  # within a column: around on its right
        x2 = x1
        one = other = x1 + _ACROSS // 2
    elif bx < ax:  # backwards: from left to right all the same
        x1, x2 = ax, bx + WIDTH
        one, other = x1 - _ACROSS // 2, x2 + _ACROSS // 2
    return Markup(
        '<path d="M{} {}C{} {} {} {} {} {}" fill="none" stroke-width="1.5" data-up="{}"'
        ' data-down="{}"><title>{} {} {}</title></path>'
    ).format(
        x1, y1, one, y1, other, y2, x2, y2, _plain(edge.up), _plain(edge.down),
        _plain(edge.up), edge.how, _plain(edge.down),
    )  # fmt: skip


def _plain(text: str) -> Markup:
    """Return text that XML can hold: escaped, without control characters."""
    return escape("".join(c if c >= " " and not "\ud800" <= c <= "\udfff" else "�" for c in text))
