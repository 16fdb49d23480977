"""How long it takes to judge a window of 1,000,000 rows x 25 columns against a stored profile.

All monitors of inputs that need no model are on: drift with design effects, joint drift, quality.
"""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
import time

ROWS, NUMBERS, TEXTS = 1_000_000, 20, 5
BASELINE, REFERENCE = 100_000, 20_000
TIMES = 3  #: the least is told: the one least disturbed


def measure() -> None:
    """Judge one window and print seconds, and megabytes beside the rows themselves."""
    import numpy as np
    import polars as pl

    from mainspring.ground.objects import Column, MonitorPolicy, Profile, Signature
    from mainspring.monitoring.judge import judge_inputs
    from mainspring.numerics.profiles import profile_columns, profile_scores

    numpy_random = np.random.default_rng(0)
    levels = np.array([f"level {number}" for number in range(30)])

    def table(rows: int) -> dict[str, pl.Series]:
        found = {}
        for number in range(NUMBERS):
            values = numpy_random.normal(size=rows).astype(np.float32)
            found[f"n{number}"] = pl.Series(f"n{number}", values).cast(pl.Float64)
        for number in range(TEXTS):
            picked = numpy_random.integers(0, levels.size, rows)
            values = pl.Series(f"t{number}", levels).gather(picked)
            found[f"t{number}"] = values
        return found

    before = table(BASELINE)
    shares = dict.fromkeys(before, 1 / len(before))
    columns = {
        name: values.to_list() if values.dtype == pl.String else values.to_numpy()
        for name, values in before.items()
    }
    baseline = Profile(
        rows=BASELINE,
        columns=profile_columns(columns, shares),
        score=profile_scores(numpy_random.random(BASELINE)),
        loss=0.2,
    )
    signature = Signature(
        columns=[
            Column(name=name, type="str" if values.dtype == pl.String else "float")
            for name, values in before.items()
        ],
        kind="binary",
        target="y",
        classes=["0", "1"],
    )
    reference = (
        pl.DataFrame(before)
        .head(REFERENCE)
        .with_columns(
            pl.Series("_score", numpy_random.random(REFERENCE)),
            pl.Series("_y", numpy_random.random(REFERENCE) < 0.5).cast(pl.Float64),
        )
    )
    del before, columns
    frame = pl.DataFrame(table(ROWS)).with_columns(
        pl.Series("_time", np.linspace(0, 1000, ROWS, endpoint=False)),
        pl.Series("_version", np.ones(ROWS, dtype=np.int64)),
        pl.Series("_score", numpy_random.random(ROWS)),
    )
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall = spent = float("inf")
    for _ in range(TIMES):
        start, cpu = time.perf_counter(), time.process_time()
        window, alarms = judge_inputs(
            frame,
            baseline,
            signature,
            MonitorPolicy(),
            (0.0, 1000.0),
            "bench",
            1,
            reference=reference,
        )
        wall = min(wall, time.perf_counter() - start)
        spent = min(spent, time.process_time() - cpu)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kilobyte = 1024 if sys.platform == "darwin" else 1
    print(
        f"  drift, joint drift and quality of {window.rows:,} x {NUMBERS + TEXTS}:"
        f" {wall:.2f} s wall, {spent:.2f} s CPU (budget 1 s),"
        f" {len(alarms)} alarms on what has not moved"
    )
    rows_mb, more_mb = frame.estimated_size() / 2**20, (peak - held) / kilobyte / 1024
    print(
        f"  memory: peak {peak / kilobyte / 1024:.0f} MB, of it {rows_mb:.0f} MB the rows;"
        f" judging raised the peak by {more_mb:.0f} MB"
    )


def main() -> int:
    """Measure in a process of its own, so that its peak is its own."""
    if "--measure" in sys.argv:
        measure()
        return 0
    from importlib.metadata import version

    print(
        f"drift: polars {version('polars')}, numpy {version('numpy')},"
        f" Python {platform.python_version()}"
    )
    return subprocess.run([sys.executable, __file__, "--measure"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
