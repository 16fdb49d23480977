"""The digests of a whole project are those that its runs and versions bear."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainspring.pipelines import project, whole
from mainspring.pipelines.code import digest_of, graph_code
from mainspring.pipelines.tracing import trace

PROJECT = """
    from mainspring.pipelines.declare import pipeline, step
    import helping

    @step
    def load(rows):
        if rows > 5:
            return [n for n in range(rows)]
        return helping.few()

    @step
    def train(rows):
        '''Say how many.'''
        return len(rows)

    @pipeline
    def go(rows: int = 3):
        return train(load(rows))

    @pipeline
    def needs(rows: int, name: str | None, kind: str):
        return train(load(rows))

    @pipeline
    def odd(rows: int):
        if rows < 100:
            raise ValueError("too few")
        return train(load(rows))
"""


def written(place: Any) -> whole.Whole:
    (place.root / "helping.py").write_text("def few():\n    return [1]\n")
    place.write(PROJECT)
    return whole.of_project(place.root)


def test_a_pipeline_has_the_digest_that_its_versions_bear(place: Any) -> None:
    found = written(place)
    pipeline = project.load(place.root, "project:go")
    code = graph_code(pipeline, trace(pipeline, {}))
    assert found.pipelines["project:go"] == digest_of(code)
    assert found.steps == {target: one[0] for target, one in sorted(code.items())}


def test_a_pipeline_with_required_params_is_traced_with_stand_ins(place: Any) -> None:
    found = written(place)
    assert found.pipelines["project:needs"] == found.pipelines["project:go"]
    assert found.pipelines["project:odd"] == ""
    assert "too few" in found.untraced["project:odd"]


def test_the_lines_that_can_run_are_those_of_the_body(place: Any) -> None:
    found = written(place)
    text = (place.root / "project.py").read_text().splitlines()
    assert [text[n - 1].strip() for n in found.lines["project:load"]] == [
        "if rows > 5:",
        "return [n for n in range(rows)]",
        "return helping.few()",
    ]
    assert len(found.lines["project:train"]) == 1


def test_a_change_of_any_file_that_was_read_is_seen(place: Any) -> None:
    found = written(place)
    assert {Path(name).name for name in found.files} == {"project.py", "helping.py"}
    assert whole.same_files(found)
    helping = place.root / "helping.py"
    helping.write_text("def few():\n    return [2]\n")
    assert not whole.same_files(found)
    helping.unlink()
    assert not whole.same_files(found)
