"""Training rows that the model's own decisions shaped: a known loop is found, none is invented."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from mainspring.ground.errors import BadInputError
from mainspring.retraining import feedback

DAY = 86_400.0


def _captured(rows: int = 4000, seed: int = 1) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    score = random.random(rows)
    return pl.DataFrame({
        "_id": [f"p-{n}" for n in range(rows)],
        "_time": np.arange(rows) * DAY / 200,
        "_score": score,
        "amount": random.normal(size=rows),
    })  # fmt: skip


def _look(captured: pl.DataFrame, known: np.ndarray, **more):
    labelled = captured["_id"].filter(pl.Series(known))
    return feedback.look(1000, 800, captured, labelled, 1e12, **more)


def test_a_lender_who_learns_only_of_those_it_lends_to_is_warned() -> None:
    captured = _captured()
    score = captured["_score"].to_numpy()
    random = np.random.default_rng(2)
    known = (score >= 0.5) | (random.random(score.size) < 0.1)
    found = _look(captured, known)
    truth = 0.8 * (1 - 0.1 * score.size / known.sum())  # of all rows: 8 in 10 are captured
    middle, low, high = found.shaped_share
    assert low <= truth <= high
    assert middle == pytest.approx(truth, abs=0.03)
    assert found.warning.startswith("Feedback loop: ")
    assert "random_share" in found.warning
    assert found.served_share == 0.8


def test_labels_that_come_whatever_the_score_are_no_loop() -> None:
    captured = _captured()
    known = np.random.default_rng(3).random(captured.height) < 0.5
    found = _look(captured, known)
    assert found.warning == ""
    assert found.shaped_share == (0.0, 0.0, 0.0)
    assert "80% of the training rows were answered by this model" in found.found


def test_rows_whose_label_may_only_be_late_are_not_asked() -> None:
    captured = _captured()
    middle = float(captured["_time"].median())
    known = (captured["_time"] < middle).to_numpy()
    found = feedback.look(10, 10, captured, captured["_id"].filter(pl.Series(known)), middle - 1)
    assert found.warning == ""
    assert found.asked == found.labelled


def test_a_declared_decision_parts_the_rows_where_it_says() -> None:
    captured = _captured()
    score = captured["_score"].to_numpy()
    amount = captured["amount"].to_numpy()
    held = (score >= 0.3) & (amount > 0)
    found = _look(captured, held, decision="score >= 0.3 AND amount > 0")
    assert found.decided_share == pytest.approx(held.mean())
    assert found.shaped_share[0] == pytest.approx(0.8)
    assert "The declared decision held for" in found.warning


def test_a_declared_random_share_bounds_what_is_shaped() -> None:
    captured = _captured()
    score = captured["_score"].to_numpy()
    random = np.random.default_rng(4)
    known = (score >= 0.5) | (random.random(score.size) < 0.25)
    found = _look(captured, known, at_random=0.25)
    assert found.shaped_share[0] == pytest.approx(0.8 * (1 - 0.25 * score.size / known.sum()))


def test_few_rows_and_none_say_so() -> None:
    found = feedback.look(0, 0, _captured(50), pl.Series([], dtype=pl.String), 1e12)
    assert found.served_share is None
    assert found.warning == ""
    assert "only 50 captured rows" in found.found
    assert feedback.look(5, 0, pl.DataFrame(), pl.Series([], dtype=pl.String), 0.0).asked == 0


def test_scores_of_several_classes_count_by_the_likeliest() -> None:
    captured = _captured(1000)
    lists = [[v, 1 - v, 0.0] for v in captured["_score"].to_list()]
    captured = captured.with_columns(_score=pl.Series(lists))
    sure = np.array([max(one) for one in lists])
    found = _look(captured, sure > 0.75)
    assert found.warning


@pytest.mark.parametrize("decision", ["nothing > 1", "score +", "score", "amount * 2"])
def test_a_decision_that_is_none_is_refused_by_name(decision: str) -> None:
    with pytest.raises(BadInputError) as refused:
        feedback.decided(_captured(300), decision)
    assert refused.value.field == "decision"
