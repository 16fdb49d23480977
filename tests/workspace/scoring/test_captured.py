"""What traffic proves: windows judged by a real engine, late labels, finite answers, no bias."""

from __future__ import annotations

import polars as pl
import pytest
from homes import settle
from whole_loop import Traffic, rows_of

from mainspring.debt.score.total import Score
from mainspring.ground.objects import DAY_S
from mainspring.ground.permissions import Permission
from mainspring.monitoring import windows
from mainspring.scaling.serving import capture
from mainspring.workspace.alarming import verbs
from mainspring.workspace.opening import Workspace
from mainspring.workspace.scoring import captured, scores
from mainspring.workspace.scoring.gathering import gather


@pytest.fixture
def watched(served: Workspace) -> Workspace:
    """A served model whose first days were answered, labelled and judged."""
    traffic = Traffic(served)
    for day in range(3):
        traffic.send(day)
    traffic.close()
    settle(served, scanning=True)
    return served


def points(score: Score) -> dict[str, float]:
    return {one.test: one.points for one in score.points if one.points}


def test_judged_windows_prove_what_monitors_do_and_a_channel_makes_it_whole(
    watched: Workspace,
) -> None:
    first = points(scores.score(watched, "tide"))
    assert first["Data 1"] == 1.0
    assert first["Monitor 2"] == 0.5
    verbs.add_channel(watched, "other", "log", {}, endpoints_=["ebb"])
    assert points(scores.score(watched, "tide"))["Monitor 2"] == 0.5
    verbs.add_channel(watched, "ops", "log", {})
    found = scores.score(watched, "tide")
    whole = points(found)
    assert {"Data 1", "Monitor 2", "Monitor 3", "Monitor 5"} <= {
        test for test, value in whole.items() if value == 1.0
    }
    told = next(one for one in found.points if one.test == "Monitor 2")
    assert told.opens[0].startswith("/endpoints/tide/report?window=tide:")
    # The window is of event time long ago; its evidence is as old as its rows are here.
    assert told.at is not None
    assert watched.clock.now() - told.at < DAY_S


def test_late_labels_say_whether_quality_holds_and_predictions_lean(watched: Workspace) -> None:
    facts = gather(watched, "tide")
    labelled = [one for one in facts.windows if one.performance is not None]
    assert labelled
    assert {one.window for one in facts.biases} == {labelled[0].id}
    whole = next(one for one in facts.biases if one.slice == "all rows")
    rows = capture.read(watched.captures("tide"))
    mine = rows.filter(pl.col("_id").is_in(rows["_id"].to_list()))
    assert 0 < whole.rows <= mine.height
    assert whole.said == pytest.approx(whole.came, abs=0.1)
    made = next(one for one in facts.versions if one.number == 1)
    assert made.online is not None
    assert made.online_rows >= whole.rows
    assert "Monitor 7" in points(scores.score(watched, "tide"))


def test_answers_that_are_no_numbers_are_counted(watched: Workspace) -> None:
    facts = gather(watched, "tide")
    assert facts.finite is not None
    assert (facts.finite.served_bad, facts.finite.trained_bad) == (0, 0)
    assert facts.finite.served == len(rows_of(0)[1])


def test_a_window_whose_rows_are_gone_is_dated_by_its_end(watched: Workspace) -> None:
    (newest, *_) = watched.read(
        Permission.READ, lambda tx: windows.list_windows(tx, "tide", limit=1)
    )
    for file in watched.captures("tide").iterdir():
        file.unlink()
    (seen,) = captured.dated(watched, [("tide", newest)])
    assert seen.at == newest.end
    facts = gather(watched, "tide")
    assert facts.finite is None
    assert facts.biases == []
