"""The commands of repeats and tunings: what they ask for, what they refuse, what they print."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mainspring.workspace import opening

TRAIN = """
def single(base: float = 0.0, seed: int = 0):
    return {"auc": 0.8 + base + (seed % 3) / 1000}


def double(seed: int = 0):
    return {"auc": 0.8, "loss": 0.1}
"""


@pytest.fixture(autouse=True)
def light(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "PRELOAD", ("numpy", "polars"))
    (tmp_path / "train.py").write_text(TRAIN)


def test_two_repeats_are_compared_on_the_only_metric_they_share(say: Callable[..., Any]) -> None:
    runs = [
        say("repeat", "train:single", "--seeds", "3", "-p", f"base={base}", "--json").json["run"][
            "id"
        ]
        for base in (0.0, 0.1)
    ]
    both = say("repeat", "train:double", "--seeds", "2", "--json").json["run"]["id"]
    found = say("versus", *runs, "--better", "higher", "--json").json
    assert (found["metric"], found["verdict"]) == ("auc", "B")
    told = say("versus", *runs, "--metric", "auc", "--better", "lower")
    assert "beats" in told.out
    assert "seeds needed" in told.out
    unsaid = say("versus", *runs)
    assert (unsaid.code, "--better" in unsaid.err) == (2, True)
    assert say("versus", both, both).code == 2
    assert "auc, loss" in say("versus", both, both).err


@pytest.mark.parametrize(
    "words",
    [
        ("repeat",),
        ("repeat", "train:single", "--seeds", "x"),
        ("repeat", "train:single", "--seeds", "0"),
        ("repeat", "train:single", "-p", "bushes=1"),
        ("repeat", "train:nothing"),
        ("tune", "train:single"),
        ("tune", "train:single", "--space", "base=float(1)"),
        ("tune", "train:single", "--space", "none.toml"),
        ("tune", "--space", "base=float(0,1)"),
        ("queue", "add"),
        ("queue", "add", "--target", "train:single", "--", "true"),
        ("queue", "work", "--url", "http://127.0.0.1:9"),
    ],
)
def test_what_cannot_be_used_ends_with_2_and_says_why(
    say: Callable[..., Any], words: tuple[str, ...]
) -> None:
    told = say(*words)
    assert told.code == 2, told.err
    assert told.err.startswith("error: ")
