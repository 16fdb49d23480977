"""The promise: one false alarm in a thousand windows, over all monitors of inputs together.

The world is mixed on purpose: normal, heavy-tailed, rounded, mostly zero, few-valued and skewed
numbers, some missing, categories common, rare and by the thousand, in rows that are independent,
autoregressive or in runs, and with a daily season. What is short runs with every test; the soak
counts thousands of windows and prints the rate with its upper bound.
"""

import os
from collections import Counter
from functools import lru_cache

import numpy as np
import polars as pl
import pytest
from scipy.signal import lfilter
from scipy.special import ndtr, stdtrit
from scipy.stats import beta

from mainspring.ground.objects import Column, MonitorPolicy, Profile, Signature
from mainspring.monitoring.judge import judge_inputs
from mainspring.numerics.profiles import profile_columns, profile_scores

NUMBERS = [f"n{place}" for place in range(8)]
TEXTS = ["few", "two", "many"]
NAMES = [*NUMBERS, *TEXTS, "flag"]
SIGNATURE = Signature(
    columns=[Column(name=name, type="float") for name in NUMBERS]
    + [Column(name=name, type="str") for name in TEXTS]
    + [Column(name="flag", type="bool")],
    kind="binary",
    target="y",
    classes=["0", "1"],
)
POLICY = MonitorPolicy(window_s=1000.0)
IN_SEASON = MonitorPolicy(window_s=21_600.0, season_s=86_400.0)
ALPHA = POLICY.alpha
ZIPF = 1 / np.arange(1, 2001) ** 1.1
ZIPF /= ZIPF.sum()


