"""The pages of experiments: all of them, and one as a tree of groups, runs and their children."""

from __future__ import annotations

from typing import Any

from mainspring.ground.errors import BadInputError
from mainspring.web.pages import bests
from mainspring.web.pages.fields import Asked
from mainspring.workspace.opening import Workspace

#: The tag of an experiment that says what it is for, in Markdown.
NOTE = "mainspring.note"


def gather_all(ws: Workspace, asked: Asked) -> dict[str, Any]:  # noqa: ARG001
    """Return every experiment with what it holds."""
    from mainspring.workspace.views.experiment_tree import experiment_rows

    rows = experiment_rows(ws, goal)
    return {
        "rows": [row for row in rows if row.experiment.deleted is None],
        "deleted": [row for row in rows if row.experiment.deleted is not None],
        "goals": {row.experiment.id: goal(row.experiment) for row in rows},
        "notes": {row.experiment.id: _plain(row.experiment.tags.get(NOTE, "")) for row in rows},
    }


def gather(ws: Workspace, asked: Asked) -> dict[str, Any]:
    """Return one experiment as a tree.

    Raises:
        NotFoundError: if there is no such experiment.
    """
    from mainspring.workspace.views.experiment_tree import experiment_tree

    tree = experiment_tree(ws, asked["experiment"], goal)
    tags = tree.experiment.tags
    return {
        "tree": tree,
        "experiment": tree.experiment,
        "goal": goal(tree.experiment),
        "note": tags.get(NOTE, ""),
        "tags": {key: value for key, value in tags.items() if key not in (NOTE, bests.DECLARED)},
        "now": ws.clock.now(),
    }


def goal(experiment: Any) -> tuple[str, bool] | None:
    """Return the metric that an experiment declares to count, and whether more is better."""
    found = bests.declared(experiment.tags)
    return None if found is None else (found.metric, found.highest)


def described(given: Asked) -> dict[str, str | None]:
    """Return the tags that a form sets.

    Raises:
        BadInputError: if it names no good end of the metric that counts.
    """
    metric, end = given.get("metric", "").strip(), given.get("end", "max")
    if end not in ("max", "min"):
        raise BadInputError(f"The good end must be max or min, found {end[:20]!r}.", field="end")
    note = given.get("note", "").strip()
    return {bests.DECLARED: f"{end} {metric}" if metric else None, NOTE: note or None}


def _plain(note: str) -> str:
    """Return a note without its marks, for a line of a table."""
    return " ".join(note.replace("*", "").replace("`", "").replace("#", "").split())
