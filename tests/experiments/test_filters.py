"""The filter language: what it reads, what it writes, and where it says it cannot read on."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.experiments.exact import exact_text
from mainspring.experiments.expressions import (
    LISTS,
    NANS,
    NULLS,
    NUMERIC,
    OF_DATASETS,
    TEXTS,
    And,
    Condition,
    Expression,
    Not,
    Or,
    Order,
    column,
    why_not,
    written,
)
from mainspring.experiments.expressions import NUMBERS as TIMES
from mainspring.experiments.filters import parse, parse_columns, parse_orders
from mainspring.ground.errors import BadInputError, TooLargeError
from mainspring.ground.objects import RunStatus

plain_text = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20
)
keys = st.one_of(st.sampled_from(["auc", "val/loss", "a.b", "f1@5"]), plain_text.filter(bool))
numbers = st.floats(allow_nan=False)
fields = st.one_of(
    st.tuples(st.sampled_from(["metric", "param", "tag"]), keys),
    st.tuples(st.just("dataset"), st.sampled_from(OF_DATASETS)),
    st.tuples(st.just("run"), st.sampled_from([*TEXTS, *TIMES])),
)
values = st.one_of(
    st.none(),
    numbers,
    plain_text,
    st.sampled_from([str(one) for one in RunStatus]),
    st.lists(numbers, min_size=1, max_size=3),
    st.lists(plain_text, min_size=1, max_size=3),
)
operators = st.sampled_from(
    [*NUMERIC, "like", "not like", "ilike", "not ilike", *LISTS, *NULLS, *NANS]
)


def makes_sense(one: Condition) -> bool:
    if why_not(one) is not None or (one.op in NULLS + NANS and one.value is not None):
        return False
    is_status = (one.kind, one.key) == ("run", "status") and "like" not in one.op
    named = one.value if isinstance(one.value, list) else [one.value]
    return not is_status or one.value is None or all(value in list(RunStatus) for value in named)


conditions = st.builds(lambda f, op, value: Condition(*f, op, value), fields, operators, values)
expressions: st.SearchStrategy[Expression] = st.recursive(
    conditions.filter(makes_sense),
    lambda inner: st.one_of(
        st.builds(lambda parts: And(tuple(parts)), st.lists(inner, min_size=2, max_size=3)),
        st.builds(lambda parts: Or(tuple(parts)), st.lists(inner, min_size=2, max_size=3)),
        st.builds(Not, inner),
    ),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(expressions)
def test_what_is_written_reads_as_the_same_tree(expression: Expression) -> None:
    assert parse(written(expression)) == expression


@given(st.lists(st.builds(lambda f, up: Order(*f, up), fields, st.booleans()), max_size=3))
def test_orders_and_columns_are_read_as_they_are_written(orders: list[Order]) -> None:
    orders = [one for one in orders if one.kind != "dataset"]
    text = ", ".join(f"{'' if o.ascending else '-'}{column(o.kind, o.key)}" for o in orders)
    assert parse_orders(text) == orders
    named = ",".join(column(o.kind, o.key) for o in orders)
    assert parse_columns(named) == list(dict.fromkeys((o.kind, o.key) for o in orders))


@given(
    st.one_of(
        st.text(max_size=60),
        st.text("metricsauc.><=!()'\"`0123456789 andornot-,%\\n", max_size=60),
        st.lists(
            st.sampled_from(
                [
                    "metrics.auc",
                    "params.`a b`",
                    "started",
                    "'-7d'",
                    "0.5",
                    "'x'",
                    "and",
                    "or",
                    "not",
                    "(",
                    ")",
                    "in",
                    "is",
                    "null",
                    "nan",
                    "like",
                    ">",
                    "=",
                    ",",
                    "'2026-11-01'",
                ]
            ),
            max_size=12,
        ).map(" ".join),
    )
)
def test_any_text_is_read_or_refused_by_its_place(text: str) -> None:
    found: Expression | None = None
    refused: BadInputError | None = None
    try:
        found = parse(text, now=1e9)
    except BadInputError as error:
        refused = error
    if refused is None:
        assert found is not None
        assert parse(written(found)) == found
    else:
        assert refused.field == "filter"
        assert "at character" in refused.message or "kept exactly" in refused.message


@pytest.mark.parametrize(
    ("text", "at", "told", "hint"),
    [
        ("auc > 0.9", 1, "expected an attribute", "metrics.auc"),
        ("startd > 4", 1, "found startd", "started"),
        ("parms.C = 1", 1, "before the dot", "params"),
        ("datasets.nam = 'x'", 1, "name, digest, context", None),
        ("metrics. > 4", 10, "a key of 1 to 250 characters", None),
        ("metrics.auc gt 0.9", 13, "expected one of = !=", "Did you mean >?"),
        ("metrics.auc > '0.9'", 15, "is a number", None),
        ("metrics.auc >", 14, "found the end", None),
        ("metrics.auc > 1 && x", 17, "found &", "and, or, not"),
        ("metrics.auc > 1 adn metrics.b > 2", 17, "found adn", "and"),
        ("(metrics.auc > 1", 17, "or )", None),
        ("metrics.auc > 5x", 15, "cannot read '5x'", "A number looks like"),
        ("metrics.auc in (1, '2')", 16, "one kind of values", None),
        ("metrics.auc in ()", 17, "a number or a text", None),
        ("metrics.auc like 'x'", 18, "is a number", None),
        ("metrics.auc > 1e400", 15, "beyond every number", "inf"),
        ("params.seed = 9007199254740993", 15, "none has its value", "'9007199254740993'"),
        (f"metrics.auc > {'0' * 5000}1", 15, "400 characters", None),
        ("metrics.auc = nan", 15, "a number or a text", None),
        ("metrics.auc not > 1", 17, "in, like or ilike", None),
        ("metrics.auc is not", 19, "null or nan", None),
        ("params.C is nan", 1, "only a metric can be NaN", None),
        ("params.C = abc", 12, "found abc", "'abc'"),
        ("params.C = 'abc", 12, "opened and not closed", "twice"),
        ("params.C < 'b'", 12, "not compared by <", None),
        ("name = 5", 8, "text in quotes", None),
        ("name like '%%%%%%%%%'", 11, "8 of %", None),
        ("status = 'finishd'", 10, "one of running", "finished"),
        ("started > 'yesterday'", 11, "is no time", "'-7d'"),
        ("started > '-7x'", 11, "is no time", None),
        ("duration > 'long'", 12, "number and a unit", None),
        ("started like '2026%'", 14, "is no time", None),
        ("not", 4, "found the end", None),
        ("-started > 1", 1, "a name such as", "minus"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(
    text: str, at: int, told: str, hint: str | None
) -> None:
    with pytest.raises(BadInputError) as caught:
        parse(text, now=1e9)
    assert f"at character {at}:" in caught.value.message
    assert told in caught.value.message
    assert hint is None or hint in (caught.value.hint or "")
    assert caught.value.field == "filter"


def test_depth_and_size_are_bounded() -> None:
    parse("(" * 50 + "id = 'x'" + ")" * 50)
    for deep in ("(" * 51 + "id = 'x'" + ")" * 51, "not " * 60 + "id = 'x'", "(" * 9000):
        with pytest.raises(BadInputError, match="50 parentheses"):
            parse(deep)
    parse(" and ".join(["id = 'x'"] * 200))
    with pytest.raises(BadInputError, match="200 conditions"):
        parse(" or ".join(["id = 'x'"] * 201))
    with pytest.raises(TooLargeError, match="20,000"):
        parse("x" * 20_001)
    with pytest.raises(BadInputError, match="1000 values"):
        parse(f"id in ({', '.join(['1'] * 1001)})".replace("1,", "'1',").replace("1)", "'1')"))
    with pytest.raises(BadInputError, match="200 columns"):
        parse_columns(",".join(f"params.p{n}" for n in range(201)))
    with pytest.raises(BadInputError, match="200 orders"):
        parse_orders(",".join(["id"] * 201))


def test_a_time_ago_needs_to_know_what_time_it_is() -> None:
    assert parse("started > '-1h'", now=7200.0) == Condition("run", "started", ">", 3600.0)
    with pytest.raises(BadInputError, match="what time it is"):
        parse("started > '-1h'")


@pytest.mark.parametrize("text", ["name = '\0'", "name = '\ud800'"])
def test_text_that_no_run_can_have_is_refused(text: str) -> None:
    with pytest.raises(BadInputError):
        exact_text(text, "filter")
    with pytest.raises(BadInputError):
        parse(text)


@pytest.mark.parametrize(
    "text", ["-auc", "metrics.auc up", "datasets.name", "metrics.auc,,id", "'x'"]
)
def test_an_order_that_is_none_names_its_place(text: str) -> None:
    with pytest.raises(BadInputError, match="at character") as caught:
        parse_orders(text)
    assert caught.value.field == "order"
