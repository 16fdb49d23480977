"""What the score asks for and a machine can do: each act on a served model with real captures."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from whole_loop import Traffic

from mainspring.ground.errors import ConflictError, NotFoundError
from mainspring.scaling.serving import capture
from mainspring.workspace.alarming import verbs
from mainspring.workspace.opening import Workspace
from mainspring.workspace.scoring import columns, debugging, dependencies, exercise, scores
from mainspring.workspace.scoring import subject as s


@pytest.fixture
def asked(served: Workspace) -> Workspace:
    """A served model that answered a day of rows."""
    Path(served.settings.root).mkdir(exist_ok=True)
    traffic = Traffic(served)
    traffic.send(0)
    traffic.close()
    return served


def declare(ws: Workspace, text: str) -> None:
    (Path(ws.settings.root) / "columns.toml").write_text(text)


def points(ws: Workspace) -> set[str]:
    return {one.test for one in scores.score(ws, "tide").points if one.points}


def test_a_random_captured_row_is_followed_to_the_score_it_was_answered(
    asked: Workspace,
) -> None:
    made = debugging.debuggable(asked, s.of_model(asked, "tide"))
    assert made.passed, made.found
    assert made.subject == "endpoint:tide"
    assert "Of 240 captured rows" in made.found
    assert "over 2 features" in made.found
    assert "Infra 5" in points(asked)
    found = debugging.follow(asked, "tide", made.detail["prediction"])
    assert found.same
    assert set(found.inputs) == set(found.features) == {"a", "b"}
    # The logit is 4 a + b: of a usual row a carries most.
    rows = capture.read(asked.captures("tide"))
    weight = {"a": 0, "b": 0}
    for name in rows["_id"].head(20):
        weight[debugging.follow(asked, "tide", name).carried[0].column] += 1
    assert weight["a"] > weight["b"]


def test_what_a_column_carried_is_the_score_less_that_of_usual_values(asked: Workspace) -> None:
    rows = capture.read(asked.captures("tide")).sort("a")
    low = debugging.follow(asked, "tide", rows["_id"][0])
    high = debugging.follow(asked, "tide", rows["_id"][-1])
    carried = [next(c for c in one.carried if c.column == "a").carried for one in (low, high)]
    assert carried[0] < 0 < carried[1]


def test_a_prediction_that_is_not_kept_cannot_be_followed(asked: Workspace) -> None:
    with pytest.raises(NotFoundError, match="No row of tide with the prediction id 'x'"):
        debugging.follow(asked, "tide", "x")


def test_without_a_captured_row_nothing_was_debugged(served: Workspace) -> None:
    with pytest.raises(ConflictError, match="No row that tide/1 answered"):
        debugging.debuggable(served, s.of_model(served, "tide"))


def test_nothing_personal_in_rows_trained_on_and_captured_is_privacy(asked: Workspace) -> None:
    made = columns.privacy(asked, s.of_model(asked, "tide"))
    assert made.passed, made.found
    assert "240 rows captured" in made.found
    assert "Data 5" in points(asked)


def test_captures_that_others_can_read_are_no_privacy(asked: Workspace) -> None:
    asked.captures("tide").chmod(0o755)
    made = columns.privacy(asked, s.of_model(asked, "tide"))
    assert made.found == "captures of tide can be read by others."
    assert "Data 5" not in points(asked)


def test_a_column_declared_private_must_be_hashed_before_it_is_captured(
    asked: Workspace,
) -> None:
    declare(asked, "[columns.a]\nprivate = true\n")
    made = columns.privacy(asked, s.of_model(asked, "tide"))
    assert made.found == "a is declared private and is not hashed."


def test_personal_values_are_found_unless_a_person_says_they_are_none(
    asked: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pl.DataFrame({"who": [f"p{n}@example.org" for n in range(9)], "_y": [0] * 9})
    monkeypatch.setattr(s, "trained", lambda *_: rows)
    made = columns.privacy(asked, s.of_model(asked, "tide"))
    assert made.found.startswith("who holds personal values: 9 of 9 different values")
    assert "@" not in made.found + str(made.detail)
    declare(asked, "[columns.who]\npersonal = false\n")
    assert columns.privacy(asked, s.of_model(asked, "tide")).passed


def test_a_policy_of_columns_is_held_against_the_champion(asked: Workspace) -> None:
    subject = s.of_model(asked, "tide")
    with pytest.raises(ConflictError, match=r"no columns\.toml"):
        columns.policy(asked, subject)
    declare(asked, '[columns.a]\nowner = "x"\nsource = "y"\n')
    assert columns.policy(asked, subject).found == "b has no owner and source."
    both = "".join(f'[columns.{n}]\nowner = "x"\nsource = "y"\n' for n in "ab")
    declare(asked, both)
    assert columns.policy(asked, subject).passed
    assert "Data 4" in points(asked)


def test_what_a_feature_costs_is_held_against_its_budget(asked: Workspace) -> None:
    subject = s.of_model(asked, "tide")
    with pytest.raises(ConflictError, match="no feature_us"):
        columns.costs(asked, subject)
    declare(asked, "feature_us = 100000.0\n")
    made = columns.costs(asked, subject)
    assert made.passed
    assert set(made.detail["features"]) == {"a", "b"}
    assert made.detail["features"]["a"]["bytes"] == 8.0
    assert "Data 3" in points(asked)
    declare(asked, "feature_us = 0.000001\n")
    assert columns.costs(asked, subject).passed is False


def test_changes_upstream_are_noticed_and_told_over_a_channel(asked: Workspace) -> None:
    subject = s.of_model(asked, "tide")
    with pytest.raises(ConflictError, match="There is no channel"):
        dependencies.drill(asked, subject)
    verbs.add_channel(asked, "ops", "log", {})
    made = dependencies.drill(asked, subject)
    assert made.passed, made.found
    assert made.detail["column"] == "a"
    assert all(made.detail["alarms"].values())
    assert {"Monitor 1"} <= points(asked)


def test_an_exercise_tries_all_and_says_why_it_could_not(asked: Workspace) -> None:
    done = {one.kind: one for one in exercise.exercise(asked, "tide")}
    assert set(done) == set(exercise.ACTS)
    assert {"privacy", "debuggable"} <= {kind for kind, one in done.items() if one.passed}
    measured = done.pop("ablation")  # of 60 rows that it was measured on it may say nothing
    assert measured.evidence is not None
    tried: dict[str, str] = {kind: one.found for kind, one in done.items() if one.passed is None}
    assert "no champion before tide/1" in tried["rollback_drill"]
    assert "There is no channel" in tried["dependency_drill"]
    assert all(one.evidence is None for one in done.values() if one.passed is None)
    with pytest.raises(NotFoundError, match="no model 'ebb'"):
        list(exercise.exercise(asked, "ebb"))
