from __future__ import annotations

import copy
import math
from typing import Any, Literal, Optional

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.errors import BadInputError, NotExactError, ProjectError
from mainspring.pipelines import graph, runs
from mainspring.pipelines.declare import TRACER, Pipeline, Ref, pipeline, step
from mainspring.pipelines.graph import Graph
from mainspring.pipelines.keys import key, parts_of
from mainspring.pipelines.literals import check_literal
from mainspring.pipelines.parameters import parameters_of, resolve
from mainspring.pipelines.shaping import when
from mainspring.pipelines.tracing import trace


@step
def load(rows: int = 3) -> list[int]:
    return list(range(rows))


@step(retries=2, backoff_s=0.5, timeout_s=60, cache=False)
def train(rows: list[int], trees: int = 10, /, *, rate: float = 0.1) -> float:
    return len(rows) * trees * rate


@step
def join(*parts: Any, **named: Any) -> Any:
    return parts, named


@pipeline
def main(rows: int = 3, trees: int = 10) -> float:
    """Train on rows."""
    return train(load(rows), trees)


def test_steps_and_pipelines_are_plain_functions_when_called() -> None:
    assert load(2) == [0, 1]
    assert train([1, 2], 10, rate=0.5) == 10.0
    assert main(rows=4, trees=5) == 4 * 5 * 0.1
    assert TRACER.get() is None
    assert (load.__name__, main.__doc__, main.module) == ("load", "Train on rows.", __name__)


def test_a_trace_is_a_graph_of_names_targets_and_arguments() -> None:
    found = trace(main, {"trees": "20"})
    assert found.pipeline == f"{__name__}:main"
    assert found.params == {"rows": 3, "trees": 20}
    assert found.needs == {"load": [], "train": ["load"]}
    assert found.result == "train"
    assert found.nodes[1].target == f"{__name__}:train"
    assert found.nodes[1].args == {
        "rows": {"ref": "load"},
        "trees": {"value": 20},
        "rate": {"value": 0.1},
    }
    assert found.nodes[1].options.retries == 2
    assert TRACER.get() is None


def test_a_graph_survives_json() -> None:
    found = trace(main)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Graph) == found


def test_a_step_called_again_gets_the_next_name_always_the_same() -> None:
    def body() -> Any:
        return join(*[load(n) for n in range(3)], extra=[load(9), (1, {"a": load(8)})])

    found = trace(as_pipeline(body))
    loads = ["load", "load_2", "load_3", "load_4", "load_5"]
    assert [node.name for node in found.nodes] == [*loads, "join"]
    assert found.nodes[-1].needs == loads
    assert found == trace(as_pipeline(body))
    assert found.after("load_2") == ["load_2", "join"]
    with pytest.raises(ProjectError, match="Known are: load, load_2"):
        found.after("nothing")


def test_a_pipeline_within_a_pipeline_is_wired_into_it() -> None:
    found = trace(as_pipeline(lambda: join(main(), main(4))))
    assert [node.name for node in found.nodes] == ["load", "train", "load_2", "train_2", "join"]


def as_pipeline(body: Any) -> Pipeline[..., Any]:
    made = Pipeline(body)
    body.__qualname__ = "body"
    return made


@pytest.mark.parametrize(
    "use",
    [
        lambda ref: ref + 1,
        lambda ref: 1 - ref,
        lambda ref: -ref,
        lambda ref: ref == 1,
        lambda ref: ref < 1,
        lambda ref: list(ref),
        lambda ref: [*ref],
        lambda ref: 1 if ref else 0,
        lambda ref: not ref,
        lambda ref: len(ref),
        lambda ref: ref[-1],
        lambda ref: ref["\ud800"],
        lambda ref: ref[1:],
        lambda ref: ref(),
        lambda ref: ref.height,
        lambda ref: int(ref),
        lambda ref: f"{ref}",
        lambda ref: str(ref),
        lambda ref: 1 in ref,
        lambda ref: ref @ ref,
        lambda ref: range(ref),
    ],
)
def test_a_pipelines_body_that_works_on_what_is_not_there_is_told_so(use: Any) -> None:
    with pytest.raises(ProjectError, match="only wires steps") as caught:
        trace(as_pipeline(lambda: use(load())))
    assert "what load returns" in caught.value.message
    assert TRACER.get() is None


