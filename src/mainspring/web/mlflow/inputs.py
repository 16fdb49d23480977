"""What runs read and made: datasets and logged models, as MLflow sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainspring.experiments import datasets, groups, logged
from mainspring.experiments.datasets import Dataset, Use
from mainspring.experiments.logged import Link, Role
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.web.mlflow.messages import Fields, missing, trimmed
from mainspring.web.mlflow.shown import CONTEXT_TAG, run_id, writable
from mainspring.workspace.opening import Workspace

_MOST = 1000  #: datasets or models of one request
_MOST_SHOWN = 500  #: datasets of several experiments
_MOST_EXPERIMENTS = 20
_MOST_DIGEST = 36


def log_inputs(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Note which datasets and models a run read."""
    run = run_id(asked)
    uses = [_use(one, place) for place, one in enumerate(_bounded(asked, "datasets"))]
    links = [Link(model=_model(one), role=Role.INPUT, step=0) for one in _bounded(asked, "models")]

    def work(tx: Tx) -> None:
        writable(tx, run)
        datasets.log(tx, run, _once(uses), ws.clock.now())
        _link(tx, run, links)

    ws.write(Permission.LOG, work)
    return {}


def log_outputs(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Note which models a run made."""
    run = run_id(asked)
    models = _bounded(asked, "models")
    if not models:
        raise missing("models")
    links = [
        Link(model=_model(one), role=Role.OUTPUT, step=one.whole("step", 0)) for one in models
    ]

    def work(tx: Tx) -> None:
        writable(tx, run)
        _link(tx, run, links)

    ws.write(Permission.LOG, work)
    return {}


def search(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return which datasets the runs of some experiments read."""
    numbers = set(asked.texts("experiment_ids"))
    if not numbers:
        raise BadInputError(
            "SearchDatasets request must specify at least one experiment_id.",
            field="experiment_ids",
        )
    if len(numbers) > _MOST_EXPERIMENTS:
        raise BadInputError(
            f"SearchDatasets request cannot specify more than {_MOST_EXPERIMENTS} experiment_ids."
            f" Received {len(numbers)} experiment_ids.",
            field="experiment_ids",
        )

    def work(tx: Tx) -> dict[str, Any]:
        keys = {one.key: one.id for one in groups.listed(tx) if str(one.id) in numbers}
        found = datasets.of_experiments(tx, list(keys), _MOST_SHOWN)
        summaries = [
            trimmed(
                {
                    "experiment_id": str(keys[one.experiment]),
                    "name": one.name,
                    "digest": one.digest,
                    "context": one.context or None,
                }
            )
            for one in found
        ]
        return {"dataset_summaries": summaries} if summaries else {}

    return ws.read(Permission.READ, work)


# ---------------------------------------------------------------- parts


def _use(asked: Fields, place: int) -> Use:
    told = asked.message("dataset")
    if told is None:
        raise missing(f"datasets[{place}].dataset")
    tags = {one.text("key"): one.text_or("value") for one in asked.several("tags")}
    digest = told.text("digest")
    if len(digest) > _MOST_DIGEST:
        raise BadInputError(
            f"'digest' exceeds the maximum length of {_MOST_DIGEST} characters", field="digest"
        )
    dataset = Dataset(
        name=told.text("name"),
        digest=digest,
        source_type=told.text_or("source_type"),
        source=told.text_or("source"),
        schema=told.text_or("schema") or None,
        profile=told.text_or("profile") or None,
    )
    return Use(dataset=datasets.check(dataset), context=tags.pop(CONTEXT_TAG, ""), tags=tags)


def _once(uses: Sequence[Use]) -> list[Use]:
    """Return the first use of each name, digest and context: the rest say it again."""
    first: dict[tuple[str, str, str], Use] = {}
    for one in uses:
        first.setdefault((one.dataset.name, one.dataset.digest, one.context), one)
    return list(first.values())


def _link(tx: Tx, run: str, links: Sequence[Link]) -> None:
    there = {one.id for one in logged.several(tx, [one.model for one in links])}
    for one in links:
        if one.model not in there:
            raise NotFoundError(f"Logged model with ID '{one.model[:80]}' not found.")
    logged.link(tx, run, links)


def _model(asked: Fields) -> str:
    return asked.text("model_id")


def _bounded(asked: Fields, name: str) -> list[Fields]:
    found = asked.several(name)
    if len(found) > _MOST:
        raise BadInputError(f"At most {_MOST} {name} are taken, found {len(found)}.", field=name)
    return found
