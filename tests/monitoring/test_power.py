"""A harmful shift is found in the first window that could show it; what is none stays quiet."""

import numpy as np
import polars as pl
import pytest

from mainspring.ground.objects import Column, MonitorPolicy, Profile, Signature
from mainspring.monitoring.judge import judge_inputs
from mainspring.numerics.profiles import profile_columns, profile_scores

NAMES = ["a", "b", "c", "idle", "kind"]
SHARES = {"a": 0.4, "b": 0.2, "c": 0.3, "kind": 0.1, "idle": 0.0}
SIGNATURE = Signature(
    columns=[Column(name=n, type="str" if n == "kind" else "float") for n in NAMES],
    kind="binary",
    target="y",
    classes=["0", "1"],
)


def table(rows: int, seed: int, positives: float = 0.4) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    label = rng.random(rows) < positives
    a = rng.normal(size=rows) + label
    c = rng.normal(size=rows)
    kind = np.where(rng.random(rows) < 0.4, "x", np.where(rng.random(rows) < 0.5, "y", "z"))
    return pl.DataFrame(
        {
            "_time": np.sort(rng.uniform(0, 1000, rows)),
            "_version": np.ones(rows, dtype=np.int64),
            "_score": 1 / (1 + np.exp(0.5 - a - 0.3 * c)),
            "a": a,
            "b": 0.7 * a + 0.7 * rng.normal(size=rows),
            "c": c,
            "idle": rng.normal(size=rows),
            "kind": kind,
        }
    )


TRAIN = table(20_000, 1)
BASELINE = Profile(
    rows=20_000,
    columns=profile_columns({name: TRAIN[name] for name in NAMES}, SHARES),
    score=profile_scores(TRAIN["_score"].to_numpy()),
)
REFERENCE = TRAIN.head(5_000)


def judged(frame: pl.DataFrame):
    return judge_inputs(
        frame, BASELINE, SIGNATURE, MonitorPolicy(), (0, 1000), "e", 1, reference=REFERENCE
    )


def some(share: float, value, column: str = "kind") -> pl.Expr:
    chosen = pl.int_range(pl.len()) % round(1 / share) == 0
    return pl.when(chosen).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)


HARMFUL = {
    "mean 0.25 sd": (pl.col("c") + 0.25, ("drift", "c")),
    "mean 1 sd": (pl.col("c") + 1.0, ("drift", "c")),
    "variance": (pl.col("c") * 1.5, ("drift", "c")),
    "category 10 points": (some(1 / 7, "z"), ("drift", "kind")),
    "correlation flip": (-pl.col("b") + 1.4 * 0.4, ("joint", "b")),
    "8 % missing": (some(1 / 12, None, "c"), ("quality", "c")),
    "unseen level": (some(1 / 25, "w"), ("quality", "kind")),
    "units x100": (pl.col("c") * 100, ("quality", "c")),
}


@pytest.mark.parametrize("world", HARMFUL)
def test_a_harmful_shift_is_found_in_its_first_window(world):
    change, wanted = HARMFUL[world]
    _, alarms = judged(table(5_000, 7).with_columns(change))
    subjects = {(alarm.kind, alarm.subject) for alarm in alarms}
    pair = {("joint", "a and b")} if wanted[0] == "joint" else set()
    assert subjects & ({wanted} | pair), subjects


@pytest.mark.parametrize("world", ["mean 1 sd", "8 % missing", "unseen level", "units x100"])
def test_500_rows_show_the_larger_ones(world):
    _, alarms = judged(table(500, 7).with_columns(HARMFUL[world][0]))
    assert HARMFUL[world][1] in {(alarm.kind, alarm.subject) for alarm in alarms}


def test_more_positives_are_seen_in_the_score():
    _, alarms = judged(table(5_000, 7, positives=0.55))
    assert ("score_drift", "score") in {(alarm.kind, alarm.subject) for alarm in alarms}


@pytest.mark.parametrize("seed", [7, 8])
def test_what_concerns_nobody_pages_nobody(seed):
    for change in (pl.col("idle") + 3, pl.col("c") + 0.02):
        _, alarms = judged(table(5_000, seed).with_columns(change))
        assert alarms == []
    moved = judged(table(5_000, seed).with_columns(pl.col("idle") + 3))[0]
    verdicts = {row["column"]: row["verdict"] for row in moved.drift}
    assert verdicts["idle"] == "notice"


def test_a_relation_to_the_label_alone_is_not_seen_in_inputs():
    # p(y|x) that changes leaves inputs and scores as they were: only labels can show it.
    _, alarms = judged(table(5_000, 9).with_columns(_y=pl.lit(1.0)))
    assert alarms == []


@pytest.mark.parametrize("kind", ["regression", "multiclass"])
def test_predictions_that_drift_are_seen_whatever_their_kind(kind):
    rng = np.random.default_rng(3)

    def scores(rows, shift):
        raw = rng.normal(size=(rows, 3)) + np.array([shift, 0, 0])
        many = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
        return many if kind == "multiclass" else raw[:, 0] * 40

    baseline = Profile(rows=5_000, columns=[], score=profile_scores(scores(5_000, 0.0)))
    signature = Signature(columns=[], kind=kind, target="y", classes=["a", "b", "c"])
    for shift, wanted in ((0.0, set()), (0.6, {("score_drift", "score")})):
        frame = pl.DataFrame(
            {
                "_time": np.arange(4_000.0),
                "_version": np.ones(4_000, dtype=np.int64),
                "_score": scores(4_000, shift).tolist(),
            }
        )
        _, alarms = judge_inputs(frame, baseline, signature, MonitorPolicy(), (0, 4_000), "e", 1)
        assert {(alarm.kind, alarm.subject) for alarm in alarms} == wanted
