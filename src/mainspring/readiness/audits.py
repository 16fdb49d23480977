"""Say what advisories come to: which count, which were accepted, by whom and until when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainspring.ground.clock import iso
from mainspring.ground.gates import Accepted
from mainspring.readiness.advisories import ORDER, Known, Severity

_SHOWN = 4


def verdict(
    known: Sequence[Known],
    least: Severity,
    accepted: Mapping[str, Accepted],
    now: float,
    packages: int,
    advisories: int,
) -> tuple[bool, str, list[str]]:
    """Return whether nothing counts, a sentence, and the ids that count.

    What is below ``least`` does not count, nor what was accepted by its id or an alias and is not
    over at ``now`` (wall time). Unknown severity always counts.
    """
    floor = ORDER.index(least)
    grave = [one for one in known if ORDER.index(one.severity) >= floor]
    taken = [one for one in grave if _accepted(one, accepted, now) is not None]
    open_ = [one for one in grave if one not in taken]
    below = len(known) - len(grave)
    parts = [f"{packages} packages against {advisories} advisories"]
    if open_:
        told = "; ".join(_words(one, accepted) for one in open_[:_SHOWN])
        more = f"; and {len(open_) - _SHOWN} more" if len(open_) > _SHOWN else ""
        parts.append(f"{len(open_)} from {least} on: {told}{more}")
    else:
        parts.append(f"none from {least} on")
    if taken:
        parts.append(f"{len(taken)} accepted")
    if below:
        parts.append(f"{below} below {least}")
    return not open_, ", ".join(parts), [one.id for one in open_]


def _accepted(one: Known, accepted: Mapping[str, Accepted], now: float) -> Accepted | None:
    for name in (one.id, *one.aliases):
        found = accepted.get(name)
        if found is not None and now < found.until:
            return found
    return None


def _words(one: Known, accepted: Mapping[str, Accepted]) -> str:
    mended = f", mended in {' or '.join(one.fixed[:2])}" if one.fixed else ""
    over = next((accepted[n] for n in (one.id, *one.aliases) if n in accepted), None)
    late = f", accepted until {iso(over.until)[:10]}, which is over" if over else ""
    return f"{one.package} {one.version}: {one.id} ({one.severity}{mended}{late})"
