"""What a step opens and had not said is found, and nothing else is."""

from __future__ import annotations

import os
import pickle
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from mainspring.pipelines import unsaid


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with data, from whose folder steps run; and what is nobody's input."""
    root = tmp_path / "project"
    for folder in ("data", "said", ".cache", "store", "work"):
        (root / folder).mkdir(parents=True)
    rows = pl.DataFrame({"a": [1, 2]})
    rows.write_csv(root / "data" / "rows.csv")
    rows.write_parquet(root / "data" / "rows.parquet")
    np.save(root / "data" / "rows.npy", np.ones(2))
    for name in ("said/a.txt", ".cache/b.txt", "store/c", "work/d", "code.py", "mainspring.toml"):
        (root / name).write_text("a")
    monkeypatch.chdir(root)
    monkeypatch.setenv("MAINSPRING_HOME", str(root / "store"))
    return root


def read_by(project: Path, step: Callable[[], object], *declared: str) -> list[str]:
    payload = {"root": str(project), "declared": {f"file {name}": "" for name in declared}}
    with unsaid.listened(payload, project / "work") as reads:
        step()
    Path("data/rows.csv").read_bytes()  # nobody listens any more
    return reads.found()


@pytest.mark.parametrize(
    ("step", "found"),
    [
        (lambda: Path("data/rows.csv").read_text(), ["data/rows.csv"]),
        (lambda: os.close(os.open(b"data/rows.csv", os.O_RDONLY)), ["data/rows.csv"]),
        (lambda: pd.read_csv("data/rows.csv"), ["data/rows.csv"]),
        (lambda: pd.read_parquet("data/rows.parquet"), ["data/rows.parquet"]),
        (lambda: np.load("data/rows.npy"), ["data/rows.npy"]),
        (lambda: pl.read_csv(Path("data") / "rows.csv"), ["data/rows.csv"]),
        (lambda: pl.scan_parquet("data/*.parquet").collect(), ["data/rows.parquet"]),
        (lambda: pl.read_parquet(source=["data/rows.parquet"]), ["data/rows.parquet"]),
        (lambda: sqlite3.connect("data/base.db").close(), ["data/base.db"]),
    ],
    ids=["text", "bytes", "pandas", "native", "numpy", "polars", "pattern", "list", "sqlite"],
)
def test_a_file_of_the_project_is_told_by_its_path_in_it(
    project: Path, step: Callable[[], object], found: list[str]
) -> None:
    assert read_by(project, step) == found


def test_what_was_said_and_what_is_nobodys_input_is_not_told(project: Path) -> None:
    def step() -> None:
        names = ["said/a.txt", ".cache/b.txt", "store/c", "work/d", "code.py", "mainspring.toml"]
        for name in (*names, "/proc/self/status", unsaid.__file__, np.__file__):
            Path(name).read_bytes()
        with pytest.raises(FileNotFoundError):
            Path("data/none.csv").read_bytes()

    assert read_by(project, step, "said") == []
    assert read_by(project, step, "said/a.tx") == ["said/a.txt"], "a part of a name says nothing"


def test_what_a_step_writes_first_is_its_own(project: Path) -> None:
    def step() -> None:
        Path("data/new.txt").write_text("b")
        Path("data/new.txt").read_text()
        with Path("data/rows.csv").open("r+") as rows:  # this one was there
            rows.write("b")

    assert read_by(project, step) == ["data/rows.csv"]


def test_a_file_outside_of_the_project_is_told_whole(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(project / "work"))  # these tests lie in it,
    monkeypatch.setattr(unsaid, "_SYSTEM", ("/proc",))  # and in memory below /dev at times
    elsewhere = project.parent / "elsewhere.csv"
    elsewhere.write_text("a")
    assert read_by(project, elsewhere.read_text) == [str(elsewhere)]


def test_readers_are_left_as_they_were(project: Path) -> None:
    before = pl.read_csv, pd.read_csv
    assert read_by(project, lambda: None) == []
    assert (pl.read_csv, pd.read_csv) == before


def test_many_are_told_in_few_words() -> None:
    told = unsaid.words(["a", "b", "c", "d", "e"])
    assert told.startswith("; it read a, b, c and 2 more, which are no parts of its key")
    assert unsaid.words([]) == ""


def test_a_name_of_any_bytes_is_told_as_text_that_can_be_kept(project: Path) -> None:
    odd = os.fsencode(project) + b"/data/\xff.csv"
    with open(odd, "wb"):  # noqa: PTH123  a path of bytes
        pass
    found = read_by(project, lambda: os.close(os.open(odd, os.O_RDONLY)))
    assert found == ["data/\ufffd.csv"]
    assert found[0].encode()


def test_a_thread_that_goes_on_to_open_files_breaks_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [project / "data" / f"{number}.txt" for number in range(3)]
    for file in files:
        file.write_text("a")
    with unsaid.listened({"root": str(project)}, project / "work") as reads:
        files[0].read_text()
        files[1].read_text()
        exists = os.path.exists

        def meanwhile(path: str) -> bool:
            reads.take(str(files[2]), 0)
            return exists(path)

        monkeypatch.setattr(os.path, "exists", meanwhile)
        assert reads.found() == ["data/0.txt", "data/1.txt"]


def test_a_reader_can_be_sent_to_another_process(project: Path) -> None:
    sent: list[bytes] = []
    read_by(project, lambda: sent.extend(map(pickle.dumps, (pl.read_csv, pd.read_csv))))
    readers = [pickle.loads(one) for one in sent]
    assert readers == [pl.read_csv, pd.read_csv]
    assert [len(reader("data/rows.csv")) for reader in readers] == [2, 2]


@pytest.mark.parametrize(
    "text", ["[" + '{"a": [1]},' * 40_000 + "]", '[{"a": "\0"}]'], ids=["long", "zero byte"]
)
def test_text_that_is_no_path_is_the_readers_own_matter(
    project: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(unsaid.glob, "iglob", lambda one: asked.append(one) or iter(()))

    def step() -> None:
        with pytest.raises((OSError, ValueError)):
            pd.read_json(text)

    assert read_by(project, step) == []
    assert all(len(one) < 100 for one in asked)