def test_a_part_of_a_result_is_a_node_of_its_own_and_written_once() -> None:
    def body() -> Any:
        first = load()[0]
        when(True, lambda: join(load()[0]), lambda: join(first))
        return join(first)

    found = trace(as_pipeline(body))
    assert [(one.name, one.kind) for one in found.nodes][:2] == [
        ("load", "step"),
        ("load.0", "part"),
    ]
    assert found.node("load.0").settings == {"at": 0}
    other = found.node("when").blocks["otherwise"].nodes
    assert [one.name for one in other] == ["join_2"], "the part that is there already is taken"


def test_a_ref_can_be_held_and_copied() -> None:
    ref = Ref("load")
    assert {ref: 1}[ref] == 1
    assert repr(copy.copy(ref)) == "<what load returns>"
    assert not hasattr(ref, "__array__")


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (math.nan, NotExactError),
        (math.inf, NotExactError),
        (2**63, NotExactError),
        (-(2**63) - 1, NotExactError),
        ("\ud800", NotExactError),
        ("a\x00", NotExactError),
        ({"a": [math.nan]}, NotExactError),
        (object(), ProjectError),
        ({1: 2}, ProjectError),
        ({1, 2}, ProjectError),
        (b"x", ProjectError),
        (load, ProjectError),
        (lambda: 1, ProjectError),
    ],
)
def test_a_literal_that_json_cannot_give_back_is_refused(value: Any, error: type) -> None:
    with pytest.raises(error, match="argument parts of step join"):
        trace(as_pipeline(lambda: join(load(), value)))


def test_a_literal_in_a_circle_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ProjectError, match="nested deeper"):
        trace(as_pipeline(lambda: join(circle)))


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner),
        max_leaves=10,
    )
)
def test_a_literal_comes_back_exactly_through_json(value: Any) -> None:
    assert repr(msgspec.json.decode(msgspec.json.encode(check_literal(value, "x")))) == repr(value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (lambda: 3, "returned a int"),
        (lambda: (load(), load()), "returned a tuple"),
        (lambda: None, "calls no step"),
        (lambda: load(1, 2, 3), "wrong arguments"),
        (lambda: load(nothing=1), "wrong arguments"),
    ],
)
def test_a_body_that_makes_no_graph_is_told_why(body: Any, words: str) -> None:
    with pytest.raises(ProjectError, match=words):
        trace(as_pipeline(body))


def test_a_pipeline_may_return_nothing() -> None:
    assert trace(as_pipeline(lambda: (load(), None)[1])).result is None


def other(name: str) -> Any:
    def function() -> int:
        return 1

    function.__name__ = function.__qualname__ = name
    return step(function)


def test_two_steps_of_one_name_are_refused() -> None:
    twin = other("load")
    twin.function.__module__ = "elsewhere"
    with pytest.raises(ProjectError, match="Two steps are called load"):
        trace(as_pipeline(lambda: (load(), twin())[0]))


def test_a_name_that_is_taken_by_a_repetition_is_passed_over() -> None:
    second = other("load_2")
    found = trace(as_pipeline(lambda: [load(), load(), second(), second()][0]))
    assert [node.name for node in found.nodes] == ["load", "load_2", "load_2_2", "load_2_3"]


def test_a_step_inside_of_a_function_cannot_be_traced_but_runs() -> None:
    @step
    def inner() -> int:
        return 1

    assert inner() == 1
    with pytest.raises(ProjectError, match="inside of a function"):
        trace(as_pipeline(lambda: inner()))


async def later() -> None: ...


def many() -> Any:
    yield 1