def normals(rng: np.random.Generator, rows: int, width: int, kind: str) -> np.ndarray:
    """Return standard normal columns, their rows as dependent as ``kind`` says."""
    name, _, length = kind.partition(" ")
    if name == "runs":
        runs = rng.normal(size=(-(-rows // int(length)) + 1, width))
        start = rng.integers(int(length))
        return np.repeat(runs, int(length), axis=0)[start : start + rows]
    noise = rng.normal(size=(rows, width))
    if name == "autoregressive":
        phi = (int(length) - 1) / (int(length) + 1)  # a mean then has this design effect
        noise[1:] *= np.sqrt(1 - phi**2)
        return lfilter([1], [1, -phi], noise, axis=0)
    return noise


def rows(
    seed: int, count: int, kind: str = "independent", start: float = 0.0, length: float = 1000.0
) -> pl.DataFrame:
    """Return captured rows of a window from the population that never changes."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(start, start + length, count))
    hidden = normals(rng, count, 14, kind)
    if kind == "seasonal":
        hidden[:, :4] += 1.5 * np.sin(2 * np.pi * times / 86_400)[:, None]
    below = ndtr(hidden)

    def category(place: int, chances, names) -> pl.Series:
        return pl.Series(names)[np.searchsorted(np.cumsum(chances)[:-1], below[:, place])]

    return pl.DataFrame(
        {
            "_time": times,
            "_version": np.ones(count, dtype=np.int64),
            "_score": ndtr(hidden[:, 0] / 2 + hidden[:, 13] / 2) ** 2,
            "n0": hidden[:, 0],
            "n1": stdtrit(1.5, below[:, 1]),
            "n2": np.round(np.exp(hidden[:, 2]), 1),
            "n3": np.where(below[:, 3] < 0.8, 0, np.exp(2 * hidden[:, 3])),
            "n4": np.floor(below[:, 4] * 6),
            "n5": np.where(below[:, 5] < 0.05, np.nan, hidden[:, 6]),
            "n6": hidden[:, 7] * 0.6 + hidden[:, 0] * 0.8,
            "n7": np.exp(3 * hidden[:, 8]),
            "few": category(9, [0.4, 0.3, 0.15, 0.1, 0.05], list("abcde")),
            "two": category(10, [0.7, 0.3], ["x", "y"]),
            "many": category(11, ZIPF, [f"t{place}" for place in range(2000)]),
            "flag": below[:, 12] < 0.3,
        }
    )


@lru_cache(maxsize=2)
def trained(seed: int, kind: str, count: int = 40_000) -> tuple[Profile, pl.DataFrame]:
    """Return a baseline of ``count`` rows over ten days, and 4,000 rows to compare pairs with."""
    train = rows(seed, count, kind, length=864_000.0)
    shares = dict.fromkeys(NAMES, 1 / len(NAMES))
    profile = Profile(
        rows=count,
        columns=profile_columns({name: train[name] for name in NAMES}, shares),
        score=profile_scores(train["_score"].to_numpy()),
        loss=0.2,
    )
    return profile, train.sample(4_000, seed=seed)


def false_alarms(
    size: int, count: int, kind: str, seed: int = 0, each: int = 40, policy: MonitorPolicy = POLICY
) -> Counter[str]:
    """Return which alarms ``count`` windows without any drift raised, and how many had one.

    Every ``each`` windows training is drawn anew, and what was learned from windows is forgotten.
    """
    found: Counter[str] = Counter()
    for number in range(count):
        if number % each == 0:
            world, earlier = 10_000 * seed + number, []
        baseline, reference = trained(world, kind)
        start = policy.window_s * (number % each)
        window, alarms = judge_inputs(
            rows(10_000_000 * (seed + 1) + number, size, kind, start, policy.window_s),
            baseline,
            SIGNATURE,
            policy,
            (start, start + policy.window_s),
            "e",
            1,
            earlier=earlier,
            reference=reference,
        )
        earlier = [window, *earlier][:60]
        found.update({f"{one.kind} {one.subject}" for one in alarms})
        found["windows with one"] += bool(alarms)
    return found


def upper_bound(alarms: int, windows: int, confidence: float = 0.95) -> float:
    """Return the rate that so many alarms do not exclude (Clopper and Pearson, one-sided)."""
    return float(beta.ppf(confidence, alarms + 1, windows - alarms))


@pytest.mark.parametrize("kind", ["independent", "autoregressive 5", "runs 10"])
def test_windows_of_500_rows_without_drift_are_quiet(kind):
    assert false_alarms(500, 40, kind)["windows with one"] == 0


def test_windows_of_5000_rows_without_drift_are_quiet():
    assert false_alarms(5_000, 20, "autoregressive 20")["windows with one"] == 0


def test_windows_of_a_declared_season_are_quiet():
    assert false_alarms(500, 24, "seasonal", policy=IN_SEASON)["windows with one"] == 0


def test_a_window_of_100000_rows_without_drift_is_quiet():
    assert false_alarms(100_000, 1, "independent")["windows with one"] == 0


SOAK = [
    (500, 3_000, "independent"),
    (500, 3_000, "autoregressive 5"),
    (500, 3_000, "runs 10"),
    (500, 1_500, "seasonal"),
    (5_000, 1_500, "independent"),
    (5_000, 1_500, "autoregressive 20"),
    (5_000, 1_500, "runs 50"),
    (100_000, 100, "independent"),
    (100_000, 100, "runs 50"),
]


@pytest.mark.soak
@pytest.mark.parametrize(("size", "count", "kind"), SOAK)
def test_thousands_of_windows_without_drift_keep_the_promise(size, count, kind, capsys):
    count = int(count * float(os.environ.get("MAINSPRING_SOAK", "1")))
    found = false_alarms(size, count, kind, policy=IN_SEASON if kind == "seasonal" else POLICY)
    alarms = found["windows with one"]
    with capsys.disabled():
        print(
            f"\n{size:,} rows, {kind}: {alarms} of {count:,} windows with a false alarm, rate at"
            f" most {upper_bound(alarms, count):.2%} (95 %); {dict(found)}"
        )
    # What a true rate of 1/1000 does not exceed, but for one soak in a thousand.
    assert alarms <= beyond(count), found


def beyond(windows: int, chance: float = 0.001) -> int:
    """Return the most alarms that a rate of alpha still explains."""
    from scipy.stats import binom

    return int(binom.isf(chance, windows, ALPHA))
