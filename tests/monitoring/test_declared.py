"""What ``ms.Monitor`` declares about labels is checked by name when it is declared."""

import pytest

import mainspring as ms
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import DAY_S, Forecast, Ranking


def test_a_delay_is_declared_or_learned():
    declared, learned = ms.Monitor(label_delay="5d"), ms.Monitor(label_delay="learned")
    assert (declared.label_delay_s, declared.label_share) == (5 * DAY_S, None)
    assert (learned.label_delay_s, learned.label_share) == (3 * DAY_S, 0.95)


def test_slices_rankings_and_forecasts_are_declared():
    made = ms.Monitor(
        slices=["carrier", "distance > 1000"],
        query="session",
        top=5,
        forecast={"horizon": "days", "lower": "low", "upper": "high", "coverage": 0.8},
    )
    assert made.slices == ["carrier", "distance > 1000"]
    assert made.ranking == Ranking(query="session", top=5)
    assert made.forecast == Forecast(horizon="days", lower="low", upper="high", coverage=0.8)
    assert ms.Monitor().ranking is ms.Monitor().forecast is None


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"slices": "carrier"}, "slices"),
        ({"slices": [""]}, "slices"),
        ({"slices": [3]}, "slices"),
        ({"run_length": 10}, "run_length"),
        ({"run_length": float("nan")}, "run_length"),
        ({"reopened": -1}, "reopened"),
        ({"query": "session", "top": 0}, "top"),
        ({"forecast": {"horizont": "days"}}, "forecast"),
        ({"forecast": {"horizon": 3}}, "forecast"),
        ({"forecast": {"lower": "low"}}, "forecast"),
        ({"forecast": {"coverage": 1.5}}, "coverage"),
        ({"label_delay": "soon"}, "label_delay"),
    ],
)
def test_what_cannot_be_declared_is_refused_by_name(given, field):
    with pytest.raises(BadInputError) as refused:
        ms.Monitor(**given)
    assert refused.value.field == field
