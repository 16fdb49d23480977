"""alibi-detect's tabular drift as it comes: tests at 0.05, corrected for their number."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

import numpy as np
from alibi_detect.cd import TabularDrift
from worlds import NUMBERS, TEXTS, Table

VERSION = version("alibi-detect")
COLUMNS = [*NUMBERS, "score", *TEXTS]


def start(reference: Table) -> Callable[[Table], bool]:
    names = {name: {v: n for n, v in enumerate(sorted(set(reference[name])))} for name in TEXTS}

    def table(one: Table) -> np.ndarray:
        # It knows neither missing values nor new levels: rows with either are left out.
        parts = [np.asarray(one[name], dtype=float) for name in [*NUMBERS, "score"]]
        parts += [np.array([names[name].get(v, np.nan) for v in one[name]]) for name in TEXTS]
        rows = np.stack(parts, axis=1)
        return rows[~np.isnan(rows).any(axis=1)].astype(np.float32)

    categories = {COLUMNS.index(name): len(names[name]) for name in TEXTS}
    detector = TabularDrift(table(reference), p_val=0.05, categories_per_feature=categories)

    def pages(window: Table) -> bool:
        return bool(detector.predict(table(window))["data"]["is_drift"])

    return pages
