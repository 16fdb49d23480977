"""Gather what is known of a version or a dataset, from the records and from the package."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mainspring.debt import sheets
from mainspring.debt.cards.datasheet import DataFacts
from mainspring.debt.cards.facts import CardFacts
from mainspring.engine import reactor
from mainspring.experiments import datasets, runs
from mainspring.ground.clock import iso
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.objects import Profile, Run, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring.graded import Graded, graded_reference
from mainspring.monitoring.measures import mean_of, measures
from mainspring.monitoring.slicing import condition, cut_column
from mainspring.readiness import evidence, facts, gate, registry
from mainspring.retraining.assemble import seconds
from mainspring.scaling.models import package
from mainspring.workspace import datasets as profiles
from mainspring.workspace.opening import Workspace
from mainspring.workspace.running import learnt_rows
from mainspring.workspace.tracking.catching_up import caught_up

#: Slices that a card shows, the worst first; smaller ones than this say nothing.
_SLICES, _LEAST = 12, 30
_STATE = {
    "mainspring.git.commit": "git commit",
    "mainspring.git.branch": "git branch",
    "mainspring.git.dirty": "uncommitted changes",
}


def card_facts(ws: Workspace, ref: str) -> CardFacts:
    """Return everything that is known of the version that a reference names.

    Raises:
        NotFoundError: if there is no such version.
    """

    def look(tx: Tx) -> dict[str, Any]:
        version = registry.resolve(tx, ref)
        subject = f"{version.model}/{version.number}"
        named = registry.aliases_of(tx, version.model)
        run = _run(tx, version.run)
        return {
            "version": version,
            "title": facts.of_model(tx, version.model).title,
            "run": run,
            "gate": gate.latest(tx, version.model, version.number),
            "aliases": [alias for alias, number in named.items() if number == version.number],
            "evidence": evidence.standing(tx, subject, f"model:{version.model}"),
            "moves": _moves(tx, version),
            "code_state": _code_state(run),
            "slices": _declared(tx, version.model),
        }

    found = ws.read(Permission.READ, look)
    return CardFacts(
        **found | _packaged(ws, found["version"], found["slices"]), now=ws.clock.now()
    )


def data_facts(ws: Workspace, name: str, digest: str | None = None) -> DataFacts:
    """Return everything that is known of a dataset, of one version or of the newest.

    Raises:
        NotFoundError: if no run logged such a dataset.
    """
    caught_up(ws)

    def look(tx: Tx) -> DataFacts:
        known = datasets.by_name(tx, name, digest)
        if not known:
            told = name if digest is None else f"{name}@{digest[:12]}"
            raise NotFoundError(
                f"There is no dataset {told!r}.",
                field="name",
                hint="Log one: run.log_dataset(rows, NAME).",
            )
        wanted = known[0][0]
        learnt = [run for one, run in known if one == wanted]
        used = datasets.of_runs(tx, learnt[:1])[learnt[0]]
        source = next((u.dataset.source for u in used if u.dataset.name == name), "")
        return DataFacts(
            name=name,
            digest=wanted,
            sheet=sheets.get(tx, name),
            digests=_first_seen(tx, datasets.by_name(tx, name)),
            source=source,
            readers=[*_versions_of(tx, learnt), *(f"run {run}" for run in learnt)],
        )

    found = ws.read(Permission.READ, look)
    return _with_profile(ws, found)


def _with_profile(ws: Workspace, found: DataFacts) -> DataFacts:
    try:
        kept = profiles.of_dataset(ws, found.name, found.digest)
    except NotFoundError:
        return found  # a run may log a dataset without its profile
    return dataclasses.replace(found, profile=kept.profile)


def _first_seen(tx: Tx, several: Sequence[tuple[str, str]]) -> list[tuple[str, float]]:
    found: dict[str, float] = {}
    for digest, run in several:  # the newest run first, so the oldest has the last word
        found[digest] = runs.get(tx, run).started
    return sorted(found.items(), key=lambda one: -one[1])


def _versions_of(tx: Tx, learnt: Sequence[str]) -> list[str]:
    return [
        f"{version.model}/{version.number}"
        for model in registry.models(tx)
        for version in registry.versions(tx, model.name)
        if version.run in learnt
    ]


def _run(tx: Tx, name: str | None) -> Run | None:
    if name is None:
        return None
    try:
        return runs.get(tx, name)
    except NotFoundError:
        return None  # a run of a version may have been deleted, or never have been here


def _code_state(run: Run | None) -> dict[str, str]:
    tags = run.tags if run else {}
    return {said: tags[tag] for tag, said in _STATE.items() if tags.get(tag)}


def _moves(tx: Tx, version: Version) -> list[str]:
    return [
        f"{iso(row.at)}: {row.alias} from {row.previous or 'nobody'} to {row.number or 'nobody'}"
        f" by {row.by}. {row.reason}"
        for row in registry.history(tx, version.model)
        if version.number in (row.number, row.previous)
    ]


def _declared(tx: Tx, model: str) -> list[str]:
    """Return the slices that the loops of a model watch."""
    return list(
        dict.fromkeys(
            text
            for spec in reactor.loops(tx)
            if spec.model == model
            for text in spec.monitor.slices
        )
    )


def _packaged(ws: Workspace, version: Version, slices: Sequence[str]) -> dict[str, Any]:
    """Return what the package tells; a client's version may have none of ours, or none here."""
    here = ws.objects.has(version.package)
    if not here or not package.holds_model(version.package, ws.objects):
        return {"slices": []}
    manifest = package.read_manifest(version.package, ws.objects)
    profile = package.profile(version.package, ws.objects)
    kept = graded_reference(package.reference(version.package, ws.objects), version.signature)
    found: dict[str, Any] = {
        "profile": profile,
        "packages": _requirements(package.read_file(manifest, "requirements.txt", ws.objects)),
        "span": _span(ws, version),
        "slices": [],
    }
    if kept is not None:
        measured, _ = measures(kept.scores, kept.truth, kept.losses, version.signature)
        found["measured"] = {"loss": mean_of(kept.losses), **measured}
        found["rows_measured"] = kept.rows
        found["slices"] = _sliced(kept, profile, slices)
    return found


