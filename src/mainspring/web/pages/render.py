"""Make a page, or the part of one that changes, of a template and what it shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mainspring.ground.version import __version__
from mainspring.web.pages import assets, markdown, words

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
        "day": words.day,
        "stamp": words.stamp,
        "lasting": words.lasting,
        "figure": words.figure,
        "share": words.share,
        "tone": words.tone,
        "word": words.word,
        "pretty": words.pretty,
        "seg": lambda text: quote(str(text), safe=""),
        "markdown": markdown.html,
    }
    made.filters.update(filters)
    made.globals |= {
        "version": __version__,
        "asset": assets.url,
        "plotly_style_ids": plotly_style_ids,
    }
    return made


def page(template: str, shown: dict[str, Any], *, part: bool = False) -> bytes:
    """Return a whole page, or only what its script replaces."""
    layout = "part.html" if part else "layout.html"
    return environment().get_template(template).render(layout=layout, **shown).encode()


@cache
def plotly_style_ids() -> tuple[str, ...]:
    """Return the ids under which the plotly at hand looks for style sheets of its own."""
    found = _STYLE_IDS.findall(assets.plotly_file().read_bytes())
    return tuple(sorted({one.decode() for one in found}))
