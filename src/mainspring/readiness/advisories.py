"""Match packages against advisories of a file on this machine: OSV records, and yanked releases.

Nothing is asked of any network. The file is one OSV record, a list of them, ``{"vulns": [...]}``,
lines of JSON, or a zip of such files (as https://osv.dev offers for PyPI). A top-level ``yanked``,
``{"name": {"version": "why"}}``, names releases that were taken back.

Source: Open Source Vulnerability format 1.6, "Evaluation"; PEP 440; CVSS 3.1, section 7.1.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from packaging.version import InvalidVersion
from packaging.version import Version as Release

from mainspring.ground.errors import BadInputError, TooLargeError
from mainspring.ground.records import Record

Severity = Literal["low", "moderate", "high", "critical", "unknown"]
ORDER: tuple[Severity, ...] = ("low", "moderate", "high", "critical", "unknown")

MOST_RECORDS, MOST_BYTES = 500_000, 2 << 30
_WORDS: dict[str, Severity] = {
    "LOW": "low",
    "MODERATE": "moderate",
    "MEDIUM": "moderate",
    "HIGH": "high",
    "CRITICAL": "critical",
}


class Known(Record, frozen=True, kw_only=True):
    """One advisory that holds for a package as it is installed."""

    id: str
    package: str
    version: str
    severity: Severity  #: unknown counts as the worst: nobody said that it is harmless
    summary: str
    fixed: list[str] = []  #: releases from which on it is mended
    aliases: list[str] = []


def match(data: bytes, packages: Mapping[str, str]) -> tuple[list[Known], int]:
    """Return which advisories hold for packages (name -> version), and how many there were.

    Raises:
        BadInputError: if the file holds no advisories.
        TooLargeError: if it unpacks to more than its budget.
    """
    installed = {normal(name): (name, told) for name, told in packages.items()}
    found: dict[tuple[str, str], Known] = {}
    count = 0
    for record in _records(data):
        if "yanked" in record and "affected" not in record:
            for one in _yanked(record["yanked"], installed):
                found[one.id, one.package] = one
            continue
        count += 1
        if count > MOST_RECORDS:
            raise TooLargeError(f"The file holds more than {MOST_RECORDS:,} advisories.")
        for one in _holding(record, installed):
            found[one.id, one.package] = one
    if not count and not found:
        raise BadInputError(
            "The file holds no advisory in the OSV format.",
            field="advisories",
            hint="Such as https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip",
        )
    return sorted(found.values(), key=lambda one: (-ORDER.index(one.severity), one.id)), count


def affected(version: str, entry: Mapping[str, Any]) -> bool:
    """Return whether a release is one of those that an ``affected`` entry of OSV names.

    >>> ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.1"}]}]
    >>> affected("2.0", {"ranges": ranges}), affected("2.1", {"ranges": ranges})
    (True, False)
    """
    release = _release(version)
    if version in (entry.get("versions") or []):
        return True
    if release is None:
        return False
    if any(_release(one) == release for one in entry.get("versions") or []):
        return True
    kept = [one for one in entry.get("ranges") or [] if one.get("type") == "ECOSYSTEM"]
    return any(_within(release, one.get("events") or []) for one in kept)


def base_score(vector: str) -> float | None:
    """Return the base score of a CVSS 3 vector, 0 to 10; None if it is none.

    >>> base_score("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H")
    9.8
    """
    parts = dict(one.split(":", 1) for one in vector.split("/")[1:] if ":" in one)
    if not vector.startswith("CVSS:3"):
        return None
    try:
        changed = parts["S"] == "C"
        impact = 1 - math.prod(1 - _CIA[parts[name]] for name in ("C", "I", "A"))
        reach = 8.22 * _AV[parts["AV"]] * _AC[parts["AC"]] * _UI[parts["UI"]]
        reach *= (_PR_CHANGED if changed else _PR)[parts["PR"]]
    except KeyError:
        return None
    harm = 7.52 * (impact - 0.029) - 3.25 * (impact - 0.02) ** 15 if changed else 6.42 * impact
    if harm <= 0:
        return 0.0
    return _up(min((1.08 if changed else 1.0) * (harm + reach), 10))


def normal(name: str) -> str:
    """Return a distribution's name as PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


_CIA = {"H": 0.56, "L": 0.22, "N": 0.0}
_AV = {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2}
_AC = {"L": 0.77, "H": 0.44}
_UI = {"N": 0.85, "R": 0.62}
_PR = {"N": 0.85, "L": 0.62, "H": 0.27}
_PR_CHANGED = {"N": 0.85, "L": 0.68, "H": 0.5}