@pytest.mark.parametrize(
    "wrong", [lambda: 1, later, many, print, dict, 3, load, main, "load", staticmethod(many)]
)
def test_only_plain_named_functions_become_steps(wrong: Any) -> None:
    with pytest.raises(ProjectError):
        step(wrong)
    with pytest.raises(ProjectError):
        pipeline(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"retries": -1},
        {"retries": 1.5},
        {"retries": True},
        {"backoff_s": -0.1},
        {"backoff_s": math.nan},
        {"timeout_s": 0},
        {"timeout_s": "60"},
        {"cache": "7 days"},
        {"cache": "0s"},
        {"cache": -1},
        {"cache": "1000000w"},
        {"cache": float("nan")},
        {"cache": None},
        {"cache": ["7d"]},
    ],
)
def test_options_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInputError) as caught:
        step(**wrong)
    assert caught.value.field in wrong


def test_a_pipeline_names_each_parameter() -> None:
    with pytest.raises(ProjectError, match="any number of arguments"):

        @pipeline
        def wrong(*rows: int) -> None: ...


@pipeline
def typed(
    count: int,
    rate: float = 0.1,
    deep: bool = False,
    name: str = "x",
    limit: int | None = None,
    either: Optional[float] = None,  # noqa: UP045  users write it so
    kind: Literal["fast", "exact", 3] = "fast",
    layers: list[int] = [],  # noqa: B006
    more: dict[str, float] = {},  # noqa: B006
    free: Any = None,
    bare=5,  # type: ignore[no-untyped-def]  # noqa: ANN001, RUF100
    mixed: int | str = "a",
) -> None: ...


@pytest.mark.parametrize(
    ("name", "given_", "wanted"),
    [
        ("count", "7", 7),
        ("count", 2**63 - 1, 2**63 - 1),
        ("rate", "1e-3", 0.001),
        ("rate", 2, 2.0),
        ("deep", "TRUE", True),
        ("deep", "off", False),
        ("name", "5", "5"),
        ("limit", "none", None),
        ("limit", None, None),
        ("limit", "3", 3),
        ("either", "3", 3.0),
        ("kind", "exact", "exact"),
        ("kind", "3", 3),
        ("layers", "[1, 2]", [1, 2]),
        ("layers", ["3"], [3]),
        ("more", '{"a": 1}', {"a": 1.0}),
        ("free", {"a": [1]}, {"a": [1]}),
        ("bare", "6", 6),
        ("mixed", "12", 12),
        ("mixed", "b", "b"),
    ],
)
def test_params_are_read_as_their_annotation(name: str, given_: Any, wanted: Any) -> None:
    found = resolve(typed, {"count": 1, name: given_})[name]
    assert (type(found), found) == (type(wanted), wanted)


@pytest.mark.parametrize(
    ("name", "given_", "words"),
    [
        ("count", "seven", "Parameter count of pipeline typed must be int, found 'seven'"),
        ("count", 1.0, "must be int, found 1.0"),
        ("count", True, "must be int, found True"),
        ("count", None, "must be int, found None"),
        ("count", 2**63, "64 bits"),
        ("count", "9" * 30, "64 bits"),
        ("rate", "nan", "nan"),
        ("rate", "1e999", "too large"),
        ("rate", 2**53 + 1, "no float"),
        ("rate", True, "must be float"),
        ("deep", 1, "must be bool"),
        ("deep", "maybe", "must be bool"),
        ("name", 5, "must be str"),
        ("name", "\ud800", "surrogate"),
        ("limit", "x", "must be int or None"),
        ("kind", "slow", "must be 'fast' or 'exact' or 3"),
        ("layers", "1, 2", "not JSON"),
        ("layers", ["x"], "must be list"),
        ("more", [1], "must be dict"),
        ("free", object(), "must be None, a bool"),
        ("nothing", 1, "has no parameter 'nothing'. Known are: count, rate"),
    ],
)
def test_a_param_of_another_type_is_refused_by_name(name: str, given_: Any, words: str) -> None:
    with pytest.raises(BadInputError) as caught:
        resolve(typed, {"count": 1, name: given_})
    assert words in str(caught.value)
    assert caught.value.field == name


