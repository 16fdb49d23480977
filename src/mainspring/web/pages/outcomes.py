"""Draw how runs ended, as a row of marks, on the server: the newest on the right."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from mainspring.experiments.by_pipeline import Past

_WIDTH, _STEP, _HEIGHT = 6, 8, 16
_GOOD, _OPEN = ("finished",), ("running",)
#: A bad end stands lower than a good one, so that it is seen without its colour.
_LOW, _TALL = 6, 10


def marks(past: Sequence[Past]) -> Markup | None:
    """Return a mark for each run, given the newest first; None for none."""
    if not past:
        return None
    drawn = Markup("").join(_mark(n, one.status) for n, one in enumerate(past[::-1]))
    counts = {one.status: sum(o.status == one.status for o in past) for one in past}
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    width = _STEP * len(past)
    return Markup(
        '<svg class="outcomes" viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="img"'
        ' aria-label="{2}">{3}</svg>'
    ).format(width, _HEIGHT, f"Of the last {len(past)}: {told}", drawn)


def _mark(number: int, status: str) -> Markup:
    kind = "good" if status in _GOOD else "open" if status in _OPEN else "bad"
    top = _HEIGHT - _TALL if kind == "bad" else 0
    height = _LOW if kind == "open" else _TALL
    return Markup(
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="1"><title>{}</title></rect>'
    ).format(kind, number * _STEP, top, _WIDTH, height, status)
