"""Runs, datasets, steps and versions as the store keeps them, written down in a line."""

from __future__ import annotations

from homes import NOW

from mainspring.experiments import datasets, runs
from mainspring.experiments.datasets import Dataset, Use
from mainspring.ground.objects import Column, Run, RunStatus, Signature, Version
from mainspring.ground.ports import Tx
from mainspring.pipelines.tables import steps
from mainspring.readiness import registry


def run(tx: Tx, name: str, pipeline: str | None = None, **tags: str) -> str:
    runs.create(
        tx,
        Run(id=name, experiment="e", name=name, status=RunStatus.FINISHED, started=NOW,
            pipeline=pipeline, tags={k.replace("__", "."): v for k, v in tags.items()}),
    )  # fmt: skip
    return name


def version(tx: Tx, model: str, run_id: str | None, *columns: str, logged: str | None = None):
    named = [Column(name=one, type="float") for one in columns or ("x",)]
    return registry.register(
        tx,
        Version(
            model=model, number=0, run=run_id, package="ab" * 32, card=None, metrics={},
            signature=Signature(columns=named, kind="binary", target="y"), created=NOW, by="t",
            logged=logged, command=f"{model}-{run_id}",
        ),
    )  # fmt: skip


def reads(tx: Tx, run_id: str, name: str, source: str = "{}", digest: str = "d1", **more) -> None:
    one = Dataset(name=name, digest=digest, source_type="local", source=source, **more)
    datasets.log(tx, run_id, [Use(dataset=one, context="training")], NOW)


def step(tx: Tx, run_id: str, name: str, pipeline: str, **more) -> None:
    row = {"run": run_id, "step": name, "position": 0, "pipeline": pipeline, "target": "p:s",
           "args": "{}", "options": "{}", "needs": "[]", "code": "c", "code_parts": "{}",
           "env": "e", "fresh": False, "state": "done", "inputs": "{}", **more}  # fmt: skip
    tx.run(steps.insert().values(**row))
