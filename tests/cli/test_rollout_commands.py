"""Rollouts from the command line: start, show, set, end, list, and a roll-back that is timed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mainspring.ground.identity import sha256
from mainspring.ground.objects import CheckResult, Column, Signature, Version
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.ground.settings import load
from mainspring.readiness import gate, registry
from mainspring.scaling.serving import endpoints
from mainspring.workspace.opening import open_workspace

WHY = ("--reason", "So.")


@pytest.fixture
def tide(tmp_path: Path, say: Callable[..., Any]) -> Callable[..., Any]:
    """A home with an endpoint that serves tide/1; versions 2 and 3 passed their gate."""
    ws = open_workspace(load({}, start=tmp_path))

    def furnish(tx: Tx) -> None:
        signature = Signature(columns=[Column(name="a", type="float")], kind="binary", target="y")
        check = CheckResult(name="auc", passed=True, found="0.8", wanted="0.7")
        for number in (1, 2, 3):
            made = Version(
                model="tide", number=0, run=None, package=sha256(str(number).encode()),
                signature=signature, card=None, metrics={}, created=1.0, by="test",
            )  # fmt: skip
            registry.register(tx, made)
            result = gate.result("tide", number, [check], ws.clock.now(), "engine")
            gate.store_result(tx, result)
        registry.promote(tx, "tide", 1, reason="First.", at=1.0)
        endpoints.ensure(tx, "tide", "tide", at=1.0)

    ws.acting_as(service("test")).write(Permission.WORK, furnish)
    ws.close()
    return say


def test_a_rollout_is_started_shown_moved_and_ended(tide: Callable[..., Any]) -> None:
    assert "Nothing ever rolled out on tide." in tide("rollout", "show", "tide").out
    begun = tide("rollout", "start", "tide", "2", "--steps", "5%:1h:500,50%", *WHY)
    assert "version 2 answers 5.0% of the rows." in begun.out
    shown = tide("rollout", "show", "tide")
    assert "That is step 1 of 2." in shown.out
    assert "Next: 50.0% of the rows in 3,600 s and 500 rows." in shown.out
    assert "No request was counted yet." in shown.out
    moved = tide("rollout", "set", "tide", "--share", "0.3", *WHY, "--json").json
    assert (moved["share"], moved["by"] is not None) == (0.3, True)
    listed = tide("rollout", "list", "tide")
    assert "version 2 answers 30.0% of the rows" in listed.out
    ended = tide("rollout", "end", "tide", "--promote", "2", *WHY)
    assert "tide/2 answers every row." in ended.out
    assert tide("rollout", "show", "tide", "--json").json["rollout"]["purpose"] == "watch"
    back = tide("rollback", "tide", *WHY, "--json").json
    assert (back["champion"], back["seconds"]) == (1, {})  # no process is up to be timed


def test_several_versions_answer_by_weight(tide: Callable[..., Any]) -> None:
    words = ("rollout", "start", "tide", "--variants", "1=50,2=30,3=20", "--sticky-key", "a")
    assert "versions 1 50%, 2 30%, 3 20%" in tide(*words, *WHY).out
    shown = tide("rollout", "show", "tide").out
    assert "version 1 50.0%, version 2 30.0%, version 3 20.0%" in " ".join(shown.split())
    assert "2 better than 3" in shown
    moved = tide("rollout", "set", "tide", "--variants", "3=0", *WHY, "--json").json
    assert [arm["weight"] for arm in moved["arms"]] == [50.0, 30.0, 0.0]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("start", "tide", "2", "--steps", "50%,5%"), "Steps grow"),
        (("start", "tide", "2", "--steps", "x"), "no share"),
        (("start", "tide", "2", "--strategy", "linear"), "grows by a share every"),
        (("start", "tide", "--variants", "1:50"), "VERSION=WEIGHT"),
        (("start", "tide", "2", "--share", "2"), "share"),
        (("start", "tide", "2", "--bake", "soon"), "soon"),
        (("start", "tide"), "needs a version"),
    ],
)
def test_what_cannot_be_said_is_named(
    tide: Callable[..., Any], words: tuple[str, ...], told: str
) -> None:
    said = tide("rollout", *words, *WHY)
    assert told in " ".join(said.err.split())
    assert said.code == 2


def test_what_is_not_there_is_said(tide: Callable[..., Any]) -> None:
    said = tide("rollout", "end", "tide", *WHY)
    assert (said.code, "Nothing rolls out on tide." in said.err) == (2, True)
    assert "no endpoint 'ebb'" in tide("rollout", "show", "ebb").err


def test_the_doctor_rehearses_a_roll_back_and_says_where_there_is_none(
    tide: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mainspring.workspace.scoring import drill

    said = tide("doctor", "--drill", "--json").json
    [line] = [one for one in said if one["check"] == "drill"]
    assert line["state"] == "warn"
    assert "nothing to go back to" in line["found"]

    asked: list[str] = []

    def rollback(ws: Any, name: str) -> Any:
        asked.append(name)
        raise drill.ConflictError("Not today.")

    monkeypatch.setattr(drill, "rollback", rollback)
    tide("doctor", "--drill")
    assert asked == ["tide"]
