"""What a report is made of: texts, tables and figures, in an order. It knows no form.

:mod:`onefile` makes HTML of it, :mod:`markdown` text; whoever has something to report builds one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mainspring.workspace.reports.distributions import Distribution
from mainspring.workspace.reports.looks import Figure


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in one place of a table beyond plain text."""

    text: str = ""
    tone: str = ""  #: ``alarm``, ``notice``, ``quiet``, ``none``: a word with a colour
    picture: Distribution | None = None
    to: str = ""  #: the part of the report it leads to, by its id


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A paragraph."""

    text: str
    tone: str = ""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Rows under their headings; a heading that ends in ``>`` is aligned to the right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """A plotly figure, and what it shows in words."""

    figure: Figure
    told: str


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A titled part; a folded one shows its content when it is opened."""

    title: str
    blocks: list[Text | Table | Chart]
    id: str = ""
    folded: bool = False
    tone: str = ""
    note: str = ""  #: beside the title


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole report."""

    title: str
    headline: str  #: what it says, in one sentence
    tone: str  #: of the headline
    facts: list[tuple[str, str]]
    parts: list[Part]
