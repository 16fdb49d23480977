"""A lineage is drawn as two trees, or as a graph for Graphviz, from the answer alone."""

from __future__ import annotations

from typing import Any

import pytest

from mainspring.cli import lineage, render


def thing(ref: str, depth: int, state: str = "") -> dict[str, Any]:
    kind, _, label = ref.partition(":")
    return {"ref": ref, "kind": kind, "label": label, "detail": "", "state": state, "depth": depth}


FOUND = {
    "subject": "run:b",
    "left_out": 3,
    "things": [
        thing("run:b", 0),
        thing("dataset:d@1", -1),
        thing('file:/x "y"\n', -2),
        thing("step:b/load", 1),
        thing("step:b/fit", 2, "failed"),
        thing("run:c", 1, "deleted"),
    ],
    "leads": [
        {"up": "dataset:d@1", "down": "run:b", "how": "read by"},
        {"up": 'file:/x "y"\n', "down": "dataset:d@1", "how": "logged as"},
        {"up": "run:b", "down": "step:b/load", "how": "step"},
        {"up": "step:b/load", "down": "step:b/fit", "how": "taken by"},
        {"up": "run:b", "down": "step:b/fit", "how": "step"},
        {"up": "run:b", "down": "run:c", "how": "began"},
    ],
}


def test_both_ways_are_drawn_as_trees_and_each_branch_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lineage._draw(render.console(), FOUND, "both")
    told = capsys.readouterr().out
    assert "run:b\n  came from\n  └── dataset:d@1  read by\n      └── file:/x" in told
    assert "  ├── step:b/load  step\n  │   └── step:b/fit  taken by, failed" in told
    assert "  └── run:c  began, deleted" in told
    assert "3 more things are left out" in told


def test_a_graph_for_graphviz_holds_every_edge_and_breaks_nothing() -> None:
    told = lineage.as_dot(FOUND)
    assert told.count(" -> ") == len(FOUND["leads"])  # type: ignore[arg-type]
    assert '"file:/x \\"y\\" "' in told
    assert told.startswith("digraph lineage {")
    assert told.endswith("}\n")
