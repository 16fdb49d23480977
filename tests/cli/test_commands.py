"""What holds for every command: help with an example, --json, one line an error."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mainspring.cli import start
from mainspring.cli.commands import every

COMMANDS = sorted(every())
HEAVY = ("sqlalchemy", "polars", "numpy", "starlette", "uvicorn", "sklearn", "rich", "cyclopts")

#: Commands that can be asked of a fresh home, and answer with one document.
READABLE = [
    ("runs",), ("models",), ("alarms",), ("decisions",), ("loop", "status"), ("token", "list"),
    ("audit", "list"), ("audit", "verify"), ("config",), ("version",), ("doctor",), ("stop",),
    ("logs",), ("status",), ("schedule", "list"),
]  # fmt: skip
#: What cannot be, and which words its error must have.
REFUSED = [
    (("promote", "flights", "--reason", "x"), "MODEL/NUMBER"),
    (("override", "flights/x", "--reason", "x"), "MODEL/NUMBER"),
    (("promote", "flights/1"), "reason"),
    (("run", "flights", "-p", "trees"), "name=value"),
    (("schedule", "add", "n", "p", "--cron", "61 * * * *"), "cron"),
    (("runs", "--limit", "many"), "many"),
    (("runs", "--colour", "red"), "--colour"),
    (("runs", "--status", "odd"), "odd"),
    (("token", "create", "ci", "--role", "king"), "king"),
    (("token", "create", "ci", "--role", "viewer", "--ttl", "soon"), "soon"),
    (("predict", "flights", "--rows", "nothing.csv"), "nothing.csv"),
    (("predict", "flights", "--rows", "[1]"), "objects"),
    (("up", "--port", "70000"), "65535"),
    (("config", "--url", "8080", "extra"), "extra"),
    (("runs", "--url", "localhost:8080"), "http://"),
    (("doctor", "--url", "http://127.0.0.1:1"), "home"),
    (("doctor", "--chaos", "--rounds", "0"), "rounds must be 1 to 1000"),
    (("init",), "table"),
    (("simulate", "nothing.csv", "--target", "y"), "nothing.csv"),
    (("import", "mlflow", "nothing-here"), "nothing-here"),
    (("judge", "flights", "--rows", "x", "--target", "y"), "MODEL/NUMBER"),
    (("nope",), "nope"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example_and_the_options_of_all(
    say: Callable[..., Any], command: str
) -> None:
    said = say(*command.split(), "--help")
    assert said.code == 0
    assert f"Example: mainspring {command}" in " ".join(said.out.split())
    for option in ("--json", "--home", "--url", "--token"):
        assert option in said.out


@pytest.mark.parametrize("words", READABLE, ids=" ".join)
def test_json_is_one_document_and_nothing_else(
    say: Callable[..., Any], words: tuple[str, ...]
) -> None:
    assert say("token", "create", "first", "--role", "admin").code == 0  # makes the home
    said = say(*words, "--json")
    assert said.code in (0, 1)
    json.loads(said.out)
    assert said.err == ""
    people = say(*words)
    assert people.code == said.code
    assert people.out


@pytest.mark.parametrize(
    ("words", "told"), REFUSED, ids=lambda v: " ".join(v) if isinstance(v, tuple) else ""
)
def test_bad_input_is_one_line_and_a_hint_with_exit_code_two(
    say: Callable[..., Any], words: tuple[str, ...], told: str
) -> None:
    said = say(*words)
    assert said.code == 2, said.err
    error, *rest = said.err.splitlines()
    assert error.startswith("error: ")
    assert told in said.err
    assert len(rest) <= 1
    assert all(line.startswith("hint: ") for line in rest)
    assert said.out == ""
    assert say(*words, "--json").json["error"]


def test_without_a_home_a_question_says_how_to_make_one(say: Callable[..., Any]) -> None:
    said = say("runs")
    assert said.code == 2
    assert "no Mainspring home" in said.err
    assert "mainspring up" in said.err


def test_what_is_not_there_is_exit_code_two(say: Callable[..., Any]) -> None:
    say("token", "create", "first", "--role", "admin")
    for words in (
        ("show", "run_nope"),
        ("models", "nope"),
        ("why", "champion"),
        ("logs", "--process", "no"),
    ):
        said = say(*words)
        assert said.code == 2, words
        assert said.err.startswith("error: ")


def test_a_server_that_is_not_there_is_said_in_a_line(say: Callable[..., Any]) -> None:
    said = say("runs", "--url", "http://127.0.0.1:9")
    assert said.code == 1
    assert "No server answers at http://127.0.0.1:9" in said.err


def test_what_should_not_fail_leaves_a_line_and_its_trace_in_a_file(
    say: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    say("token", "create", "first", "--role", "admin")

    def broken(_: list[str]) -> int:
        raise ZeroDivisionError("secret\x1b[31m\nsecond line")

    monkeypatch.setattr(start, "_run", broken)
    said = say("runs")
    assert said.code == 1
    assert said.err.startswith("error: Something failed that should not: ZeroDivisionError")
    assert "\x1b" not in said.err
    assert len(said.err.splitlines()) == 2
    (trace,) = (tmp_path / ".mainspring" / "logs").glob("crash-*.txt")
    assert "in broken" in trace.read_text()
    assert trace.stat().st_mode & 0o077 == 0


def test_ctrl_c_is_exit_code_130(say: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(start, "_run", interrupted)
    assert say("runs").code == 130


def test_beyond_loopback_nothing_is_opened_without_tokens(say: Callable[..., Any]) -> None:
    said = say("up", "--host", "0.0.0.0", "--port", "0")
    assert said.code == 1
    assert "token create" in said.err


def test_tokens_that_expired_or_ended_open_nothing(say: Callable[..., Any]) -> None:
    say("token", "create", "short", "--role", "viewer", "--ttl", "0.001s")
    say("token", "create", "gone", "--role", "viewer")
    say("token", "revoke", "gone")
    said = say("up", "--host", "0.0.0.0", "--port", "0")
    assert said.code == 1
    assert "no token that counts" in said.err


def test_behind_a_proxy_nothing_is_opened_without_tokens(
    say: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAINSPRING_HOSTS", "ml.example")
    said = say("up", "--port", "0")
    assert said.code == 1
    assert "token create" in said.err


def test_tokens_are_shown_once_and_end(say: Callable[..., Any]) -> None:
    made = say("token", "create", "ci", "--role", "viewer", "--ttl", "30d", "--json").json
    assert made["token"].startswith("ms_")
    assert made["token"] not in say("token", "list", "--json").out
    assert say("token", "revoke", "ci").code == 0
    (row,) = say("token", "list", "--json").json
    assert row["revoked"]
    assert say("audit", "verify").code == 0
    assert [a["action"] for a in say("audit", "list", "--json").json] == [
        "token.revoke",
        "token.create",
    ]


def test_the_version_needs_nothing_heavy() -> None:
    probe = (
        "import sys\nfrom mainspring.cli.start import main\nmain(['--version'])\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    ).stdout.split("\n")
    assert said[1] == "[]"


def test_a_command_line_needs_no_heavy_package_before_its_command() -> None:
    probe = (
        "import sys\nfrom mainspring.cli.start import main\nmain(['--help'])\n"
        f"sys.exit(', '.join(m for m in {HEAVY[:6]!r} if m in sys.modules) or 0)"
    )
    said = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr


@pytest.mark.parametrize(
    ("code", "most"),
    [
        ("import mainspring", 5),
        ("from mainspring.cli.start import main; main(['--version'])", 10),
    ],
)
def test_start_up_stays_within_its_budget(code: str, most: float, tmp_path: Path) -> None:
    """60 and 120 ms where Python alone takes 12: however fast the machine, so many times that."""
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environ["PYTHONPYCACHEPREFIX"] = str(tmp_path)

    def cpu_s(code: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    ours, alone = zip(*((cpu_s(code), cpu_s("pass")) for _ in range(6)), strict=True)
    assert min(ours) <= most * min(alone)


def test_any_setting_can_be_given_on_the_command_line(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setenv("MAINSPRING_WORKERS", "3")
    monkeypatch.setenv("MAINSPRING_LEASE_S", "3")
    home = str(tmp_path / "home")
    asked = ["config", "--json", "--set", "workers=5", "--set=lease_s=7.5", "--home", home]
    assert start.main(asked) == 0
    told = json.loads(capsys.readouterr().out)
    assert '"workers": 5' in json.dumps(told)
    assert '"lease_s": 7.5' in json.dumps(told)


@pytest.mark.parametrize("wrong", [["--set", "wrokers=5"], ["--set", "workers"], ["--set"]])
def test_a_setting_that_is_none_is_refused_by_name(wrong, capsys) -> None:
    assert start.main(["config", *wrong]) == 2
    assert "NAME=VALUE" in capsys.readouterr().err
