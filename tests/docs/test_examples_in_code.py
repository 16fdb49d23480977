"""The examples in docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
MODULES = sorted(
    ".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    for file in SOURCE.rglob("*.py")
    if ">>> " in file.read_text("utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name: str) -> None:
    # Arrays and floats are written as the examples write them, whatever other tests have set.
    found = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert found.attempted, f"{name} has examples that are in no docstring"
    assert found.failed == 0


def test_the_floors_below_have_examples() -> None:
    assert {"mainspring.ground.durations", "mainspring.numerics.sequential"} <= set(MODULES)
