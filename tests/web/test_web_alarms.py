"""Alarms as a command line far away asks for them, and who may."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from mainspring.cli.start import main


@pytest.fixture
def far(url: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    def ask(*words: str) -> Any:
        assert main([*words, "--url", url, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return ask


def test_rules_quiet_times_channels_and_causes_over_a_server(far: Callable[..., Any]) -> None:
    line = ("--series", "drift:distance", "--above", "0.1", "--suppressed-by", "drift:other")
    assert far("alarms", "create", "hot", "--endpoint", "flights", *line)["version"] == 1
    [rule] = far("alarms", "rules", "--endpoint", "flights")
    assert rule["state"]["state"] == "ALARM"
    assert far("alarms", "states", "--state", "ALARM")[0]["subject"] == "hot"
    assert far("alarms", "ack", rule["state"]["alarm"], "--reason", "Seen.")[0]["acknowledged"]
    assert far("alarms", "dismiss", rule["state"]["alarm"], "--reason", "A test.")["decision"]
    quiet = far("alarms", "quiet", "--for", "1h", "--reason", "Work.")
    assert far("alarms", "unquiet", quiet["id"])["done"]
    assert far("channels", "add", "log", "log")["name"] == "log"
    assert far("channels", "test", "log")["said"] == "logged"
    assert far("monitor", "backtest", "flights", "--rule", "hot")["alarming"] == 1
    assert far("why", "alarm:alarm_1")["alarm"]["subject"] == "distance"


@pytest.mark.parametrize(
    ("role", "path", "body", "status"),
    [
        ("viewer", "/api/v1/alarm-rules", {"name": "x", "endpoint": "flights"}, 403),
        ("contributor", "/api/v1/quiets", {"reason": "x"}, 403),
        ("approver", "/api/v1/channels", {"name": "x", "kind": "log"}, 403),
        ("contributor", "/api/v1/alarm-rules", {"name": "x", "endpoint": "flights"}, 400),
        ("admin", "/api/v1/channels", {"name": "x", "kind": "webhook"}, 400),
    ],
)
def test_who_may(
    as_token: Callable[..., httpx.Client], role: str, path: str, body: Any, status: int
) -> None:
    answer = as_token(role).post(path, json=body)
    assert answer.status_code == status, answer.text
