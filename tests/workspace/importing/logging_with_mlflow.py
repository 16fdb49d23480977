"""Log a little of everything with MLflow itself, to the store that the first argument names."""

import json
import pathlib
import sys
import tempfile
import warnings

import mlflow
from mlflow.entities import Metric

warnings.simplefilter("ignore")


def main(uri: str, artifacts: str) -> None:
    """Fill a store and print what a test wants to know of it."""
    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient(uri)
    number = client.create_experiment("first", artifact_location=artifacts, tags={"team": "red"})
    parent = client.create_run(number, start_time=1_700_000_000_123, run_name="parent")
    run = parent.info.run_id
    client.log_param(run, "C", 1)
    start = 1_700_000_000_000
    client.log_batch(run, [Metric("loss", 1 / (n + 1), start + n, n) for n in range(900)])
    client.log_metric(run, "odd", float("nan"), timestamp=1_700_000_000_001, step=-3)
    client.log_metric(run, "acc/val", 0.5, timestamp=1_700_000_000_001)
    client.set_tag(run, "note", "line\nline")
    with tempfile.TemporaryDirectory() as folder:
        notes = pathlib.Path(folder) / "notes"
        notes.mkdir()
        (notes / "a.txt").write_text("hello")
        client.log_artifacts(run, folder)
        (notes / "MLmodel").write_text("flavors: {}\n")
        child = client.create_run(number, tags={"mlflow.parentRunId": run}).info.run_id
        logged = client.create_logged_model(number, name="model", source_run_id=child)
        client.log_model_artifacts(logged.model_id, str(notes))
        client.finalize_logged_model(logged.model_id, "READY")
    client.set_terminated(child, "FAILED", end_time=1_700_000_009_000)
    client.set_terminated(run, "FINISHED", end_time=1_700_000_010_000)
    gone = client.create_run(number).info.run_id
    client.delete_run(gone)
    client.delete_experiment(client.create_experiment("gone"))
    client.create_registered_model("Fraud Model", {"t": "u"}, "Finds fraud.")
    source = f"models:/{logged.model_id}"
    for _ in range(3):
        client.create_model_version("Fraud Model", source, child, model_id=logged.model_id)
    client.delete_model_version("Fraud Model", "2")
    client.set_model_version_tag("Fraud Model", "3", "v", "w")
    client.transition_model_version_stage("Fraud Model", "3", "Staging")
    client.set_registered_model_alias("Fraud Model", "champion", "1")
    client.set_registered_model_alias("Fraud Model", "beta", "3")
    found = {"parent": run, "child": child, "gone": gone, "logged": logged.model_id}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
