"""The score of a model in a home: gathered from what is kept there, and its trend."""

from __future__ import annotations

from typing import Any

import pytest

from mainspring.debt.score.total import Score
from mainspring.ground.errors import NotFoundError
from mainspring.ground.objects import DAY_S, Evidence
from mainspring.ground.permissions import Permission, service
from mainspring.readiness import evidence
from mainspring.workspace.opening import Workspace
from mainspring.workspace.scoring import scores
from mainspring.workspace.scoring.gathering import gather


def keep(ws: Workspace, kind: str, subject: str, **given: Any) -> None:
    told = {"id": f"ev_{kind}", "passed": True, "found": "Went well.", "by": "tests"}
    one = Evidence(kind=kind, subject=subject, at=ws.clock.now(), **{**told, **given})
    own = ws.acting_as(service("tests"))
    own.write(Permission.WORK, lambda tx: evidence.record(tx, one))


def points(score: Score) -> dict[str, float]:
    return {one.test: one.points for one in score.points if one.points}


def test_a_model_that_only_passed_its_gate_has_what_that_proves_and_no_more(
    served: Workspace,
) -> None:
    found = scores.score(served, "tide")
    assert points(found) == {"Infra 4": 1.0}
    assert (found.champion, found.score) == (1, 0.0)
    assert found.band == "more a research project than a productionized system"


def test_evidence_on_the_champion_its_model_endpoint_and_the_project_counts(
    served: Workspace,
) -> None:
    keep(served, "ablation", "tide/1")
    keep(served, "privacy", "model:tide")
    keep(served, "rollback_drill", "endpoint:tide")
    keep(served, "smoke", "project")
    keep(served, "debuggable", "endpoint:another")
    keep(served, "reproduced", "tide/2")
    found = points(scores.score(served, "tide"))
    assert {"Data 2", "Data 5", "Infra 7", "Infra 3"} <= set(found)
    assert not {"Infra 5", "Infra 1"} & set(found)


def test_what_was_tried_on_other_code_proves_nothing_of_this(served: Workspace) -> None:
    keep(served, "smoke", "pipeline:project:tide", code="ee" * 32)
    assert "Infra 3" not in points(scores.score(served, "tide"))


def test_the_score_falls_when_the_clock_is_turned_and_the_trend_tells(
    served: Workspace,
) -> None:
    keep(served, "ablation", "tide/1")
    first = scores.score(served, "tide")
    scores.score(served, "tide")
    served.clock.turn(31 * DAY_S)  # type: ignore[attr-defined]
    last = scores.score(served, "tide")
    assert points(last) == {}
    assert len(points(first)) == 2
    told = scores.trend(served, "tide")
    assert [one.sums["Data"] for one in told] == [0.0, 1.0]
    assert told[0].fell == ["Data 2", "Infra 4"]
    assert told[1].rose == told[0].fell
    assert (told[0].rose, told[1].fell) == ([], [])
    assert scores.trend(served, "tide", limit=1)[0].fell == told[0].fell


def test_a_question_of_another_age_is_answered_and_not_kept(served: Workspace) -> None:
    found = scores.score(served, "tide", max_age_s=DAY_S)
    assert found.max_age_s == DAY_S
    assert scores.trend(served, "tide") == []


def test_there_is_no_score_of_a_model_that_is_not_there(served: Workspace) -> None:
    with pytest.raises(NotFoundError, match="no model 'ebb'"):
        gather(served, "ebb")
