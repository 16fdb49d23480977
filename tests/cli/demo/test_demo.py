"""The demo is the product in small: it is run whole, and its page is read in a real browser."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

pytestmark = pytest.mark.timeout(3000)

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Demo:
    """A demo that has played and whose pages are up."""

    def __init__(self, process: subprocess.Popen[str], home: Path, result: dict[str, Any]) -> None:
        self.process, self.home, self.result = process, home, result

    @property
    def url(self) -> str:
        told = json.loads((self.home / "run" / "supervisor.json").read_text())
        return str(told["url"])

    def ask(self, *arguments: str) -> str:
        """Return what a command says of the demo's home."""
        done = subprocess.run(
            [sys.executable, "-m", "mainspring.cli.start", *arguments, "--home", str(self.home)],
            cwd=self.home.parent,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    home = tmp_path_factory.mktemp("demo") / ".mainspring"
    command = [sys.executable, "-m", "mainspring.cli.start", "demo", "--json", "--keep"]
    log = home.parent / "told.txt"
    with log.open("w") as told:
        process = subprocess.Popen(
            [*command, "--home", str(home)],
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    told_of = json.loads(line or "{}")
    assert "requests" in told_of, (line, log.read_text())
    played = Demo(process, home, told_of)
    server = json.loads((home / "run" / "supervisor.json").read_text())["pid"]
    yield played
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=120)
    process.stdout.close()
    with pytest.raises(ProcessLookupError):  # nothing is left running
        os.kill(server, 0)


def test_every_request_of_the_year_is_answered(demo: Demo) -> None:
    assert demo.result["failed"] == 0
    assert demo.result["requests"] == demo.result["labels"] == 277_337
    assert demo.result["calls"] >= 1_000


def test_the_loop_is_better_than_the_model_that_never_changed(demo: Demo) -> None:
    gain, saved = demo.result["auc_gain"], demo.result["log_loss_saved"]
    assert gain["low"] > 0, gain
    # How much log loss is saved differs from run to run: how long a training takes decides which
    # week it learns from. A loop that makes it surely worse would be broken.
    assert saved["high"] > 0, saved
    assert [row["month"] for row in demo.result["loop"]["by_month"]] == [
        f"2013-{month:02d}" for month in range(3, 13)
    ]


def test_a_retraining_was_caused_by_evidence_and_promoted(demo: Demo) -> None:
    assert demo.result["retrains"] >= 1
    assert demo.result["promoted"] >= 1
    assert any(c.startswith(("drift", "performance", "regret")) for c in demo.result["causes"])


def test_the_sabotage_is_rolled_back_by_the_canary_alone(demo: Demo) -> None:
    kinds = [(d["kind"], d["subject"]) for d in reversed(demo.result["decisions"])]
    bad = next(subject for kind, subject in kinds if kind == "override")
    assert ("roll_back", bad) in kinds
    assert ("promote", bad) not in kinds


def test_the_slow_model_is_refused_by_the_gates_latency_check(demo: Demo) -> None:
    assert demo.result["slow_refused"] is True


def test_the_engine_was_killed_and_went_on(demo: Demo) -> None:
    assert demo.result["kills_survived"] == 1


def test_the_pipeline_run_again_reuses_every_step_and_says_why(demo: Demo) -> None:
    assert demo.result["reused_steps"] == 5
    assert "same code, inputs, params and environment" in demo.result["why_reused"]


def test_the_first_answer_comes_within_five_seconds_of_the_promotion(demo: Demo) -> None:
    # Generous: the figure is measured by the demo, and the machine may be busy.
    assert demo.result["first_answer_s"] < 30


def test_why_champion_leads_back_to_data_and_code(demo: Demo) -> None:
    told = json.loads(demo.ask("why", "champion", "--json"))
    kinds = {link["what"] for link in told["links"]}
    assert {"version", "gate", "data", "code"} <= kinds, kinds


def test_the_audit_chain_holds(demo: Demo) -> None:
    assert json.loads(demo.ask("audit", "verify", "--json"))["ok"] is True


def test_a_second_demo_on_the_same_home_says_so_and_offers_clean(demo: Demo) -> None:
    again = subprocess.run(
        [sys.executable, "-m", "mainspring.cli.start", "demo", "--home", str(demo.home)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 1
    assert "--clean" in again.stderr
    assert len(again.stderr.splitlines()) == 2


def test_the_page_shows_the_timeline_in_a_browser(demo: Demo) -> None:
    chromium = shutil.which("chromium")
    assert chromium is not None, "the pages are tested in a real browser: run make system"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page: Page = browser.new_page()
        page.set_default_timeout(120_000)
        troubles: list[str] = []
        page.on("console", lambda m: troubles.append(m.text) if m.type == "error" else None)
        page.goto(f"{demo.url}/loops/flights")
        page.wait_for_selector(".main-svg")
        text = page.inner_text("main")
        browser.close()
    assert troubles == []
    assert "promoted" in text
    assert "rolled back" in text


@pytest.mark.soak
@pytest.mark.timeout(7000)
def test_every_run_of_the_year_is_made_again_to_the_byte_in_another_place(
    demo: Demo, tmp_path: Path
) -> None:
    file, there = tmp_path / "all.msar", tmp_path / "a place of another name, Öl" / "project"
    demo.ask("export", str(file))
    there.mkdir(parents=True)
    elsewhere = {"TZ": "Asia/Tokyo", "LANG": "de_DE.UTF-8", "LC_ALL": "C", "PYTHONHASHSEED": "77"}

    def ask(*words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "mainspring.cli.start", *words, "--json"],
            cwd=there, env=os.environ | elsewhere, umask=0o027, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        return json.loads(done.stdout)

    ask("import", "archive", str(file))
    runs = [one["id"] for one in ask("runs")["runs"] if one["status"] == "finished"]
    assert len(runs) >= 3
    found = {run: ask("reproduce", run)["found"] for run in runs}
    assert set(found.values()) == {"all 5 steps gave the same bytes"}, found
