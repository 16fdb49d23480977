"""What a process says becomes whole lines with its ids, without secrets, without waiting."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mainspring.ground import logs
from mainspring.ground.errors import BadInputError
from mainspring.ground.logfiles import LogFile

_log = logging.getLogger("mainspring.test")


def lines_of(home: Path, process: str = "engine") -> list[dict[str, Any]]:
    raw = (home / "logs" / f"{process}.jsonl").read_bytes()
    return [json.loads(line) for line in raw.splitlines()]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[logs.Log]:
    begun = logs.begin(tmp_path, "engine", ids={"endpoint": "flights"})
    yield begun
    begun.close()


def test_what_is_said_is_a_line_with_time_level_process_and_the_ids_at_hand(log, tmp_path) -> None:
    with logs.about(run="run_1", step="train", version=None):
        _log.warning("%d rows are late", 3, extra={"seconds": 1.5})
    _log.info("after")
    first, second = lines_of(tmp_path)
    assert list(first)[:5] == ["time", "level", "process", "pid", "event"]
    assert len(first["time"]) == 27
    assert (first["level"], first["process"], first["pid"]) == ("warning", "engine", os.getpid())
    assert first["event"] == "3 rows are late"
    assert (first["run"], first["step"], first["endpoint"]) == ("run_1", "train", "flights")
    assert first["seconds"] == 1.5
    assert "version" not in first
    assert "run" not in second


def test_others_are_heard_from_warning_on_and_ours_from_the_level_that_is_set(tmp_path) -> None:
    begun = logs.begin(tmp_path, "web", level="debug")
    logging.getLogger("httpx").info("GET ...")
    logging.getLogger("httpx").warning("slow")
    _log.debug("small")
    begun.close()
    assert [line["event"] for line in lines_of(tmp_path, "web")] == ["slow", "small"]


def test_an_exception_nobody_caught_is_kept_with_its_trace_from_any_thread(tmp_path) -> None:
    script = (
        "import sys, threading\nfrom pathlib import Path\nfrom mainspring.ground import logs\n"
        "logs.begin(Path(sys.argv[1]), 'engine', waits=False)\n"
        "t = threading.Thread(target=lambda: [][1], name='second')\nt.start(); t.join()\n"
        "1 / 0\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr  # and is printed all the same
    first, second = lines_of(tmp_path)
    assert first["event"].startswith("thread second ended by an exception: IndexError")
    assert second["event"] == "ended by an exception: ZeroDivisionError: division by zero"
    assert "line 7" in second["trace"]
    assert {first["level"], second["level"]} == {"critical"}


def test_after_kill_9_what_was_written_is_whole_lines_and_the_next_process_goes_on(
    tmp_path,
) -> None:
    script = (
        "import sys, logging\nfrom pathlib import Path\nfrom mainspring.ground import logs\n"
        "logs.begin(Path(sys.argv[1]), 'engine')\nlog = logging.getLogger('mainspring')\n"
        "logs._Lines._unsaid = lambda *_: 0\n"
        "print('begun', flush=True)\n"
        "while True: log.info('x' * 900)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    file = tmp_path / "logs" / "engine.jsonl"
    while not file.exists() or file.stat().st_size < 100_000:
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with file.open("ab") as handle:
        handle.write(b'{"time":"2026')  # as a kernel may leave the last of them
    begun = logs.begin(tmp_path, "engine")
    begun.say("info", "back")
    begun.close()
    found = file.read_bytes().splitlines()
    assert json.loads(found[-1])["event"] == "back"
    assert all(json.loads(line) for line in found[:-2])


def test_a_full_disk_stops_nobody_and_how_many_lines_were_lost_is_told(
    log, tmp_path, monkeypatch
) -> None:
    _log.info("before")
    real = os.write

    def full(number: int, data: bytes) -> int:
        return real(number, data[:10])  # what a full disk does: it takes a part

    monkeypatch.setattr(os, "write", full)
    for count in range(3):
        _log.info("lost %d", count)
    monkeypatch.undo()
    _log.info("after")
    raw = (tmp_path / "logs" / "engine.jsonl").read_bytes().splitlines()
    whole = [json.loads(line) for line in raw if line.endswith(b"}")]
    assert [line["event"] for line in whole] == [
        "before",
        "3 lines could not be written: No space left on device",
        "after",
    ]
    assert whole[1]["lost"] == 3


def test_who_must_not_wait_never_meets_the_disk(tmp_path, monkeypatch) -> None:
    begun = logs.begin(tmp_path, "web", waits=False)
    stuck, real = threading.Event(), LogFile.append

    def slow(self: LogFile, line: bytes) -> bool:
        stuck.wait(60)
        return real(self, line)

    monkeypatch.setattr(LogFile, "append", slow)
    monkeypatch.setattr(logs, "MOST_WAITING", 5)
    for count in range(20):
        begun.say("info", f"request {count}")  # returns at once although the disk hangs
    stuck.set()
    begun.close()
    found = [line["event"] for line in lines_of(tmp_path, "web")]
    assert "request 0" in found
    assert len(found) < 20
    lost = [line for line in lines_of(tmp_path, "web") if "lost" in line]
    assert sum(line["lost"] for line in lost) + len(found) - len(lost) == 20


def test_what_one_place_says_too_often_is_counted_instead(log, tmp_path, monkeypatch) -> None:
    at = iter([100.0] * 500 + [101.0])
    monkeypatch.setattr(
        logging, "LogRecord", type("R", (logging.LogRecord,), {"__init__": _timed(at)})
    )
    logging.setLogRecordFactory(logging.LogRecord)
    try:
        for _ in range(501):
            _log.error("the model failed")
    finally:
        monkeypatch.undo()
        logging.setLogRecordFactory(logging.LogRecord)
    found = lines_of(tmp_path)
    assert len(found) == logs.MOST_A_SECOND + 1
    assert found[-1]["unsaid"] == 500 - logs.MOST_A_SECOND


def _timed(at: Iterator[float]) -> Any:
    plain = logging.LogRecord.__init__

    def init(self: logging.LogRecord, *args: Any, **kwargs: Any) -> None:
        plain(self, *args, **kwargs)
        self.created = next(at)

    return init


def test_odd_fields_are_kept_as_text_and_long_ones_are_cut(log, tmp_path) -> None:
    _log.info("a\nb\x00☃", extra={"nan": float("nan"), "things": [1, {2}], "long": "y" * 10_000})
    _log.info("%d", "three")  # does not fit, and is said all the same
    first, second = lines_of(tmp_path)
    assert first["event"] == "a\nb\x00☃"
    assert (first["nan"], first["things"]) == ("nan", "[1, {2}]")
    assert len(first["long"]) == logs.MOST_EVENT
    assert second["event"] == "%d"


def test_a_level_that_is_none_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"log_level must be one of debug, .*found 'loud'"):
        logs.begin(Path("/nowhere"), "web", level="loud")


def test_without_a_home_nothing_is_written_and_nothing_is_made(tmp_path) -> None:
    begun = logs.begin(tmp_path / "none", "cli")
    begun.say("info", "began")
    begun.close()
    assert not (tmp_path / "none").exists()


def test_closing_gives_everything_back(tmp_path) -> None:
    before = (sys.excepthook, threading.excepthook, list(logging.getLogger().handlers))
    logs.begin(tmp_path, "cli", shown=True).close()
    assert (sys.excepthook, threading.excepthook, list(logging.getLogger().handlers)) == before
