"""The logs and rules over them, as typed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mainspring.cli import logs as command
from mainspring.cli.logged import command_of, hidden
from mainspring.ground.clock import SystemClock
from mainspring.ground.logs import line_of

RUN = "run_01m8j64138ajfxdkn9bv403jc0"


@pytest.fixture
def told(say: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """A home whose engine said three things within the last minutes."""
    folder = tmp_path / ".mainspring" / "logs"
    folder.mkdir(parents=True)
    now = SystemClock().now()
    lines = [
        line_of(now - 300 + number, level, "engine", 1, event, fields)
        for number, (level, event, fields) in enumerate(
            [
                ("info", "step done", {"run": RUN, "step": "train"}),
                ("warning", "slow", {"endpoint": "flights"}),
                ("error", "broke\x1b[31m", {"trace": "Traceback\n  in here\nValueError: x"}),
            ]
        )
    ]
    (folder / "engine.jsonl").write_bytes(b"".join(lines))
    return say


def test_lines_are_shown_oldest_first_with_ids_and_traces_and_cannot_command_a_terminal(
    told: Callable[..., Any],
) -> None:
    said = told("logs").out
    assert said.index("step done") < said.index("slow") < said.index("broke")
    assert f"run={RUN}" in said
    assert "in here" in said
    assert "\x1b" not in said


def test_lines_are_chosen(told: Callable[..., Any]) -> None:
    def events(*words: str) -> list[str]:
        return [line["event"] for line in told("logs", *words, "--json").json]

    assert events("STEP") == ["step done"]
    assert events("--level", "warning") == ["broke\x1b[31m", "slow"]
    assert events("--endpoint", "flights") == ["slow"]
    assert events("--run", RUN, "--step", "train") == ["step done"]
    assert events("-n", "1") == ["broke\x1b[31m"]
    assert events("--since", "1m") == []
    assert "Nothing in the logs" in told("logs", "zzz").out
    misspelt = told("logs", "--run", "run_01m8zz")
    assert (misspelt.code, "There is no run 'run_01m8zz'" in misspelt.err) == (2, True)


def test_what_cannot_be_asked_is_exit_code_two(told: Callable[..., Any]) -> None:
    for words in (("--since", "soon"), ("--level", "loud"), ("--since", "1m", "--until", "2m")):
        assert told("logs", *words).code == 2
    said = told("logs", "--process", "web")
    assert (said.code, "There are: engine" in said.err) == (2, True)


def test_the_logs_are_read_although_the_database_is_broken(
    told: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / ".mainspring" / "mainspring.db").write_bytes(b"no database at all, not at all")
    assert told("runs").code == 1
    assert "slow" in told("logs").out


def test_following_shows_what_is_new_and_once(
    told: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".mainspring" / "logs" / "engine.jsonl"
    waits: list[int] = []

    def wait(_: float) -> None:
        waits.append(1)
        if len(waits) == 2:
            now = SystemClock().now()
            with file.open("ab") as handle:
                handle.write(line_of(now, "info", "engine", 1, "news", {}))
        if len(waits) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(
        command,
        "time",
        type("Time", (), {"sleep": staticmethod(wait), "monotonic": time.monotonic}),
    )
    said = told("logs", "--follow", "--limit", "1")
    assert said.code == 130
    assert said.out.count("news") == 1
    assert said.out.count("broke") == 1


def test_rules_are_added_listed_looked_back_on_and_removed(told: Callable[..., Any]) -> None:
    said = told("log-rules", "add", "errors", "--level", "error", "--above", "0", "--within", "1h")
    assert (said.code, "errors alarms on more than 0" in said.out) == (0, True)
    assert "errors" in told("log-rules", "list").out
    assert [
        count for _, count in told("log-rules", "rates", "errors", "--json").json["points"]
    ] == [1]
    assert "LINES" in told("log-rules", "rates", "errors", "--since", "10m", "--step", "10s").out
    assert told("log-rules", "add", "errors", "--level", "error").code == 1
    assert told("log-rules", "add", "all").code == 2
    assert told("log-rules", "add", "x", "--text", "y", "--within", "soon").code == 2
    assert told("log-rules", "remove", "errors").code == 0
    assert told("log-rules", "remove", "errors").code == 2
    assert "No rules" in told("log-rules", "list").out


def test_a_command_that_works_long_is_in_the_logs_with_how_it_ended(
    told: Callable[..., Any],
) -> None:
    assert told("export", "/nowhere/at/all.msar", "--token", "hush-hush").code != 0
    found = told("logs", "--process", "cli", "--json").json
    assert found[0]["event"].startswith("ended by ")
    assert found[0]["trace"]
    assert found[1]["event"] == "began"
    assert found[1]["fields"]["arguments"] == "export /nowhere/at/all.msar --token ***"
    assert found[0]["fields"]["command"] == "export"


def test_short_commands_and_questions_for_help_leave_no_line() -> None:
    assert command_of(["runs", "--limit", "3"]) is None
    assert command_of(["run", "--help"]) is None
    assert command_of(["queue", "add", "--", "x"]) is None
    assert hidden(["run", "--set", "x=1"]) == ["run", "--set", "x=1"]
