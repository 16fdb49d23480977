"""A real home, up with its own processes: the loop closes, and every command reaches it."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mainspring.cli.start import main
from waiting import alive, until

ROWS = 400


class Home:
    """A project in a folder, and ``mainspring`` called in it as a program of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("MAINSPRING_")}
        self.url = ""

    def spawn(self, *words: str, code: int = 0) -> str:
        """Run a command in a process of its own, as ``up`` must be: it gives its place away."""
        said = subprocess.run(
            [sys.executable, "-m", "mainspring.cli.start", *words],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert said.returncode == code, said.stdout + said.stderr
        return said.stdout if code == 0 else said.stderr

    def run(self, *words: str, code: int = 0) -> str:
        out, err = io.StringIO(), io.StringIO()
        with chdir(self.folder), redirect_stdout(out), redirect_stderr(err):
            assert main(words) == code, out.getvalue() + err.getvalue()
        return out.getvalue() if code == 0 else err.getvalue()

    def ask(self, *words: str, far: bool = False) -> Any:
        return json.loads(self.run(*words, "--json", *(["--url", self.url] if far else [])))

    def pids(self) -> dict[str, int]:
        state = json.loads((self.folder / ".mainspring/run/supervisor.json").read_text())
        return {p["name"]: p["pid"] for p in state["processes"] if p["pid"]}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Return a home that is up, whose loop has promoted and serves its first version."""
    made = Home(tmp_path_factory.mktemp("project"))
    random = np.random.default_rng(3)
    x = random.normal(size=ROWS)
    frame = {
        "x": x.tolist(),
        "g": random.choice(["a", "b"], ROWS).tolist(),
        "day": (pl.Series(np.arange(ROWS) // 4 + 19_000).cast(pl.Int32).cast(pl.Date)),
        "y": (x + random.normal(size=ROWS) * 0.3 > 0).astype(int).tolist(),
    }
    pl.DataFrame(frame).write_csv(made.folder / "rows.csv")
    made.run("init", "rows.csv", "--target", "y", "--time", "day")
    text = (made.folder / "project.py").read_text()
    # A busy machine must not decide this test.
    text = text.replace('"auc": 0.55}', '"auc": 0.55}, max_latency_ms=5000')
    (made.folder / "project.py").write_text(text.replace("trees: int = 100", "trees: int = 20"))
    try:
        made.url = json.loads(made.spawn("up", "--port", "0", "--detach", "--json"))["url"]
        until((made.folder / ".mainspring/run/endpoints/rows.json").exists)
        yield made
    finally:
        pids = made.pids() if made.url else {}
        made.run("stop")
        assert [name for name, pid in pids.items() if alive(pid)] == []


@pytest.mark.parametrize("far", [False, True], ids=["home", "http"])
def test_every_question_has_an_answer_here_and_over_http(home: Home, far: bool) -> None:
    assert home.ask("loop", "status", "rows", far=far)["champion"] == 1
    first = home.ask("runs", far=far)["runs"][-1]  # others come from tests beside this one
    assert first["status"] == "finished"
    assert home.ask("show", first["id"], far=far)["versions"] == ["rows/1"]
    assert home.ask("models", "rows", far=far)["champion"] == 1
    assert home.ask("why", "champion", far=far)["version"] == "rows/1"
    assert "promote" in [d["kind"] for d in home.ask("decisions", far=far)["decisions"]]
    assert home.ask("pipelines", far=far)["pipelines"][0]["name"] == "rows"
    assert home.ask("monitor", "rows", far=far) == []
    assert home.ask("alarms", "--open", far=far) == []
    until(lambda: home.ask("status", far=far)["engine"] == "up")  # another test kills it


@pytest.mark.parametrize("far", [False, True], ids=["home", "http"])
def test_an_endpoint_answers_and_takes_the_truth(home: Home, far: bool) -> None:
    rows = '[{"x": 2.0, "g": "a"}, {"x": -2.0, "g": "new"}]'
    found = home.ask("predict", "rows", "--rows", rows, far=far)
    assert len(found["predictions"]) == len(found["prediction_ids"]) == 2
    explained = home.ask("predict", "rows", "--rows", rows, "--explain", far=far)["explanations"]
    assert [set(told["carried"]) for told in explained] == [{"x", "g"}] * 2
    assert "CARRIED MOST BY" in home.run("predict", "rows", "--rows", rows, "--explain")
    truth = home.folder / "truth.csv"
    pl.DataFrame({"id": found["prediction_ids"], "value": [1, 0]}).write_csv(truth)
    told = home.ask("label", "rows", "truth.csv", far=far)
    assert (told["labels"], told["kept"]) == (2, 2)
    assert home.ask("label", "rows", "truth.csv", far=far)["repeated"] == 2
    said = home.run("predict", "rows", "--rows", '{"x": "text", "g": "a"}', code=2)
    assert "x" in said
    # From that answer up to the run that made the model, and down from the run to it.
    one = found["prediction_ids"][0]
    until(lambda: one in home.run("lineage", "predictions", "rows/1", "--most", "1000"))
    up = home.ask("lineage", f"prediction:{one}", "--up", "--kind", "run", "--kind", "version",
                  far=far)["things"]  # fmt: skip
    assert [thing["ref"] for thing in up][:2] == [f"prediction:{one}", "version:rows/1"]
    run = next(thing["ref"] for thing in up if thing["kind"] == "run")
    told = home.ask("lineage", "predictions", run, "--since", "100000d", "--most", "1000", far=far)
    assert one in told["answered"][0]["newest"]


def test_a_killed_engine_comes_back_and_is_counted(home: Home) -> None:
    before = home.pids()
    os.kill(before["engine"], signal.SIGKILL)
    after = until(
        lambda: (p := home.pids()).get("engine", before["engine"]) != before["engine"] and p
    )
    assert {n: p for n, p in after.items() if n != "engine"} == {
        n: p for n, p in before.items() if n != "engine"
    }
    until(lambda: home.ask("status")["engine"] == "up")
    counts = {p["name"]: p["restarts"] for p in home.ask("status")["supervisor"]["processes"]}
    assert counts["engine"] >= 1
    assert counts["web"] == 0


def test_a_loop_is_paused_and_resumed_with_a_reason(home: Home) -> None:
    home.run("loop", "pause", "rows", "--reason", "Maintenance.")
    until(lambda: home.ask("loop", "status", "rows")["paused"])
    home.run("loop", "resume", "rows", "--reason", "Over.", "--url", home.url)
    until(lambda: not home.ask("loop", "status", "rows")["paused"])
    assert home.ask("loop", "declare") == {"rows": 1}


def test_a_second_up_and_a_refusal_over_http_say_the_same_as_here(home: Home) -> None:
    assert f"at {home.url}" in home.spawn("up", "--port", "0", code=1)
    assert "up already" in home.spawn("up", "--port", "0", "--detach", code=1)
    here = home.run("promote", "rows/99", "--reason", "x", code=2)
    there = home.run("promote", "rows/99", "--reason", "x", "--url", home.url, code=2)
    assert here == there


def test_the_logs_tell_of_a_run_by_its_id_and_of_a_version_by_its_endpoint(home: Home) -> None:
    run = home.ask("runs")["runs"][-1]["id"]
    for far in (False, True):
        about = home.ask("logs", "--run", run, "--limit", "1000", far=far)
        assert {line["run"] for line in about} == {run}
        done = {line["step"] for line in about if line["event"] == "step done"}
        assert len(done) > 1
        # Who answers requests does not wait for its lines to be written.
        words = ("logs", "serving", "--endpoint", "rows")
        [serving, *_] = until(lambda far=far, words=words: home.ask(*words, far=far))
        assert (serving["process"], serving["version"]) == ("endpoint-rows", "1")
    said = home.run("logs", "Step Done", "--run", run, "--process", "engine")
    assert f"run={run}" in said
    assert "Nothing in the logs" in home.run("logs", "--level", "critical")


def test_a_step_prints_into_the_logs_with_its_run_and_step(home: Home) -> None:
    (home.folder / "talks.py").write_text(
        "import warnings\nfrom mainspring import pipeline, step\n"
        "@step\ndef talk() -> int:\n    print('hello from talk')\n"
        "    print('Bearer abcdefgh12345678')\n    return 1\n"
        "@pipeline\ndef talking():\n    return talk()\n"
    )
    home.run("run", "talks:talking")
    [line] = until(lambda: home.ask("logs", "hello from talk"))
    assert (line["process"], line["step"], line["level"]) == ("steps", "talk", "info")
    assert line["run"].startswith("run_")
    *_, began = home.ask("logs", "talks:talking", "--process", "cli")
    assert began["fields"]["arguments"].startswith("run talks:talking")
    assert home.ask("logs", "ended", "--process", "cli")[0]["fields"]["command"] == "run"
    assert home.ask("logs", "abcdefgh12345678") == []


def test_a_secret_that_was_shown_to_the_server_is_in_no_file_of_logs(home: Home) -> None:
    shown = "ms_0123456789abcdefghjkmnpqrs_" + "s" * 43
    refused = home.run("runs", "--url", home.url, "--token", shown, code=1)
    assert refused
    for words in (("why", shown), ("show", shown)):
        home.run(*words, "--url", home.url, code=2)
    owners = (home.folder / ".mainspring/run/secret").read_text().strip()
    for file in (home.folder / ".mainspring/logs").iterdir():
        text = file.read_text("utf-8", "replace")
        assert shown not in text, file
        assert owners not in text, file
        assert file.stat().st_mode & 0o077 == 0, file


def test_status_and_logs_read_well(home: Home) -> None:
    said = home.run("status")
    for word in ("supervisor", "engine", "web", "endpoint-rows", home.url, "rows/1"):
        assert word in said
    assert "Loop rows is declared" in home.run("logs", "--process", "supervisor")
    assert home.ask("doctor")
