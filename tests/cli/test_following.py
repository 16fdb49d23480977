"""What a run shows on the way, and what Ctrl-C means."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from rich.console import Console

from mainspring.cli import drawing
from mainspring.cli.displays import Lines, Objects
from mainspring.cli.ended import _code, _draw, _where_time_went
from mainspring.cli.following import PLAIN, Interrupts
from mainspring.cli.logs import Newest
from mainspring.ground.objects import StepRecord, StepState
from mainspring.pipelines.boxes import boxes


def step(name: str, state: str, **more: Any) -> dict[str, Any]:
    """Return a step as an operation tells it."""
    started = None if state == "waiting" else 100.0
    ended = 102.5 if state in ("done", "failed") else None
    asked = {
        "started": started,
        "ended": ended,
        "why": "" if started is None else "first time",
        **more,
    }
    record = StepRecord(run="run_1", step=name, state=StepState(state), **asked)
    return msgspec.to_builtins(record)


def test_a_pipe_gets_a_line_for_each_change_with_the_reason_and_what_was_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = Lines()
    reason = "reused from run_0: same code, inputs, params and environment"
    before = [step("load", "reused", why=reason), step("fit", "running", attempt=2)]
    shown.show([*before, step("score", "waiting")])
    shown.printed("fit", "epoch 1\x1b[31m")
    shown.show([before[0], step("fit", "done", attempt=2), step("score", "done")])
    assert capsys.readouterr().out.splitlines() == [
        f"load                     reused   {reason}",
        "fit                      running  try 2. first time",
        "fit | epoch 1?[31m",
        "fit                      done     2.50 s",
        "score                    done     2.50 s, first time",  # done when it was first seen
    ]


def test_a_large_map_is_told_by_tenths_and_by_what_failed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = Lines()
    for done in range(101):
        states = ["failed" if n == 7 else "done" for n in range(done)]
        states += ["waiting"] * (100 - done)
        error = "Step square[7] failed: ValueError: no\nInputs: x=7."
        items = [
            step(f"square[{n}]", state, within="square", error=error if n == 7 else "")
            for n, state in enumerate(states)
        ]
        shown.show([step("square", "running", kind="map", why="over 100 items"), *items])
    said = capsys.readouterr().out.splitlines()
    assert said[0].split(maxsplit=2) == ["square", "running", "over 100 items"]
    assert "square[7]                failed   Step square[7] failed: ValueError: no" in said
    assert [line.split()[1] for line in said if " of " in line] == [
        f"{n}0" for n in range(1, 10)
    ] + ["100"]
    assert len(said) == 12


def test_programs_get_an_object_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Objects()
    for state in ("waiting", "running", "running", "done"):
        shown.show([step("fit", state, attempt=int(state != "waiting"))])
    shown.printed("fit", "hello")
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["event"], one.get("state")) for one in found] == [
        ("step", "running"), ("step", "done"), ("printed", None),
    ]  # fmt: skip
    assert (found[1]["seconds"], found[2]["text"]) == (2.5, "hello")


@pytest.mark.parametrize("width", [30, 60, 100])
def test_a_terminal_shows_what_is_at_work_first_and_no_row_is_wider_than_it(width: int) -> None:
    items = [
        step(f"part[{n}]", "done" if n < 30 else "waiting", within="part", kind="step")
        for n in range(40)
    ]
    others = [step(f"load_with_a_rather_long_name_{n}", "done", why="w" * 300) for n in range(30)]
    steps = [*others, step("part", "running", kind="map", why="over 40 items"), *items]
    drawn = boxes(msgspec.convert(steps, list[StepRecord]), 110.0)
    out = Console(width=width, color_system=None)
    with out.capture() as caught:
        out.print(drawing.table(steps, drawn, 110.0, 10, width=width))
    rows = caught.get().splitlines()
    assert max(map(len, rows)) <= width
    assert len(rows) <= 11
    assert any(row.startswith("▶ part") for row in rows)
    assert "more steps" in rows[-1]
    if width == 100:
        assert any("30 of 40 done" in row for row in rows)


def test_the_last_picture_has_every_row_and_where_time_went() -> None:
    steps = [step("load", "done"), step("fit", "done", ended=105.0, why="param trees: 5 -> 6")]
    drawn = boxes(msgspec.convert(steps, list[StepRecord]), 110.0)
    out = Console(width=100, color_system=None)
    with out.capture() as caught:
        out.print(drawing.table(steps, drawn, 110.0, None, width=100))
    rows = caught.get().splitlines()
    assert rows[0].split()[:4] == ["✓", "load", "done", "2.50"]
    assert (rows[0].count("━"), rows[1].count("━")) == (8, 16)  # half as long as the longest
    assert "param trees: 5 -> 6" in rows[1]


def test_where_time_went_is_one_line() -> None:
    took = {"a": 0.5, "b": 3.0, "c": 0.001, "d": 0.2, "e": 0.1, "f": 0.05, "g": 0.05}
    detail = {"steps": [step(name, "done", wall_s=wall) for name, wall in took.items()]}
    assert _where_time_went(detail) == (
        "time: b 3.00 s, a 0.50 s, d 0.20 s, e 0.10 s, 2 others 0.10 s"
    )
    assert _where_time_went({"steps": [step("a", "reused")]}) == ""


def test_the_first_ctrl_c_is_a_wish_and_the_second_leaves() -> None:
    pressed = Interrupts()
    before = signal.getsignal(signal.SIGINT)
    with pressed.taken():
        signal.raise_signal(signal.SIGINT)
        assert pressed.wished
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_new_lines_are_shown_once_though_a_moment_is_asked_for_twice() -> None:
    kept = [{"time": float(n), "pid": 1, "event": f"line {n}"} for n in range(5)]
    asked: list[str] = []

    def ask(**more: Any) -> list[dict[str, Any]]:
        asked.append(more["since"])
        return kept[::-1]

    newest = Newest(ask, back=5.0)
    assert [one["event"] for one in newest.look()] == [f"line {n}" for n in range(5)]
    kept.append({"time": 4.5, "pid": 2, "event": "late"})
    assert [one["event"] for one in newest.look()] == ["late"]
    assert asked == ["5.0s", "2.000000"]


@pytest.mark.parametrize(
    "words", [("--json", "--quiet"), ("--quiet", "--json-lines"), ("--json", "--json-lines")]
)
def test_two_ways_to_show_a_run_exclude_each_other(
    say: Callable[..., Any], words: tuple[str, str]
) -> None:
    said = say("run", "chain", *words)
    assert said.code == 2
    assert f"{min(words)} and" in said.err


@pytest.mark.parametrize(
    ("failed", "code", "words"),
    [
        ({}, 1, "it cannot finish any more: fit failed; end it with: mainspring cancel run_1"),
        ({"within": "map"}, 0, "run run_1 waits"),  # the map may still tolerate it
        ({"within": "map", "handled": True}, 0, "run run_1 waits"),
    ],
)
def test_a_run_that_waits_ends_well_unless_a_step_failed_that_nothing_minds(
    failed: dict[str, Any], code: int, words: str
) -> None:
    run = {"id": "run_1", "status": "running", "metrics": {}, "started": 100.0, "ended": None}
    steps = [step("fit", "failed", error="No.", **failed), step("asked", "running")]
    detail = {"run": run, "steps": steps, "judged": [], "versions": []}
    assert _code(detail) == code
    out = Console(record=True, width=120)
    _draw(out, detail, {"fit": []}, PLAIN)
    told = out.export_text()
    assert words in told
    assert ("cannot finish" in told) == bool(code)


def test_steps_that_were_caught_or_tolerated_are_not_counted_as_those_that_broke_a_run() -> None:
    run = {"id": "run_1", "status": "failed", "metrics": {}, "tags": {}, "pipeline": "project:p"}
    run |= {"started": 100.0, "ended": 101.0}
    steps = [step(f"fit_{n}", "failed", within="map", handled=n > 0) for n in range(9)]
    out = Console(record=True, width=120)
    _draw(out, {"run": run, "steps": steps, "judged": []}, {"fit_0": []}, PLAIN)
    assert "steps failed; see" not in out.export_text()
