"""What is named and not there: always exit code 2, with what was meant or what there is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mainspring.cli.start import main

PROJECT = """
import mainspring as ms


@ms.step
def load() -> int:
    return 1


@ms.step
def fit(rows: int) -> int:
    return rows + 1


@ms.pipeline
def flights():
    return fit(load())
"""
RUNS = "See them with: mainspring runs"
#: A command line, and what its hint says.
ASKED = [
    ("run fligths", "Did you mean 'flights'? It has: flights."),
    ("run nix", "It has: flights."),
    ("run flights --only lod", "Did you mean 'load'?"),
    ("run flights --from nix", "Known are: load, fit."),
    ("run flights -p rows=3", "Known are: none."),
    ("repeat nix --seeds 2", "It has: flights."),
    ("rerun last --from lod", "Did you mean 'load'?"),
    ("schedule add nightly nix --every 1h", "It has: flights."),
    ("trigger add after nix --on run:flights", "It has: flights."),
    ("package nix", "A version is written MODEL/NUMBER or MODEL@ALIAS."),
    *((f"{one} run_nix", RUNS) for one in (
        "resume", "rerun", "cancel", "show", "why", "again", "waiting", "reproduce",
        "runs follow", "runs delete --yes", "runs restore", "env show", "compare run_nix",
        "logs --run", "versus run_nix --metric auc --better higher",
    )),
    ("show run_01aaaaaaaaaaaaaaaaaaaaaaaaaa", RUNS),
    ("show nix", "A run is named by at least 4 characters of its id."),
    ("show flights", "The newest run of flights is run_"),
    ("why last lod", "Did you mean 'load'?"),
    ("why last nix/nix", "Known are: load, fit."),
    ("logs --run last --step lod", "Did you mean 'load'?"),
    *((f"data {one}", "Did you mean 'rows'?") for one in (
        "get rwos", "log rwos", "show rwos", "diff rwos rows",
    )),
    ("data get rows@9", "rows has versions 1."),
    ("data diff rows@1 rows@9", "rows has versions 1."),
    *((f"schedule {one} nix", "Known are: none.") for one in ("show", "remove", "pause")),
    *((f"trigger {one} nix", "Known are: none.") for one in ("show", "remove")),
    *((one, "Known are: none.") for one in (
        "models nix", "why nix@champion", "why nix/3", "package nix@champion",
    )),
    ("lineage dataset:nix", "mainspring dataset list"),
    ("lineage nix:nix", "One of "),
    ("data add nix.csv", ""),
    ("ci init nix", "See: mainspring ci init --help"),
]  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was run once, with one dataset."""
    folder = tmp_path_factory.mktemp("there")
    (folder / "project.py").write_text(PROJECT)
    (folder / "rows.csv").write_text("a,b\n1,2\n")
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(["run", "flights", "--quiet"]) == 0
        assert main(["data", "add", "rows.csv"]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.mark.parametrize(("line", "hint"), ASKED, ids=[line for line, _ in ASKED])
def test_it_is_said_in_a_line_with_what_was_meant(
    root: Path,
    say: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    hint: str,
) -> None:
    monkeypatch.chdir(root)
    said = say(*line.split())
    told = said.err.splitlines()
    assert said.code == 2, said.out + said.err
    assert told[0].startswith("error: ")
    assert hint in "\n".join(told[1:])
    assert len(told) <= 2


def test_what_is_there_and_failed_ends_with_1(say: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(PROJECT.replace("return rows + 1", "return 1 / 0"))
    assert say("run", "flights", "--quiet").code == 1
    assert say("runs", "follow", "last", "--quiet").code == 1
    assert say("logs", "--run", "last", "--follow").code == 1
