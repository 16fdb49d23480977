"""What large data costs: streams, wide tables, merged sketches. Run as ``sizes.py TASK COUNT``.

Rows are made on the way, outside of what is timed; the peak is that of the whole process.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
import polars as pl

from mainspring.ground.objects import MonitorPolicy
from mainspring.monitoring.columns import summarise
from mainspring.monitoring.profiling import PORTION, count_series, profile_frames
from mainspring.monitoring.streaming import compare_frames
from mainspring.numerics import merging, sketches, tallies
from mainspring.numerics.sketches import QuantileSketch
from mainspring.numerics.tallies import Tally

GOLDEN = (5**0.5 - 1) / 2


class Watch:
    """Seconds of wall and CPU of what is done within it."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def __enter__(self) -> None:
        self._start, self._cpu = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter() - self._start
        self.cpu += time.process_time() - self._cpu


def peak_mb() -> float:
    """Return the most memory this process has held."""
    kilobyte = 1024 if sys.platform == "darwin" else 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / kilobyte / 1024


def stream(rows: int) -> None:
    """Drift and quality of a stream against a stored reference."""
    from made import BASELINE, table

    baseline = profile_frames([table(BASELINE, 1)], correlations=0)
    pool = [table(PORTION, seed) for seed in (2, 3, 4)]
    times = max(rows // PORTION, 1)
    watch = Watch()
    with watch:
        done, drift, _ = compare_frames(
            (pool[number % 3] for number in range(times)), baseline, MonitorPolicy()
        )
    alarms = sum(row["verdict"] == "alarm" for row in drift)
    print(
        f"  drift and quality of a stream of {done:,} x 25: {watch.wall:.1f} s wall,"
        f" {watch.cpu:.1f} s CPU (budget of 10,000,000: 15 s), peak {peak_mb():.0f} MB"
        f" (budget 400), {alarms} alarms on what has not moved"
    )


def wide(columns: int) -> None:
    """Profile, drift and quality of a table of a million rows, one column after the other."""
    rng, watch, rows = np.random.default_rng(0), Watch(), 1_000_000
    baseline = profile_frames([pl.DataFrame({"x": rng.normal(size=100_000)})]).columns[0]
    for _ in range(columns):
        values = pl.Series("x", rng.normal(size=rows))
        with watch:
            tally = Tally()
            for start in range(0, rows, PORTION):
                tally, _ = count_series(tally, values[start : start + PORTION])
            tallies.finish("x", tally)
            summarise(values, baseline, "float", rows)
    print(
        f"  profile and drift of {rows:,} rows x {columns:,} columns: {watch.wall:.0f} s wall,"
        f" {watch.cpu:.0f} s CPU (budget: minutes for 1,000), peak {peak_mb():.0f} MB"
    )


def merged(rows: int) -> None:
    """Sketches of parts of a million rows, kept, read and merged, against the known truth."""
    part, watch = 1_000_000, Watch()
    whole, kept = QuantileSketch(), 0
    for start in range(0, rows, part):
        # The fractions of multiples of the golden ratio fill [0, 1] evenly: their ranks are known.
        values = (np.arange(start, min(start + part, rows)) * GOLDEN) % 1.0
        with watch:
            data = sketches.pack(sketches.add(QuantileSketch(), values))
            whole = sketches.merge([whole, sketches.unpack(data)])
        kept += len(data)
    at = np.linspace(0, 1, 10_001)
    off = float(np.abs(sketches.ranks(whole, at) - at).max())
    print(
        f"  {rows:,} rows by sketches of {part:,} each, kept ({kept / rows * part / 1024:.0f} kB"
        f" each) and merged: {watch.cpu:.1f} s CPU, peak {peak_mb():.0f} MB;"
        f" stated error {whole.error:.2g}, seen {off:.2g} (budget 1e-3)"
    )


def profiles(rows: int) -> None:
    """Profile rows with everything that a profile says, and merge two of such."""
    from made import table

    half = [table(rows // 2, seed) for seed in (1, 2)]
    watch, merging_ = Watch(), Watch()
    with watch:
        found = [profile_frames([part]) for part in half]
    with merging_:
        merging.merge_profiles(*found)
    print(
        f"  profile of {rows:,} x 25 with sketches and correlations: {watch.wall:.1f} s wall,"
        f" {watch.cpu:.1f} s CPU; two merged in {1000 * merging_.cpu:.0f} ms CPU;"
        f" peak {peak_mb():.0f} MB"
    )


if __name__ == "__main__":
    {"stream": stream, "wide": wide, "merged": merged, "profiles": profiles}[sys.argv[1]](
        int(sys.argv[2])
    )
