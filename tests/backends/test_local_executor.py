"""What is the local executor's own: its fork server, and what it costs."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from mainspring.backends.executors.beating import Beat
from mainspring.backends.executors.local import LocalExecutor
from mainspring.ground.errors import DeadlineError, UnavailableError
from mainspring.ground.ports import Call
from mainspring.testing.executor import all_gone, call, none_left, pids_in, wait_for


@pytest.fixture
def executor(tmp_path: Path):
    executor = LocalExecutor(tmp_path / "run")
    yield executor
    executor.close()


def test_kill_9_of_the_fork_server_takes_its_children_along(executor, tmp_path: Path) -> None:
    outcomes = []
    runner = threading.Thread(
        target=lambda: outcomes.append(
            executor.run(call("sleep", {"file": str(tmp_path / "pids")}))
        )
    )
    runner.start()
    pids = pids_in(tmp_path / "pids")
    os.kill(executor._server.pid, signal.SIGKILL)
    runner.join(60)
    assert outcomes[0].error == "ended because its fork server died"
    assert wait_for(lambda: all_gone(pids))
    assert executor.run(call("echo")).ok, "the next call finds a new server"


def test_a_call_that_gives_no_sign_of_life_is_ended_as_one_that_took_too_long(
    executor, tmp_path: Path
) -> None:
    beat = {"beat": str(tmp_path / "beat"), "beat_s": 0.3}
    outcome = executor.run(call("sleep", {"file": str(tmp_path / "pids")}, **beat))
    assert outcome.error == "gave no sign of life for 0.3 s and was ended"
    assert (outcome.code, outcome.types[0]) == (DeadlineError.code, "HeartbeatError")
    assert wait_for(lambda: none_left(tmp_path / "pids"))


def test_each_sign_of_life_is_good_for_as_long_again(tmp_path: Path) -> None:
    file = tmp_path / "beat"
    beat = Beat(str(file), 10.0, 0.0)
    assert not beat.is_late(9.9)
    file.touch()
    assert not beat.is_late(11.0)
    assert beat.patience_s(20.0) == 1.0
    assert not beat.is_late(20.9)
    os.utime(file, ns=(1, 1))
    assert not beat.is_late(20.95)
    assert beat.is_late(31.0)


def test_kill_9_of_owner_and_server_together_leaves_nobody(tmp_path: Path) -> None:
    """The kernel ends the group when the far end of `life` closes; nobody of ours is left to."""
    import subprocess
    import sys

    if sys.platform != "linux":
        pytest.skip("only Linux tells a group of a closed socket")
    script = (
        "import os, threading\nfrom pathlib import Path\n"
        "from mainspring.backends.executors.local import LocalExecutor\n"
        "from mainspring.testing.executor import call\n"
        f"here = Path({str(tmp_path)!r})\n"
        "executor = LocalExecutor(here / 'run')\n"
        "executor.warm()\n"
        "print(executor._server.pid, flush=True)\n"
        "executor.run(call('sleep', {'file': str(here / 'pids')}))\n"
    )
    root = str(Path(__file__).parents[2] / "src")
    environ = {**os.environ, "PYTHONPATH": root}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environ
    ) as owner:
        server = int(owner.stdout.readline())
        pids = pids_in(tmp_path / "pids")
        os.kill(server, signal.SIGSTOP)  # it sees nothing and can do nothing
        os.kill(owner.pid, signal.SIGKILL)
        assert wait_for(lambda: all_gone(pids))
        os.kill(server, signal.SIGKILL)


def test_a_module_that_is_missing_is_passed_over(tmp_path: Path) -> None:
    executor = LocalExecutor(tmp_path, ["no_such_module", "json"])
    assert executor.run(call("echo")).ok
    executor.close()


def test_a_server_that_cannot_start_is_a_clear_error(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    executor = LocalExecutor(tmp_path)
    with pytest.raises(UnavailableError, match="fork server"):
        executor.run(call("echo"))
    executor.close()


def test_threads_of_the_numeric_libraries_follow_the_calls_environment(executor, tmp_path) -> None:
    (tmp_path / "their_pools.py").write_text(
        "import numpy\nfrom threadpoolctl import threadpool_info\n"
        "def pools(_):\n"
        "    return [p['num_threads'] for p in threadpool_info() if p['user_api'] == 'blas']\n"
    )
    there = Call(target="their_pools:pools", payload={}, path=[str(tmp_path)])
    assert set(executor.run(there).value) == {os.cpu_count()}
    one = Call(
        **{f: getattr(there, f) for f in there.__struct_fields__}
        | {"env": {"OMP_NUM_THREADS": "1"}}
    )
    assert set(executor.run(one).value) == {1}


def test_a_call_costs_milliseconds_once_warm(executor) -> None:
    executor.run(call("echo"))
    server = psutil.Process(executor._server.pid)

    def spent() -> float:
        """Return the seconds of processor that we, the server and its children have used."""
        return time.process_time() + sum(server.cpu_times()[:4])

    before = spent()
    for _ in range(20):
        assert executor.run(call("echo")).ok
    assert (spent() - before) / 20 < 0.1, "the budget is 30 ms, and an interpreter's start more"


def test_no_descriptor_and_no_process_is_left_over(executor) -> None:
    executor.run(call("echo"))
    before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    server = Path(f"/proc/{executor._server.pid}/fd")
    theirs = len(list(server.iterdir())) if server.exists() else 0
    for _ in range(5):
        executor.run(call("echo"))
    # Fewer, where those of an earlier test were collected meanwhile.
    assert (len(list(Path("/proc/self/fd").iterdir())) if before else 0) <= before
    # The server tells us of an end just before it closes its side.
    assert wait_for(lambda: (len(list(server.iterdir())) if theirs else 0) <= theirs)
