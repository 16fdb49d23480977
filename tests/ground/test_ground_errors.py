"""Every error carries what a person, a program and a shell need of it."""

from __future__ import annotations

import re

import pytest

from mainspring.ground import errors
from mainspring.ground.errors import BadInputError, MainspringError, NotFoundError, OverloadedError

ALL = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, MainspringError)]


@pytest.mark.parametrize("kind", ALL)
def test_the_picture_of_the_tree_shows_every_error_under_its_parent(kind) -> None:
    picture = errors.__doc__ or ""
    line = next(x for x in picture.splitlines() if re.search(rf"\b{kind.__name__}\b", x))
    shown = re.search(r"\b(\d{3})\b", line)
    if shown:
        assert int(shown[1]) == kind.status
    depth = line.index(kind.__name__)
    if kind is not MainspringError:
        above = picture.splitlines()[: picture.splitlines().index(line)]
        parent = next(
            x for x in reversed(above) if (m := re.search(r"\w+Error", x)) and m.start() < depth
        )
        assert kind.__bases__[0].__name__ in parent


def test_codes_differ_and_names_end_in_error() -> None:
    assert len({kind.code for kind in ALL}) == len(ALL)
    assert all(kind.__name__.endswith("Error") and kind.__doc__ for kind in ALL)


def test_what_was_written_wrong_is_exit_2_and_the_rest_exit_1() -> None:
    for kind in ALL:
        assert kind.exit_code == (2 if issubclass(kind, BadInputError | NotFoundError) else 1)


def test_an_error_says_what_and_what_to_do() -> None:
    error = BadInputError("Wanted a number, found 'x'.", field="port", hint="Give --port 8750.")
    assert str(error) == "Wanted a number, found 'x'. Give --port 8750."
    assert error.as_dict() == {
        "error": "BAD_INPUT",
        "message": "Wanted a number, found 'x'.",
        "field": "port",
        "hint": "Give --port 8750.",
    }
    assert MainspringError("x").as_dict() == {"error": "ERROR", "message": "x"}
    assert OverloadedError("full", retry_after_s=7).retry_after_s == 7
