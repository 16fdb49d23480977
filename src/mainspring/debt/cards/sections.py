"""What stands in a card, in which order; it knows no form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mainspring.debt.cards.facts import CardFacts
from mainspring.ground.cards import REQUIRED, overdue
from mainspring.ground.clock import iso
from mainspring.ground.objects import Assumption, ColumnProfile, Profile

_ASKED = {
    "purpose": "what is decided with it, and for whom",
    "owner": "who answers for it",
    "limitations": "where it must not be used, and what it does not know",
    "intended_use": "who uses it, for which decisions",
    "ethics": "who could be harmed, and what was done about it",
    "risk": "low, medium or high, and why",
    "assumptions": "what must go on being true, who watches it, until when",
}
_NAMES = {"intended_use": "Intended use", "ethics": "Ethical considerations"}


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A titled part: paragraphs, then a table. ``owed`` is what a person should still write."""

    title: str
    text: list[str] = []
    columns: list[str] = []  #: a heading that ends in ``>`` is aligned to the right
    rows: list[list[Any]] = []
    owed: str = ""


def card(facts: CardFacts) -> list[Section]:
    """Return the card of a version."""
    return [
        *_words(facts),
        _assumptions(facts.card.assumptions, overdue(facts.card, facts.now)),
        _quality(facts),
        *_slices(facts.slices),
        _data(facts),
        _takes(facts),
        _gate(facts),
        *_evidence(facts),
        _dependencies(facts),
        *_notes(facts),
        _origin(facts),
    ]


def headline(facts: CardFacts) -> str:
    """Return the first sentence of a card: what it is, since when and of whom."""
    version = facts.version
    said = f"Registered {iso(version.created)} by {version.by}"
    cause = f", because of {version.cause}" if version.cause else ""
    named = f"; it is {' and '.join(facts.aliases)}" if facts.aliases else ""
    return f"{said}{cause}{named}."


def _words(facts: CardFacts) -> list[Section]:
    found = []
    for name in (*REQUIRED, "intended_use", "ethics"):
        said = str(getattr(facts.card, name)).strip()
        title = _NAMES.get(name, name.capitalize())
        if said:
            found.append(Section(title=title, text=[said]))
        else:
            found.append(Section(title=title, owed=_ASKED[name]))
    if facts.card.risk:
        why = f": {facts.card.risk_reason.strip()}" if facts.card.risk_reason.strip() else ""
        found.append(Section(title="Risk", text=[f"{facts.card.risk.capitalize()}{why}"]))
    else:
        found.append(Section(title="Risk", owed=_ASKED["risk"]))
    return found


def _assumptions(several: Sequence[Assumption], late: Sequence[Assumption]) -> Section:
    if not several:
        return Section(title="Assumptions", owed=_ASKED["assumptions"])
    return Section(
        title="Assumptions",
        columns=["assumption", "owner", "review by", ""],
        rows=[
            [one.text, one.owner, one.review_by, "overdue" if one in late else ""]
            for one in several
        ],
    )


def _quality(facts: CardFacts) -> Section:
    title = "Quality on held-out rows"
    if facts.measured:
        return Section(
            title=title,
            text=[f"On {facts.rows_measured:,} rows kept at training; intervals at 95 %."],
            columns=["metric", "estimate>", "from>", "to>", "rows>"],
            rows=[
                [name, one["estimate"], one["low"], one["high"], one["n"]]
                for name, one in facts.measured.items()
            ],
        )
    told = {**facts.version.metrics, **facts.card.metrics}
    if not told:
        return Section(title=title, text=["Nothing was measured."])
    return Section(
        title=title,
        text=["As the training run told; no rows were kept to measure an interval on."],
        columns=["metric", "value>"],
        rows=[[name, value] for name, value in sorted(told.items())],
    )


