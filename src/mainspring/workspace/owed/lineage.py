"""Draw who stands on whom: datasets, features, models, loops, endpoints, rules, who calls."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
import polars as pl

from mainspring.debt import consumers
from mainspring.debt.dependents import Edge
from mainspring.debt.facts import Upstream
from mainspring.engine import reactor
from mainspring.experiments import datasets, logged, runs
from mainspring.experiments.logged import Role
from mainspring.ground.errors import MainspringError
from mainspring.ground.objects import Run, Version
from mainspring.ground.ports import Tx
from mainspring.monitoring import rulebook
from mainspring.pipelines import runs as pipelines
from mainspring.readiness import registry
from mainspring.scaling.models import package
from mainspring.scaling.serving import callers, endpoints
from mainspring.workspace.opening import Workspace

_MOST_VERSIONS = 20  #: of a model, the newest: what older ones stood on is history
_TRAFFIC_S = 90 * 86_400.0


class Lineage:
    """All that one look at the store tells of versions, their runs and what those read."""

    def __init__(self, tx: Tx) -> None:
        self.tx = tx
        self.models = [one.name for one in registry.models(tx)]
        self.versions = [
            version
            for model in self.models
            for version in sorted(registry.versions(tx, model), key=lambda one: -one.number)[
                :_MOST_VERSIONS
            ]
        ]
        self.champions = {model: registry.champion(tx, model) for model in self.models}
        wanted = list(dict.fromkeys(one.run for one in self.versions if one.run))
        self.runs: dict[str, Run] = {
            one.id: one
            for start in range(0, len(wanted), 500)
            for one in runs.several(tx, wanted[start : start + 500])
        }
        self.reads = datasets.of_runs(tx, list(self.runs))
        self.endpoints = endpoints.list_endpoints(tx)
        self.loops = reactor.loop_rows(tx)

    def standing(self, model: str) -> Version | None:
        """Return the version that stands for a model: its champion, else its newest."""
        mine = [one for one in self.versions if one.model == model]
        champion = self.champions.get(model)
        named = [one for one in mine if one.number == champion]
        return next(iter(named or mine), None)


# ---------------------------------------------------------------- models on models


def upstream(known: Lineage) -> list[Upstream]:
    """Return which models stand on which others' answers, and how that is known."""
    found = [*_by_logged(known), *_by_steps(known), *_by_datasets(known), *_by_names(known)]
    once = {(one.model, one.reads, one.how): one for one in found if one.model != one.reads}
    return list(once.values())


def _by_logged(known: Lineage) -> Iterator[Upstream]:
    """A run that read a logged model which stands in the registry, or whose maker does."""
    links = logged.of_runs(known.tx, list(known.runs))
    by_logged = {one.logged: one for one in known.versions if one.logged}
    by_run = {one.run: one for one in known.versions if one.run}
    wanted = {
        link.model for several in links.values() for link in several if link.role == Role.INPUT
    }
    makers = {one.id: one.run for one in logged.several(known.tx, sorted(wanted))}
    for version in known.versions:
        for link in links.get(version.run or "", []):
            if link.role != Role.INPUT:
                continue
            above = by_logged.get(link.model) or by_run.get(makers.get(link.model) or "")
            if above is not None:
                yield Upstream(
                    model=version.model,
                    reads=above.model,
                    how="logged model",
                    what=f"The run {version.run} of {version.model}/{version.number} read the"
                    f" model {above.model}/{above.number}.",
                )


#: What a step gives that another model's pipeline takes for its own.
_MADE = ("model", "estimator", "frame", "lazy", "pandas", "arrow", "folder")


def _by_steps(known: Lineage) -> Iterator[Upstream]:
    """A step that took what a step of another model's pipeline gave."""
    made: dict[str, tuple[str, str, str]] = {}
    took: list[tuple[Version, str, str]] = []
    for version in known.versions:
        run = known.runs.get(version.run or "")
        if run is None or run.pipeline is None:
            continue
        for step in pipelines.steps_of(known.tx, run.id):
            if step.output and step.output_type in _MADE:
                made.setdefault(step.output, (version.model, run.pipeline, step.step))
            took += [(version, run.pipeline, digest) for digest in step.inputs.values()]
    for version, pipeline, digest in took:
        above = made.get(digest)
        if above is not None and above[0] != version.model and above[1] != pipeline:
            yield Upstream(
                model=version.model,
                reads=above[0],
                how="step output",
                what=f"{version.model}/{version.number} took what the step {above[2]} of"
                f" {above[0]} gave.",
            )


