"""The queue: so many slots and no more, each entry once, whoever dies."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.experiments import artifacts, groups, runs
from mainspring.ground.errors import (
    BadInputError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
)
from mainspring.ground.objects import Run
from mainspring.ground.permissions import Permission, Principal, Role
from mainspring.ground.settings import load
from mainspring.workspace import opening, queue
from mainspring.workspace.opening import Workspace, open_workspace

sys.path.insert(0, str(Path(__file__).parent))

from trying import LEASE_S, LIGHT, Watched, every_run, kill, put_to_sleep

from waiting import alive, until

#: Says in one write that it begins, waits for a file where one is named, says that it ends.
SCRIPT = """
import os, sys, time
def note(word):
    with open("calls.txt", "ab", buffering=0) as file:
        file.write(f"{word}-{sys.argv[1]} {os.getpid()}\\n".encode())
sys.stdout.write(f"hello from {sys.argv[1]}\\n")  # in one write, before anybody may kill us
sys.stdout.flush()
note("begin")
while len(sys.argv) > 2 and not os.path.exists(sys.argv[2]):
    time.sleep(0.01)
note("end")
sys.exit(int(sys.argv[3]) if len(sys.argv) > 3 else 0)
"""


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    found = Watched(tmp_path / "project")
    (found.folder / "script.py").write_text(SCRIPT)
    monkeypatch.chdir(found.folder)
    monkeypatch.setenv("MAINSPRING_LEASE_S", str(LEASE_S))
    monkeypatch.setattr(opening, "PRELOAD", LIGHT)
    return found


@pytest.fixture
def ws(watched: Watched) -> Iterator[Workspace]:
    found = open_workspace(load())
    yield found
    found.close()


def add(ws: Workspace, *words: str, **more: int) -> str:
    command = [sys.executable, "script.py", *words]
    return queue.add_command(ws, command, folder=str(Path.cwd()), **more)


def drain(watched: Watched, slots: int = 4) -> None:
    with watched.command("queue", "work", "--slots", str(slots), "--drain") as process:
        assert process.wait(120) == 0


def run_of(ws: Workspace, run: str) -> Run:
    return ws.read(Permission.READ, lambda tx: runs.get(tx, run))


def log_of(ws: Workspace, run: str) -> str:
    found = ws.read(Permission.READ, lambda tx: artifacts.get(tx, run, "mainspring/log.txt"))
    return ws.objects.get(found.digest).decode()


def test_of_twenty_entries_never_more_than_four_run_at_once(
    watched: Watched, ws: Workspace
) -> None:
    # The first four wait for each other, so that it shows that four at once do run.
    four = "while [ $(grep -c begin order.txt) -lt 4 ]; do sleep 0.05; done"
    line = f"echo begin >> order.txt; {four}; sleep 0.1; echo end >> order.txt"
    added = [queue.add_command(ws, ["sh", "-c", line], folder=".") for _ in range(20)]
    drain(watched)
    at_once, most = 0, 0
    for word in (watched.folder / "order.txt").read_text().split():
        at_once += 1 if word == "begin" else -1
        most = max(most, at_once)
    assert most == 4
    assert {str(run_of(ws, run).status) for run in added} == {"finished"}


def test_an_entry_is_a_run_with_its_output_and_exit_code(watched: Watched, ws: Workspace) -> None:
    good, bad = add(ws, "good"), add(ws, "bad", "script.py", "3")
    drain(watched)
    assert "hello from good" in log_of(ws, good)
    assert run_of(ws, good).tags["mainspring.exit_code"] == "0"
    failed = run_of(ws, bad)
    assert (str(failed.status), failed.tags["mainspring.exit_code"]) == ("failed", "3")
    assert "exit code 3" in failed.tags["mainspring.error"]
    assert "hello from bad" in log_of(ws, bad)
    assert not list((ws.home / "run" / "entries").iterdir())


def test_what_a_command_tracks_stands_below_its_entry(watched: Watched, ws: Workspace) -> None:
    code = "import mainspring as ms\nms.log(own=1)\nwith ms.run('inner') as run: run.log(auc=0.9)"
    added = queue.add_command(ws, [sys.executable, "-c", code], folder=".")
    drain(watched)
    from mainspring.workspace.tracking.catching_up import catch_up

    catch_up(ws)
    assert run_of(ws, added).metrics["own"] == 1.0
    (inner,) = [run for run in every_run(ws) if run.parent == added]
    assert (inner.experiment, inner.metrics["auc"]) == ("inner", 0.9)


def test_an_entrys_experiment_keeps_its_name(ws: Workspace) -> None:
    queue.add_command(ws, ["true"], folder=".", experiment="My nights!")
    found = ws.read(Permission.READ, lambda tx: groups.by_name(tx, "My nights!"))
    assert found is not None
    assert found.name == "My nights!"


def test_functions_and_pipelines_can_be_queued(watched: Watched, ws: Workspace) -> None:
    function = queue.add_target(ws, "project:noisy", {"trees": "40"})
    pipeline = queue.add_target(ws, "train", {"trees": 20, "seed": 1})
    broken = queue.add_target(ws, "project:broken", {"seed": 1})
    drain(watched)
    assert run_of(ws, function).metrics["auc"] > 0.7
    assert run_of(ws, function).params == {"trees": "40"}
    assert run_of(ws, pipeline).metrics["auc"] == pytest.approx(0.7201)
    assert "seed 1 is odd" in run_of(ws, broken).tags["mainspring.error"]
    with pytest.raises(BadInputError, match="no parameter 'bushes'"):
        queue.add_target(ws, "project:noisy", {"bushes": 1})


def test_higher_priorities_go_first_then_the_older(watched: Watched, ws: Workspace) -> None:
    for name, priority in (("a", 0), ("b", 5), ("c", 0), ("d", 5), ("e", -1)):
        add(ws, name, priority=priority)
    assert [one.what.split()[-1] for one in queue.listed(ws)] == ["b", "d", "a", "c", "e"]
    drain(watched, slots=1)
    begun = [call.removeprefix("begin-") for call in watched.calls() if "begin" in call]
    assert begun == ["b", "d", "a", "c", "e"]
    assert queue.listed(ws) == []
    assert {one.state for one in queue.listed(ws, every=True)} == {"finished"}


def test_a_killed_workers_entry_is_taken_over_and_never_runs_twice_at_once(
    watched: Watched, ws: Workspace
) -> None:
    added = add(ws, "held", "go")
    with watched.command("queue", "work", "--slots", "1") as first:
        until(lambda: "begin-held" in watched.calls())
        with watched.command("queue", "work", "--slots", "1", "--drain") as second:
            kill(first)
            until(lambda: watched.calls().count("begin-held") == 2)
            assert not alive(watched.pids()[0])
            watched.let_go()
            assert second.wait(60) == 0
    assert watched.calls() == ["begin-held", "begin-held", "end-held"]
    assert str(run_of(ws, added).status) == "finished"
    assert run_of(ws, added).tags["mainspring.attempt"] == "2"
    assert log_of(ws, added).count("hello from held") == 2


def test_a_worker_that_only_looked_dead_is_waited_for_and_its_end_is_taken(
    watched: Watched, ws: Workspace
) -> None:
    watched.lease_s = 1.0
    added = add(ws, "held", "go")
    with watched.command("queue", "work", "--slots", "1") as first:
        until(lambda: "begin-held" in watched.calls())
        put_to_sleep(first, ws)  # its lease runs out while its command goes on
        with watched.command("queue", "work", "--slots", "1", "--drain") as second:
            log = ws.home / "run" / "entries" / f"{added}.log"
            until(lambda: "still runs" in log.read_text())
            assert watched.calls() == ["begin-held"]
            watched.let_go()
            assert second.wait(60) == 0
        first.send_signal(signal.SIGCONT)
    assert watched.calls() == ["begin-held", "end-held"]
    assert str(run_of(ws, added).status) == "finished"


def test_a_worker_that_is_asked_to_end_gives_its_entry_back(
    watched: Watched, ws: Workspace
) -> None:
    added = add(ws, "held", "go")
    with watched.command("queue", "work", "--slots", "1") as first:
        until(lambda: "begin-held" in watched.calls())
        first.send_signal(signal.SIGTERM)
        assert first.wait(60) == 0
    assert [one.state for one in queue.listed(ws)] == ["waiting"]
    assert str(run_of(ws, added).status) == "running"
    watched.let_go()
    drain(watched)
    assert str(run_of(ws, added).status) == "finished"


def test_entries_are_cancelled_before_and_while_they_run(watched: Watched, ws: Workspace) -> None:
    held, waiting = add(ws, "held", "go"), add(ws, "waiting")
    with watched.command("queue", "work", "--slots", "1") as process:
        until(lambda: "begin-held" in watched.calls())
        assert [one.state for one in queue.listed(ws)] == ["running", "waiting"]
        queue.cancel(ws, waiting)
        assert str(run_of(ws, waiting).status) == "cancelled"
        queue.cancel(ws, held)
        until(lambda: str(run_of(ws, held).status) == "cancelled")
        assert not alive(watched.pids()[0])
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(60) == 0
    assert watched.calls() == ["begin-held"]
    assert "hello from held" in log_of(ws, held)
    with pytest.raises(ConflictError, match="ended already"):
        queue.cancel(ws, held)
    with pytest.raises(NotFoundError, match="not in the queue"):
        queue.cancel(ws, "run_none")


def test_a_command_that_is_not_there_fails_and_says_so(watched: Watched, ws: Workspace) -> None:
    added = queue.add_command(ws, ["no-such-program"], folder=".")
    elsewhere = queue.add_command(ws, ["true"], folder="/no/such/folder")
    drain(watched)
    for run in (added, elsewhere):
        assert str(run_of(ws, run).status) == "failed"
        assert "cannot be started" in run_of(ws, run).tags["mainspring.error"]


@pytest.mark.parametrize(
    ("words", "more", "field"),
    [
        ([], {}, "command"),
        ([""], {}, "command"),
        (["a\x00b"], {}, "command"),
        (["a\ud800"], {}, "command"),
        (["x"] * 1_001, {}, "command"),
        (["x" * 30_001], {}, "command"),
        (["true"], {"priority": 1_001}, "priority"),
        (["true"], {"experiment": " "}, "name"),
    ],
)
def test_bad_input_is_refused_by_its_name(
    ws: Workspace, words: list[str], more: dict, field: str
) -> None:
    with pytest.raises(BadInputError) as caught:
        queue.add_command(ws, words, folder=".", **more)
    assert caught.value.field == field


def test_only_an_admin_queues_commands(ws: Workspace) -> None:
    other = ws.acting_as(Principal("ann", Role.CONTRIBUTOR))
    with pytest.raises(PermissionDeniedError):
        queue.add_command(other, ["true"], folder=".")