def _up(value: float) -> float:
    """Round up to one decimal, as CVSS 3.1 does (appendix A): free of binary noise."""
    whole = round(value * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else (whole // 10_000 + 1) / 10


def _records(data: bytes) -> Iterator[Mapping[str, Any]]:
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            left = MOST_BYTES
            for member in archive.infolist():
                if not member.filename.endswith(".json"):
                    continue
                left -= member.file_size  # zipfile gives no more than it says
                if left < 0:
                    raise TooLargeError("The zip of advisories unpacks to more than 2 GB.")
                yield from _parsed(archive.read(member), member.filename)
        return
    yield from _parsed(data, "the file")


def _parsed(data: bytes, where: str) -> Iterator[Mapping[str, Any]]:
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError):
        try:
            found = [json.loads(line) for line in data.splitlines() if line.strip()]
        except (ValueError, RecursionError) as error:
            raise BadInputError(
                f"{where[:100]} holds no JSON: {str(error)[:100]}.", field="advisories"
            ) from error
    if isinstance(found, dict) and isinstance(found.get("vulns"), list):
        if "yanked" in found:
            yield {"yanked": found["yanked"]}
        found = found["vulns"]
    for one in found if isinstance(found, list) else [found]:
        if isinstance(one, dict) and ("affected" in one or "yanked" in one):
            yield one


def _holding(
    record: Mapping[str, Any], installed: Mapping[str, tuple[str, str]]
) -> Iterator[Known]:
    if record.get("withdrawn"):
        return
    for entry in record["affected"] or []:
        told = entry.get("package") or {}
        if str(told.get("ecosystem", "")).partition(":")[0] != "PyPI":
            continue
        name, version = installed.get(normal(str(told.get("name", ""))), ("", ""))
        if name and affected(version, entry):
            yield Known(
                id=str(record.get("id", "?"))[:200],
                package=name,
                version=version,
                severity=_severity(record, entry),
                summary=str(record.get("summary") or record.get("details") or "")[:300],
                fixed=sorted(_fixed(entry)),
                aliases=[str(one)[:200] for one in record.get("aliases") or []],
            )


def _yanked(told: Any, installed: Mapping[str, tuple[str, str]]) -> Iterator[Known]:
    for given, releases in told.items() if isinstance(told, dict) else ():
        name, version = installed.get(normal(str(given)), ("", ""))
        for one, why in releases.items() if isinstance(releases, dict) else ():
            if name and _release(str(one)) == _release(version) is not None:
                yield Known(
                    id=f"yanked:{name}@{version}",
                    package=name,
                    version=version,
                    severity="moderate",
                    summary=f"this release was taken back: {why}"[:300],
                )


def _within(release: Release, events: Iterable[Mapping[str, Any]]) -> bool:
    """Evaluate the events of one range in the order of their versions."""
    inside = False
    known = [(kind, str(told)) for event in events for kind, told in event.items()]
    for kind, told in sorted(known, key=lambda one: _place(one[1])):
        at = None if told == "0" else _release(told)
        if at is None and told != "0":
            continue
        if kind == "introduced" and (at is None or release >= at):
            inside = True
        elif at is not None and (
            (kind == "fixed" and release >= at) or (kind == "last_affected" and release > at)
        ):
            inside = False
    return inside


def _place(told: str) -> tuple[int, Release]:
    found = None if told == "0" else _release(told)
    return (0, Release("0")) if found is None else (1, found)


def _fixed(entry: Mapping[str, Any]) -> set[str]:
    events = [event for one in entry.get("ranges") or [] for event in one.get("events") or []
              if one.get("type") == "ECOSYSTEM"]  # fmt: skip
    return {str(event["fixed"]) for event in events if "fixed" in event}


def _severity(record: Mapping[str, Any], entry: Mapping[str, Any]) -> Severity:
    for place in (entry, record):
        for key in ("database_specific", "ecosystem_specific"):
            told = place.get(key)
            word = told.get("severity") if isinstance(told, dict) else None
            if isinstance(word, str) and word.upper() in _WORDS:
                return _WORDS[word.upper()]
    vectors = [*(entry.get("severity") or []), *(record.get("severity") or [])]
    scores = [base_score(str(one.get("score", ""))) for one in vectors if isinstance(one, dict)]
    known = [one for one in scores if one is not None]
    if not known:
        return "unknown"
    worst = max(known)
    bounds: tuple[tuple[float, Severity], ...] = ((9, "critical"), (7, "high"), (4, "moderate"))
    return next((word for least, word in bounds if worst >= least), "low")


def _release(text: str) -> Release | None:
    try:
        return Release(text)
    except InvalidVersion:
        return None
