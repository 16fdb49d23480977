"""Say what a scan of a version's packages comes to: of its forms, its digests, its content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_SHOWN = 3

Scans = Sequence[Mapping[str, Any]]


def verdict(scanned: Scans, granted: Mapping[str, str]) -> tuple[bool, str]:
    """Return whether nothing was found against packages, and one sentence.

    ``scanned`` is what was found in each package; ``granted`` says for the digest of a package
    who trusts its pickled code, and why.
    """
    parts = [form(scanned, granted), digests(scanned), content(scanned, granted)]
    bad = [told for passed, told in parts if not passed]
    if bad:
        return False, "; ".join(bad)
    files = sum(int(one["files"]) for one in scanned)
    return True, f"nothing found against {files} files: {parts[0][1]}"


def form(scanned: Scans, granted: Mapping[str, str]) -> tuple[bool, str]:
    """Return whether nothing is pickled that nobody trusts, and in which forms the model is."""
    open_ = [path for one in scanned for path in one["pickled"] if one["package"] not in granted]
    if open_:
        return False, f"{_few(open_)} runs code when it is loaded, and nobody answers for it"
    words = sorted({word for one in scanned for word in one["forms"]} - {"pickle"})
    trusted = [f"{_few(one['pickled'])} is pickled, {granted[one['package']]}"
               for one in scanned if one["pickled"]]  # fmt: skip
    kept = f"kept as {' and '.join(words)}" if words else "no form that runs code"
    return True, "; ".join([kept, *trusted] if trusted else [f"{kept}, nothing pickled"])


def digests(scanned: Scans) -> tuple[bool, str]:
    """Return whether every file holds the bytes of its digest."""
    damaged = [path for one in scanned for path in one["damaged"]]
    if damaged:
        return False, f"{_few(damaged)} is not what the manifest says"
    files = sum(int(one["files"]) for one in scanned)
    if not files:
        return False, "its files are not here"
    size = sum(int(one["size"]) for one in scanned) / 1e6
    return True, f"{files} files, {size:.1f} MB: every digest is that of the manifest"


def content(scanned: Scans, granted: Mapping[str, str]) -> tuple[bool, str]:
    """Return whether nothing dangerous was found, nor anything unknown that nobody trusts."""
    bad = list(_against(scanned, granted))
    if bad:
        more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        return False, "; ".join(bad[:_SHOWN]) + more
    files = sum(int(one["files"]) for one in scanned)
    return True, f"nothing dangerous in {files} files"


def _against(scanned: Scans, granted: Mapping[str, str]) -> Iterator[str]:
    for one in scanned:
        for found in one["found"]:
            danger = found["grave"] == "danger"
            if danger or (found["grave"] == "unknown" and one["package"] not in granted):
                yield f"{found['path']}: {found['told']}"


def _few(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(paths[:_SHOWN]) + more
