"""Make a page, or the part of one that changes, of a template and what it shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mainspring.ground.version import __version__
from mainspring.web.pages import assets, markdown, opens, words

FOLDER = Path(__file__).parent

#: Plotly knows these ids as its own style sheets and adds none where they stand: they would be
#: inline styles, which the policy forbids.
_STYLE_IDS = re.compile(rb'getElementById\("([0-9a-f]{64})"\)')


@cache
def environment() -> Environment:
    """Return the one environment of all templates: everything is escaped."""
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., Any]] = {
        "when": words.when,
        "short": words.short,
        "day": words.day,
        "stamp": words.stamp,
        "lasting": words.lasting,
        "figure": words.figure,
        "size": words.size,
        "share": words.share,
        "tone": words.tone,
        "word": words.word,
        "pretty": words.pretty,
        "seg": lambda text: quote(str(text), safe=""),
        "path": lambda text: quote(str(text), safe="/"),
        "clip": words.clip,
        "minutes": words.minutes,
        "attribute": _attribute,
        "inorder": _stretches,
        "toggled": lambda chosen, one: sorted(set(chosen) ^ {one}) or None,
        "without": lambda found, *keys: {k: v for k, v in found.items() if k not in keys},
        "own_files": lambda files: [f for f in files if f.path.startswith("mainspring/")],
        "markdown": markdown.html,
        "opens": opens.opens,
        "page_of": opens.of_subject,
    }
    made.filters.update(filters)
    made.globals |= {
        "version": __version__,
        "asset": assets.url,
        "plotly_style_ids": plotly_style_ids,
    }
    return made


def _attribute(run: Any, key: str) -> Any:
    """Return what a run's column of that name shows."""
    from mainspring.experiments.columns import attribute_of

    return attribute_of(run, key)


def _stretches(columns: list[tuple[str, str]]) -> list[tuple[str, int]]:
    """Return the kinds of neighbouring columns, and how many stand together."""
    return [(kind, len(list(some))) for kind, some in groupby(columns, key=lambda one: one[0])]


def page(template: str, shown: dict[str, Any], *, part: bool = False) -> bytes:
    """Return a whole page, or only what its script replaces."""
    layout = "part.html" if part else "layout.html"
    return environment().get_template(template).render(layout=layout, **shown).encode()


@cache
def plotly_style_ids() -> tuple[str, ...]:
    """Return the ids under which the plotly at hand looks for style sheets of its own."""
    found = _STYLE_IDS.findall(assets.plotly_file().read_bytes())
    return tuple(sorted({one.decode() for one in found}))