def _slices(several: Sequence[Mapping[str, Any]]) -> list[Section]:
    if not several:
        return []
    return [
        Section(
            title="Slices",
            text=["Mean bounded loss by slice, the worst first; intervals at 95 %."],
            columns=["slice", "loss>", "from>", "to>", "rows>"],
            rows=[
                [one["name"], one["loss"], one["low"], one["high"], one["rows"]] for one in several
            ],
        )
    ]


def data_told(profile: Profile | None, span: tuple[float, float] | None) -> str:
    """Return which rows a version learnt from, in one sentence.

    >>> data_told(Profile(rows=3, columns=[]), (0.0, 86_400.0))
    '3 rows with 0 columns from 1970-01-01T00:00:00Z to 1970-01-02T00:00:00Z.'
    """
    rows = f"{profile.rows:,} rows with {len(profile.columns)} columns" if profile else ""
    when = f"from {iso(span[0])} to {iso(span[1])}" if span else ""
    told = " ".join(filter(None, (rows, when)))
    return f"{told[0].upper()}{told[1:]}." if told else ""


def _data(facts: CardFacts) -> Section:
    told = [facts.card.data.strip(), data_told(facts.profile, facts.span)]
    return Section(
        title="Training data",
        text=list(dict.fromkeys(filter(None, told))) or ["Not recorded."],
        columns=["data", "digest"] if facts.version.data else [],
        rows=[[name, digest] for name, digest in sorted(facts.version.data.items())],
    )


def _takes(facts: CardFacts) -> Section:
    known = {column.name: column for column in facts.profile.columns} if facts.profile else {}
    signature = facts.version.signature
    return Section(
        title="What it takes and gives",
        text=[f"It predicts {signature.target or 'a target'} ({signature.kind})."],
        columns=["column", "type", "may be missing", "in training"],
        rows=[
            [
                column.name,
                column.type,
                "yes" if column.nullable else "no",
                _seen(known.get(column.name)),
            ]
            for column in signature.columns
        ],
    )


def _seen(column: ColumnProfile | None) -> str:
    if column is None:
        return ""
    share = column.missing / column.rows if column.rows else 0.0
    lost = f", {share:.1%} missing" if column.missing else ""
    if column.low is not None and column.high is not None:
        return f"{column.low:.4g} to {column.high:.4g}{lost}"
    return f"{len(column.categories)} values{lost}"


def _gate(facts: CardFacts) -> Section:
    gate = facts.gate
    if gate is None:
        return Section(title="Gate", text=["Not judged yet."])
    verdict = "Passed" if gate.passed else "Refused"
    return Section(
        title="Gate",
        text=[f"{verdict} {iso(gate.at)}."],
        columns=["check", "result", "found", "wanted"],
        rows=[
            [check.name, "passed" if check.passed else "failed", check.found, check.wanted]
            for check in gate.checks
        ],
    )


def _evidence(facts: CardFacts) -> list[Section]:
    if not facts.evidence:
        return []
    words = {True: "passed", False: "failed", None: "measured"}
    return [
        Section(
            title="What was tried",
            columns=["kind", "result", "found", "when", "id"],
            rows=[
                [one.kind, words[one.passed], one.found, iso(one.at), one.id]
                for one in facts.evidence
            ],
        )
    ]


def _dependencies(facts: CardFacts) -> Section:
    if not facts.packages:
        return Section(title="Dependencies", text=["Not recorded."])
    return Section(
        title="Dependencies",
        text=["What it needs to be loaded."],
        columns=["package", "version"],
        rows=[[name, version] for name, version in sorted(facts.packages.items())],
    )


def _notes(facts: CardFacts) -> list[Section]:
    said = facts.card.notes.strip()
    return [Section(title="Notes", text=[said])] if said else []


def _origin(facts: CardFacts) -> Section:
    version = facts.version
    rows = [("package", version.package), ("code", version.code), ("run", version.run or "")]
    rows += [(name, value) for name, value in sorted(facts.code_state.items())]
    return Section(
        title="Where it comes from",
        text=list(facts.moves),
        columns=["what", "digest or id"],
        rows=[[name, value] for name, value in rows if value],
    )
