"""Write a report as one HTML file: style, script and plotly inside, nothing from elsewhere.

The file forbids itself by a policy what it does not need: it loads nothing, and runs exactly
the two scripts whose digests the policy names. What stands in the data is text, wherever it
stands: in HTML it is escaped, in the figures' JSON no ``<`` is left.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground.errors import NotFoundError
from mainspring.ground.version import __version__
from mainspring.ground.words import figure
from mainspring.workspace.reports import drawn
from mainspring.workspace.reports.document import Cell, Chart, Part, Report, Table, Text

_FOLDER = Path(__file__).parent / "static"
_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data:;"
    " base-uri 'none'; form-action 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="Mainspring {version}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p class="headline {tone}">{headline}</p>
<dl class="facts">{facts}</dl>
{parts}
</main>
<footer>Made by Mainspring {version}. Nothing in this file comes from elsewhere, and nothing of it
is sent anywhere.</footer>
<script type="application/json" id="figures">{figures}</script>
<script>{plotly}</script>
<script>{script}</script>
</body>
</html>
"""


def html(report: Report) -> str:
    """Return a report as one HTML document."""
    figures: list[Any] = []
    parts = "\n".join(_part(part, figures) for part in report.parts)
    facts = "".join(
        f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in report.facts
    )
    plotly, script = _plotly() if figures else "", _own("report.js")
    policy = _POLICY.format(scripts=" ".join(_digest(one) for one in (plotly, script)))
    return _PAGE.format(
        policy=policy,
        version=_text(__version__),
        title=_text(report.title),
        tone=_text(report.tone),
        headline=_text(report.headline),
        facts=facts,
        style=_own("report.css"),
        parts=parts,
        figures=_json(figures),
        plotly=plotly,
        script=script,
    )


def body(report: Report) -> str:
    """Return what a notebook shows of a report: tables and small pictures, no script at all."""
    said = f"<strong>{_text(report.title)}</strong><p>{_text(report.headline)}</p>"
    first = next((part for part in report.parts if not part.folded), None)
    rest = "" if first is None else _blocks(first, None)
    return f"<div>{said}{rest}</div>"


def _part(part: Part, figures: list[Any]) -> str:
    anchor = f' id="{_text(part.id)}"' if part.id else ""
    note = f' <span class="muted">{_text(part.note)}</span>' if part.note else ""
    mark = (
        f'<span class="badge {_text(part.tone)}">{_text(part.tone)}</span> ' if part.tone else ""
    )
    inside = _blocks(part, figures)
    if part.folded:
        return (
            f"<details{anchor}><summary>{mark}<b>{_text(part.title)}</b>{note}</summary>"
            f"{inside}</details>"
        )
    return f"<section{anchor}><h2>{mark}{_text(part.title)}{note}</h2>{inside}</section>"


def _blocks(part: Part, figures: list[Any] | None) -> str:
    out: list[str] = []
    for block in part.blocks:
        if isinstance(block, Text):
            out.append(f'<p class="{_text(block.tone)}">{_text(block.text)}</p>')
        elif isinstance(block, Table):
            out.append(_table(block))
        elif figures is not None:
            out.append(_chart(block, figures))
    return "".join(out)


def _chart(chart: Chart, figures: list[Any]) -> str:
    if chart.figure.get("empty"):
        return f'<p class="muted">{_text(chart.figure["empty"])}</p>'
    figures.append({"data": chart.figure["data"], "layout": chart.figure["layout"]})
    return (
        f'<div class="chart" data-figure="{len(figures) - 1}" role="img"'
        f' aria-label="{_text(chart.told)}"></div>'
    )


def _table(table: Table) -> str:
    note = f'<p class="muted">{_text(table.note)}</p>' if table.note else ""
    if not table.rows:
        return note or '<p class="muted">Nothing.</p>'
    right = [name.endswith(">") for name in table.columns]
    heads = "".join(
        f"<th{' class=num' if side else ''}>{_text(name.removesuffix('>'))}</th>"
        for name, side in zip(table.columns, right, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td{' class=num' if side else ''}>{_cell(cell)}</td>"
            for cell, side in zip(row, right, strict=True)
        )
        + "</tr>"
        for row in table.rows
    )
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{note}"
    )


def _cell(cell: Any) -> str:
    if not isinstance(cell, Cell):
        return _text(figure(cell) if isinstance(cell, int | float) else cell)
    if cell.picture is not None:
        return drawn.svg(cell.picture)
    said = _text(cell.text or cell.tone)
    if cell.tone:
        return f'<span class="badge {_text(cell.tone)}">{said}</span>'
    return f'<a href="#{_text(cell.to)}">{said}</a>' if cell.to else said


def _text(value: Any) -> str:
    said = "" if value is None else str(value)
    return escape("".join(c if c.isprintable() else " " for c in said), quote=True)


def _json(value: Any) -> str:
    """Return JSON in which no tag can begin or end."""
    text = msgspec.json.encode(value).decode()
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _digest(script: str) -> str:
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"


@cache
def _own(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")


@cache
def _plotly() -> str:
    """Return plotly's script out of its wheel, which a page may hold between two tags."""
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise NotFoundError("plotly is not installed, so there are no figures.")
    text = (Path(spec.origin).parent / "package_data" / "plotly.min.js").read_text("utf-8")
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")
