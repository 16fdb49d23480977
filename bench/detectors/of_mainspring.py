"""Ours: all monitors of inputs, as a loop runs them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from worlds import NUMBERS, TEXTS, Table, scored

from mainspring.ground.objects import Column, MonitorPolicy, Profile, Signature
from mainspring.ground.version import __version__
from mainspring.monitoring.judge import judge_inputs
from mainspring.numerics.profiles import profile_columns, profile_scores
from mainspring.numerics.relevance import response_shares

VERSION = __version__
INPUTS = [*NUMBERS, *TEXTS]
SIGNATURE = Signature(
    columns=[Column(name=name, type="str" if name in TEXTS else "float") for name in INPUTS],
    kind="binary",
    target="y",
    classes=["0", "1"],
)


def start(reference: Table) -> Callable[[Table], bool]:
    columns = {name: reference[name] for name in INPUTS}
    shares = response_shares(
        lambda rows: scored({name: _plain(values) for name, values in rows.items()})["score"],
        {name: np.array(values) for name, values in columns.items()},
    )
    baseline = Profile(
        rows=len(reference["a"]),
        columns=profile_columns(columns, shares),
        score=profile_scores(reference["score"]),
    )
    kept = pl.DataFrame({**columns, "_score": reference["score"]})
    earlier: list = []

    def pages(window: Table) -> bool:
        rows, at = len(window["a"]), float(len(earlier))
        frame = pl.DataFrame(
            {
                **{name: window[name] for name in INPUTS},
                "_score": window["score"],
                "_time": np.linspace(at, at + 1, rows, endpoint=False),
                "_version": np.ones(rows, dtype=np.int64),
            }
        )
        found, alarms = judge_inputs(
            frame,
            baseline,
            SIGNATURE,
            MonitorPolicy(window_s=1.0),
            (at, at + 1),
            "bench",
            1,
            earlier=earlier,
            reference=kept,
        )
        earlier.insert(0, found)
        return bool(alarms)

    return pages


def _plain(values: object) -> object:
    array = np.asarray(values)
    return array.tolist() if array.dtype.kind in "UO" else array
