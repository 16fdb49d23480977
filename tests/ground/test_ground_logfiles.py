"""Files of lines are shared, turned over and kept within days and bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from mainspring.ground.clock import TurnedClock
from mainspring.ground.logfiles import LogFile, keep, process_of, turned_name

DAY = 86_400.0


def line(number: int, size: int = 90) -> bytes:
    return json.dumps({"n": number, "pad": "x" * size}).encode() + b"\n"


def numbers(folder: Path) -> list[int]:
    files = sorted(folder.glob("*.jsonl"), key=lambda file: (file.name == "web.jsonl", file.name))
    return [json.loads(raw)["n"] for file in files for raw in file.read_bytes().splitlines()]


def test_a_full_file_is_turned_over_and_no_line_is_lost(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("mainspring.ground.logfiles.LOOK_EVERY", 5)
    clock = TurnedClock(1_000_000.0)
    file = LogFile(tmp_path / "logs", "web", turn_bytes=2_000, clock=clock)
    for number in range(100):
        clock.turn(1)
        assert file.append(line(number))
    file.close()
    found = list((tmp_path / "logs").glob("*.jsonl"))
    assert len(found) > 3
    assert {process_of(one) for one in found} == {"web"}
    assert {one.stat().st_mode & 0o777 for one in found} == {0o600}
    assert numbers(tmp_path / "logs") == list(range(100))


def test_processes_that_share_a_file_lose_and_tear_no_line(tmp_path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom mainspring.ground import logfiles\n"
        "logfiles.LOOK_EVERY = 7\n"
        "file = logfiles.LogFile(Path(sys.argv[1]), 'web', turn_bytes=20_000)\n"
        'for n in range(400): assert file.append(b\'{"n":%d,"pad":"%s"}\\n\' % '
        "(int(sys.argv[2]) + n, b'x' * 100))\n"
    )
    folder = tmp_path / "logs"
    writers = [
        subprocess.Popen([sys.executable, "-c", script, folder, str(1000 * one)])
        for one in range(3)
    ]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    assert sorted(numbers(folder)) == [1000 * one + n for one in range(3) for n in range(400)]
    assert len(list(folder.glob("*.jsonl"))) > 2


def test_a_clock_that_goes_back_begins_a_new_file(tmp_path) -> None:
    clock = TurnedClock(1_000_000.0)
    file = LogFile(tmp_path / "logs", "web", clock=clock)
    file.append(line(1))
    clock.turn(-3600)
    file.append(line(2))
    file.append(line(3))
    file.close()
    sizes = sorted(len(one.read_bytes().splitlines()) for one in (tmp_path / "logs").glob("*l"))
    assert sizes == [1, 2]


def test_old_files_go_then_the_oldest_until_the_rest_is_small_enough(tmp_path) -> None:
    now = 100 * DAY
    for age, name in enumerate(["web", "engine", "web", "engine"]):
        at = now - (20 * DAY if age == 3 else age * DAY)
        file = turned_name(tmp_path / f"{name}.jsonl", at)
        file.write_bytes(b"x" * 100)
        os.utime(file, (at, at))
    for name in ("web.jsonl", "web.log", "notes.txt"):  # in use, or not ours
        (tmp_path / name).write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (0, 0))
    assert len(keep(tmp_path, days=14, most_bytes=10_000, now=now)) == 1
    assert [
        process_of(Path(name)) for name in keep(tmp_path, days=14, most_bytes=520, now=now)
    ] == ["web"]
    left = {file.name for file in tmp_path.iterdir()}
    assert {"web.jsonl", "web.log", "notes.txt"} <= left
    assert len(left) == 5


def test_what_is_no_file_of_lines_has_no_process() -> None:
    assert process_of(Path("web.log")) is None
    assert process_of(Path("endpoint-a.b.jsonl")) == "endpoint-a.b"
    assert process_of(turned_name(Path("endpoint-a.b.jsonl"), 1e9)) == "endpoint-a.b"