def test_a_missing_param_is_named() -> None:
    with pytest.raises(BadInputError, match=r"needs the parameter count \(int\)"):
        resolve(typed, {})


def test_parameters_are_listed_as_people_read_them() -> None:
    listed = {one.name: (one.type, one.required, one.default) for one in parameters_of(typed)}
    assert listed["count"] == ("int", True, None)
    assert listed["limit"] == ("int or None", False, None)
    assert listed["layers"] == ("list[int]", False, [])


# ------------------------------------------------- laws of keys

names = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6, unique=True)
texts = st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=5), max_size=6)


@given(texts, st.randoms())
def test_a_key_does_not_depend_on_the_order_of_parts(parts: dict[str, str], random: Any) -> None:
    shuffled = list(parts.items())
    random.shuffle(shuffled)
    assert key(dict(shuffled)) == key(parts)


@given(texts, texts)
def test_different_parts_have_different_keys(left: dict[str, str], right: dict[str, str]) -> None:
    assert (key(left) == key(right)) == (left == right)


trees = st.recursive(
    st.integers(0, 3).map(lambda n: {"value": n})
    | st.sampled_from(["a", "b"]).map(lambda name: {"ref": name}),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: {"list": parts})
        | st.lists(inner, max_size=3).map(lambda parts: {"tuple": parts})
        | st.dictionaries(st.sampled_from(["0", "x"]), inner).map(lambda parts: {"dict": parts})
    ),
    max_leaves=6,
)


@given(trees, trees)
def test_arguments_of_another_shape_have_another_key(left: Any, right: Any) -> None:
    outputs = {"a": "json " + "0" * 64, "b": "json " + "1" * 64}

    def made(tree: Any) -> str:
        return key(parts_of({"x": tree}, outputs, {}, "e"))

    assert (made(left) == made(right)) == (left == right)


LAW = """
    @step
    def node(own, *before):
        return {"own": own, "before": list(before)}

    @pipeline
    def main(shape: list[list[int]] = [], own: list[int] = []):
        made = []
        for number, needs in enumerate(shape):
            made.append(node(own[number], *(made[n] for n in needs)))
        return made[-1]
"""


@st.composite
def shapes(draw: st.DrawFn) -> tuple[list[list[int]], int]:
    size = draw(st.integers(1, 7))
    shape = [
        draw(st.lists(st.integers(0, n - 1), unique=True, max_size=3)) if n else []
        for n in range(size)
    ]
    return shape, draw(st.integers(0, size - 1))


def test_changing_one_param_runs_exactly_the_steps_that_depend_on_it(place: Any) -> None:
    place.write(LAW)

    @given(shapes())
    def law(drawn: tuple[list[list[int]], int]) -> None:
        shape, changed = drawn
        own = list(range(place.count * 100, place.count * 100 + len(shape)))
        place.run(shape=shape, own=own)
        traced = place.trace(shape=shape, own=own)
        own[changed] = -1 - place.count
        place.run(shape=shape, own=own)
        states = {
            one.step: str(one.state) for one in runs.steps_of(place.tx, f"run_{place.count}")
        }
        touched = set(traced.after(traced.nodes[changed].name))
        assert states == {name: "done" if name in touched else "reused" for name in states}

    from hypothesis import settings

    settings(max_examples=20)(law)()


def test_leaves_name_the_path_of_every_part() -> None:
    args = {"x": {"list": [{"value": 1}, {"dict": {"k": {"ref": "a"}}}]}}
    assert dict(graph.leaves(args)) == {
        "x": {"shape": "list of 2"},
        "x[0]": {"value": 1},
        "x[1]": {"shape": "dict of ['k']"},
        "x[1]['k']": {"ref": "a"},
    }
