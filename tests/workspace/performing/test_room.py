"""Steps that ask for cpus never have more of them at once than there are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.pipelines import outputs
from mainspring.pipelines.graph import Node
from mainspring.pipelines.options import Options, Resources, settle
from mainspring.workspace import engines, running
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.performing import room

PROJECT = """
import os, time

import mainspring as ms


@ms.step(resources={"cpus": 2, "memory": "2GB"})
def two(number: int) -> list:
    began = time.monotonic()
    time.sleep(0.3)
    return [began, time.monotonic(), os.environ["OMP_NUM_THREADS"]]


@ms.step(resources={"cpus": 1})
def one(number: int) -> list:
    began = time.monotonic()
    time.sleep(0.3)
    return [began, time.monotonic(), os.environ["POLARS_MAX_THREADS"]]


@ms.step(resources={"cpus": 3})
def much():
    pass


@ms.step
def gathered(spans: list) -> list:
    return spans


@ms.pipeline
def mixed():
    return gathered([two(1), one(1), one(2), two(2)])


@ms.pipeline
def too_much():
    much()
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    folder = tmp_path_factory.mktemp("room")
    (folder / "project.py").write_text(PROJECT)
    settings = Settings(root=str(folder), home=str(folder / "home"), cpus=2, workers=4)
    found = open_workspace(settings)
    yield found
    found.close()


def test_what_steps_ask_for_together_never_exceeds_what_there_is(
    home: Workspace, tmp_path: Path
) -> None:
    run = running.start_run(home, "mixed")
    assert engines.drive(home, run).status is RunStatus.FINISHED
    _, steps = home.read(Permission.READ, lambda tx: running.state(tx, run))
    last = steps[-1]
    spans = outputs.decode(last.output or "", last.output_type or "", home.objects, tmp_path)
    asked = [(2, *spans[0]), (1, *spans[1]), (1, *spans[2]), (2, *spans[3])]
    for _, began, _, _ in asked:
        at_once = sum(cpus for cpus, start, end, _ in asked if start <= began < end)
        assert at_once <= 2
    assert [threads for *_, threads in asked] == ["2", "1", "1", "2"]


def test_a_step_that_wants_more_than_there_is_is_refused_at_the_start(home: Workspace) -> None:
    with pytest.raises(BadInputError, match="Step much wants 3 cpus, and there are 2") as told:
        running.start_run(home, "too_much")
    assert told.value.field == "resources"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"workers": 3, "resources": {"cpus": 1}}, r"wants 3 cpus \(3 workers of 1 each\)"),
        ({"resources": {"memory": "400TB"}}, "wants 400 TB of memory, and there is"),
        ({"resources": {"gpus": 2}}, "wants 2 gpus, and there is none"),
    ],
)
def test_what_is_not_there_is_named(
    options: dict[str, object], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    node = Node(name="train", target="project:train", args={}, options=settle(options))
    with pytest.raises(BadInputError, match=told):
        room.check_all(Settings(root="/", home="/", cpus=2), [node])


def test_gpus_are_given_by_their_names_to_one_at_a_time(
    home: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    options = settle({"resources": {"gpus": 1}})
    with (
        room.taken(home, options, lambda: False) as first,
        room.taken(home, options, lambda: False) as second,
        room.taken(home, options, lambda: True) as third,
    ):
        assert first is not None
        assert second is not None
        assert first[0]["CUDA_VISIBLE_DEVICES"] == "4"
        assert second[0]["CUDA_VISIBLE_DEVICES"] == "7"
        assert third is None, "it was cancelled while it waited"


def test_the_machine_is_asked_where_nothing_is_said() -> None:
    assert 1 <= room.cpus(Settings(root="/", home="/")) <= (os.cpu_count() or 1)
    assert (room.memory() or 0) > 10**8


def test_options_say_what_a_step_asks_for() -> None:
    given = settle({"resources": {"cpus": 2, "memory": "1.5 GB", "gpus": 0}, "workers": 2})
    assert given.resources == Resources(cpus=2, memory=1_500_000_000)
    back = msgspec.json.decode(msgspec.json.encode(given), type=Options)
    assert back == given


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"workers": 0}, "workers must be a whole number from 1"),
        ({"workers": True}, "workers must be"),
        ({"resources": {"cpus": 1.5}}, "cpus.* must be a whole number"),
        ({"resources": {"memory": "much"}}, "a size such as"),
        ({"resources": {"ram": "1GB"}}, "has no 'ram'"),
        ({"resources": 2}, "a dict such as"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(given: dict[str, object], told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        settle(given)
