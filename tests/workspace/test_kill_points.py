"""kill -9 anywhere in a whole loop loses nothing, does nothing twice, and leaves one champion."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable
from pathlib import Path

import endings
import pytest
from whole_loop import Ending, Nursery, Story

SEEDS = (2, 4)  #: of the first five these pass the most points together; the others are soaked
KILLS = 22  #: a story
SOAK = 1000

Record = Callable[[str, object], None]


@pytest.fixture(scope="session")
def undisturbed(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Ending:
    """How the story ends when nobody is killed."""
    with Story(tmp_path_factory.mktemp("undisturbed")).opened() as story:
        ending = story.live(nursery, None)
        endings.check(story, ending)
        return ending


def live(
    folder: Path,
    nursery: Nursery,
    undisturbed: Ending,
    seed: int,
    record: Record,
    database: str | None = None,
) -> Ending:
    with Story(folder, database).opened() as story:
        ending = story.live(nursery, random.Random(seed), KILLS)
        endings.check(story, ending)
        record("kills", sum(ending.kills.values()))
        record("steps_killed", story.granted())
        record("points", ending.kills)
        record("wall_s", round(story.wall_s, 1))
        if ending.waits:
            record("take_over_s", round(statistics.median(ending.waits), 2))
            record("longest_take_over_s", round(max(ending.waits), 2))
    assert sum(ending.kills.values()) >= KILLS
    assert ending.story == undisturbed.story
    return ending


def test_an_undisturbed_story_promotes_one_and_rolls_one_back(undisturbed: Ending) -> None:
    told = undisturbed.story
    assert [number for number, *_ in told["champions"]] == [1, 2]
    states = {(one[1], one[2]): one[3] for one in told["rollouts"]}
    assert states[2, "challenge"] == "promoted"
    assert states[3, "challenge"] == "rolled_back"
    assert states[1, "watch"] == "ended"
    assert told["view"]["phase"] == "idle"
    assert {outcome for _, outcome, _ in told["alarms"]} >= {"promoted"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_story_with_kills_ends_as_one_without_on_sqlite(
    seed: int, tmp_path: Path, nursery: Nursery, undisturbed: Ending, record_property: Record
) -> None:
    live(tmp_path, nursery, undisturbed, seed, record_property)


def test_a_story_with_kills_ends_as_one_without_on_postgresql(
    tmp_path: Path,
    nursery: Nursery,
    undisturbed: Ending,
    new_database: Callable[[], str],
    record_property: Record,
) -> None:
    live(tmp_path, nursery, undisturbed, 100, record_property, new_database())


@pytest.mark.soak
@pytest.mark.parametrize("seed", [0, 1, 3, *range(1000, 1000 + -(-SOAK // KILLS))])
def test_a_thousand_kills(
    seed: int,
    tmp_path: Path,
    nursery: Nursery,
    undisturbed: Ending,
    new_database: Callable[[], str],
    record_property: Record,
) -> None:
    url = new_database() if seed % 5 == 0 else None  # every fifth story on PostgreSQL
    live(tmp_path, nursery, undisturbed, seed, record_property, url)
