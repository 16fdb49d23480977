"""Tell what a gate or a checklist found as Markdown, with links that can be opened."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

from mainspring.ground.clock import iso
from mainspring.ground.gates import GateResult
from mainspring.readiness.checklist import Checklist

MARKS = {"pass": "✅", "fail": "❌", "stale": "⏳", "not asked": "⚪"}
_PAGES = {
    "run": "/runs/{}",
    "endpoint": "/endpoints/{}",
    "loop": "/loops/{}",
    "evidence": "/api/v1/evidence/{}",
    "alarm": "/alarms/{}",
}
_COMMANDS = {
    "run": "mainspring show {}",
    "endpoint": "mainspring monitor {}",
    "loop": "mainspring loop status {}",
    "evidence": "mainspring evidence {}",
    "alarm": "mainspring why alarm:{}",
    "why": "mainspring why {}",
    "card": "mainspring models {}",
    "decision": "mainspring decisions",
    "rollout": "mainspring decisions",
}


class Shown(str):
    """Text that is Markdown already, and put into a cell as it is."""

    __slots__ = ()


def opened(link: str, version: str, url: str | None = None) -> str:
    """Return where a link of evidence is opened: a page of a server, else a command.

    >>> opened("run:run_1", "m/7"), opened("run:run_1", "m/7", "http://here:8750")
    ('mainspring show run_1', 'http://here:8750/runs/run_1')
    >>> opened("gate:gate_1", "m/7")
    'mainspring models m/7'
    """
    kind, _, name = link.partition(":")
    model, _, number = version.partition("/")
    if link.startswith("/"):
        return f"{url or ''}{link}"
    if url and kind in ("gate", "card", "why"):
        return f"{url}/models/{quote(model, safe='')}?version={number}#v{number}"
    if url and kind in _PAGES:
        return url + _PAGES[kind].format(quote(name, safe=""))
    if kind in ("gate", "card"):
        return f"mainspring models {version}"
    return _COMMANDS[kind].format(name) if kind in _COMMANDS else link


def of_gate(gate: GateResult, now: float, url: str | None = None) -> str:
    """Return a gate as Markdown: its verdict and a line for each check."""
    name = f"{gate.model}/{gate.number}"
    lines = [f"### Gate of {cell(name)}: {verdict(gate, now)}", ""]
    rows = [
        ("✅" if c.passed else "❌", c.name, c.found, c.wanted, _links(c.opens, name, url))
        for c in gate.checks
    ]
    lines += table(("", "Check", "Found", "Wanted", "Open"), rows)
    if gate.made is not None and gate.until is not None:
        lines += ["", f"Made {iso(gate.made)}, holds until {iso(gate.until)}."]
    return "\n".join(lines) + "\n"


def verdict(gate: GateResult, now: float) -> str:
    """Return how a gate ended in a word or two.

    >>> verdict(GateResult(id="g", model="m", number=1, passed=True, checks=[], at=0, by="x"), 9)
    'passed'
    """
    if gate.passed:
        return "passed" if gate.fresh(now) else "passed, but stale"
    return "waits for approval" if gate.waits else "refused"


def of_checklist(found: Checklist, url: str | None = None) -> str:
    """Return a production checklist as Markdown."""
    name = f"{found.model}/{found.number}"
    told = "ready" if found.ready else "not ready"
    lines = [f"### Readiness of {cell(name)}: {told}", ""]
    lines += [f"> **Override:** {cell(one)}\n" for one in found.overrides]
    rows = [
        (MARKS[item.state], item.name, item.state, item.found, _links(item.opens, name, url))
        for item in found.items
    ]
    return "\n".join([*lines, *table(("", "Item", "State", "Found", "Open"), rows)]) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table; what a cell holds cannot break out of it."""
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join('---' for _ in head)}|"]
    for row in rows:
        cells = [text if isinstance(text, Shown) else cell(text) for text in row]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def cell(text: str) -> str:
    r"""Return a text as one cell shows it: on one line, its marks and mentions plain.

    >>> cell("a|b <i> @team")
    'a\\|b &lt;i&gt; @\u200bteam'
    """
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", text).replace("@", "@\u200b")


def _links(links: Sequence[str], version: str, url: str | None) -> Shown:
    shown = []
    for link in dict.fromkeys(links):
        where = opened(link, version, url)
        kind = link.partition(":")[0].strip("/") or "page"
        plain = cell(kind.partition("/")[0])
        web = where.startswith(("http://", "https://")) and not set(where) & set(" ()<>|")
        code = where.replace("`", "").replace("|", " ")
        shown.append(f"[{plain}]({where})" if web else f"`{code}`")
    return Shown(", ".join(shown))