def _requirements(text: bytes) -> dict[str, str]:
    lines = [line.partition("==") for line in text.decode().splitlines() if "==" in line]
    return {name.strip(): version.strip() for name, _, version in lines}


def _span(ws: Workspace, version: Version) -> tuple[float, float] | None:
    """Return the event time of the oldest and newest row that it learnt from, if they have one."""
    time = version.signature.time
    rows = None if time is None else learnt_rows(ws, version.data, version.signature.target)
    if rows is None or time not in rows.columns:
        return None
    known = seconds(rows[time]).drop_nulls()
    return (float(known.min()), float(known.max())) if known.len() else None  # type: ignore[arg-type]


def _sliced(kept: Graded, profile: Profile, wanted: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return the mean loss of every declared slice on the rows kept at training."""
    found: list[Mapping[str, Any]] = []
    for text in wanted:
        if text not in kept.frame.columns:
            try:
                found += _slice(text, kept, condition(text, kept.frame))
            except BadInputError:
                continue  # declared for another version's columns
            continue
        cut = cut_column(text, profile, kept.frame)
        codes = None if cut is None else cut.codes(kept.frame)
        for place, name in enumerate(cut.names if cut else ()):
            found += _slice(name, kept, codes == place)
    return sorted(found, key=lambda one: -one["loss"])[:_SLICES]


def _slice(name: str, kept: Graded, inside: Any) -> list[Mapping[str, Any]]:
    losses = kept.losses[np.asarray(inside, dtype=bool)]
    if losses.size < _LEAST:
        return []
    mean = mean_of(losses)
    told = {"loss": mean["estimate"], "low": mean["low"], "high": mean["high"]}
    return [{"name": name, **told, "rows": int(losses.size)}]
