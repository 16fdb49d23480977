"""Why not, a pause that sends the challenger home, a keyed request: asked by the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mainspring.cli.start import main


@pytest.fixture
def far(url: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    def ask(*words: str, code: int = 0) -> Any:
        assert main([*words, "--url", url, "--json"]) == code
        return json.loads(capsys.readouterr().out or "null")

    return ask


def test_why_not_over_a_server(far: Callable[..., Any]) -> None:
    assert far("why", "not", "flights/1")["version"] == "flights/1"
    told = far("why", "not", "flights", "--since", "2020-01-01")
    assert (told["loop"], told["since"]) == ("flights", 1_577_836_800.0)
    assert told["reason"]
    assert far("why", "not", "flights", "--since", "30d")["since"] != told["since"]


def test_why_not_in_words(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "not", "flights/1", "--url", url]) == 0
    assert capsys.readouterr().out.startswith("flights/1: ")
    assert main(["why", "not", "flights", "--url", url]) == 0
    assert "flights, since" in capsys.readouterr().out


def test_why_not_of_nothing_is_refused(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "not", "--url", url]) == 2
    assert "Name a version" in capsys.readouterr().err


def test_a_loop_is_paused_and_asked_over_a_server(
    far: Callable[..., Any], url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("loop", "retrain", "flights", "--reason", "New prices.", "--key", "b1", "--patient")
    assert far(*asked) == {"asked": True}
    assert far(*asked) == {"asked": False}
    assert far("loop", "pause", "flights", "--reason", "Tonight.", "--withdraw")["done"]
    status = far("loop", "status", "flights")
    assert {"on_hold", "still_acts", "frozen_until"} <= set(status)
    assert main(["loop", "status", "flights", "--url", url]) == 0
    assert "flights" in capsys.readouterr().out
