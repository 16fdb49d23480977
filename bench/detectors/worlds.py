"""The worlds that detectors are shown: one population, and what may happen to it. numpy only.

A table is a mapping of columns: numbers are float arrays, texts lists. ``score`` is what the
served model, a fixed formula of the other columns, answers; ``idle`` it does not listen to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Table = dict[str, Any]

NUMBERS = ["a", "b", "c", "tail", "zeros", "idle"]
TEXTS = ["kind", "city"]
#: What a person would want to hear of, and what not.
HARMFUL = (
    "mean 0.25 sd", "mean 1 sd", "variance", "category 10 points", "label shift",
    "correlation flip", "8 % missing", "unseen level", "units x100",
)  # fmt: skip
HARMLESS = ("ignored column moved", "0.02 sd")
CLEAN = ("independent rows", "rows in runs of 10")
CITIES = [f"c{place}" for place in range(60)]
_CHANCES = 1 / np.arange(1, 61)
_CHANCES /= _CHANCES.sum()
REFERENCE_ROWS = 10_000


def reference() -> Table:
    """Return the rows that every window is compared with."""
    return scored(drawn(np.random.default_rng(1), REFERENCE_ROWS))


def windows(world: str, rows: int, count: int) -> Iterator[Table]:
    """Yield windows of a world, one after the other."""
    for number in range(count):
        rng = np.random.default_rng([7, rows, number, *world.encode()])
        if world == "rows in runs of 10":
            few = drawn(rng, rows // 10)
            at = np.repeat(np.arange(rows // 10), 10)
            table = {name: _taken(values, at) for name, values in few.items()}
        else:
            table = drawn(rng, rows, positives=0.6 if world == "label shift" else 0.4)
        yield scored(changed(world, table, rng))


def drawn(rng: np.random.Generator, rows: int, positives: float = 0.4) -> Table:
    """Return fresh rows: the label first, then columns given the label."""
    label = rng.random(rows) < positives
    a = rng.normal(size=rows) + 0.8 * label
    c = rng.normal(size=rows)
    c[rng.random(rows) < 0.01] = np.nan
    kind = np.where(rng.random(rows) < 0.35 + 0.2 * label, "x", "y")
    kind[rng.random(rows) < 0.1] = "z"
    return {
        "a": a,
        "b": 0.7 * a + 0.7 * rng.normal(size=rows),
        "c": c,
        "tail": rng.standard_t(2, size=rows),
        "zeros": np.where(rng.random(rows) < 0.7, 0.0, np.round(rng.exponential(3, rows), 1)),
        "idle": rng.normal(size=rows),
        "kind": kind.tolist(),
        "city": rng.choice(CITIES, rows, p=_CHANCES).tolist(),
    }


def changed(world: str, table: Table, rng: np.random.Generator) -> Table:
    """Return the table with what happened to one of its columns."""
    if world in CHANGES:
        column, change = CHANGES[world]
        table[column] = change(table[column], rng.random(len(table["a"])))
    return table


#: world -> the column, and what becomes of its values; beside them a chance for every row.
CHANGES: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "mean 0.25 sd": ("c", lambda values, _: values + 0.25),
    "mean 1 sd": ("c", lambda values, _: values + 1.0),
    "0.02 sd": ("c", lambda values, _: values + 0.02),
    "variance": ("c", lambda values, _: values * 1.6),
    "category 10 points": (
        "kind",
        lambda values, chance: _replaced(values, chance, 0.25, "y", "z"),
    ),
    # About its mean, so that its distribution stays.
    "correlation flip": ("b", lambda values, _: 2 * 0.7 * 0.32 - values),
    "8 % missing": ("c", lambda values, chance: np.where(chance < 0.08, np.nan, values)),
    "unseen level": ("kind", lambda values, chance: _replaced(values, chance, 0.04, None, "w")),
    "units x100": ("zeros", lambda values, _: values * 100),
    "ignored column moved": ("idle", lambda values, _: values + 3),
}


def _replaced(
    values: list[str], chance: Any, below: float, old: str | None, new: str
) -> list[str]:
    return [
        new if one < below and old in (None, value) else value
        for value, one in zip(values, chance, strict=True)
    ]


def scored(table: Table) -> Table:
    """Return the table with the model's answers."""
    filled = np.nan_to_num(table["c"])
    kind = np.array([{"x": 0.5, "z": -0.5}.get(one, 0.0) for one in table["kind"]])
    city = np.array([int(one[1:]) % 5 / 10 for one in table["city"]])
    sum_ = 0.9 * table["a"] + 0.4 * table["b"] + 0.5 * filled + kind + city
    sum_ = sum_ + 0.15 * np.tanh(table["tail"]) + 0.2 * np.log1p(table["zeros"]) - 1
    return {**table, "score": 1 / (1 + np.exp(-sum_))}


def _taken(values: Any, at: Any) -> Any:
    return values[at] if isinstance(values, np.ndarray) else [values[place] for place in at]
