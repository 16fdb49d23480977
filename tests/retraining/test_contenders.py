"""Policies are read from a word, a word with changes, or a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import RetrainingPolicy, RolloutPolicy, Strategy
from mainspring.retraining.contenders import NAMES, Contender, Pace, named, parse

DAY = 86_400.0
WEEKLY, DAILY = Pace(), Pace(DAY, DAY)


def test_at_its_own_pace_the_default_is_what_a_loop_declares_by_default():
    found = named("default", WEEKLY)
    assert (found.retraining, found.rollout) == (RetrainingPolicy(), RolloutPolicy())
    assert found.gated


def test_at_another_pace_all_its_lengths_are_stretched_alike():
    found = named("default", DAILY).retraining
    assert found.check_every_s == pytest.approx(DAY)
    assert found.cooldown_s == pytest.approx(2 * DAY)
    assert found.cooldown_s < 2 * DAY  # or what is due after two days would wait for a third


def test_every_name_makes_a_policy_and_only_the_default_is_gated():
    assert [name for name in NAMES if named(name, WEEKLY).gated] == ["default"]


def test_changes_are_real_time_or_periods_and_belong_where_they_are_known():
    text = "default,cooldown=3d,holdout=0.5p,share=0.5,strategy=shadow,cost=40,max_age=none"
    found = parse(text, DAILY)
    assert found.name == text
    assert found.retraining.cooldown_s == 3 * DAY
    assert found.retraining.holdout_s == pytest.approx(DAY / 2)
    assert (found.retraining.cost, found.retraining.max_age_s) == (40.0, None)
    assert (found.rollout.share, found.rollout.strategy) == (0.5, Strategy.SHADOW)


def test_a_budget_is_a_number_and_its_seconds_a_length():
    found = parse("default,budget=3,budget_s=2h", WEEKLY).retraining
    assert (found.budget, found.budget_s) == (3, 7200.0)


def test_a_file_holds_the_same_lines(tmp_path: Path):
    for name, text in (
        ("calm.toml", 'base = "regret"\ncooldown = "30d"\ngated = true\n'),
        ("calm.json", '{"base": "regret", "cooldown": "30d", "gated": true}'),
    ):
        (tmp_path / name).write_text(text)
        found = parse(str(tmp_path / name), WEEKLY)
        assert (found.name, found.gated) == ("calm", True)
        assert found.retraining.cooldown_s == 30 * DAY
        assert found.retraining.on_performance == "note"


def test_declared_is_the_policy_of_the_loop():
    mine = Contender(name="declared", retraining=RetrainingPolicy(budget=2))
    assert parse("declared", WEEKLY, mine).retraining.budget == 2
    assert parse("declared,budget=5", WEEKLY, mine).retraining.budget == 5
    with pytest.raises(BadInputError, match="Only a loop"):
        parse("declared", WEEKLY)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("defualt", "Did you mean 'default'"),
        ("default,cooldwon=7d", "Did you mean 'cooldown'"),
        ("default,cooldown", "no change of a policy"),
        ("default,cooldown=soon", "a number and a unit"),
        ("default,budget=many", "cannot be"),
        ("nothing.toml", "is no policy"),
    ],
)
def test_what_is_not_known_is_said_with_the_nearest_name(text: str, said: str):
    with pytest.raises(BadInputError, match=said):
        parse(text, WEEKLY)
