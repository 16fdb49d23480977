"""Find logged models by what they are and what was measured of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from mainspring.experiments import groups, logged
from mainspring.experiments.logged import LoggedModel, Measured
from mainspring.ground.errors import BadInputError
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.web.mlflow.experiments import id_of
from mainspring.web.mlflow.filters import Term, parse
from mainspring.web.mlflow.logged import SHOWN, message
from mainspring.web.mlflow.messages import Fields, milliseconds, missing, page_of
from mainspring.workspace.opening import Workspace

_MOST_ORDERS = 20
_MOST_DATASETS = 100
_ATTRIBUTES: dict[str, Callable[[LoggedModel], str | int | None]] = {
    "name": lambda one: one.name,
    "model_id": lambda one: one.id,
    "model_type": lambda one: one.type,
    "status": lambda one: SHOWN[one.status].removeprefix("LOGGED_MODEL_"),
    "source_run_id": lambda one: one.run,
    "experiment_id": lambda one: str(one.experiment),
    "status_message": lambda one: one.message,
    **dict.fromkeys(
        ("creation_time", "creation_timestamp", "creation_timestamp_ms"),
        lambda one: milliseconds(one.created),
    ),
    **dict.fromkeys(
        ("last_updated_timestamp", "last_updated_timestamp_ms"),
        lambda one: milliseconds(one.changed),
    ),
}

Data = tuple[str, str]  #: a dataset's name and digest; an empty digest is any
Key = Callable[[LoggedModel], Any]


def search(ws: Workspace, asked: Fields) -> dict[str, Any]:
    """Return logged models, the newest first unless another order is asked for."""
    limit, offset = asked.limit(100, 50_000), asked.offset()
    if not asked.given("experiment_ids"):
        raise missing("experiment_ids")
    numbers = [id_of(text) for text in asked.texts("experiment_ids")]
    terms = parse(asked.text_or("filter"))
    data = _datasets(asked)
    orders = [_order(one) for one in asked.several("order_by")[:_MOST_ORDERS]]

    def work(tx: Tx) -> dict[str, Any]:
        there = {one.id for one in groups.listed(tx)}
        wanted = [number for number in numbers if number in there]
        several = logged.listed(
            tx, wanted, run=_same(terms, "source_run_id"), name=_same(terms, "name")
        )
        several = [one for one in several if _meets(one, terms, data)]
        for key, ascending in reversed(orders):
            several = _sorted(several, key, ascending=ascending)
        page = [message(one) for one in several[offset : offset + limit + 1]]
        return page_of("models", page, offset, limit)

    return ws.read(Permission.READ, work)


def _same(terms: Sequence[Term], key: str) -> str | None:
    """Return what an attribute must equal, so that the database can look for it."""
    for term in terms:
        if (term.entity, term.key, term.op) == ("attribute", key, "="):
            return term.value if isinstance(term.value, str) else None
    return None


def _meets(one: LoggedModel, terms: Sequence[Term], data: Sequence[Data]) -> bool:
    of_metrics = [term for term in terms if term.entity == "metric"]
    if data and not of_metrics and not any(_on(each, data) for each in one.metrics):
        return False
    return all(_holds(one, term, data) for term in terms)


def _holds(one: LoggedModel, term: Term, data: Sequence[Data]) -> bool:
    if term.entity == "metric":
        return any(
            term.holds(each.value)
            for each in one.metrics
            if each.key == term.key and (not data or _on(each, data))
        )
    if term.entity in ("param", "tag"):
        return term.holds((one.params if term.entity == "param" else one.tags).get(term.key))
    if term.entity != "attribute" or term.key not in _ATTRIBUTES:
        raise BadInputError(
            f"Invalid attribute key '{term.key[:80]}' specified. Valid keys are"
            f" {sorted(_ATTRIBUTES)}",
            field="filter",
        )
    return term.holds(_ATTRIBUTES[term.key](one))


def _on(one: Measured, data: Sequence[Data]) -> bool:
    return any(
        one.dataset_name == name and digest in ("", one.dataset_digest) for name, digest in data
    )


def _datasets(asked: Fields) -> list[Data]:
    several = asked.several("datasets")
    if len(several) > _MOST_DATASETS:
        raise BadInputError(f"At most {_MOST_DATASETS} datasets are taken.", field="datasets")
    found = [(one.text_or("dataset_name"), one.text_or("dataset_digest")) for one in several]
    if any(not name for name, _ in found):
        raise BadInputError(
            "`dataset_name` in the `datasets` clause must be specified.", field="datasets"
        )
    return found


def _order(asked: Fields) -> tuple[Key, bool]:
    name, ascending = (
        asked.text("field_name"),
        not asked.given("ascending") or asked.flag("ascending"),
    )
    entity, dot, key = name.partition(".")
    if not dot:
        if name not in _ATTRIBUTES:
            raise BadInputError(f"Invalid order by field name: {name[:80]}", field="order_by")
        return _ATTRIBUTES[name], ascending
    if entity != "metrics":
        raise BadInputError(
            f"Invalid order by field name: {name[:80]}. Only metrics are supported.",
            field="order_by",
        )
    on = asked.text_or("dataset_name"), asked.text_or("dataset_digest")
    return lambda one: _newest(one, key, [on] if on[0] else []), ascending


def _newest(one: LoggedModel, key: str, data: Sequence[Data]) -> float | None:
    points = [each for each in one.metrics if each.key == key and (not data or _on(each, data))]
    if not points:
        return None
    value = max(points, key=lambda each: (each.time, each.step)).value
    return None if math.isnan(value) else value


def _sorted(several: Sequence[LoggedModel], key: Key, *, ascending: bool) -> list[LoggedModel]:
    """Return models by a key, those without it last, ties as they were."""
    keyed = [(key(one), one) for one in several]
    there = [pair for pair in keyed if pair[0] is not None]
    # sorted() keeps ties in order even backwards.
    there = sorted(there, key=lambda pair: pair[0], reverse=not ascending)
    return [one for _, one in there] + [one for value, one in keyed if value is None]
