"""References read plainly, and everything else is refused with a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.errors import BadInputError
from mainspring.readiness.references import Reference, parse


def test_a_reference_is_read_by_number_and_by_alias():
    assert parse("churn/7") == Reference(model="churn", number=7)
    assert parse("churn@champion") == Reference(model="churn", alias="champion")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "churn",
        "churn/",
        "churn/0",
        "churn/-1",
        "churn/1.0",
        "churn/x",
        "/7",
        "@champion",
        "churn@",
        "a/b/7",
        "churn/99999999999999",
        "churn/\u0667",
        "../x/7",
        "churn@a/b",
        "a@b@c",
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(BadInputError):
        parse(text)


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,20}", fullmatch=True), st.integers(1, 10**6))
def test_a_reference_prints_as_it_is_read(model, number):
    for text in (f"{model}/{number}", f"{model}@champion"):
        assert str(parse(text)) == text


@given(st.text(max_size=40))
def test_no_text_does_worse_than_being_refused(text):
    try:
        found = parse(text)
    except BadInputError:
        return
    assert found.model
