"""Repeats: every seed once, whatever dies on the way, and what they say together."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import mainspring as ms
from mainspring.experiments import artifacts, families, runs
from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.objects import RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import load
from mainspring.numerics.intervals import mean_interval
from mainspring.workspace import opening
from mainspring.workspace.opening import Workspace, open_workspace

sys.path.insert(0, str(Path(__file__).parent))

from trying import LEASE_S, LIGHT, Watched, begun, every_run, kill

from waiting import alive, until


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    found = Watched(tmp_path / "project")
    monkeypatch.chdir(found.folder)
    monkeypatch.setenv("MAINSPRING_LEASE_S", str(LEASE_S))
    monkeypatch.setattr(opening, "PRELOAD", LIGHT)
    return found


@pytest.fixture
def ws(watched: Watched) -> Iterator[Workspace]:
    found = open_workspace(load())
    yield found
    found.close()


def children(ws: Workspace, run: str) -> list[families.Member]:
    return ws.read(Permission.READ, lambda tx: families.members(tx, run))


def test_every_seed_is_a_run_of_its_own_and_the_parent_sums_them_up(
    watched: Watched, ws: Workspace
) -> None:
    found = ms.repeat("project:noisy", seeds=4, params={"trees": "40"})
    assert sorted(watched.calls()) == [f"seed-{n}" for n in range(4)]
    mine = children(ws, found.id)
    assert [one.run.params for one in mine] == [{"seed": str(n), "trees": "40"} for n in range(4)]
    values = [one.run.metrics["auc"] for one in mine]
    band = mean_interval(values)
    spread = found.metrics["auc"]
    assert spread.values == values
    assert (spread.mean, spread.low, spread.high) == pytest.approx(
        (band.estimate, band.low, band.high)
    )
    whole = ws.read(Permission.READ, lambda tx: runs.get(tx, found.id))
    assert whole.status is RunStatus.FINISHED
    assert whole.metrics["auc"] == pytest.approx(np.mean(values))
    assert whole.metrics["auc/sd"] == pytest.approx(np.std(values, ddof=1))
    assert "auc" in repr(found)
    log = ws.read(
        Permission.READ, lambda tx: artifacts.get(tx, mine[2].run.id, "mainspring/log.txt")
    )
    assert b"seed 2" in ws.objects.get(log.digest)


def test_the_same_seed_draws_the_same_numbers(watched: Watched) -> None:
    first, again = (
        ms.repeat("project:noisy", seeds=[7, 8]),
        ms.repeat("project:noisy", seeds=[8, 7]),
    )
    assert first.metrics["draw"].values == again.metrics["draw"].values[::-1]
    assert first.metrics["auc"].values == again.metrics["auc"].values[::-1]
    assert len(set(first.metrics["draw"].values)) == 2


def test_a_killed_repeat_goes_on_and_does_no_seed_again(watched: Watched, ws: Workspace) -> None:
    with watched.command("repeat", "project:held", "--seeds", "5", "--parallel", "1") as process:
        until(lambda: "seed-2" in watched.calls())
        kill(process)
    until(lambda: not any(alive(pid) for pid in watched.pids()))
    parent = begun(ws)
    watched.let_go()
    found = ms.repeat(resume=parent)
    assert found.progress.done == 5
    calls = watched.calls()
    assert sorted(calls) == sorted([*(f"seed-{n}" for n in range(5)), "seed-2"])
    assert [m.run.metrics["auc"] for m in children(ws, parent)] == [
        0.5 + n / 100 for n in range(5)
    ]
    # The one that died is kept, and said to have died.
    every = every_run(ws)
    died = [run for run in every if run.status is RunStatus.CRASHED]
    assert [run.tags[families.NUMBER] for run in died] == ["2"]


def test_a_killed_child_is_done_again(watched: Watched) -> None:
    import os
    import signal

    with watched.command("repeat", "project:held", "--seeds", "3", "--json") as process:
        until(lambda: "seed-2" in watched.calls())
        os.kill(watched.pids()[watched.calls().index("seed-2")], signal.SIGKILL)
        until(lambda: watched.calls().count("seed-2") == 2)
        watched.let_go()
        assert process.wait(60) == 0
    assert watched.calls().count("seed-0") == 1


def test_seeds_that_fail_are_told_and_too_many_in_a_row_end_it(
    watched: Watched, ws: Workspace
) -> None:
    found = ms.repeat("project:broken", seeds=4, parallel=1)
    assert (found.status, found.progress.done, found.progress.failed) == ("failed", 2, 2)
    assert "seed 3 is odd" in found.progress.error
    assert found.metrics["value"].n == 2
    trace = children(ws, found.id)[1].run.id
    kept = ws.read(Permission.READ, lambda tx: artifacts.get(tx, trace, "mainspring/trace.txt"))
    assert b'raise ValueError(f"seed {seed} is odd")' in ws.objects.get(kept.digest)

    found = ms.repeat("project:broken", seeds=[1, 3, 5, 7, 9, 11], parallel=1, failures=2)
    assert (found.status, found.progress.failed) == ("failed", 2)
    assert "2 in a row failed" in found.progress.run.tags[families.OVER]


def test_a_pipeline_is_repeated_too(watched: Watched, ws: Workspace) -> None:
    found = ms.repeat("project:train", seeds=3, params={"trees": 40})
    assert found.metrics["auc"].values == pytest.approx([0.74, 0.7401, 0.7402])
    own = children(ws, found.id)[1].run
    every = every_run(ws)
    (inner,) = [run for run in every if run.parent == own.id]
    assert (inner.pipeline, inner.params) == ("project:train", {"seed": "1", "trees": "40"})


def test_a_function_that_was_typed_in_is_repeated_in_this_process(watched: Watched) -> None:
    seen = []

    def inner(seed: int, base: float = 0.0) -> float:
        seen.append(seed)
        return base + seed

    found = ms.repeat(inner, seeds=3, params={"base": 10})
    assert seen == [0, 1, 2]
    assert found.metrics["value"].mean == 11.0
    with pytest.raises(BadInputError, match="no other process"):
        ms.repeat(inner, seeds=3, parallel=2)
    with pytest.raises(ConflictError, match="has finished"):
        ms.repeat(inner, resume=found.id)


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ({"seeds": 0}, "seeds"),
        ({"seeds": [1, 1]}, "seeds"),
        ({"seeds": [-1]}, "seeds"),
        ({"seeds": [2**64]}, "seeds"),
        ({"seeds": "ten"}, "seeds"),
        ({"params": {"trees": "many"}}, "trees"),
        ({"params": {"bushes": 1}}, "bushes"),
        ({"parallel": 0}, "parallel"),
        ({"failures": 0}, "failures"),
    ],
)
def test_bad_input_is_refused_by_its_name(watched: Watched, words: dict, field: str) -> None:
    with pytest.raises(BadInputError) as caught:
        ms.repeat("project:noisy", **words)
    assert caught.value.field == field


def test_what_is_not_there_cannot_be_repeated(watched: Watched) -> None:
    with pytest.raises(BadInputError, match="has no 'nothing'"):
        ms.repeat("project:nothing")
    with pytest.raises(BadInputError, match="function"):
        ms.repeat()
    with pytest.raises(NotFoundError):
        ms.repeat(resume="run_none")


def test_one_repeat_beats_another_seed_by_seed(watched: Watched) -> None:
    small = ms.repeat("project:noisy", seeds=6, params={"trees": 10})
    large = ms.repeat("project:noisy", seeds=6, params={"trees": 60})
    found = ms.versus(large, small, "auc", better="higher")
    assert (found.verdict, found.paired, found.n_a) == ("A", True, 6)
    assert found.difference == pytest.approx(0.05)
    assert found.exact_p == 2 / 2**6
    assert f"{large.id} beats {small.id}" in found.words
    assert ms.versus(large.id, small.id, "auc", better="lower").verdict == "B"
    with pytest.raises(BadInputError, match=r"higher .* or a lower"):
        ms.versus(large, small, "auc")
    with pytest.raises(BadInputError, match="has a metric"):
        ms.versus(large, small, "acc", better="higher")


def test_a_verdict_says_what_so_few_could_show() -> None:
    rng = np.random.default_rng(3)
    found = ms.versus(list(rng.normal(size=4)), list(rng.normal(size=4)), "loss", better="lower")
    assert found.verdict == "unsure"
    assert not found.paired
    assert "cannot be said" in found.words
    assert found.needed is not None
    assert found.needed > 4
    assert found.detectable > abs(found.difference)
    few = ms.versus({0: 1.0, 1: 1.1, 2: 1.05}, {0: 0.5, 1: 0.61, 2: 0.56}, "auc", better="higher")
    assert few.verdict == "A"
    assert "the exact test of signs needs 6" in few.words
    with pytest.raises(BadInputError, match="at least 2"):
        ms.versus([1.0], [2.0, 3.0], "auc", better="higher")


def test_a_repeat_that_would_not_go_to_the_server_of_other_runs_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAINSPRING_URL", "http://127.0.0.1:9")
    with pytest.raises(BadInputError, match="works in a home") as refused:
        ms.repeat("train:train", seeds=2)
    assert refused.value.field == "url"
    assert not (tmp_path / ".mainspring").exists()
