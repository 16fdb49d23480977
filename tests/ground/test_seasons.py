"""Seasons that windows fit into, and those that they do not."""

import pytest

import mainspring as ms
from mainspring.ground.errors import BadInputError
from mainspring.ground.seasons import check_season, season_seconds


def test_seasons_have_names_or_lengths():
    assert [season_seconds(one) for one in ("day", "week", "7d", 60)] == [
        86400,
        604800,
        604800,
        60,
    ]


def test_a_monitor_declares_one():
    declared = ms.Monitor("6h", season="day")
    assert (declared.season_s, declared.season_phases) == (86_400.0, 0)
    assert ms.Monitor("7d", season="day").season_s == 86_400.0
    assert ms.Monitor("7d", season="year", season_phases=12).season_phases == 12
    assert ms.Monitor("7d").season_s is None


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"window": "5h", "season": "day"}, "season", "no whole number of windows"),
        ({"window": "36h", "season": "day"}, "season", "no whole number of windows"),
        ({"window": "1h", "season": "week"}, "season", "168 windows cannot be looked back on"),
        ({"window": "6h", "season": 0}, "season", "longer than 0 s"),
        ({"window": "6h", "season": "month"}, "season", "a number and a unit"),
        ({"window": "6h", "season": "day", "season_phases": 5}, "season_phases", "found 5"),
        ({"window": "6h", "season_phases": 2}, "season_phases", "needs a season"),
        ({"window": "batch", "season": "day"}, "season", "one length in time"),
        ({"window_rows": 500, "season": "day"}, "season", "one length in time"),
    ],
)
def test_what_does_not_fit_is_refused(given, field, said):
    with pytest.raises(BadInputError, match=said) as caught:
        ms.Monitor(**given)
    assert caught.value.field == field


def test_none_is_none():
    assert check_season(None, 0, 60.0, cut_by_time=True) is None
