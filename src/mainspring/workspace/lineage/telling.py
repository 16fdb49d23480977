"""Say of many things at once what they are called and how they stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mainspring.experiments import lineage as runs
from mainspring.experiments import runs as experiments
from mainspring.ground.ports import Tx
from mainspring.ground.words import when
from mainspring.pipelines import lineage as steps
from mainspring.pipelines.data import versions as data
from mainspring.readiness import lineage as versions
from mainspring.workspace.lineage.shapes import Thing

if TYPE_CHECKING:
    from mainspring.workspace.lineage.asking import Known

_SHORT = 12  #: digits of a digest that people compare by eye


def things_of(tx: Tx, known: Known, depths: Mapping[str, int]) -> dict[str, Thing]:
    """Return each thing with its label and state, by its reference in the walk."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for name in depths:
        kind, _, rest = name.partition(":")
        kinds[kind].append(rest)
    told = {
        **_runs(tx, kinds["run"]),
        **_steps(tx, kinds["step"]),
        **_versions(tx, kinds["version"]),
        **_datasets(tx, kinds["dataset"]),
        **_predictions(known, kinds["prediction"]),
    }
    found = {}
    for name, depth in depths.items():
        kind, _, rest = name.partition(":")
        ref, label, detail, state = told.get(name, (name, rest, "", ""))
        if kind == "output":
            label = rest[:_SHORT]
        found[name] = Thing(
            ref=ref, kind=kind, label=label, detail=detail, state=state, depth=depth
        )
    return found


_Told = dict[str, tuple[str, str, str, str]]  # ref in the walk -> ref, label, detail, state


def _runs(tx: Tx, ids: Sequence[str]) -> _Told:
    there = runs.named(tx, ids)
    gone = experiments.hidden(tx, list(ids)) if ids else set()
    found: _Told = {}
    for run in ids:
        one = there.get(run)
        ref = f"run:{run}"
        if one is None:
            found[ref] = (ref, run, "", "gone")
            continue
        state = "deleted" if run in gone else one.status
        found[ref] = (ref, run, f"{one.name}, {when(one.started)}", state)
    return found


def _steps(tx: Tx, several: Sequence[str]) -> _Told:
    wanted = set(several)
    ids = list(dict.fromkeys(one.partition("/")[0] for one in several))
    gone = experiments.hidden(tx, ids) if ids else set()
    found: _Told = {}
    for one in steps.of_runs(tx, ids):
        name = f"{one.run}/{one.step}"
        if name in wanted:
            state = "deleted" if one.run in gone else one.state
            gave = f"gave a {one.type} {one.output[:_SHORT]}" if one.output else ""
            found[f"step:{name}"] = (f"step:{name}", one.step, gave, state)
    return found


def _versions(tx: Tx, several: Sequence[str]) -> _Told:
    pairs = [(one.rpartition("/")[0], int(one.rpartition("/")[2])) for one in several]
    found: _Told = {f"version:{one}": (f"version:{one}", one, "", "gone") for one in several}
    for one in versions.named(tx, pairs):
        ref = f"version:{one.name}"
        state = "deleted" if one.deleted else ""
        found[ref] = (ref, one.name, f"registered {when(one.created)}", state)
    return found


def _datasets(tx: Tx, several: Sequence[str]) -> _Told:
    """A version that has a number is called by it; another by the beginning of its digest."""
    found: _Told = {}
    digests = [one.rpartition("@")[2] for one in several if "@" in one]
    kept = {
        (one.name, one.digest): one.number
        for one in data.by_digest(tx, digests)
        if one.removed is None
    }
    for one in several:
        name, at, digest = one.rpartition("@")
        ref = f"dataset:{one}"
        if not at:
            found[ref] = (ref, one, "all its versions", "")
            continue
        number = kept.get((name, digest))
        if number is not None:
            label = f"{name}@{number}"
            found[ref] = (f"dataset:{label}", label, f"digest {digest[:_SHORT]}", "")
        else:
            found[ref] = (ref, f"{name}@{digest[:_SHORT]}", "", "")
    return found


def _predictions(known: Known, ids: Sequence[str]) -> _Told:
    found: _Told = {}
    for one in ids:
        story = known.predictions.get(one)
        ref = f"prediction:{one}"
        if story is not None:
            at = "" if story.at is None else f", {when(story.at)}"
            found[ref] = (ref, one, f"by endpoint {story.endpoint}{at}", "")
    return found
