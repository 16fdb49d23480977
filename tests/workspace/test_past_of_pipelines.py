"""Runs and steps of pipelines are told over the last runs, the same in both databases."""

from __future__ import annotations

from sqlalchemy import update

from mainspring.experiments import by_pipeline, runs
from mainspring.experiments import tables as experiments
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.pipelines import history
from mainspring.pipelines import runs as pipelines
from mainspring.pipelines import tables as steps
from mainspring.pipelines.graph import Graph, Node

ENGINE = service("engine")
#: Run -> step -> its state, and how many seconds it took.
PAST = {
    "a": {"load": ("done", 4.0), "score[0]": ("done", 1.0), "score[1]": ("done", 3.0)},
    "b": {"load": ("reused", 0.0), "score[0]": ("done", 5.0), "score[1]": ("failed", 2.0)},
    "c": {"load": ("reused", 0.0), "score[0]": ("skipped", None), "score[1]": ("waiting", None)},
}


def furnish(tx: Tx) -> None:
    for at, (name, found) in enumerate(PAST.items()):
        runs.create(tx, Run(id=name, experiment="e", name=name, status=RunStatus.FINISHED,
                            started=float(at), pipeline="p:train"))  # fmt: skip
        nodes = [Node(name=step, target="p:f", args={}) for step in found]
        graph = Graph(pipeline="p:train", params={}, nodes=nodes, result=None)
        pipelines.plan(tx, name, graph, {"p:f": ["d", {}]}, "env")
        for step, (state, took) in found.items():
            mine = (steps.steps.c.run == name) & (steps.steps.c.step == step)
            when = {} if took is None else {"started": 10.0, "ended": 10.0 + took}
            tx.run(update(steps.steps).where(mine).values(state=state, **when))
    runs.create(tx, Run(id="d", experiment="e", name="d", status=RunStatus.RUNNING, started=9.0,
                        pipeline="p:other"))  # fmt: skip
    runs.create(tx, Run(id="e", experiment="e", name="e", status=RunStatus.RUNNING, started=99.0))


def test_pipelines_their_runs_and_their_steps_are_told(open_test_store) -> None:
    store = open_test_store([experiments.METADATA, steps.METADATA])
    store.write(ENGINE, Permission.WORK, furnish)
    store.write(ENGINE, Permission.WORK, lambda tx: runs.hide(tx, "b", 50.0))

    def look(tx: Tx) -> None:
        ran = [(one.pipeline, one.runs, one.newest) for one in by_pipeline.every(tx, 10)]
        assert ran == [("p:other", 1, 9.0), ("p:train", 3, 2.0)]
        assert [one.run for one in by_pipeline.newest(tx, "p:train", 10)] == ["c", "a"]
        assert by_pipeline.newest(tx, "p:none", 10) == []
        found, whole = history.of_runs(tx, ["a", "b", "c"])
        assert whole
        told = {one.step: one for one in found}
        assert list(told) == ["load", "score[…]"]
        load, score = told["load"], told["score[…]"]
        assert (load.seen, load.reused, load.median_s, load.last_s) == (3, 2, 4.0, 4.0)
        assert load.share_reused == 2 / 3
        assert (score.seen, score.failed, score.skipped, score.share_reused) == (5, 1, 1, 0.0)
        assert (score.median_s, score.last_s) == (2.5, 2.0)  # of 1, 3, 5 and 2; the newest
        assert history.counts(tx, ["b", "none"]) == {
            "b": {"reused": 1, "done": 1, "failed": 1},
            "none": {},
        }

    store.read(ENGINE, Permission.READ, look)
