"""Each finder sees the debt in a world that has it, and nothing in its twin that has not."""

from __future__ import annotations

import msgspec
import pytest

from mainspring.debt import facts as f
from mainspring.debt.ablation import Ablation, Cost, FeatureGain, GroupGain
from mainspring.debt.findings import KINDS
from mainspring.debt.scan import FINDERS, find
from mainspring.ground.records import DAY_S

NOW = 1.8e9


def gain(name: str, worth: str, low: float, high: float) -> FeatureGain:
    return FeatureGain(
        name=name, gain=(low + high) / 2, low=low, high=high, share=None, worth=worth, cost=Cost()
    )


GOOD = gain("a", "useful", 0.1, 0.2)
PAIR = GroupGain(
    names=["a", "b"], why="correlated", gain=0.2, low=0.1, high=0.3, keep="a",
    rest_gain=0.0, rest_low=-0.01, rest_high=0.001,
)  # fmt: skip


def measured(*features: FeatureGain, groups: tuple[GroupGain, ...] = ()) -> Ablation:
    return Ablation(
        version="m/1", rows=900, blocks=50, margin=0.01, features=list(features),
        groups=list(groups),
    )  # fmt: skip


def version(**more: object) -> f.VersionFacts:
    given = {"model": "m", "number": 1, "aliases": ["champion"], "owner": "ops", **more}
    return msgspec.convert(given, f.VersionFacts)


def world(**more: object) -> f.World:
    return f.World(now=NOW, **more)  # type: ignore[arg-type]


def source(**more: object) -> f.SourceFacts:
    return f.SourceFacts(root="p", **more)  # type: ignore[arg-type]


def endpoint(*consumers: f.ConsumerFacts, **caller: object) -> f.World:
    seen = msgspec.convert({"requests": 3, "first": 1.0, "last": 2.0, **caller}, f.Caller)
    one = f.EndpointFacts(name="e", model="m", callers=[seen], consumers=list(consumers))
    return world(endpoints=[one])


def loop(name: str, **policy: str) -> f.LoopFacts:
    return f.LoopFacts(
        name=name, model=name, pipeline="p:t", endpoint=name, kind="binary",
        policy={"retraining.cooldown_s": "1", "gate.at_least.auc": name, **policy},
    )  # fmt: skip


BRANCH = {"function": "t", "param": "mode", "test": "mode == 'new'", "op": "==", "value": "new",
          "file": "p.py", "line": 3, "lines": 4, "otherwise": 0}  # fmt: skip
SPOT = {"name": "x", "file": "p.py", "line": 3, "lines": 1}
HABIT = {"rule": "chance", "file": "p.py", "line": 1, "message": "m", "hint": "h"}


def params(values: list[object], runs: int = 20) -> f.ParamFacts:
    return f.ParamFacts(pipeline="p:t", function="t", param="mode", runs=runs, values=values)


def pipeline(**more: object) -> f.PipelineFacts:
    return msgspec.convert(
        {"name": "p:t", "steps": 3, "edges": 2, "depth": 3, **more}, f.PipelineFacts
    )


def threshold(days: float, reviewed: float | None = None) -> f.World:
    since = NOW - days * DAY_S
    return world(thresholds=[f.Threshold(subject="loop:m", what="gate.at_least.auc", value=0.7,
                                         since=since, reviewed=reviewed)])  # fmt: skip


def alias(name: str, number: int, days: float) -> f.World:
    return world(aliases=[f.AliasFacts(model="m", alias=name, number=number, newest=9,
                                       moved=NOW - days * DAY_S, champion=7)])  # fmt: skip


def assumption(review: float) -> f.World:
    return world(
        versions=[version(assumptions=[{"text": "Euro", "owner": "o", "review": review}])]
    )


def uses(*pairs: str, sure: bool = True) -> f.World:
    several = [pair.split("<") for pair in pairs]
    return world(upstream=[f.Upstream(model=down, reads=up, how="dataset", what="It reads.",
                                      sure=sure) for down, up in several])  # fmt: skip


def read(**more: object) -> f.World:
    given = {"name": "d", "reader": "pipeline:p:t", "runs": 3, "contents": 1, **more}
    return world(inputs=[msgspec.convert(given, f.InputFacts)])


