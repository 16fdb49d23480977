"""What a person owes a card is named; an assumption is trusted until its day is over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.cards import REQUIRED, check, check_fields, missing, overdue
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Assumption, Card

FULL = Card(purpose="p", owner="o", limitations="l")


def _with(*several: Assumption) -> Card:
    return Card(purpose="p", owner="o", limitations="l", assumptions=list(several))


def test_required_are_the_fields_that_only_a_person_knows():
    assert REQUIRED == ("purpose", "owner", "limitations")
    assert missing(None) == ["purpose", "owner", "limitations"]
    assert missing(FULL) == []
    assert missing(FULL, ["ethics", "risk", "assumptions"]) == ["ethics", "risk", "assumptions"]


@given(st.sampled_from(REQUIRED), st.sampled_from(["", " ", "\n\t "]))
def test_white_space_says_nothing(field, blank):
    said = {"purpose": "p", "owner": "o", "limitations": "l", field: blank}
    assert missing(Card(**said)) == [field]


def test_an_assumption_is_trusted_to_the_end_of_its_day():
    one = Assumption(text="Fares are in euro.", owner="ops", review_by="1970-01-02")
    assert overdue(_with(one), 2 * 86_400 - 1.0) == []
    assert overdue(_with(one), 2 * 86_400.0) == [one]
    assert overdue(None, 1e9) == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"text": " ", "owner": "ops", "review_by": "2027-01-01"}, "assumptions[0]"),
        ({"text": "It holds.", "owner": "", "review_by": "2027-01-01"}, "assumptions[0]"),
        ({"text": "It holds.", "owner": "ops", "review_by": "soon"}, "assumptions[0].review_by"),
        ({"text": "a", "owner": "b", "review_by": "2027-02-30"}, "assumptions[0].review_by"),
    ],
)
def test_an_assumption_without_words_owner_or_day_is_refused(given, field):
    with pytest.raises(BadInputError) as told:
        check(_with(Assumption(**given)))
    assert told.value.field == field


def test_a_gate_requires_no_field_that_a_machine_fills_or_that_is_none():
    assert check_fields(("ethics",)) == ["ethics"]
    for name in ("metrics", "data", "etics"):
        with pytest.raises(BadInputError, match="cannot require"):
            check_fields([name])
