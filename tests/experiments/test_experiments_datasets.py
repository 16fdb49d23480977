"""Datasets that runs read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.experiments import datasets, finding, runs
from mainspring.experiments.datasets import Dataset, Use
from mainspring.experiments.finding import Condition
from mainspring.ground.errors import BadInputError, TooLargeError
from mainspring.ground.identity import new_id
from mainspring.ground.objects import Run, RunStatus

texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=40)


def start(tx: Any, experiment: str = "flights") -> str:
    one = Run(
        id=new_id("run"),
        experiment=experiment,
        name="one",
        status=RunStatus.RUNNING,
        started=1.0,
    )
    return runs.create(tx, one).id


def data(name: str = "flights", **more: Any) -> Dataset:
    return Dataset(**{"name": name, "digest": "1", "source_type": "local", "source": "x", **more})


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(texts, texts, texts, st.dictionaries(texts, texts, max_size=3))
def test_a_use_comes_back_as_it_was(
    tx: Any, source: str, profile: str, context: str, tags: dict[str, str]
) -> None:
    run = start(tx)
    use = Use(dataset=data(source=source, profile=profile), context=context, tags=tags)
    datasets.log(tx, run, [use], 2.0)
    assert datasets.of_runs(tx, [run]) == {run: [use]}


def test_what_is_said_twice_is_kept_once_and_of_each_context(tx: Any) -> None:
    run, other = start(tx), start(tx)
    for context in ("training", "training", "test"):
        datasets.log(tx, run, [Use(dataset=data(), context=context)], 2.0)
    datasets.log(tx, other, [Use(dataset=data(source="elsewhere"))], 2.0)
    found = datasets.of_runs(tx, [run, other])
    assert [one.context for one in found[run]] == ["training", "test"]
    assert [one.dataset.source for one in found[other]] == ["elsewhere"]
    known = datasets.of_experiments(tx, ["flights", "nothing"])
    assert [(one.name, one.context) for one in known] == [
        ("flights", ""),
        ("flights", "test"),
        ("flights", "training"),
    ]


@pytest.mark.parametrize("name", ["name", "digest"])
def test_a_dataset_needs_a_name_and_a_digest(tx: Any, name: str) -> None:
    with pytest.raises(BadInputError, match=name):
        datasets.check(data(**{name: ""}))


@pytest.mark.parametrize(
    ("field", "most"), [("name", 500), ("digest", 64), ("source", 65_535), ("schema", 1_048_575)]
)
def test_what_is_too_long_is_refused(field: str, most: int) -> None:
    datasets.check(data(**{field: "x" * most}))
    with pytest.raises(TooLargeError, match=field):
        datasets.check(data(**{field: "x" * (most + 1)}))


def test_runs_are_found_by_what_they_read(tx: Any) -> None:
    one, two = start(tx), start(tx)
    datasets.log(tx, one, [Use(dataset=data("a"), context="training")], 2.0)
    datasets.log(tx, two, [Use(dataset=data("b"))], 2.0)

    def found(key: str, op: str, value: Any) -> set[str]:
        return set(finding.find(tx, conditions=[Condition("dataset", key, op, value)]))

    assert found("name", "=", "a") == {one}
    assert found("name", "in", ["a", "b"]) == {one, two}
    assert found("context", "like", "Train%") == set()
    assert found("context", "ilike", "Train%") == {one}
    with pytest.raises(BadInputError, match="rows"):
        found("rows", "=", "1")


def test_what_arrived_is_what_nobody_of_ours_has_read_and_each_version_once(tx: Any) -> None:
    mine, theirs, late = start(tx), start(tx), start(tx)
    runs.set_tags(tx, mine, {"loop": "tide"})
    assert runs.newest_tagged(tx, "loop", "tide") == 1.0
    assert runs.newest_tagged(tx, "loop", "sea") is None

    def log(run: str, digest: str, at: float, **more: Any) -> None:
        datasets.log(tx, run, [Use(dataset=data(digest=digest, **more))], at)

    log(theirs, "old", 2.0)
    log(mine, "read", 6.0)
    log(theirs, "read", 7.0)
    log(theirs, "new", 8.0)
    log(late, "new", 9.0, source="elsewhere")
    log(late, "newer", 9.5)
    log(late, "other", 9.5, name="weather")
    log(late, "old", 9.8, source="elsewhere")
    found = datasets.arrived(tx, "flights", 5.0, ("loop", "tide"))
    assert [digest for digest, _ in found] == ["new", "newer"]
    assert found[0][1] in (theirs, late)
    assert [d for d, _ in datasets.arrived(tx, "flights", 5.0)] == ["read", "new", "newer"]
    assert datasets.arrived(tx, "flights", 9.9) == []
    runs.hide(tx, late, 10.0)
    assert [d for d, _ in datasets.arrived(tx, "flights", 8.5)] == []
