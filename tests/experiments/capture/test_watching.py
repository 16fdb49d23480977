from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from mainspring.experiments.capture import facts, git, machine, watching
from mainspring.experiments.capture.watching import Watch


class Kept:
    """What a run was told, from whichever thread."""

    def __init__(self, fails: str = "") -> None:
        self.tags: dict[str, str] = {}
        self.points: list[dict[str, float]] = []
        self.files: dict[str, bytes] = {}
        self.fails = fails

    def tag(self, values) -> None:
        if self.fails == "tag":
            raise RuntimeError("the disk is full")
        self.tags |= values

    def log(self, values) -> None:
        if self.fails == "log":
            raise RuntimeError("the disk is full")
        self.points.append(dict(values))

    def keep(self, data: bytes, to: str) -> None:
        self.files[to] = data


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    facts._known.clear()
    monkeypatch.setattr(watching, "_begun", 0)
    monkeypatch.delenv(watching.AGAIN, raising=False)


def _watched(folder: Path, kept: Kept | None = None, **params) -> Kept:
    kept = kept or Kept()
    watch = Watch(kept, params=params, folder=folder)
    watch.start()
    watch.finish()
    return kept


def test_a_run_knows_what_it_was_made_of(repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.orig_argv", ["python", "train.py", "--trees", "3"])
    repo.write("train.py", "1\n")
    commit = repo.commit()
    repo.git("remote", "add", "origin", "https://me:pw@h.example/r")
    repo.write("train.py", "2\n")
    kept = _watched(repo.folder, seed=7)
    assert kept.tags["mainspring.git.commit"] == commit
    assert kept.tags["mainspring.git.branch"] == "main"
    assert kept.tags["mainspring.git.dirty"] == "true"
    assert kept.tags["mainspring.git.remote"] == "https://h.example/r"
    assert kept.tags["mainspring.seed"] == "7"
    assert kept.tags["mainspring.source"] == "python train.py --trees 3"
    assert {"mainspring.user", "mainspring.host", "mainspring.python"} <= set(kept.tags)
    assert "mainspring.not_captured" not in kept.tags
    told = json.loads(kept.files["mainspring/source.json"])
    assert told["git"]["commit"] == commit
    assert told["git"]["changed"] == ["train.py"]
    assert kept.tags["mainspring.nth"] == "0"
    ran_on = json.loads(kept.files["mainspring/environment.json"])
    assert ran_on["packages"]["digest"] == kept.tags["mainspring.packages"]
    assert ran_on["machine"]["cores"] >= 1
    assert b"+2" in kept.files["mainspring/changes.patch"]
    assert set(kept.files) == {facts.SOURCE, facts.ENVIRONMENT, facts.PATCH}


def test_even_a_short_run_has_a_reading_at_its_start_and_at_its_end(repo) -> None:
    kept = _watched(repo.folder)
    assert len(kept.points) == 2
    assert all(one["system/memory_mb"] > 1 for one in kept.points)


def test_outside_of_git_it_says_so_and_keeps_the_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.py").write_text("print(1)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.orig_argv", ["python", "train.py"])
    kept = _watched(tmp_path)
    assert kept.tags["mainspring.not_captured"] == f"git: {tmp_path} is in no git repository"
    assert "mainspring.git.commit" not in kept.tags
    assert kept.files["mainspring/script/script.py"] == b"print(1)\n"
    assert json.loads(kept.files[facts.SOURCE])["not_captured"]["git"]


def test_files_that_were_too_large_are_named_in_the_tag(repo, monkeypatch) -> None:
    repo.commit()
    monkeypatch.setattr(git, "MAX_FILE_BYTES", 3)
    repo.write("weights.bin", "large")
    assert _watched(repo.folder).tags["mainspring.not_captured"] == "files: weights.bin"


@pytest.mark.parametrize("part", ["read", "gpus"])
def test_whatever_breaks_is_said_and_the_rest_is_kept(repo, monkeypatch, part: str) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("odd")

    monkeypatch.setattr(machine, part, broken)
    kept = _watched(repo.folder)
    assert kept.tags["mainspring.not_captured"] == "machine: ZeroDivisionError: odd"
    assert kept.tags["mainspring.packages"]


def test_runs_that_start_close_together_are_read_once(repo, monkeypatch) -> None:
    calls: list[Path] = []

    def counted(folder: Path, **more: object) -> object:
        calls.append(folder)
        return git.GitState(root="/", commit=None, branch=None, remote=None), b""

    monkeypatch.setattr(git, "read", counted)
    monkeypatch.setattr(facts, "FRESH_S", 3600.0)
    all_kept = [_watched(repo.folder) for _ in range(5)]
    assert len(calls) == 1
    assert [one.tags["mainspring.nth"] for one in all_kept] == list("01234")
    assert all(one.files == all_kept[0].files for one in all_kept)
    monkeypatch.setattr(facts, "FRESH_S", 0.0)
    _watched(repo.folder)
    assert len(calls) == 2


def test_a_run_made_again_says_of_which(repo, monkeypatch) -> None:
    monkeypatch.setenv(watching.AGAIN, "run_01")
    assert _watched(repo.folder).tags["mainspring.again"] == "run_01"


def test_the_series_goes_on_while_the_run_does(repo, monkeypatch) -> None:
    monkeypatch.setattr(watching, "FIRST_S", 0.01)
    monkeypatch.setattr(watching, "EVERY_S", 0.01)
    enough = threading.Event()

    class Counting(Kept):
        def log(self, values) -> None:
            super().log(values)
            if len(self.points) >= 5:
                enough.set()

    kept = Counting()
    watch = Watch(kept, params={}, folder=repo.folder)
    watch.start()
    assert enough.wait(60)
    watch.finish()
    count = len(kept.points)
    watch.read()
    watch.finish()
    assert len(kept.points) == count  # an ended run is told nothing more


@pytest.mark.parametrize("what", ["tag", "log"])
def test_a_run_that_can_be_told_nothing_is_left_in_peace(repo, what: str) -> None:
    kept = _watched(repo.folder, Kept(fails=what))
    if what == "log":
        assert kept.tags["mainspring.not_captured"] == "load: RuntimeError: the disk is full"


def test_facts_that_do_not_come_in_time_hold_up_no_end(repo, monkeypatch) -> None:
    monkeypatch.setattr(watching, "WAIT_S", 0.01)
    go_on = threading.Event()

    def slow(*_: object, **__: object) -> object:
        go_on.wait(60)
        raise git.CannotError("late")

    monkeypatch.setattr(git, "read", slow)
    kept = _watched(repo.folder)
    assert kept.tags["mainspring.not_captured"] == "facts: not read within 0.01 s"
    go_on.set()


def test_a_forked_child_neither_waits_nor_logs(repo) -> None:
    kept = Kept()
    watch = Watch(kept, params={}, folder=repo.folder)
    watch._pid = os.getpid() + 1
    watch.finish()  # would wait for ever
    assert kept.points == []


def test_odd_bytes_on_the_command_line_are_kept_as_marks(repo, monkeypatch) -> None:
    monkeypatch.setattr("sys.orig_argv", ["python", "train.py", os.fsdecode(b"caf\xe9")])
    kept = _watched(repo.folder)
    assert kept.tags["mainspring.source"] == "python train.py 'caf?'"
    assert json.loads(kept.files[facts.SOURCE])["source"]["command"][2] == "caf?"
