from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.clock import TurnedClock
from mainspring.ground.errors import (
    BadInputError,
    NotExactError,
    NotFoundError,
    ProjectError,
    StepFailedError,
)
from mainspring.pipelines import child, context, lint, picture


def payload(place: Any, step: str, args: dict[str, Any], **more: Any) -> dict[str, Any]:
    given = {"root": str(place.root), "target": f"project:{step}", "step": step, "run": "run_1"}
    return {**given, "args": args, "pipeline": "main", **more}


def run(place: Any, step: str, args: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    out = child.execute(payload(place, step, args or {}, **more), place.objects)
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(out))
    assert decoded == out, "what a child returns crosses as JSON"
    return out


def test_a_step_logs_metrics_and_progress(place: Any, tmp_path: Path) -> None:
    place.write(
        """
        from mainspring.pipelines.context import log, progress
        @step
        def go():
            log(loss=float("nan"), auc=1)
            log(step=7, loss=0.5)
            progress(1, 4)
            progress(4, 4)
        """
    )
    out = run(place, "go", progress=str(tmp_path / "progress.json"))
    assert [one[:3] for one in out["metrics"]] == [
        ["loss", "nan", None],
        ["auc", 1.0, None],
        ["loss", 0.5, 7],
    ]
    told = msgspec.json.decode((tmp_path / "progress.json").read_bytes())
    assert (told["done"], told["total"]) == (4, 4)
    assert out["wall_s"] >= 0
    assert out["cpu_s"] >= 0
    assert context.current() is None


def test_a_step_reaches_the_objects(place: Any) -> None:
    place.write(
        """
        from mainspring.pipelines.context import objects
        @step
        def go(digest):
            return objects().get(digest)
        """
    )
    digest = place.objects.put(b"rows")
    out = run(place, "go", {"digest": {"value": digest}})
    assert place.objects.get(out["output"]) == b"rows"
    with pytest.raises(BadInputError, match="outside of a running step"):
        context.objects()


def test_a_file_given_to_a_step_is_there_while_it_runs(place: Any, tmp_path: Path) -> None:
    place.write(
        """
        @step
        def go(one, two):
            assert one.name == two.name == "x.csv" and one != two
            return [str(one), one.read_text() + two.read_text()]
        """
    )
    from mainspring.pipelines.outputs import decode, encode

    args = {}
    for name in ("one", "two"):
        file = tmp_path / name / "x.csv"
        file.parent.mkdir()
        file.write_text(name)
        kept = encode(file, place.objects)
        args[name] = {"digest": kept.digest, "type": kept.type}
    out = run(place, "go", args)
    path, text = decode(out["output"], out["output_type"], place.objects, tmp_path)
    assert text == "onetwo"
    assert not Path(path).exists()


def test_an_error_of_the_users_shows_the_users_lines_and_what_went_in(place: Any) -> None:
    place.write(
        """
        import json

        def parse(text):
            return json.loads(text)

        @step
        def go(text, rows):
            try:
                return parse(text)
            except ValueError as error:
                raise RuntimeError("cannot go on") from error
        """
    )
    kept = place.objects.put(b"x")
    args = {"text": {"value": "{"}, "rows": {"digest": kept, "type": "bytes"}}
    with pytest.raises(StepFailedError) as caught:
        run(place, "go", args)
    error = caught.value
    assert error.message == "Step go failed: RuntimeError: cannot go on"
    assert f"rows={kept[:12]}" in str(error.hint)
    assert "text='{'" in str(error.hint)
    assert "in parse" in error.trace
    assert "json.loads(text)" in error.trace
    assert "direct cause" in error.trace
    for theirs in ("json/decoder.py", "mainspring/pipelines"):
        assert theirs not in error.trace


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise KeyError", "KeyError."),
        ("assert False", "AssertionError."),
        (
            "raise ExceptionGroup('many', [ValueError('a'), TypeError('b')])",
            "ExceptionGroup: many",
        ),
        ("def f(): f()\n    f()", "RecursionError"),
    ],
)
def test_whatever_a_step_raises_is_its_failure(place: Any, body: str, words: str) -> None:
    place.write(f"@step\ndef go():\n    {body}\n")
    with pytest.raises(StepFailedError) as caught:
        run(place, "go")
    assert words in caught.value.message


