"""Params and filters read an event, and nothing in it is ever carried out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.errors import BadInputError
from mainspring.workspace.events import templates

EVENT = {"ref": "refs/heads/main", "rows": 90, "ok": True, "deep": {"list": [1, {"x": None}]}}


def test_a_param_that_is_one_name_keeps_the_values_type() -> None:
    params = {"a": "{event.rows}", "b": "{event.deep.list.1.x}", "c": "{event.ok}", "d": 3}
    assert templates.filled(params, EVENT) == {"a": 90, "b": None, "c": True, "d": 3}


def test_names_within_a_text_become_text() -> None:
    told = templates.filled({"a": "{event.ref}@{event.rows}!", "b": "{other} {event}"}, EVENT)
    assert told == {"a": "refs/heads/main@90!", "b": "{other} {event}"}


@pytest.mark.parametrize(
    "text", ["{event.none}", "{event.ref.x}", "{event.deep.list.7}", "x {event.__class__}"]
)
def test_what_the_event_does_not_say_is_named(text: str) -> None:
    with pytest.raises(BadInputError, match="The event has no") as caught:
        templates.filled({"a": text}, EVENT)
    assert caught.value.field == "a"


@given(st.text())
def test_what_an_event_says_is_never_read_again(text: str) -> None:
    assert templates.filled({"a": "<{event.x}>"}, {"x": text})["a"] == f"<{text}>"


@pytest.mark.parametrize(
    ("filter_", "holds"),
    [
        ("ref = refs/heads/main", True),
        ("event.ref = 'refs/heads/main'", True),
        ("ref != refs/heads/main", False),
        ("ref like refs/heads/*", True),
        ("rows >= 90", True),
        ("rows > 90", False),
        ("rows < 1e3", True),
        ("ok = true", True),
        ("deep.list.1.x = null", True),
        ("none = 3", False),
        ("none != 3", True),
    ],
)
def test_a_filter_holds_or_says_why_not(filter_: str, holds: bool) -> None:
    why = templates.why_not([filter_], EVENT)
    assert (why == "") is holds
    assert holds or filter_ in why


@pytest.mark.parametrize("wrong", ["", "ref", "= 3", "__import__('os')"])
def test_what_is_no_filter_is_refused(wrong: str) -> None:
    with pytest.raises(BadInputError) as caught:
        templates.check([wrong])
    assert caught.value.field == "filter"


def test_what_follows_a_comparison_is_a_text_and_no_more() -> None:
    assert templates.why_not(["ref = refs/heads/main and rows = 90"], EVENT) != ""
