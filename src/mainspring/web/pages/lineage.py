"""The lineage page: a picture of what a thing came from and what came of it, to walk by links."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from mainspring.ground.errors import BadInputError
from mainspring.web.pages import kin
from mainspring.web.pages.fields import Asked
from mainspring.workspace.lineage.asking import MOST_ASKED, MOST_DEPTH, lineage_of
from mainspring.workspace.lineage.shapes import KINDS, Lineage, Thing
from mainspring.workspace.opening import Workspace

_DEPTH = 6
_LISTED = 100  #: of a kind, below the picture
_WAYS = ("both", "up", "down")
#: What predictions can come of.
_BEFORE = ("file", "dataset", "run", "step", "output", "artifact", "model", "version")


def gather(ws: Workspace, asked: Asked) -> dict[str, Any]:
    """Return the picture and the list of what was asked about; a form where nothing was."""
    subject, way = asked.get("subject", "").strip(), asked.get("direction", "both")
    if way not in _WAYS:
        raise BadInputError(
            f"direction is up, down or both, found {way[:80]!r}.", field="direction"
        )
    depth, find = _depth(asked.get("depth", "")), asked.get("find", "").strip()
    shown = {"subject": subject, "way": way, "ways": _WAYS, "depth": depth, "kinds": KINDS}
    shown |= {"find": find, "most_depth": MOST_DEPTH, "listed": _LISTED}
    if not subject:
        return {**shown, "found": None, "picture": "", "groups": {}, "folded": 0}
    # What is alike is folded: a picture bears as many as an answer may hold.
    found = lineage_of(ws, subject, way, depth=depth, most=MOST_ASKED)  # type: ignore[arg-type]
    matches = [one for one in found.things if find and _matches(one, find)]
    refs = {one.ref for one in matches}
    opened = asked.several("open")
    drawn = kin.fold(found, found_refs=refs, opened=opened)
    keep = {"direction": way, "depth": str(depth)}

    def to(one: Thing) -> str:
        """A box asks about its thing; a folded one unfolds."""
        if one.state != "folded":
            return link(one.ref, keep)
        key = one.ref.removeprefix("folded:")
        if key in opened:  # as much as a picture can hold is drawn: the list has all
            return f"#kind-{one.kind}"
        more = [("open", each) for each in [*opened, key]]
        return f"/lineage?{urlencode([('subject', subject), *keep.items(), *more])}"

    groups: dict[str, list[Thing]] = defaultdict(list)
    for one in found.things:
        if one.ref != found.subject and (not find or one.ref in refs):
            groups[one.kind].append(one)
    here = next(one for one in found.things if one.ref == found.subject)
    pages = {one.up: _rollouts_of(one.down) for one in found.leads if one.how == "on"}
    return {
        **shown,
        "found": found,
        "here": here,
        "picture": kin.picture(found.subject, drawn, to, refs if find else None),
        "groups": dict(groups),
        "matches": len(matches),
        "folded": drawn.hidden,
        "link": lambda ref: link(ref, keep),
        "page": lambda ref: pages.get(ref) or page_of(ref),
        "touches": touches(here),
        "endpoint": _asked_at(here),
        "nearer": _again(found, way, depth - 1) if depth > 1 else None,
        "further": _again(found, way, depth + 1) if depth < MOST_DEPTH else None,
    }


def _depth(text: str) -> int:
    if not text:
        return _DEPTH
    if not (
        text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= MOST_DEPTH
    ):
        raise BadInputError(
            f"depth is from 1 to {MOST_DEPTH}, found {text[:20]!r}.", field="depth"
        )
    return int(text)


def _matches(one: Thing, find: str) -> bool:
    return any(find.casefold() in text.casefold() for text in (one.ref, one.label, one.detail))


def _again(found: Lineage, way: str, depth: int) -> str:
    return link(found.subject, {"direction": way, "depth": str(depth)})


def _asked_at(here: Thing) -> str | None:
    """Return the endpoint that a prediction was asked at."""
    if here.kind != "prediction" or not here.detail.startswith("by endpoint "):
        return None
    return here.detail.removeprefix("by endpoint ").partition(",")[0]


def link(ref: str, keep: Mapping[str, str] | None = None) -> str:
    """Return the page that asks about a thing."""
    return f"/lineage?{urlencode({'subject': ref, **(keep or {})})}"


def touches(one: Thing) -> str | None:
    """Return the page of the predictions that came of a thing; None where none can."""
    if one.kind not in _BEFORE:
        return None
    return f"/lineage/predictions?{urlencode({'subject': one.ref})}"


# ---------------------------------------------------------------- pages of things


def _rollouts_of(endpoint: str) -> str:
    """Return where an endpoint shows its rollouts: their ids do not say whose they are."""
    return f"/endpoints/{_segment(endpoint.partition(':')[2])}/serving#rollout-h"


def page_of(ref: str) -> str | None:
    """Return the page that shows a thing, if there is one.

    >>> page_of("step:run_1/load"), page_of("dataset:flights@3")
    ('/runs/run_1?step=load#step', '/data/flights?version=3')
    """
    kind, _, rest = ref.partition(":")
    shown = _PAGES.get(kind)
    return None if shown is None else shown(rest)


def _segment(text: str) -> str:
    return quote(text, safe="")


def _page_of_step(rest: str) -> str:
    run, _, name = rest.partition("/")
    return f"/runs/{_segment(run)}?step={_segment(name)}#step"


def _page_of_version(rest: str) -> str:
    model, _, number = rest.rpartition("/")
    return f"/models/{_segment(model)}?version={number}#v{number}"


def _page_of_dataset(rest: str) -> str | None:
    """A version that is kept has a number; what runs only told of has no page."""
    name, _, number = rest.rpartition("@")
    if not name or not number.isdecimal() or len(number) >= _DIGITS:
        return None
    return f"/data/{_segment(name)}?version={number}"


def _page_of_window(rest: str) -> str:
    endpoint = rest.rpartition(":")[0]
    return f"/endpoints/{_segment(endpoint)}/drift?window={_segment(rest)}"


_DIGITS = 10  #: of a number; what is longer and of digits alone is a digest
_PAGES: dict[str, Callable[[str], str | None]] = {
    "run": lambda rest: f"/runs/{_segment(rest)}",
    "step": _page_of_step,
    "artifact": lambda rest: f"/runs/{_segment(rest.partition('/')[0])}#artifacts-h",
    "dataset": _page_of_dataset,
    "model": lambda rest: f"/models/{_segment(rest)}",
    "version": _page_of_version,
    "alias": lambda rest: f"/models/{_segment(rest.rpartition('@')[0])}#alias-h",
    "endpoint": lambda rest: f"/endpoints/{_segment(rest)}",
    "window": _page_of_window,
    "prediction": lambda rest: f"/logs?prediction={_segment(rest)}",
}
