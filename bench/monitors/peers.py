"""One contender on one file, in a process of its own: seconds of the work, and peak memory.

Run as ``python peers.py NAME REFERENCE CURRENT``; prints one line of JSON. Reading the files and
importing is not counted as work; the peak is that of the whole process.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

TEXTS = [f"t{number}" for number in range(5)]


def ours(reference: str, current: str) -> Callable[[], Any]:
    """Quality and drift of the rows against the stored profile of the reference."""
    import polars as pl

    from mainspring.ground.objects import MonitorPolicy
    from mainspring.monitoring.streaming import compare_frames
    from mainspring.workspace.profiling import profile

    baseline, rows = profile(reference), pl.read_parquet(current)
    return lambda: compare_frames([rows], baseline, MonitorPolicy())


def ours_profile(_reference: str, current: str) -> Callable[[], Any]:
    """Profile the rows: every statistic, sketches and correlations."""
    import polars as pl

    from mainspring.workspace.profiling import profile

    rows = pl.read_parquet(current)
    return lambda: profile(rows)


def evidently(reference: str, current: str) -> Callable[[], Any]:
    """Its preset of data drift."""
    import pandas as pd
    from evidently import Report
    from evidently.presets import DataDriftPreset

    before, now = pd.read_parquet(reference), pd.read_parquet(current)
    return lambda: Report([DataDriftPreset()]).run(now, before)


def nannyml(reference: str, current: str) -> Callable[[], Any]:
    """Univariate drift by KS and by chi-square of the file as one chunk."""
    os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
    import nannyml as nml
    import pandas as pd

    before, now = pd.read_parquet(reference), pd.read_parquet(current)
    calc = nml.UnivariateDriftCalculator(
        column_names=list(before.columns),
        treat_as_categorical=TEXTS,
        continuous_methods=["kolmogorov_smirnov"],
        categorical_methods=["chi2"],
        chunk_number=1,
    )
    calc.fit(before)
    return lambda: calc.calculate(now)


def whylogs(_reference: str, current: str) -> Callable[[], Any]:
    """Profile the rows; drift would come on top."""
    os.environ["WHYLOGS_NO_ANALYTICS"] = "True"
    import pandas as pd
    import whylogs as why

    rows = pd.read_parquet(current)
    return lambda: why.log(rows)


CONTENDERS = {f.__name__: f for f in (ours, ours_profile, evidently, nannyml, whylogs)}


def main() -> None:
    """Measure one contender."""
    warnings.simplefilter("ignore")
    name, reference, current = sys.argv[1:4]
    work = CONTENDERS[name](reference, current)
    start, cpu = time.perf_counter(), time.process_time()
    work()
    told = {"wall_s": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}
    kilobyte = 1024 if sys.platform == "darwin" else 1
    told["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / kilobyte / 1024
    print(json.dumps(told))


if __name__ == "__main__":
    main()
