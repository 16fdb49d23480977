"""Training scripts of people who do not know us, and the loop that is put around them."""

SCRIPT = """
import polars as pl
{imports}
from sklearn.linear_model import LogisticRegression

rows = pl.read_csv("data.csv")
print(rows.height, "rows until", rows["t"].max())
model = LogisticRegression().fit(rows.select("a", "b").to_numpy(), rows["y"].to_numpy())
{ending}
"""
LOOP = """
import mainspring as ms

loop = ms.Loop.around(
    "train.py", model="tide", target="y", rows="data.csv", time="t", {more}
    gate=ms.Gate(tolerance=1.0, max_latency_ms=60_000.0),
    rollout=ms.Rollout(share=0.3, watch="2d"),
    monitor=ms.Monitor(window="1d", label_delay="1d", min_rows=50),
    retraining=ms.Retraining(
        check_every="9d", cooldown="2d", holdout="1d", windows=["all", "2d"]
    ),
)
"""
SKOPS = {"imports": "import skops.io", "ending": 'skops.io.dump(model, "model.skops")'}
JOBLIB = {"imports": "import joblib", "ending": 'joblib.dump(model, "model.joblib")'}
MLFLOW = {
    "imports": "import mlflow",
    "ending": """
with mlflow.start_run():
    mlflow.log_metric("rows", rows.height)
    mlflow.sklearn.log_model(
        model, name="model", registered_model_name="tide", pip_requirements=["scikit-learn"],
        serialization_format="skops",
    )
""",
}
