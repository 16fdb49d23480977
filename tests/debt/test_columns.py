"""The policy of columns: read strictly, and held against a model's columns."""

from __future__ import annotations

import pytest

from mainspring.debt.columns import breaches, read
from mainspring.ground.errors import BadInputError

TEXT = """
forbidden = ["ssn"]
feature_us = 50.0

[columns.carrier]
owner = "data team"
source = "timetable"

[columns.zip]
owner = "data team"
source = "forms"
proxy_of = "ethnicity"

[columns.old]
owner = "data team"
source = "timetable"
deprecated = "carrier"

[columns.half]
owner = "data team"
"""


def test_what_breaks_the_policy_is_told_column_by_column() -> None:
    policy = read(TEXT)
    assert policy.feature_us == 50.0
    assert breaches(policy, ["carrier"]) == []
    assert breaches(policy, ["ssn", "zip", "old", "half", "new"]) == [
        "ssn is forbidden.",
        "zip gives away ethnicity.",
        "old is deprecated: use carrier.",
        "half has no owner or source.",
        "new has no owner and source.",
    ]


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ("forbiden = []", "forbiden", "forbiden"),
        ("[columns.a]\nowned = 'x'", "columns.a.owned", "columns.a.owned"),
        ("forbidden = 'ssn'", "forbidden", "Expected `array`"),
        ("columns = 3", "columns", "must be tables"),
        ("feature_us = -1", "feature_us", "more than 0, found -1"),
        ("forbidden = [", "columns.toml", "not valid TOML"),
    ],
)
def test_a_typo_is_an_error_that_names_it(text: str, field: str, words: str) -> None:
    with pytest.raises(BadInputError, match=words) as caught:
        read(text)
    assert caught.value.field == field


def test_the_nearest_name_is_offered() -> None:
    with pytest.raises(BadInputError) as caught:
        read("forbiden = []")
    assert caught.value.hint == "Did you mean 'forbidden'?"
