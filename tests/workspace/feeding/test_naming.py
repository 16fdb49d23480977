"""Columns are found by usual names, and what was said goes before what is usual."""

import pytest

from mainspring.ground.errors import BadInputError
from mainspring.workspace.feeding.naming import Columns, check_inputs, find


def test_usual_names_are_found_in_any_spelling():
    names = ["Prediction-ID", "Timestamp", "y_prob", "model_version", "ground_truth", "amount"]
    found, said = find(names, Columns())
    assert found == Columns(
        id="Prediction-ID", time="Timestamp", score=["y_prob"], label="ground_truth",
        version="model_version",
    )  # fmt: skip
    assert len(said) == 5, "each guess is said"


def test_what_was_said_is_not_guessed_and_not_taken_twice():
    found, said = find(["score", "time", "p"], Columns(score=["p"], id="score"))
    assert found == Columns(id="score", time="time", score=["p"])
    assert said == ["time is 'time'"]


def test_an_input_of_the_baseline_is_never_guessed_to_be_something_else():
    assert find(["time", "score"], Columns(), inputs=["time"])[0] == Columns(score=["score"])


def test_one_score_a_class_is_found_by_the_names_of_the_classes():
    names = ["prob_low", "prob_high", "x"]
    found = find(names, Columns(), classes=["high", "low"])[0]
    assert found.score == ["prob_high", "prob_low"]
    assert find(names, Columns(), classes=["high", "medium"])[0].score == []


def test_the_baselines_target_is_the_label():
    assert find(["churned", "x"], Columns(), target="churned")[0].label == "churned"


@pytest.mark.parametrize(
    "given", [Columns(id="nope"), Columns(score=["a", "nope"]), Columns(id="a", time="a")]
)
def test_a_column_that_is_not_there_or_is_named_twice_is_refused(given):
    with pytest.raises(BadInputError):
        find(["a", "b"], given)


def test_an_input_may_not_bear_a_name_of_the_captures():
    check_inputs(["a", "_private"])
    with pytest.raises(BadInputError, match="_score"):
        check_inputs(["a", "_score"])