def test_what_cannot_be_kept_names_the_step_and_the_type(place: Any) -> None:
    place.write("@step\ndef go():\n    return {'a': object()}\n")
    with pytest.raises(ProjectError, match=r"Step go returned.*\['a'\]: a builtins.object"):
        run(place, "go")


def test_an_input_that_is_gone_is_not_the_steps_failure(place: Any) -> None:
    place.write("@step\ndef go(x):\n    return x\n")
    with pytest.raises(NotFoundError):
        run(place, "go", {"x": {"digest": "0" * 64, "type": "bytes"}})
    with pytest.raises(BadInputError, match="none of the known forms"):
        run(place, "go", {"x": {}})


def test_a_target_that_is_no_step_is_refused(place: Any) -> None:
    place.write("go = 3\n")
    with pytest.raises(ProjectError, match="not a step"):
        run(place, "go")


def test_arguments_by_place_and_by_name_come_as_they_were_given(place: Any) -> None:
    place.write(
        """
        @step
        def go(a, /, b, *rest, c, **more):
            return [a, b, list(rest), c, more]
        @step
        def bare(a, b=2, *, c=3):
            return [a, b, c]
        """
    )
    from mainspring.pipelines.outputs import decode

    def value(out: dict[str, Any]) -> Any:
        return decode(out["output"], out["output_type"], place.objects, Path())

    args = {"a": {"value": 1}, "b": {"value": 2}, "*rest": {"list": [{"value": 3}]}}
    more = {"c": {"value": 4}, "**more": {"dict": {"d": {"tuple": [{"value": 5}]}}}}
    assert value(run(place, "go", {**args, **more})) == [1, 2, [3], 4, {"d": (5,)}]
    assert value(run(place, "bare", {"a": {"value": 1}})) == [1, 2, 3]


def test_metrics_outside_of_a_step_are_only_checked() -> None:
    context.log(loss=1.0)
    context.progress(1)
    with pytest.raises(BadInputError, match="must be a number"):
        context.log(loss="1")  # type: ignore[arg-type]
    with pytest.raises(NotExactError):
        context.log(loss=2**53 + 1)
    with pytest.raises(BadInputError, match="whole number"):
        context.log(step=1.5, loss=1)  # type: ignore[arg-type]


def test_progress_is_told_at_most_four_times_a_second(tmp_path: Path, objects: Any) -> None:
    clock = TurnedClock(0)
    file = tmp_path / "p.json"
    here = context.StepContext("r", "s", objects, clock=clock, progress_file=file)
    seen = []
    for done in range(100):
        here.progress(done, 1_000)
        seen.append(file.read_bytes())
        clock.turn(0.01)
    assert len(set(seen)) == 4


@given(st.floats())
def test_a_packed_float_is_itself_again(value: float) -> None:
    back = float(msgspec.json.decode(msgspec.json.encode(context.pack(value))))
    assert back == value or (math.isnan(back) and math.isnan(value))


# ------------------------------------------------- the picture

graphs = (
    st.integers(0, 8)
    .flatmap(
        lambda size: st.tuples(
            st.lists(st.text(min_size=1, max_size=30), min_size=size, max_size=size, unique=True),
            st.lists(
                st.lists(st.integers(0, 7), max_size=3, unique=True), min_size=size, max_size=size
            ),
        )
    )
    .map(
        lambda drawn: {
            name: [drawn[0][n] for n in needs if n < number]
            for number, (name, needs) in enumerate(zip(*drawn, strict=True))
        }
    )
)


def pictured(nodes: dict[str, list[str]], states: dict[str, str] | None = None) -> str:
    """Draw steps that are ``waiting`` where nothing else is said."""
    states = states or {}
    return picture.drawn(
        [
            picture.Box(name=name, state=states.get(name, "waiting"), needs=list(needs))
            for name, needs in nodes.items()
        ]
    )


