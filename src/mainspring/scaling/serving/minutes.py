"""Follow an endpoint's tallies as they grow: requests, errors, latencies over time, by version."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mainspring.ground.monitors import LATENCY_EDGES_S, Tally
from mainspring.ground.objects import DAY_S
from mainspring.scaling.serving import tallies

HOUR_S = 3600.0
FINE_S = 2 * DAY_S  #: before the newest minute, minutes are known by themselves; further back ...
COARSE_S = 100 * DAY_S  #: ... hours are, and nothing beyond


@dataclass(slots=True)
class Stretch:
    """What one version did in a stretch of time."""

    requests: int = 0
    refused: int = 0  #: answered with 4xx
    errors: int = 0  #: answered with 5xx, or a challenger that failed
    latencies: dict[int, int] = field(default_factory=dict)  #: bucket -> requests answered

    def add(self, other: Stretch | Tally) -> None:
        """Count what another stretch or a tally counted as well."""
        self.requests += other.requests
        self.refused += other.refused
        self.errors += other.errors
        for bucket, count in other.latencies.items():
            self.latencies[bucket] = self.latencies.get(bucket, 0) + count

    def quantile_ms(self, share: float) -> float | None:
        """Return the latency that ``share`` of the answered did not exceed, within 30 %."""
        return quantile_ms(self.latencies, share)


def quantile_ms(latencies: Mapping[int, int], share: float) -> float | None:
    """Return the upper edge in ms of the bucket in which ``share`` of the requests is reached.

    >>> quantile_ms({}, 0.5), round(quantile_ms({10: 1, 20: 99}, 0.5), 2)
    (None, 3.8)
    """
    wanted, seen = share * sum(latencies.values()), 0
    for bucket in sorted(latencies):
        seen += latencies[bucket]
        if seen and seen >= wanted:
            return LATENCY_EDGES_S[min(bucket, len(LATENCY_EDGES_S) - 1)] * 1000
    return None


_Key = tuple[float, int | None]


class Minutes:
    """One endpoint's counts over time, of all its processes together.

    Times are those of the rows where requests bring them, else the clock's. Each call reads only
    what was appended since the last. May be used by several threads.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, int] = {}  # file -> bytes taken into account
        self._fine: dict[_Key, Stretch] = {}
        self._coarse: dict[_Key, Stretch] = {}
        self._newest: float | None = None
        self._lock = threading.Lock()

    @property
    def newest(self) -> float | None:
        """Return the newest minute that anything is known of, by its start."""
        return self._newest

    def between(
        self, since: float, until: float, width_s: float
    ) -> dict[int | None, dict[float, Stretch]]:
        """Return version -> start of a stretch of ``width_s`` -> what was counted in it.

        Stretches begin at whole multiples of their width; those without a request are left out.
        """
        with self._lock:
            self._look()
            known = self._fine if width_s < HOUR_S else self._coarse
            found: dict[int | None, dict[float, Stretch]] = {}
            for (at, version), one in known.items():
                if since <= at < until:
                    line = found.setdefault(version, {})
                    line.setdefault(at // width_s * width_s, Stretch()).add(one)
        order = sorted(found.items(), key=lambda one: -1 if one[0] is None else one[0])
        return {version: dict(sorted(line.items())) for version, line in order}

    def look(self) -> float | None:
        """Take in what is new, and return the newest minute."""
        with self._lock:
            self._look()
            return self._newest

    def _look(self) -> None:
        files = tallies.files(self._folder)
        oldest = max(map(tallies.day_of, files), default=0) - COARSE_S / DAY_S
        before = self._newest
        for path in files:
            start = self._read.get(path, 0)
            if tallies.day_of(path) < oldest or path.stat().st_size <= start:
                continue
            with path.open("rb") as file:
                file.seek(start)
                # Whole lines only: the last may be in the middle of being written.
                whole = file.read().rpartition(b"\n")[0]
            self._read[path] = start + len(whole) + 1 if whole else start
            for one in tallies.decoded(whole):
                self._take(one)
        if self._newest is not None and before is not None and self._newest - before < HOUR_S:
            return
        self._forget()

    def _take(self, one: Tally) -> None:
        if not one.requests:
            return
        hour = one.minute // HOUR_S * HOUR_S
        self._fine.setdefault((one.minute, one.version), Stretch()).add(one)
        self._coarse.setdefault((hour, one.version), Stretch()).add(one)
        self._newest = one.minute if self._newest is None else max(self._newest, one.minute)

    def _forget(self) -> None:
        if self._newest is None:
            return
        for known, back in ((self._fine, FINE_S), (self._coarse, COARSE_S)):
            for key in [key for key in known if key[0] < self._newest - back]:
                del known[key]
