"""The commands of the score: what they print, refuse, and end with."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mainspring.cli.commands import every
from mainspring.debt.score.table import TESTS
from mainspring.ground.permissions import Permission, service
from mainspring.ground.settings import load
from mainspring.readiness import registry
from mainspring.workspace.opening import open_workspace


@pytest.fixture
def tide(say: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """A home with one model that has no version yet."""
    ws = open_workspace(load({}, start=tmp_path))
    own = ws.acting_as(service("tests"))
    own.write(Permission.WORK, lambda tx: registry.ensure_model(tx, "tide", at=1.0))
    ws.close()
    return say


def test_a_score_shows_28_tests_four_sums_and_what_the_paper_says(
    tide: Callable[..., Any],
) -> None:
    said = tide("readiness", "score")  # the only model there is
    assert said.code == 0, said.err
    for line in ("Data: 0 of 7", "Monitor: 0 of 7", "tide: 0, the smallest of the four sums."):
        assert line in said.out
    assert "More a research project than a productionized system." in said.out
    assert "Earn it: mainspring readiness exercise tide" in " ".join(said.out.split())
    found = tide("readiness", "score", "tide", "--json").json
    assert len(found["points"]) == 28
    assert found["sums"] == {"Data": 0.0, "Model": 0.0, "Infra": 0.0, "Monitor": 0.0}


def test_what_earns_a_point_names_commands_that_there_are() -> None:
    for test in TESTS:
        for command in re.findall(r"mainspring ((?:[a-z]+ ?)+)", test.earn):
            words = command.split()
            known = {" ".join(words[:2]), words[0]} & set(every())
            assert known, f"{test.number}: there is no command {command!r}"


def test_a_score_below_the_least_ends_with_one(tide: Callable[..., Any]) -> None:
    assert tide("readiness", "score", "tide", "--least", "0").code == 0
    assert tide("readiness", "score", "tide", "--least", "3").code == 1
    assert tide("readiness", "score", "tide", "--least", "3", "--trend").code == 1
    said = tide("readiness", "score", "tide", "--least", "9")
    assert (said.code, "0 to 7, found 9" in said.err) == (2, True)


def test_a_trend_is_a_table_and_a_line_of_bars(tide: Callable[..., Any]) -> None:
    assert "was never scored" in tide("readiness", "score", "tide", "--trend").out
    tide("readiness", "score", "tide")
    said = tide("readiness", "score", "tide", "--trend")
    assert "SECTIONS" in said.out
    assert said.out.splitlines()[-1].split() == ["tide", "▁"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("readiness", "score", "ebb"), 2, "no model 'ebb'"),
        (("readiness", "score", "tide", "--max-age", "soon"), 2, "soon"),
        (("readiness", "exercise", "tide"), 1, "No version of tide serves yet"),
        (("drill", "rollback", "ebb"), 2, "no endpoint 'ebb'"),
        (("explain", "ebb", "x"), 2, "no endpoint 'ebb'"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(
    tide: Callable[..., Any], words: tuple[str, ...], code: int, told: str
) -> None:
    said = tide(*words)
    assert told in said.err
    assert said.code == code


def test_which_model_is_asked_for_where_there_are_several_or_none(
    say: Callable[..., Any], tmp_path: Path
) -> None:
    open_workspace(load({}, start=tmp_path)).close()
    said = say("readiness", "score")
    assert (said.code, "Which model?" in said.err) == (2, True)
