"""What is known of one prediction is found by its id: in the captures, in the logs, or in both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from mainspring.cli.start import main
from mainspring.ground.logs import line_of
from mainspring.scaling.serving import capture
from mainspring.web.api import call
from mainspring.workspace.opening import Workspace


@pytest.fixture
def known(watched_home: Workspace) -> dict[str, Any]:
    """A captured row of the endpoint ``calm``."""
    return capture.read(watched_home.captures("calm"), columns=[]).row(5, named=True)


def test_a_captured_prediction_says_who_answered_and_what(
    watched_home: Workspace, known: dict[str, Any]
) -> None:
    found = call(watched_home, "predictions.why", id=known["_id"])
    assert (found["endpoint"], found["captured"]) == ("calm", True)
    assert (found["version"], found["at"]) == (known["_version"], known["_time"])
    assert found["scores"] == [known["_score"]]
    assert found["notes"] == []
    assert f"Version {known['_version']} of endpoint calm answered" in found["lines"][0]
    assert "The logs have no line of it" in " ".join(found["lines"])


def test_a_noted_prediction_is_found_by_the_id_of_any_row_over_http_and_by_command(
    home: Workspace, site: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    fields = {
        "endpoint": "flights", "ms": 1874.2, "status": 200, "rows": 3, "version": "5",
        "variant": "champion", "request": "order-17", "prediction": "ab-10", "caller": "checkout",
        "wait_ms": 1800.5, "score_ms": 70.0, "trace_id": "4bf92f",
    }  # fmt: skip
    folder = Path(home.home) / "logs"
    folder.mkdir(exist_ok=True)
    now = home.clock.now()
    (folder / "endpoint-flights.jsonl").write_bytes(
        line_of(now, "warning", "endpoint-flights", 1, "slow prediction", fields)
    )
    found = httpx.get(f"{site}/api/v1/predictions/ab-12/why", trust_env=False, timeout=60).json()
    assert (found["endpoint"], found["captured"]) == ("flights", False)
    [note] = found["notes"]
    assert note["steps_ms"] == {"wait": 1800.5, "score": 70.0}
    assert (note["request"], note["caller"], note["trace_id"]) == (
        "order-17",
        "checkout",
        "4bf92f",
    )
    missing = httpx.get(f"{site}/api/v1/predictions/ab-13/why", trust_env=False, timeout=60)
    assert (missing.status_code, missing.json()["field"]) == (404, "id")
    monkeypatch.setenv("MAINSPRING_HOME", str(home.home))
    for where in ([], ["--url", site]):
        assert main(["why", "prediction:ab-12", *where]) == 0
        told = capsys.readouterr().out
        assert "slow prediction, answered 200 in 1,874 ms" in " ".join(told.split())
        assert "wait 1,800 ms" in told or "wait 1,801 ms" in told
