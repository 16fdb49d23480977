"""What every executor promises, as tests. Subclass ExecutorPromises; override ``place``."""

# ruff: noqa: S101  (these are tests)

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mainspring.ground.errors import MainspringError
from mainspring.ground.ports import Call, Executor, Outcome

PATIENCE_S = 60.0  #: for what comes about in a moment, on a machine that is busy


class ExecutorPlace(msgspec.Struct, frozen=True):
    """An executor under test: how to open it here and in another process."""

    open: Callable[[], Executor]
    source: str  #: Python that leaves an open executor in the variable ``executor``


def call(target: str, payload: dict[str, Any] | None = None, **rest: Any) -> Call:
    """Return a call of one of the functions in :mod:`mainspring.testing.calls`."""
    return Call(target=f"mainspring.testing.calls:{target}", payload=payload or {}, **rest)


def is_running(pid: int) -> bool:
    """Return whether a process lives; a zombie nobody has taken in does not."""
    done = subprocess.run(  # noqa: S603  a number and fixed words
        ["/bin/ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True
    )
    return done.stdout.strip()[:1] not in {"", "Z", "X"}


def wait_for(true: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """Return the first true value, or fail."""
    give_up = time.monotonic() + patience_s
    while not (value := true()):
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.01)
    return value


def pids_in(file: Path) -> list[int]:
    """Return the pids that ``calls.sleep`` wrote, once it has."""
    wait_for(file.exists)
    return [int(word) for word in file.read_text().split()]


def all_gone(pids: list[int]) -> bool:
    """Return whether none of the processes runs any more."""
    return not any(is_running(pid) for pid in pids)


def none_left(file: Path) -> bool:
    """Return whether nothing runs of what ``calls.sleep`` told; it may have been ended before."""
    return not file.exists() or all_gone(pids_in(file))


class ExecutorPromises:
    """Override ``place``; a test is one promise of :class:`mainspring.ground.ports.Executor`."""

    @pytest.fixture
    def place(self) -> ExecutorPlace:
        """Return an executor's place."""
        raise NotImplementedError("override the fixture `place`")

    @pytest.fixture
    def executor(self, place: ExecutorPlace) -> Iterator[Executor]:
        """Open it for one test."""
        executor = place.open()
        yield executor
        executor.close()

    def test_a_call_has_its_own_process_folder_path_and_environment(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        """The result comes back; the child leads its own group."""
        outcome = executor.run(
            call("echo", {"a": [1, "ü"]}, cwd=str(tmp_path), env={"PROMISED": "yes"}, path=["/p"])
        )
        assert outcome.ok, outcome
        value = outcome.value
        assert value["a"] == [1, "ü"]
        assert Path(value["cwd"]) == tmp_path.resolve()
        assert (value["var"], value["path0"]) == ("yes", "/p")
        assert value["pid"] == value["group"] != os.getpgid(0)
        assert outcome.wall_s > 0
        assert outcome.peak_mb > 1
        again = executor.run(call("echo"))
        assert again.value["var"] is None, "one call must not colour the next"
        assert again.value["pid"] != value["pid"]

    def test_an_exception_comes_back_with_its_trace(self, executor: Executor) -> None:
        """Ours with code and hint, anybody's with the traceback."""
        outcome = executor.run(call("fail", {"text": "no such\ncolumn"}))
        assert (outcome.ok, outcome.error, outcome.code) == (False, "ValueError: no such", "")
        assert "_inner" in outcome.trace
        assert "column" in outcome.trace
        assert "executors" not in outcome.trace, "our own frames are of no use to the user"
        ours = executor.run(call("refuse", {"text": "this"}))
        assert (ours.ok, ours.code) == (False, "CONFLICT")
        assert ours.error == "Cannot do this.\nDo something else."
        assert ours.trace == "", "an error of ours has its words; our frames say nothing more"

    def test_user_frames_alone_are_shown_where_there_are_any(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        """From the first line of theirs on."""
        (tmp_path / "their_steps.py").write_text(
            "from mainspring.testing import calls\n"
            "def step(payload):\n    return calls.fail(payload)\n"
        )
        outcome = executor.run(
            Call(target="their_steps:step", payload={"text": "x"}, path=[str(tmp_path)])
        )
        lines = outcome.trace.splitlines()
        assert "their_steps.py" in lines[1]
        missing = executor.run(Call(target="no_such_module:step", payload={}))
        assert missing.error == "ModuleNotFoundError: No module named 'no_such_module'"

    @pytest.mark.parametrize(
        ("how", "says"),
        [
            ("exit", "exit status 3"),
            ("sys.exit", "SystemExit: enough"),
            ("segfault", "killed by SIGSEGV"),
            ("SIGKILL", "killed by SIGKILL"),
            ("SIGTERM", "killed by SIGTERM"),
        ],
    )
    def test_a_death_of_the_child_is_an_outcome(
        self, executor: Executor, how: str, says: str
    ) -> None:
        """Isolated: and the next call works."""
        outcome = executor.run(call("die", {"how": how}))
        assert not outcome.ok
        assert says in outcome.error
        assert executor.run(call("echo")).ok

    def test_a_strange_result_is_refused_and_a_large_one_arrives(self, executor: Executor) -> None:
        """JSON or nothing."""
        assert "object" in executor.run(call("strange")).error
        outcome = executor.run(call("large", {"size": 5_000_000}))
        assert outcome.ok
        assert len(outcome.value) == 5_000_000

    @pytest.mark.parametrize("deaf", [False, True])
    def test_a_timeout_ends_the_whole_group(
        self, executor: Executor, tmp_path: Path, deaf: bool
    ) -> None:
        """Grandchildren too, and those who do not listen to SIGTERM."""
        file = tmp_path / "pids"
        payload = {"file": str(file), "deaf": deaf}
        outcome = executor.run(call("sleep", payload, timeout_s=1.2))
        assert (outcome.ok, outcome.code) == (False, "DEADLINE")
        assert "1.2 s" in outcome.error
        assert wait_for(lambda: none_left(file))

    def test_a_cancelled_call_ends(self, executor: Executor, tmp_path: Path) -> None:
        """With its whole group."""
        file = tmp_path / "pids"
        outcome = executor.run(call("sleep", {"file": str(file)}), cancelled=file.exists)
        assert (outcome.ok, outcome.error) == (False, "cancelled")
        assert wait_for(lambda: all_gone(pids_in(file)))

    def test_what_a_child_leaves_behind_is_ended(self, executor: Executor, tmp_path: Path) -> None:
        """A call is over when it is over."""
        file = tmp_path / "pids"
        assert executor.run(call("sleep", {"file": str(file), "leave": True})).ok
        assert wait_for(lambda: all_gone(pids_in(file)))

    def test_kill_9_of_the_owner_takes_the_children_along(
        self, place: ExecutorPlace, tmp_path: Path
    ) -> None:
        """Mortal: in a moment, and grandchildren too."""
        file = tmp_path / "pids"
        script = place.source + (
            "\nfrom mainspring.testing.executor import call\n"
            f"executor.run(call('sleep', {{'file': {str(file)!r}}}))\n"
        )
        root = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
        child = subprocess.Popen(  # noqa: S603  our own interpreter and text
            [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path}
        )
        pids = pids_in(file)
        assert all(is_running(pid) for pid in pids)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        assert wait_for(lambda: all_gone(pids))

    def test_both_streams_go_to_the_log(self, executor: Executor, tmp_path: Path) -> None:
        """Appended, for the owner alone."""
        log = tmp_path / "step.log"
        for text in ("one", "two"):
            assert executor.run(call("speak", {"text": text}, log=str(log))).ok
        words = log.read_text()
        assert words.count("to stderr") == words.count("from a grandchild") == 2
        assert "one" in words
        assert "two" in words
        assert log.stat().st_mode & 0o777 == 0o600

    def test_many_calls_run_at_once_with_the_libraries_in_use(self, executor: Executor) -> None:
        """From several threads; no child hangs, no two draw the same random number."""
        outcomes: list[Outcome] = []
        threads = [
            threading.Thread(
                target=lambda: outcomes.append(executor.run(call("compute", timeout_s=60)))
            )
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [o.error for o in outcomes] == [""] * 8
        assert all(o.value[:3] == [3.0, 3.0, 27_000_000.0] for o in outcomes)
        assert len({o.value[3] for o in outcomes}) == 8

    def test_closing_ends_what_runs(self, place: ExecutorPlace, tmp_path: Path) -> None:
        """And a closed executor refuses."""
        executor, file = place.open(), tmp_path / "pids"
        outcomes: list[Outcome] = []
        runner = threading.Thread(
            target=lambda: outcomes.append(executor.run(call("sleep", {"file": str(file)})))
        )
        runner.start()
        pids = pids_in(file)
        executor.close()
        runner.join(PATIENCE_S)
        assert not outcomes[0].ok
        assert wait_for(lambda: all_gone(pids))
        with pytest.raises(MainspringError, match="closed"):
            executor.run(call("echo"))
