"""Datasets that runs read, by MLflow's own client."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from mlflow.entities import Dataset, DatasetInput, InputTag


def use(name: str, digest: str = "d1", context: str = "training", **more: Any) -> DatasetInput:
    about = {"source_type": "local", "source": '{"uri": "x.csv"}', **more}
    tags = [InputTag("mlflow.data.context", context), InputTag("by", "hand")]
    return DatasetInput(Dataset(name=name, digest=digest, **about), tags)


def test_a_run_tells_which_data_it_read(client: Any) -> None:
    run = client.create_run("0").info.run_id
    wanted = use("flights", schema='{"a": "long"}', profile='{"rows": 3}')
    client.log_inputs(run, [wanted, use("weather", context="validation")])
    client.log_inputs(run, [wanted])  # said again, kept once
    found = client.get_run(run).inputs.dataset_inputs
    assert [one.dataset.name for one in found] == ["flights", "weather"]
    assert found[0].to_dictionary() == wanted.to_dictionary()


def test_runs_are_found_by_their_data(client: Any) -> None:
    for name in "ab":
        run = client.create_run("0", run_name=name).info.run_id
        client.log_inputs(run, [use(f"data {name}"), use("common", f"d{name}", "test")])

    def search(wanted: str) -> str:
        return "".join(sorted(one.info.run_name for one in client.search_runs(["0"], wanted)))

    assert search("dataset.name = 'data a'") == "a"
    assert search("datasets.name LIKE 'data%'") == "ab"
    assert search("dataset.digest = 'db' AND dataset.name = 'common'") == "b"
    assert search("dataset.context = 'test'") == "ab"
    assert search("dataset.context IN ('train', 'validation')") == ""
    assert search("dataset.name = 'data a' AND dataset.name = 'common'") == "a"


@pytest.mark.parametrize("wanted", ["dataset.rows = '3'", "dataset.name > 'a'", "dataset.name"])
def test_what_no_dataset_has_is_refused(web: httpx.Client, wanted: str) -> None:
    found = web.post("runs/search", json={"experiment_ids": ["0"], "filter": wanted})
    assert (found.status_code, found.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_the_data_of_experiments_are_listed_once(client: Any, web: httpx.Client, url: str) -> None:
    for _ in range(2):
        run = client.create_run("0").info.run_id
        client.log_inputs(run, [use("flights")])
    path = f"{url}/ajax-api/2.0/mlflow/experiments/search-datasets"
    found = httpx.post(path, json={"experiment_ids": ["0"]}, trust_env=False, timeout=60).json()
    known = {"experiment_id": "0", "name": "flights", "digest": "d1", "context": "training"}
    assert found == {"dataset_summaries": [known]}
    many = {"experiment_ids": [str(n) for n in range(21)]}
    assert web.post("experiments/search-datasets", json=many).status_code == 400


@pytest.mark.parametrize(
    "dataset",
    [
        None,
        {"digest": "d"},
        {"name": "a"},
        {"name": "a" * 501, "digest": "d"},
        {"name": "a", "digest": "d" * 37},
        {"name": "a", "digest": "d", "source": "s" * 65_536},
        {"name": "a", "digest": "d", "schema": "s" * 1_048_576},
        {"name": "a\x00", "digest": "d"},
    ],
)
def test_what_cannot_be_kept_of_data_is_refused(
    client: Any, web: httpx.Client, dataset: dict[str, str] | None
) -> None:
    run = client.create_run("0").info.run_id
    good = {"dataset": {"name": "good", "digest": "d"}}
    told = {"run_id": run, "datasets": [good, {"dataset": dataset}]}
    found = web.post("runs/log-inputs", json=told)
    assert (found.status_code, found.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert client.get_run(run).inputs.dataset_inputs == []