_MODEL_URI = re.compile(r"(?:models:/|model:)([A-Za-z0-9][A-Za-z0-9_.\-]*)")
_ENDPOINT_URI = re.compile(r"(?:endpoint:|/endpoints/|captures/)([A-Za-z0-9][A-Za-z0-9_.\-]*)")


def _by_datasets(known: Lineage) -> Iterator[Upstream]:
    """A dataset whose source is another model, or the traffic of an endpoint."""
    serves = {one.name: one.model for one in known.endpoints}
    for version in known.versions:
        for use in known.reads.get(version.run or "", []):
            source = use.dataset.source
            names = [name for name in _MODEL_URI.findall(source) if name in known.models]
            names += [serves[one] for one in _ENDPOINT_URI.findall(source) if one in serves]
            for name in names:
                yield Upstream(
                    model=version.model,
                    reads=name,
                    how="dataset",
                    what=f"{version.model}/{version.number} learnt from the dataset"
                    f" {use.dataset.name}, whose source is what {name} answered.",
                )


def _by_names(known: Lineage) -> Iterator[Upstream]:
    """A column that is called as another model's answer."""
    for model in known.models:
        version = known.standing(model)
        if version is None:
            continue
        for column in version.signature.columns:
            plain = re.sub(r"[^a-z0-9]+", "_", column.name.lower())
            for other in known.models:
                name = re.sub(r"[^a-z0-9]+", "_", other.lower())
                words = ("score", "prediction", "predicted", "pred", "proba")
                if other != model and plain in {
                    *(f"{name}_{word}" for word in words), *(f"{word}_{name}" for word in words)
                }:  # fmt: skip
                    yield Upstream(
                        model=model,
                        reads=other,
                        how="column",
                        what=f"By its name the column {column.name} of {model} is what {other}"
                        " answers.",
                        sure=False,
                    )


# ---------------------------------------------------------------- everything on everything


def edges(ws: Workspace, tx: Tx) -> list[Edge]:
    """Return every edge of the graph of dependents that the store and the traffic tell."""
    known = Lineage(tx)
    return [
        *_of_datasets(known),
        *_of_features(known),
        *_of_packages(ws, known),
        *_of_monitors(known),
        *_of_models(known),
        *_of_endpoints(ws, known),
    ]


def _of_datasets(known: Lineage) -> Iterator[Edge]:
    by_model: dict[tuple[str, str], Version] = {}
    for version in known.versions:
        for use in known.reads.get(version.run or "", []):
            by_model.setdefault((use.dataset.name, version.model), version)
            for column in _columns(use.dataset.schema):
                if any(one.name == column for one in version.signature.columns):
                    yield Edge(
                        up=f"dataset:{use.dataset.name}",
                        down=f"feature:{version.model}.{column}",
                        how=f"a column of it is an input of {version.model}/{version.number}",
                        at=version.created,
                    )
    for (name, model), version in by_model.items():
        yield Edge(
            up=f"dataset:{name}",
            down=f"model:{model}",
            how=f"{model}/{version.number} was made by the run {version.run}, which read it",
            at=version.created,
        )


def _columns(schema: str | None) -> list[str]:
    """Return the names of columns that a dataset's schema tells, ours or another client's."""
    try:
        told = msgspec.json.decode(schema or "{}")
    except msgspec.DecodeError:
        return []
    if not isinstance(told, dict):
        return []
    several = told.get("columns") or told.get("mlflow_colspec") or []
    return [
        str(one["name"])
        for one in (several if isinstance(several, list) else ())
        if isinstance(one, dict) and isinstance(one.get("name"), str)
    ]


