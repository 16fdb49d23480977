"""Where rows answer queries, their order is judged; a query counts once."""

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.monitoring.labelled import COLOURS, POLICY, sight

from mainspring.ground.objects import Ranking
from mainspring.monitoring.ranking import rankings
from mainspring.numerics.ranking import ranking

POLICY = msgspec.structs.replace(POLICY, ranking=Ranking(query="query", top=5))


def answers(queries: int, seed: int, sense: float = 3.0) -> pl.DataFrame:
    """Return ten answers to each query, ranked with more or less sense."""
    rng = np.random.default_rng(seed)
    count = queries * 10
    score = rng.random(count)
    chance = 1 / (1 + np.exp(-sense * (score - 0.7) * 2))
    return pl.DataFrame(
        {
            "_id": [f"{seed:08x}-{n}" for n in range(count)],
            "_time": np.linspace(0, 999, count),
            "_version": np.full(count, 3, dtype=np.int64),
            "_score": score,
            "_y": (rng.random(count) < chance).astype(np.int64),
            "query": np.repeat([f"q{n}" for n in range(queries)], 10),
        }
    )


def looked(now, before, **given):
    found = rankings(sight(now, before, policy=given.pop("policy", POLICY), loss=0.2, **given))
    for one in found:
        assert msgspec.json.decode(msgspec.json.encode(one), type=type(one)) == one
    return {one.subject: one for one in found}


def test_the_usual_order_is_quiet_and_has_intervals_over_queries():
    now, before = answers(400, 1), answers(1_000, 2)
    found = looked(now, before)
    assert set(found) == {"ndcg@5", "precision@5", "map", "mrr"}
    assert {one.verdict for one in found.values()} == {"quiet"}
    expected = ranking(now["query"], now["_score"], now["_y"], 5)
    assert found["ndcg@5"].value == pytest.approx(expected.ndcg.mean())
    assert found["mrr"].value == pytest.approx(expected.reciprocal_rank.mean())
    assert found["map"].low < found["map"].value < found["map"].high
    assert found["map"].detail["queries"] == expected.queries
    assert found["ndcg@5"].baseline == pytest.approx(
        ranking(before["query"], before["_score"], before["_y"], 5).ndcg.mean()
    )


def test_an_order_that_lost_its_sense_is_an_alarm_that_the_loss_need_not_see():
    found = looked(answers(400, 3, sense=0.0), answers(1_000, 2))
    one = found["ndcg@5"]
    assert one.verdict == "alarm"
    assert one.value + one.radius < one.line < one.baseline
    assert "at most" in one.why


def test_windows_of_the_usual_order_raise_nothing():
    before = answers(500, 2)
    told = [looked(answers(120, seed), before)["ndcg@5"].verdict for seed in range(100, 160)]
    assert set(told) == {"quiet"}


def test_the_order_of_rows_does_not_matter():
    now, before = answers(100, 4), answers(300, 5)
    assert looked(now.sample(fraction=1.0, shuffle=True, seed=1), before) == looked(now, before)


def test_what_cannot_be_ranked_says_why():
    assert rankings(sight(answers(100, 1), answers(100, 2), loss=0.2)) == []
    few = looked(answers(10, 1), answers(300, 2))
    assert few["ndcg@5"].verdict == "too few rows"
    assert few["ndcg@5"].value is not None
    gone = looked(answers(100, 1).drop("query"), answers(100, 2))
    assert (gone["ndcg@5"].value, gone["ndcg@5"].verdict) == (None, "not judged")
    assert "'query'" in gone["ndcg@5"].why
    nothing = looked(answers(100, 1).with_columns(_y=pl.lit(0, dtype=pl.Int64)), answers(100, 2))
    assert "relevant answer" in nothing["ndcg@5"].why
    alone = looked(answers(100, 1), answers(100, 2).drop("query"))
    assert alone["ndcg@5"].verdict == "not judged"
    missing = answers(100, 1).with_columns(query=pl.lit(None, dtype=pl.String))
    assert looked(missing, answers(100, 2))["ndcg@5"].value is None
    several = answers(100, 1).with_columns(_score=pl.Series([[0.2, 0.3, 0.5]] * 1000))
    assert "no order" in looked(several, several, signature=COLOURS)["ndcg@5"].why
