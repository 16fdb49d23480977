"""What asks for a new version, and what is in its way: each question by hand, and its laws."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.errors import BadInputError
from mainspring.ground.loops import Phase, View
from mainspring.ground.messages import AlarmRef
from mainspring.ground.monitors import AlarmKind
from mainspring.ground.objects import DAY_S, RetrainingPolicy, Wish
from mainspring.retraining import triggers
from mainspring.retraining.declaring import Retraining

NOW = 100 * DAY_S
KINDS, WISHES = get_args(AlarmKind), get_args(Wish)


def view(**more: object) -> View:
    return View(**{"loop": "l", "champion": 4, "now": NOW, "promoted_at": NOW, **more})


def alarm(kind: str, subject: str = "x") -> AlarmRef:
    return AlarmRef(id="a", kind=kind, subject=subject)


@given(st.sampled_from(KINDS), st.sampled_from(WISHES), st.sampled_from(WISHES))
def test_what_is_said_of_one_subject_goes_before_what_is_said_of_its_kind(kind, mine, its) -> None:
    policy = RetrainingPolicy(on={kind: its, f"{kind}:price": mine})
    assert triggers.wish(alarm(kind, "price"), policy) == mine
    assert triggers.wish(alarm(kind, "other"), policy) == its


@given(st.sampled_from(KINDS))
def test_every_kind_of_alarm_has_an_answer_without_anybody_declaring_one(kind: str) -> None:
    assert triggers.wish(alarm(kind), RetrainingPolicy()) in WISHES


def test_the_two_old_names_still_work_and_the_new_one_goes_before_them() -> None:
    old = RetrainingPolicy(on_drift="note", on_performance="check")
    assert [triggers.wish(alarm(k), old) for k in ("drift", "joint", "performance")] == [
        "note",
        "note",
        "check",
    ]
    both = RetrainingPolicy(on_drift="note", on={"drift": "retrain"})
    assert triggers.wish(alarm("drift"), both) == "retrain"
    assert triggers.wish(alarm("joint"), both) == "note"


def test_a_version_beside_the_champion_is_noted_whatever_its_alarm() -> None:
    assert triggers.wish(alarm("side"), RetrainingPolicy(on={"drift": "retrain"})) == "note"


def test_rows_and_labels_are_counted_from_the_last_training_on() -> None:
    policy = RetrainingPolicy(every_rows=1000, every_labels=500)
    assert triggers.asked(view(rows=999, labels=900, labels_trained=401), policy) is None
    assert triggers.asked(view(rows=1000), policy) == (
        "rows",
        "1,000 rows were served since the last training began.",
    )
    found = triggers.asked(view(labels=901, labels_trained=401), policy)
    assert found == ("labels", "500 labels came since the last training began.")


def test_the_greatest_age_asks_once_it_is_reached() -> None:
    policy = RetrainingPolicy(max_age_s=30 * DAY_S)
    assert triggers.asked(view(promoted_at=NOW - 29 * DAY_S), policy) is None
    assert triggers.asked(view(promoted_at=NOW - 30 * DAY_S), policy) == (
        "schedule",
        "The champion is 30 days old.",
    )


def test_a_look_is_not_repeated_before_it_may_say_something_new() -> None:
    policy = RetrainingPolicy(check_cooldown_s=7 * DAY_S, check_labels=200)
    soon = {"checked_at": NOW - 2 * DAY_S, "labels_checked": 1000}
    assert not triggers.may_check(view(**soon, labels=1199), policy)
    assert triggers.may_check(view(**soon, labels=1200), policy)
    assert triggers.may_check(view(checked_at=NOW - 7 * DAY_S), policy)
    assert triggers.may_check(view(**soon, labels=1000, compared=False), policy)
    assert triggers.may_check(view(), policy)


def test_both_budgets_name_what_is_spent() -> None:
    assert triggers.spent(view(retrainings=2), RetrainingPolicy(budget=3)) is None
    assert "budget of 3 retrainings" in (
        triggers.spent(view(retrainings=3), RetrainingPolicy(budget=3)) or ""
    )
    minutes = RetrainingPolicy(budget_s=600)
    assert triggers.spent(view(trained_s=599), minutes) is None
    assert "10 minutes of training is spent (10.2 were used)" in (
        triggers.spent(view(trained_s=612), minutes) or ""
    )


def test_only_what_time_takes_away_is_waited_for() -> None:
    policy = RetrainingPolicy(cooldown_s=DAY_S, budget=3)
    assert triggers.will_pass(view(phase=Phase.ROLLOUT), policy)
    assert triggers.will_pass(view(trained_at=NOW - 1), policy)
    assert not triggers.will_pass(view(), policy)
    assert not triggers.will_pass(view(trained_at=NOW - 1, retrainings=3), policy)
    assert not triggers.will_pass(view(champion=None, phase=Phase.TRAINING), policy)


def test_a_policy_is_checked_where_it_is_declared() -> None:
    declared = Retraining(on={"rule:hot": "retrain"}, budget_minutes=2, every_labels=5)
    assert (declared.on, declared.budget_s) == ({"rule:hot": "retrain"}, 120)
    assert (Retraining(max_age="measured").max_age_measured, Retraining().max_age_measured) == (
        True,
        False,
    )
    assert Retraining(max_age="3d").max_age_s == 3 * DAY_S
    for wrong, told in [
        ({"on": {"drfit": "check"}}, "found 'drfit'"),
        ({"on": {"drift": "train"}}, "must be one of check, retrain, note"),
        ({"every_rows": 0}, "every_rows must be 1 or more"),
        ({"check_every": 0}, "check_every must be longer than 0 s"),
    ]:
        with pytest.raises(BadInputError, match=told):
            Retraining(**wrong)
