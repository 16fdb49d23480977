"""The sheet of a dataset: what was measured of it, who uses it, and what a person must say.

Its questions are those of Gebru et al., Datasheets for datasets, CACM 64 (2021), in seven
fields: what it was made for, how it came about, persons in it, licence, upkeep, limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mainspring.debt.cards.sections import Section
from mainspring.ground.clock import iso
from mainspring.ground.objects import DataSheet, Profile

_ASKED = {
    "owner": "who answers for it",
    "purpose": "what it was made for",
    "collection": "how, where and when it came about, and who is in it",
    "privacy": "what of it is about persons, and what was done about that",
    "licence": "who may use it for what",
    "upkeep": "who changes it, how often, and how long it is kept",
    "limitations": "what it must not be used for",
}


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """Everything that is known of a dataset, gathered by the caller."""

    name: str
    digest: str
    sheet: DataSheet
    profile: Profile | None = None
    digests: Sequence[tuple[str, float]] = ()  #: every version's digest and when it was first seen
    source: str = ""
    readers: Sequence[str] = ()  #: runs and versions that learnt from it


def missing(sheet: DataSheet) -> list[str]:
    """Return the fields that a person has not written.

    >>> missing(DataSheet(owner="ops", licence="CC0"))
    ['purpose', 'collection', 'privacy', 'upkeep', 'limitations']
    """
    return [name for name in _ASKED if not getattr(sheet, name).strip()]


def sections(facts: DataFacts) -> list[Section]:
    """Return the sheet of a dataset."""
    found = []
    for name, asked in _ASKED.items():
        said = getattr(facts.sheet, name).strip()
        title = name.capitalize()
        part = Section(title=title, text=[said]) if said else Section(title=title, owed=asked)
        found.append(part)
    if facts.sheet.notes.strip():
        found.append(Section(title="Notes", text=[facts.sheet.notes.strip()]))
    return [*found, _columns(facts.profile), _versions(facts), _readers(facts)]


def headline(facts: DataFacts) -> str:
    """Return what a dataset is, in one sentence."""
    size = ""
    if facts.profile is not None:
        size = f": {facts.profile.rows:,} rows, {len(facts.profile.columns)} columns"
    where = f", from {facts.source}" if facts.source else ""
    return f"Version {facts.digest[:12]} of {facts.name}{size}{where}."


def _columns(profile: Profile | None) -> Section:
    if profile is None:
        return Section(title="Columns", text=["No run kept its profile."])
    rows = []
    for one in profile.columns:
        lost = one.missing / one.rows if one.rows else 0.0
        ranged = one.low is not None and one.high is not None
        span = f"{one.low:.4g} to {one.high:.4g}" if ranged else f"{len(one.categories)} values"
        rows.append([one.name, one.type, f"{lost:.2%}", span])
    return Section(title="Columns", columns=["column", "type", "missing>", "values"], rows=rows)


def _versions(facts: DataFacts) -> Section:
    return Section(
        title="Versions",
        columns=["digest", "first seen"],
        rows=[[digest, iso(at)] for digest, at in facts.digests],
    )


def _readers(facts: DataFacts) -> Section:
    if not facts.readers:
        return Section(title="Who learnt from it", text=["Nobody that is recorded."])
    return Section(title="Who learnt from it", text=[", ".join(facts.readers)])
