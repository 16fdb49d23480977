"""A map of many items is carried out whole, and shown as some of them with all counted."""

from __future__ import annotations

from typing import Any

import pytest

from mainspring.pipelines import wide
from mainspring.web.pages import steps as pages
from mainspring.web.pages.fields import Asked
from mainspring.workspace.views.runs import run_detail, run_graph, run_why
from mainspring.workspace.views.tracked import run_board

Shapes = Any


def test_many_items_are_shown_as_some_of_them_and_counted_as_all(
    shapes: Shapes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (7, 40):
        shapes.break_(f"square-{number}")
    run = shapes.start("squares", count=60, tolerate=2, limit=8)
    assert shapes.result(run) == sum(n * n for n in range(60)) - 7**2 - 40**2
    whole = run_detail(shapes.ws, run)
    assert len(whole.steps) == 63
    monkeypatch.setattr(wide, "MOST", 20)
    some, board = run_detail(shapes.ws, run), run_board(shapes.ws, run)
    assert some.states == whole.states == {"done": 61, "failed": 2}
    names = [one.step for one in some.steps]
    assert len(names) == len(set(names)) == 23
    assert {"numbers", "square", "add", "square[7]", "square[40]", "square[0]"} <= set(names)
    assert [one for one in whole.steps if one.step in names] == some.steps, "in the same order"
    assert board.left_out == 40
    for page in (
        pages.gather(shapes.ws, board, Asked([("run", run), ("step", "square")])),
        pages.gather(shapes.ws, board, Asked([("run", run), ("step", "square[50]")])),
    ):
        assert "58 of 60 done, 2 failed" in page["graph"]
    assert page["panel"].step.step == "square[50]", "what is not listed can be looked at"
    folded = pages.gather(shapes.ws, board, Asked([("run", run), ("step", "square")]))["items"]
    assert folded.told == "58 of 60 done, 2 failed"
    assert [one.name for one in folded.shown[:2]] == ["square[7]", "square[40]"]
    assert folded.more == 40
    assert "58 of 60 done" in run_graph(shapes.ws, run)
    assert len(run_why(shapes.ws, run)) == 23
    assert run_why(shapes.ws, run, "square[50]")["square[50]"]["state"] == "done"
