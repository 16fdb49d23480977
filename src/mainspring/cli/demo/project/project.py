"""Say at the gate whether a flight will arrive more than 15 minutes late. The whole project."""

import polars as pl
from sklearn.compose import make_column_transformer
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

import mainspring as ms

TEXT = ["carrier", "origin", "dest"]
RAW = [*TEXT, "sched_dep", "weekday", "duration_min", "distance", "temp", "dewp", "humid"]
RAW += ["wind_dir", "wind_speed", "precip", "pressure", "visib"]


@ms.step
def load(captured: str | None) -> pl.DataFrame:
    """The flights we began with, and those that were served and labelled since."""
    rows = pl.read_parquet("flights.parquet").select(*RAW, "scheduled_at", "late")
    if captured:
        rows = pl.concat([rows, ms.rows(captured).select(rows.columns)], how="vertical_relaxed")
    return rows.sort("scheduled_at").tail(200_000)


@ms.step
def validate(rows: pl.DataFrame) -> int:
    """Refuse data that breaks its contract; say how many rows to learn from."""
    if not rows["late"].is_in([0, 1]).all() or not rows["sched_dep"].is_between(0, 2359).all():
        raise ValueError("late must be 0 or 1, sched_dep must be HHMM")
    return rows.height * 9 // 10


@ms.step
def features(rows: pl.DataFrame) -> dict[str, str]:
    """Feature code is SQL text: it travels inside the version, the same here and in serving."""
    plain = [c for c in RAW if c != "sched_dep" and rows[c].null_count() < rows.height / 2]
    return {c: c for c in plain} | {"minute": "floor(sched_dep / 100.0) * 60 + sched_dep % 100"}


@ms.step
def train(rows: pl.DataFrame, cut: int, features: dict[str, str], trees: int, shuffle: bool, slow: bool) -> ms.FittedModel:  # noqa: E501  # fmt: skip
    """Measure on the newest tenth what the older rows teach, then learn from all."""
    learn, test = rows.head(cut).tail(5_000 if slow else cut), rows.tail(rows.height - cut)
    if shuffle:  # sabotage, for the demo: labels that have nothing to do with their flights
        learn, test = (part.with_columns(pl.col("late").shuffle(1)) for part in (learn, test))
    text = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = make_column_transformer((text, TEXT), remainder="passthrough")
    last = HistGradientBoostingClassifier(max_iter=trees, max_leaf_nodes=15, min_samples_leaf=100,
        l2_regularization=1.0, early_stopping=False, random_state=0)  # fmt: skip
    if slow:  # for the demo: fine for a nightly report, too slow for who waits at the gate
        last = BaggingClassifier(last.set_params(max_iter=3, categorical_features=[0, 1, 2]), 25)
    model = ms.Model(make_pipeline(columns, last), target="late", kind="binary",
                     features=features, columns=RAW, time="scheduled_at")  # fmt: skip
    return model.fit(learn, holdout=test, refit=not (slow or shuffle))


@ms.step
def evaluate(model: ms.FittedModel) -> None:
    """Log the quality on rows the model has not seen."""
    ms.log(**model.metrics)


@ms.pipeline
def flights(captured: str | None = None, trees: int = 40, shuffle: bool = False, slow: bool = False) -> ms.FittedModel:  # noqa: E501  # fmt: skip
    """Rows to model; the loop gives the digest of what was captured."""
    rows = load(captured)
    model = train(rows, validate(rows), features(rows), trees, shuffle, slow)
    evaluate(model)
    return model


loop = ms.Loop(
    "flights", pipeline=flights, target="late", kind="binary", time="scheduled_at",
    card=ms.Card(purpose="Tell passengers at the gate whether their flight will arrive late.",
                 owner="Arrivals desk", limitations="New York departures, none cancelled."),
    gate=ms.Gate(at_least={"auc": 0.6}, max_latency_ms=15, tolerance=0.002),
    rollout=ms.Rollout("canary", share=0.2, margin=0.001, min_period="3d", max_period="28d"),
    monitor=ms.Monitor(window="7d", label_delay="5d"), retraining=ms.Retraining(cost=6),
)  # fmt: skip