@given(graphs, st.sampled_from(["done", "failed", "<odd>", "reused"]))
def test_a_picture_is_xml_with_a_titled_box_a_step_and_a_line_a_need(
    nodes: dict[str, list[str]], state: str
) -> None:
    root = ElementTree.fromstring(pictured(nodes, dict.fromkeys(nodes, state)))
    space = "{http://www.w3.org/2000/svg}"
    boxes = root.findall(f"{space}g")
    assert len(boxes) == len(nodes)
    assert all(box.find(f"{space}title").text.endswith(f": {state}") for box in boxes)
    assert len(root.findall(f"{space}path")) == sum(len(needs) for needs in nodes.values())
    columns = {name: n for n, column in enumerate(picture.layers(nodes)) for name in column}
    for name, needs in nodes.items():
        assert all(columns[need] < columns[name] for need in needs)


def test_boxes_never_lie_on_one_another() -> None:
    wide = {"load": [], **{f"part_{n}": ["load"] for n in range(9)}}
    drawn = pictured({**wide, "join": [*wide]})
    spots = re.findall(r'<rect x="(\d+)" y="(\d+)"', drawn)
    assert len(set(spots)) == 11


def test_names_and_states_cannot_break_out_of_the_picture() -> None:
    drawn = pictured({'<script>"&\x00': []}, {'<script>"&\x00': 'x" onload="y'})
    assert "<script" not in drawn
    assert 'onload="' not in drawn
    ElementTree.fromstring(drawn)
    ElementTree.fromstring(pictured({}))


# ------------------------------------------------- lint

CLEAN = """
    import numpy as np
    LIMITS = {"a": 1}

    @step
    def go(rows: int, seed: int = 0) -> float:
        rng = np.random.default_rng(seed)
        mine: dict[str, int] = {}
        mine["a"] = LIMITS["a"]
        return float(rng.normal(size=rows).sum())

    def helper(x=[]):
        return x
"""


def test_clean_code_is_not_complained_about(place: Any) -> None:
    place.write(CLEAN)
    assert lint.lint(place.root) == []


@pytest.mark.parametrize(
    ("source", "rule", "line"),
    [
        ("@step\ndef go(x): return x", "untyped", 3),
        ("@step\ndef go(x: list = []) -> int: return 1", "default-made-once", 3),
        ("@step()\ndef go(*, x: int = f()) -> int: return 1", "default-made-once", 3),
        ("import time\n@step\ndef go() -> float: return time.time()", "chance", 4),
        ("import random\n@step\ndef go() -> float:\n return random.random()", "chance", 5),
        ("@step\ndef go() -> float:\n return np.random.default_rng().normal()", "chance", 4),
        ("N = 1\n@step\ndef go() -> None:\n global N\n N = 2", "shared-state", 5),
        ("C = []\n@step\ndef go() -> None:\n C.append(1)", "shared-state", 5),
        ("C: dict = {}\n@step\ndef go() -> None:\n C['a'] = 1", "shared-state", 5),
    ],
)
def test_what_makes_steps_differ_is_found_where_it_stands(
    place: Any, source: str, rule: str, line: int
) -> None:
    place.write(source)
    found = lint.lint(place.root)
    assert [(one.rule, one.line) for one in found] == [(rule, line)]
    assert found[0].file.endswith("project.py")
    assert "go" in found[0].message
    assert found[0].hint


def test_a_step_that_is_never_reused_may_ask_the_clock(place: Any) -> None:
    place.write("import time\n@step(cache=False)\ndef go() -> float: return time.time()")
    assert lint.lint(place.root) == []


def test_a_file_that_is_no_python_is_named(place: Any) -> None:
    place.write("x = (")
    with pytest.raises(ProjectError, match="line 1"):
        lint.lint(place.root)


def test_a_steps_process_needs_no_database() -> None:
    code = "import sys, mainspring.pipelines.child, mainspring.workspace.performing.keeping;"
    asked = [sys.executable, "-c", f"{code} print('sqlalchemy' in sys.modules)"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False", "an environment of a step's own may not have it"
