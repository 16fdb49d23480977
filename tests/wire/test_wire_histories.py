"""Histories of several runs, as MLflow's pages draw them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest


@pytest.fixture
def ajax(url: str) -> Any:
    """A client of the paths that MLflow's own pages use."""
    with httpx.Client(
        base_url=f"{url}/ajax-api/2.0/mlflow", trust_env=False, timeout=60
    ) as client:
        yield client


@pytest.fixture
def runs(client: Any, web: httpx.Client) -> list[str]:
    """Two runs with 100 points of one metric each."""
    made = [client.create_run("0").info.run_id for _ in range(2)]
    for run in made:
        points = [{"key": "a", "value": n, "timestamp": 1000 - n, "step": n} for n in range(100)]
        web.post("runs/log-batch", json={"run_id": run, "metrics": points})
    return made


def test_histories_of_several_runs_come_by_run_and_time(ajax: Any, runs: list[str]) -> None:
    asked = {"run_id": runs, "metric_key": "a"}
    found = ajax.get("metrics/get-history-bulk", params=asked).json()["metrics"]
    assert [one["run_id"] for one in found] == [run for run in sorted(runs) for _ in range(100)]
    assert [one["timestamp"] for one in found[:100]] == list(range(901, 1001))
    few = ajax.get("metrics/get-history-bulk", params={**asked, "max_results": 3}).json()
    assert len(few["metrics"]) == 3


def test_few_points_are_chosen_evenly_with_the_first_and_the_last(
    ajax: Any, runs: list[str]
) -> None:
    asked = {"run_ids": runs, "metric_key": "a", "max_results": 4}
    found = ajax.get("metrics/get-history-bulk-interval", params=asked).json()["metrics"]
    assert [one["step"] for one in found] == [0, 33, 66, 99] * 2
    within = {**asked, "start_step": 10, "end_step": 12}
    found = ajax.get("metrics/get-history-bulk-interval", params=within).json()["metrics"]
    assert [one["step"] for one in found] == [10, 11, 12] * 2
    one = {**asked, "max_results": 1}
    found = ajax.get("metrics/get-history-bulk-interval", params=one).json()["metrics"]
    assert [one["step"] for one in found] == [99, 99]


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("get-history-bulk", {"metric_key": "a"}),
        ("get-history-bulk", {"run_id": "none", "metric_key": "a"}),
        ("get-history-bulk", {"run_id": ["r"] * 101, "metric_key": "a"}),
        ("get-history-bulk-interval", {"run_ids": "none"}),
        ("get-history-bulk-interval", {"run_ids": "none", "metric_key": "a", "start_step": 1}),
        (
            "get-history-bulk-interval",
            {"run_ids": "none", "metric_key": "a", "start_step": 2, "end_step": 1},
        ),
    ],
)
def test_what_names_no_histories_is_refused(ajax: Any, path: str, asked: dict[str, Any]) -> None:
    assert ajax.get(f"metrics/{path}", params=asked).status_code in (400, 404)
