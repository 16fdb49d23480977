"""Series and the dashboard, as typed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mainspring.ground.monitors import Finding, Window
from mainspring.ground.permissions import Permission, service
from mainspring.ground.settings import load
from mainspring.monitoring import windows
from mainspring.scaling.serving import endpoints
from mainspring.workspace.opening import open_workspace


@pytest.fixture
def watched(say: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """A home with an endpoint and three windows of it."""
    ws = open_workspace(load({"home": str(tmp_path / ".mainspring")})).acting_as(service("engine"))
    ws.write(Permission.WORK, lambda tx: endpoints.ensure(tx, "flights", "flights", at=1.0))
    for number in range(3):
        found = Finding(
            monitor="bias", subject='sex, "F"', value=0.1 * number, low=0.0, high=0.5, line=0.2,
            rows=50, verdict="alarm" if number == 2 else "quiet",
        )  # fmt: skip
        window = Window(
            id=f"flights:{number}", endpoint="flights", start=3600.0 * number, rows=100,
            end=3600.0 * (number + 1), version=1, found=[found],
        )  # fmt: skip
        ws.write(Permission.WORK, lambda tx, one=window: windows.save(tx, one))
    ws.close()
    return say


def test_series_are_a_table_json_and_csv(watched: Callable[..., Any]) -> None:
    said = watched("monitor", "series", "flights")
    assert said.code == 0
    assert "0.2" in said.out
    assert "alarm" in said.out
    [one] = watched("monitor", "series", "flights", "--monitor", "bias", "--json").json
    assert [point["value"] for point in one["points"]] == [0.0, 0.1, 0.2]
    said = watched("monitor", "series", "flights", "--since", "90m", "--csv")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert [row["subject"] for row in rows if row["monitor"] == "bias"] == ['sex, "F"'] * 2
    assert rows[0]["radius"] == ""


def test_what_cannot_be_asked_is_said(watched: Callable[..., Any]) -> None:
    said = watched("monitor", "series", "flights", "--json", "--csv")
    assert (said.code, "not both" in said.err) == (2, True)
    assert watched("monitor", "series", "nobody").code == 2
    said = watched("monitor", "series", "flights", "--since", "soon")
    assert (said.code, "15m" in said.err) == (2, True)
    said = watched("monitor", "series", "flights", "--monitor", "none")
    assert (said.code, "No series" in said.out) == (0, True)


def test_a_dashboard_is_printed_or_written(watched: Callable[..., Any], tmp_path: Path) -> None:
    assert json.loads(watched("monitor", "dashboard").out)["schemaVersion"] == 42
    file = tmp_path / "board.json"
    said = watched("monitor", "dashboard", "--endpoint", "flights", "--out", str(file))
    assert "Import" in said.out
    chosen = json.loads(file.read_text())["templating"]["list"][1]["current"]["value"]
    assert chosen == ["flights"]
    assert watched("monitor", "dashboard", "--endpoint", "nobody").code == 2
    said = watched("monitor", "dashboard", "--out", str(tmp_path / "no" / "board.json"))
    assert (said.code, "cannot be written" in said.err) == (2, True)


def test_what_cannot_be_explained_is_said(watched: Callable[..., Any]) -> None:
    said = watched("monitor", "explain", "flights", "--window", "flights:9")
    assert (said.code, "flights:9" in said.err) == (2, True)
    assert watched("monitor", "explain", "nobody").code == 2