#: kind -> (a world that has the debt, its twin that has not)
TWINS: dict[str, tuple[f.World, f.World]] = {
    "useless_feature": (
        world(versions=[version(ablation=measured(GOOD, gain("n", "useless", -0.01, 0.001)))]),
        world(versions=[version(ablation=measured(GOOD))]),
    ),
    "epsilon_feature": (
        world(versions=[version(ablation=measured(GOOD, gain("n", "epsilon", 0.001, 0.002)))]),
        world(versions=[version(ablation=measured(GOOD, gain("n", "useful", 0.001, 0.2)))]),
    ),
    "correlated_features": (
        world(versions=[version(ablation=measured(GOOD, groups=(PAIR,)))]),
        world(versions=[version(ablation=measured(
            GOOD, groups=(msgspec.structs.replace(PAIR, rest_low=0.01, rest_high=0.1),)
        ))]),
    ),
    "undeclared_consumer": (
        endpoint(agent="curl"),
        endpoint(f.ConsumerFacts(name="bill", owner="o"), client="bill"),
    ),
    "unpinned_input": (read(contents=2), read()),
    "floating_dependency": (world(sources=[source(floating=[SPOT])]), world(sources=[source()])),
    "correction_cascade": (uses("a<b"), uses("a<a")),
    "pipeline_jungle": (world(pipelines=[pipeline(depth=13)]), world(pipelines=[pipeline()])),
    "unused_output": (
        world(pipelines=[pipeline(unused_outputs=["s"])]),
        world(pipelines=[pipeline()]),
    ),
    "duplicate_step": (
        world(pipelines=[pipeline(duplicates=[["s", "s_2"]])]),
        world(pipelines=[pipeline()]),
    ),
    "unused_step": (
        world(sources=[source(unused=[{**SPOT, "kind": "step"}])]), world(sources=[source()]),
    ),
    "unused_param": (
        world(sources=[source(unused=[{**SPOT, "kind": "param"}])]), world(sources=[source()]),
    ),
    "unused_config": (
        world(sources=[source(unused=[{**SPOT, "kind": "key"}])]), world(sources=[source()]),
    ),
    "dead_branch": (
        world(sources=[source(branches=[BRANCH])], params=[params(["old", "older"])]),
        world(sources=[source(branches=[BRANCH])], params=[params(["old", "new"])]),
    ),
    "fixed_param": (world(params=[params(["old"])]), world(params=[params(["old"], runs=19)])),
    "step_habit": (world(sources=[source(habits=[HABIT])]), world(sources=[source()])),
    "stale_threshold": (threshold(181), threshold(181, reviewed=NOW - DAY_S)),
    "stale_alias": (alias("staging", 3, 181), alias("staging", 8, 181)),
    "stale_assumption": (assumption(NOW - 1), assumption(NOW + 1)),
    "prototype": (world(versions=[version(dirty=True)]), world(versions=[version(dirty=False)])),
    "direct_feedback": (
        world(versions=[version(shaped=0.6)]), world(versions=[version(shaped=0.4)]),
    ),
    "no_owner": (world(versions=[version(owner=" ")]), world(versions=[version()])),
    "config_drift": (
        world(loops=[loop("a"), loop("b"), loop("c", **{"retraining.cooldown_s": "2"})]),
        world(loops=[loop("a"), loop("b"), loop("c")]),
    ),
    "untested_step": (
        world(sources=[source(steps=[SPOT])]), world(sources=[source(steps=[SPOT], tested=["x"])]),
    ),
    "deprecated_input": (
        world(deprecated=[f.Deprecated(subject="dataset:d", until=NOW + DAY_S, reason="r",
                                       dependents=["model:m"])]),
        world(deprecated=[f.Deprecated(subject="dataset:d", until=NOW + DAY_S, reason="r")]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_kind_is_found_in_its_world_and_not_in_its_twin(kind):
    bad, good = TWINS[kind]
    found = find(bad)
    assert [one.kind for one in found] == [kind]
    assert find(good) == []
    one = found[0]
    assert all((one.subject, one.where, one.found, one.cost, one.todo))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_an_id_is_the_same_in_the_next_scan_whatever_the_figures(kind):
    bad, _ = TWINS[kind]
    later = msgspec.structs.replace(bad, now=NOW + DAY_S / 2)
    assert [one.id for one in find(later)] == [one.id for one in find(bad)]


def test_an_empty_world_owes_nothing():
    assert find(world()) == []
    assert all(list(finder(world())) == [] for finder in FINDERS)


def test_an_id_stays_when_a_line_moves_and_when_a_version_follows():
    at_3, at_9 = ({**SPOT, "kind": "step", "line": line} for line in (3, 9))
    [one] = find(world(sources=[source(unused=[at_3])]))
    [other] = find(world(sources=[source(unused=[at_9])]))
    assert one.id == other.id
    assert one.where != other.where
    [first] = find(world(versions=[version(owner=None)]))
    [second] = find(world(versions=[version(owner=None, number=2)]))
    assert first.id == second.id


def test_of_correlated_features_the_one_to_keep_is_no_useless_one():
    found = find(world(versions=[version(ablation=measured(
        gain("a", "unproven", -0.1, 0.1), gain("b", "useless", -0.1, 0.0), groups=(PAIR,)
    ))]))  # fmt: skip
    assert [one.kind for one in found] == ["correlated_features"]
    assert "Keep a" in found[0].todo
    assert "leave out b" in found[0].todo


def test_a_longer_chain_is_graver_and_a_name_alone_is_a_hint():
    assert [one.severity for one in find(uses("a<b", "b<c"))] == ["high", "medium"]
    assert [one.severity for one in find(uses("a<b", sure=False))] == ["low"]
    assert find(uses("a<b", "b<a"))[0].evidence["depth"] == 1  # in a circle, and it ends


def test_a_caller_without_a_key_is_the_gravest():
    [one] = find(endpoint(agent="curl"))
    assert (one.severity, one.where) == ("high", "caller no key, curl")
    [one] = find(endpoint(token="ci"))
    assert one.severity == "medium"
    known = f.ConsumerFacts(name="billing", owner="o", tokens=["ci"])
    assert find(endpoint(known, token="ci")) == []
    assert [one.kind for one in find(endpoint(known, client="other"))] == ["undeclared_consumer"]


@pytest.mark.parametrize(
    ("op", "value", "seen", "dead"),
    [
        ("truth", None, [False], True),
        ("truth", None, [False, True], False),
        ("not", None, [1], True),
        ("!=", "new", ["new"], True),
        ("in", ["a", "b"], ["c"], True),
        ("in", ["a", "b"], ["c", "a"], False),
        ("not in", ["a"], ["a"], True),
        ("in", "abc", [3], False),  # cannot be told
    ],
)
def test_a_branch_is_dead_if_no_value_that_was_seen_takes_it(op, value, seen, dead):
    branch = {**BRANCH, "op": op, "value": value}
    found = find(world(sources=[source(branches=[branch])], params=[params([*seen, *seen])]))
    assert ("dead_branch" in {one.kind for one in found}) is dead


def test_an_else_is_dead_where_the_test_always_holds():
    branch = {**BRANCH, "otherwise": 2}
    [one] = [
        found
        for found in find(world(sources=[source(branches=[branch])], params=[params(["new"])]))
        if found.kind == "dead_branch"
    ]
    assert "else of if mode == 'new'" in one.found


def test_of_two_siblings_one_is_told_and_own_thresholds_are_no_drift():
    [one] = find(world(loops=[loop("a"), loop("b", **{"retraining.cooldown_s": "2"})]))
    assert (one.subject, list(one.evidence["differs"])) == ("loop:b", ["retraining.cooldown_s"])
    other = msgspec.structs.replace(loop("b", x="1"), kind="regression")
    assert find(world(loops=[loop("a"), other])) == []


def test_a_placeholder_owns_nothing_and_a_refused_version_needs_no_owner():
    [one] = find(world(versions=[version(owner="you")]))
    assert one.severity == "low"
    assert find(world(versions=[version(owner=None, aliases=[])])) == []


def test_a_notebook_in_production_is_a_prototype():
    [one] = find(world(versions=[version(source="notebook train.ipynb", run="run_1")]))
    assert one.kind == "prototype"
    assert one.opens == ["run:run_1"]


def test_measured_tests_count_for_more_than_names():
    covered = source(steps=[SPOT], tested=["x"], covered={"x": 0.0})
    assert [one.kind for one in find(world(sources=[covered]))] == ["untested_step"]
    assert find(world(sources=[source(steps=[SPOT], covered={"x": 0.5})])) == []
