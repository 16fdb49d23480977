"""Draft a version's card from what is known, name what only a person can add, print it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import fields

from mainspring.ground.clock import iso
from mainspring.ground.objects import Card, ColumnProfile, GateResult, Profile, Run, Version

#: The fields a Card cannot be made without: nobody but a person knows them.
REQUIRED = tuple(item.name for item in fields(Card) if item.required)
_ASKED = {
    "purpose": "what is decided with it, and for whom",
    "owner": "who answers for it",
    "limitations": "where it must not be used, and what it does not know",
}


def draft(
    base: Card | None = None,
    run: Run | None = None,
    profile: Profile | None = None,
    span: tuple[float, float] | None = None,
) -> Card:
    """Return a card with everything filled that the run and its data tell.

    ``base`` is the card that the loop declares or a person began; its own words stay. ``span``
    is the event time of the oldest and the newest training row, in UTC seconds. Required fields
    nobody has written stay blank, so that :func:`missing` names them.
    """
    card = base or Card(purpose="", owner="", limitations="")
    found = dict(profile.metrics) if profile else {}
    if run is not None:
        found = {**found, **run.metrics}
    return msgspec.structs.replace(
        card, data=card.data or _data(profile, span), metrics=dict(card.metrics) or found
    )


def missing(card: Card | None) -> list[str]:
    """Return the required fields that are blank.

    Example:
        >>> missing(Card(purpose="rank leads", owner=" ", limitations=""))
        ['owner', 'limitations']
    """
    return [name for name in REQUIRED if card is None or not getattr(card, name).strip()]


def markdown(
    version: Version, gate: GateResult | None = None, profile: Profile | None = None
) -> str:
    """Return the card of a version as Markdown, with its gate and its training data."""
    card = version.card or draft(profile=profile)
    parts = [
        f"# {version.model}/{version.number}",
        f"Registered {iso(version.created)} by {_text(version.by)}"
        + (f", because of {_text(version.cause)}" if version.cause else "")
        + ".",
    ]
    for name in REQUIRED:
        said = getattr(card, name).strip()
        parts.append(f"## {name.capitalize()}\n\n{said or f'_Missing: {_ASKED[name]}._'}")
    if card.data:
        parts.append(f"## Data\n\n{card.data}")
    parts += _metrics({**version.metrics, **card.metrics})
    parts += _takes(version, profile)
    parts += _gate(gate)
    if card.notes.strip():
        parts.append(f"## Notes\n\n{card.notes.strip()}")
    parts.append(_origin(version))
    return "\n\n".join(parts) + "\n"


def _data(profile: Profile | None, span: tuple[float, float] | None) -> str:
    rows = f"{profile.rows:,} rows with {len(profile.columns)} columns" if profile else ""
    when = f"from {iso(span[0])} to {iso(span[1])}" if span else ""
    told = " ".join(filter(None, (rows, when)))
    return f"{told[0].upper()}{told[1:]}." if told else ""


def _metrics(metrics: dict[str, float]) -> list[str]:
    if not metrics:
        return []
    rows = [(name, f"{value:.4g}") for name, value in sorted(metrics.items())]
    return ["## Quality on held-out rows\n\n" + _table(("metric", "value"), rows)]


def _takes(version: Version, profile: Profile | None) -> list[str]:
    known = {column.name: column for column in profile.columns} if profile else {}
    rows = [
        (
            column.name,
            column.type,
            "yes" if column.nullable else "no",
            _seen(known.get(column.name)),
        )
        for column in version.signature.columns
    ]
    head = ("column", "type", "may be missing", "in training")
    gives = f"It predicts `{version.signature.target}` ({version.signature.kind})."
    return [f"## What it takes and gives\n\n{gives}\n\n{_table(head, rows)}"]


def _seen(column: ColumnProfile | None) -> str:
    if column is None:
        return ""
    share = column.missing / column.rows if column.rows else 0.0
    lost = f", {share:.1%} missing" if column.missing else ""
    if column.low is not None and column.high is not None:
        return f"{column.low:.4g} to {column.high:.4g}{lost}"
    return f"{len(column.categories)} values{lost}"


def _gate(gate: GateResult | None) -> list[str]:
    if gate is None:
        return ["## Gate\n\nNot judged yet."]
    rows = [
        (check.name, "passed" if check.passed else "**failed**", check.found, check.wanted)
        for check in gate.checks
    ]
    verdict = "Passed" if gate.passed else "Refused"
    table = _table(("check", "result", "found", "wanted"), rows)
    return [f"## Gate\n\n{verdict} {iso(gate.at)}.\n\n{table}"]


def _origin(version: Version) -> str:
    rows = [("package", version.package), ("code", version.code), ("run", version.run or "")]
    rows += [(f"data: {name}", digest) for name, digest in sorted(version.data.items())]
    kept = [(name, f"`{value}`") for name, value in rows if value]
    return "## Where it comes from\n\n" + _table(("what", "digest or id"), kept)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(_text(cell) for cell in line)} |" for line in lines)


def _text(value: str) -> str:
    """Return text that cannot break out of its cell or its line."""
    return value.replace("\\", "\\\\").replace("|", "\\|").replace("\r", " ").replace("\n", " ")
