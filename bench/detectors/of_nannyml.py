"""NannyML's univariate drift as it comes: thresholds learned from chunks of the reference."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import version

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml
import pandas as pd
from worlds import NUMBERS, TEXTS, Table

VERSION = version("nannyml")
COLUMNS = [*NUMBERS, *TEXTS, "score"]


def start(reference: Table) -> Callable[[Table], bool]:
    fitted: dict[int, nannyml.UnivariateDriftCalculator] = {}

    def pages(window: Table) -> bool:
        rows = len(window["a"])
        if rows not in fitted:
            found = nannyml.UnivariateDriftCalculator(column_names=COLUMNS, chunk_size=rows)
            fitted[rows] = found.fit(pd.DataFrame(reference))
        told = fitted[rows].calculate(pd.DataFrame(window)).filter(period="analysis").to_df()
        alerts = told.loc[:, told.columns.get_level_values(-1) == "alert"]
        return bool(alerts.to_numpy().any())

    return pages
