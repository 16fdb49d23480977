"""Evidently's data drift preset as it comes; a page is any column that it calls drifted."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import version

os.environ["DO_NOT_TRACK"] = "1"

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
from worlds import NUMBERS, TEXTS, Table

VERSION = version("evidently")


def start(reference: Table) -> Callable[[Table], bool]:
    definition = DataDefinition(numerical_columns=[*NUMBERS, "score"], categorical_columns=TEXTS)
    before = Dataset.from_pandas(pd.DataFrame(reference), data_definition=definition)

    def pages(window: Table) -> bool:
        now = Dataset.from_pandas(pd.DataFrame(window), data_definition=definition)
        found = Report([DataDriftPreset()]).run(now, before).dict()
        counted = next(m for m in found["metrics"] if isinstance(m["value"], dict))
        return counted["value"]["count"] > 0

    return pages
