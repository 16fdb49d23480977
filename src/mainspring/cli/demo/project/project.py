"""Say at the gate whether a flight will arrive more than 15 minutes late. The whole project."""

from pathlib import Path

import polars as pl
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

import mainspring as ms

HERE = Path(__file__).parent
TEXT = ["carrier", "origin", "dest"]
TIMETABLE = ["sched_dep", "weekday", "duration_min", "distance"]
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]
RAW = [*TEXT, *TIMETABLE, *WEATHER]


@ms.step
def load(captured: str | None) -> pl.DataFrame:
    """The flights we began with, and those that were served and labelled since."""
    rows = pl.read_parquet(HERE / "flights.parquet").select(*RAW, "scheduled_at", "late")
    if captured:
        rows = pl.concat([rows, ms.rows(captured).select(rows.columns)], how="vertical_relaxed")
    return rows.sort("scheduled_at").tail(200_000)


@ms.step
def validate(rows: pl.DataFrame) -> dict[str, int]:
    """Refuse data that breaks its contract."""
    assert set(rows["late"].unique()) <= {0, 1}, "late must be 0 or 1"
    assert rows["origin"].n_unique() == 3, "New York has three airports"
    assert rows["sched_dep"].is_between(0, 2359).all(), "sched_dep must be HHMM"
    return {"rows": rows.height, "late": int(rows["late"].sum())}


@ms.step
def features(rows: pl.DataFrame) -> dict[str, str]:
    """Feature code is SQL text: it travels inside the version, the same here and in serving."""
    plain = {name: name for name in RAW if name != "sched_dep"}
    minute = {"minute": "floor(sched_dep / 100.0) * 60 + sched_dep % 100"}
    known = [name for name in plain if rows[name].null_count() < rows.height / 2]
    return {name: plain[name] for name in known} | minute


@ms.step
def train(
    rows: pl.DataFrame, features: dict[str, str], checked: dict[str, int], trees: int,
    shuffle: bool, slow: bool,
) -> ms.FittedModel:  # fmt: skip
    """Fit on the older rows, measure on the newest tenth."""
    learn, test = rows.head(checked["rows"] * 9 // 10), rows.tail(checked["rows"] // 10)
    if shuffle:  # the demo's sabotage: labels that have nothing to do with their flights
        learn = learn.with_columns(pl.col("late").shuffle(seed=1))
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = make_column_transformer((codes, TEXT), remainder="passthrough")
    boosted = HistGradientBoostingClassifier(
        max_iter=trees, max_leaf_nodes=15, min_samples_leaf=100, l2_regularization=1.0,
        early_stopping=False, random_state=0,
    )  # fmt: skip
    forest = RandomForestClassifier(900, max_depth=6, max_samples=2000, random_state=0)
    estimator = make_pipeline(columns, *([SimpleImputer(), forest] if slow else [boosted]))
    model = ms.Model(estimator, target="late", kind="binary", features=features, columns=RAW,
                     time="scheduled_at")  # fmt: skip
    return model.fit(learn, holdout=test)


@ms.step
def rule_of_thumb(rows: pl.DataFrame, checked: dict[str, int]) -> dict[str, float]:
    """What a simpler model would do: each carrier's own share of late flights."""
    shares = rows.head(checked["rows"] * 9 // 10).group_by("carrier").agg(p=pl.mean("late"))
    test = rows.tail(checked["rows"] // 10).join(shares, on="carrier", how="left")
    gap = (pl.col("p").fill_null(checked["late"] / checked["rows"]) - pl.col("late")) ** 2
    return {"loss": float(test.select(gap.mean()).item())}


@ms.step
def evaluate(model: ms.FittedModel, simple: dict[str, float]) -> dict[str, float]:
    """Log quality, and what the model wins over the rule of thumb."""
    found = dict(model.metrics) | {"loss_saved": simple["loss"] - model.metrics["loss"]}
    ms.log(**found)
    return found


@ms.pipeline
def flights(
    captured: str | None = None, trees: int = 40, shuffle: bool = False, slow: bool = False
):
    rows = load(captured)
    checked = validate(rows)
    model = train(rows, features(rows), checked, trees, shuffle, slow)
    evaluate(model, rule_of_thumb(rows, checked))
    return model


loop = ms.Loop(
    "flights",
    pipeline=flights,
    target="late",
    kind="binary",
    time="scheduled_at",
    card=ms.Card(
        purpose="Tell passengers at the gate whether their flight will arrive late.",
        owner="Arrivals desk",
        limitations="New York departures of 2013; cancelled flights are not in the data.",
    ),
    gate=ms.Gate(at_least={"auc": 0.6}, max_latency_ms=15, tolerance=0.002),
    rollout=ms.Rollout("canary", share=0.2, margin=0.001, min_period="3d", max_period="28d"),
    monitor=ms.Monitor(window="7d", label_delay="5d"),
    retraining=ms.Retraining(cooldown="14d", holdout="7d"),
)
