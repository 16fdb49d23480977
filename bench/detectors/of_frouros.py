"""frouros, a test a column at 0.05 as its examples do: Kolmogorov-Smirnov and chi-square."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

import numpy as np
from frouros.detectors.data_drift import ChiSquareTest, KSTest
from worlds import NUMBERS, TEXTS, Table

VERSION = version("frouros")


def start(reference: Table) -> Callable[[Table], bool]:
    tests = {}
    for name in [*NUMBERS, "score", *TEXTS]:
        tests[name] = ChiSquareTest() if name in TEXTS else KSTest()
        tests[name].fit(X=_values(reference, name))

    def pages(window: Table) -> bool:
        return any(
            test.compare(X=_values(window, name))[0].p_value < 0.05 for name, test in tests.items()
        )

    return pages


def _values(table: Table, name: str) -> np.ndarray:
    values = np.asarray(table[name])
    return values if name in TEXTS else values[~np.isnan(values)]