def _of_features(known: Lineage) -> Iterator[Edge]:
    for model in known.models:
        version = known.standing(model)
        if version is None:
            continue
        for column in version.signature.columns:
            yield Edge(
                up=f"feature:{model}.{column.name}",
                down=f"model:{model}",
                how=f"an input of {model}/{version.number}",
                at=version.created,
            )
    serves = {one.name: one.model for one in known.endpoints}
    for name, rule in rulebook.every(known.tx).items():
        subject = rule.series.partition(":")[2]
        model = serves.get(rule.endpoint, "")
        yield Edge(up=f"endpoint:{rule.endpoint}", down=f"rule:{name}", how="the rule watches it")
        if subject and model:
            yield Edge(
                up=f"feature:{model}.{subject}",
                down=f"rule:{name}",
                how=f"the rule watches {rule.series}",
            )


def _of_packages(ws: Workspace, known: Lineage) -> Iterator[Edge]:
    """What stands inside of a version: features made of raw columns, a contract on columns."""
    for model in known.models:
        version = known.standing(model)
        try:
            digest = "" if version is None else version.package
            made = package.features(digest, ws.objects) if digest else None
            told = package.contract(digest, ws.objects) if digest else None
        except MainspringError:
            continue  # another tool's files, or none: nothing of it is known here
        for name, text in (made or {}).items():
            for column in sorted(set(pl.sql_expr(text).meta.root_names()) - {name}):
                yield Edge(
                    up=f"feature:{model}.{column}",
                    down=f"feature:{model}.{name}",
                    how=f"{name} = {text}",
                )
                yield Edge(
                    up=f"feature:{model}.{name}",
                    down=f"model:{model}",
                    how="a feature that is computed inside of it",
                )
        for column in told.contract.columns if told is not None else ():
            yield Edge(
                up=f"feature:{model}.{column}",
                down=f"contract:{model}",
                how="the contract of the version that stands for the model expects it",
            )


def _of_monitors(known: Lineage) -> Iterator[Edge]:
    for loop in known.loops:
        for facet in loop.spec.monitor.bias:
            yield Edge(
                up=f"feature:{loop.spec.model}.{facet.column}",
                down=f"loop:{loop.name}",
                how="its monitor watches bias by it",
            )


def _of_models(known: Lineage) -> Iterator[Edge]:
    for one in upstream(known):
        yield Edge(
            up=f"model:{one.reads}",
            down=f"model:{one.model}",
            how=one.what if one.sure else f"{one.what} No record says so.",
        )
    for endpoint in known.endpoints:
        yield Edge(
            up=f"model:{endpoint.model}",
            down=f"endpoint:{endpoint.name}",
            how="it serves the model's champion",
            at=endpoint.created,
        )
    for loop in known.loops:
        yield Edge(
            up=f"model:{loop.spec.model}",
            down=f"loop:{loop.name}",
            how=f"the loop makes its versions by {loop.spec.pipeline}",
        )
        yield Edge(
            up=f"endpoint:{loop.spec.endpoint}",
            down=f"loop:{loop.name}",
            how="the loop watches it and learns from its traffic",
        )


def _of_endpoints(ws: Workspace, known: Lineage) -> Iterator[Edge]:
    declared = consumers.every(known.tx)
    for one in declared:
        yield Edge(
            up=f"endpoint:{one.endpoint}",
            down=f"consumer:{one.name}",
            how=f"declared, owned by {one.owner}",
            at=one.at,
        )
    now = ws.clock.now()
    for endpoint in known.endpoints:
        mine = [one for one in declared if one.endpoint == endpoint.name]
        for seen in callers.read(ws.captures(endpoint.name), now - _TRAFFIC_S, now + 1):
            who = consumer_of(seen, mine)
            yield Edge(
                up=f"endpoint:{endpoint.name}",
                down=f"consumer:{who}" if who else f"caller:{caller_name(seen)}",
                how=f"{seen.requests:,} request{'s' if seen.requests != 1 else ''}"
                + ("" if who else "; nobody declared it"),
                at=seen.last,
            )


def consumer_of(seen: callers.Calls, declared: list[consumers.Consumer]) -> str | None:
    """Return the declared consumer that a caller is, or None."""
    for one in declared:
        by_token = bool(seen.token) and seen.token in (one.name, *one.tokens)
        if by_token or (bool(seen.client) and seen.client in (one.name, *one.clients)):
            return one.name
    return None


def caller_name(seen: callers.Calls) -> str:
    """Return what people call a caller that nobody declared."""
    who = seen.client or (f"token {seen.token}" if seen.token else "no key")
    return f"{who}, {seen.agent}" if seen.agent else who
