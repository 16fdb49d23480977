"""The language of search spaces: what it reads, what it refuses, and what a grid holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.experiments import spaces
from mainspring.experiments.spaces import Dimension
from mainspring.ground.errors import BadInputError


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("int(10,200)", Dimension(kind="int", low=10, high=200)),
        (" int( 1 , 512 , log ) ", Dimension(kind="int", low=1, high=512, log=True)),
        ("int(0,10,step=5)", Dimension(kind="int", low=0, high=10, step=5)),
        ("log(1e-4,1e-1)", Dimension(kind="float", low=1e-4, high=0.1, log=True)),
        ("float(-1,1)", Dimension(kind="float", low=-1.0, high=1.0)),
        ("uniform(0,.5,step=0.1)", Dimension(kind="float", low=0.0, high=0.5, step=0.1)),
        ("['a', \"b\"]", Dimension(kind="choice", choices=["a", "b"])),
        ("[1, 2.5, true, None]", Dimension(kind="choice", choices=[1, 2.5, True, None])),
    ],
)
def test_each_form_is_read(text: str, wanted: Dimension) -> None:
    assert spaces.read_space([f"x={text}"]) == {"x": wanted}
    assert spaces.read_space({"x": text}) == {"x": wanted}


@pytest.mark.parametrize(
    "text",
    [
        "", "int", "int()", "int(1)", "int(1,2,3)", "int(2,1)", "int(1,1)", "int(1.5,2)",
        "int(1,9e400)", "int(1,99999999999999999999)", "float(0,1,log)", "log(0,1)",
        "log(1,2,step=1)", "float(0,1,step=0)", "float(nan,1)", "float(0,inf)", "[]", "['a'",
        "['a','a']", "[os]", "[__import__('os')]", "eval(1,2)", "int(1,2);x", "['a' 'b']",
        "[1,,2]",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(BadInputError) as caught:
        spaces.read_space([f"rate={text}"])
    assert caught.value.field == "rate"
    assert "rate" in caught.value.message


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    try:
        found = spaces.dimension("x", text)
    except BadInputError:
        return
    assert found.kind in ("int", "float", "choice")


@given(st.integers(-(10**6), 10**6), st.integers(1, 10**6))
def test_written_bounds_come_back(low: int, width: int) -> None:
    found = spaces.dimension("x", f"int({low},{low + width})")
    assert (found.low, found.high) == (low, low + width)


def test_a_space_needs_params_and_each_once() -> None:
    for broken in ([], {}, ["x=int(1,2)", "x=int(1,3)"], ["x"], ["=int(1,2)"]):
        with pytest.raises(BadInputError, match=r"space|written"):
            spaces.read_space(broken)


def test_a_grid_holds_every_point_once() -> None:
    space = spaces.read_space(["a=int(1,3)", "b=['x','y']", "c=float(0,0.3,step=0.1)"])
    points = spaces.grid(space)
    assert len(points) == spaces.size(space) == 24
    assert points[0] == {"a": 1, "b": "x", "c": 0.0}
    assert points[-1] == {"a": 3, "b": "y", "c": 0.3}
    assert len({tuple(point.values()) for point in points}) == 24


def test_a_grid_over_a_continuous_range_is_refused() -> None:
    with pytest.raises(BadInputError, match="continuous"):
        spaces.grid(spaces.read_space(["a=float(0,1)"]))
    with pytest.raises(BadInputError, match="100,000"):
        spaces.grid(spaces.read_space(["a=int(1,1000)", "b=int(1,1000)"]))


def test_a_file_holds_a_space(tmp_path: Path) -> None:
    file = tmp_path / "space.toml"
    file.write_text("[space]\nlr = 'log(1e-4,1e-1)'\nkind = ['a', 'b']\n")
    assert set(spaces.read_file(file)) == {"lr", "kind"}
    file.write_text("lr = log(1)")
    with pytest.raises(BadInputError, match="TOML"):
        spaces.read_file(file)
    with pytest.raises(BadInputError, match="cannot be read"):
        spaces.read_file(tmp_path / "none.toml")
