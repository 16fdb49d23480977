"""Datasets by name: the profile that a run kept of one, and keeping that of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from mainspring.experiments import artifacts, datasets
from mainspring.ground.errors import NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.ground.profiles import Profile
from mainspring.ground.records import Record
from mainspring.ground.settings import Settings
from mainspring.readiness import registry
from mainspring.workspace.opening import Workspace
from mainspring.workspace.profiling import FOLDER, decode
from mainspring.workspace.tracking.active import ActiveRun
from mainspring.workspace.tracking.catching_up import caught_up
from mainspring.workspace.tracking.planning import plan_of
from mainspring.workspace.tracking.writing import target_of

#: The experiment of runs that do nothing but keep a profile.
EXPERIMENT = "profiles"


class Found(Record, frozen=True, kw_only=True):
    """The profile of a dataset, and of which one."""

    name: str
    digest: str  #: of the data
    run: str  #: the run it was kept by
    profile: Profile


class Named(Record, frozen=True, kw_only=True):
    """A dataset's name, how many versions it has, and the newest."""

    name: str
    versions: int
    digest: str
    created: float


class ReadBy(Record, frozen=True, kw_only=True):
    """One run that read a dataset."""

    run: str
    context: str  #: such as training or evaluation
    versions: list[str]  #: what came of the run, as model/number


class Shown(Record, frozen=True, kw_only=True):
    """A dataset: what it is, who read it, and how it came about."""

    name: str
    digest: str
    source_type: str
    source: str
    others: list[str]  #: digests of its other versions, the newest first
    read_by: list[ReadBy]
    profile: Profile | None
    training_set: dict[str, Any] | None  #: what a loop wrote down when it assembled it


def every(ws: Workspace, limit: int = 100) -> list[Named]:
    """Return the datasets that runs read, by name, the newest first."""

    def look(tx: Tx) -> list[Named]:
        found = []
        for name, count, created in datasets.names(tx, limit):
            known = datasets.by_name(tx, name)
            if known:  # else only runs that were deleted read it
                found.append(Named(name=name, versions=count, digest=known[0][0], created=created))
        return found

    caught_up(ws)
    return ws.read(Permission.READ, look)


def shown(ws: Workspace, name: str, digest: str | None = None) -> Shown:
    """Return a dataset by its name: the newest version, or that whose digest begins so.

    Raises:
        NotFoundError: if no run read such a dataset.
    """

    def look(tx: Tx) -> tuple[Shown, str | None, str | None] | None:
        found = datasets.by_name(tx, name, digest)
        if not found:
            return None
        data = found[0][0]
        mine = [run for one, run in found if one == data]
        uses = datasets.of_runs(tx, mine)
        read_by, about = [], None
        for run in mine:
            for use in uses[run]:
                if (use.dataset.name, use.dataset.digest) == (name, data):
                    about = use.dataset
                    made = [f"{v.model}/{v.number}" for v in registry.of_run(tx, run)]
                    read_by.append(ReadBy(run=run, context=use.context, versions=made))
        files = artifacts.digests(tx, mine[0], "mainspring")
        others = dict.fromkeys(one for one, _ in datasets.by_name(tx, name) if one != data)
        told = Shown(
            name=name,
            digest=data,
            source_type=about.source_type if about else "",
            source=about.source if about else "",
            others=list(others),
            read_by=read_by,
            profile=None,
            training_set=None,
        )
        return told, files.get(f"profiles/{data}.json"), files.get("training_set.json")

    caught_up(ws)
    answer = ws.read(Permission.READ, look)
    if answer is None:
        told = name if digest is None else f"{name}@{digest[:12]}"
        raise NotFoundError(
            f"No run read a dataset {told!r}.",
            field="name",
            hint="See which there are: mainspring dataset list",
        )
    found, profile, record = answer
    return msgspec.structs.replace(
        found,
        profile=None if profile is None else decode(ws.objects.get(profile), f"Dataset {name}"),
        training_set=None if record is None else msgspec.json.decode(ws.objects.get(record)),
    )


def of_dataset(ws: Workspace, name: str, digest: str | None = None) -> Found:
    """Return the newest profile of a dataset that a run logged, of one digest or of any.

    Raises:
        NotFoundError: if no run logged such a dataset, or none kept its profile.
    """

    def look(tx: Tx) -> tuple[str, str, str] | None:
        for data, run in datasets.by_name(tx, name, digest):
            kept = artifacts.digests(tx, run, FOLDER).get(f"{data}.json")
            if kept is not None:
                return data, run, kept
        return None

    caught_up(ws)
    found = ws.read(Permission.READ, look)
    if found is None:
        told = name if digest is None else f"{name}@{digest[:12]}"
        raise NotFoundError(
            f"There is no profile of a dataset {told!r}.",
            field="name",
            hint="Log one: run.log_dataset(rows, NAME), or mainspring profile FILE --save NAME.",
        )
    data, run, kept_as = found
    return Found(
        name=name, digest=data, run=run, profile=decode(ws.objects.get(kept_as), f"Dataset {name}")
    )


def save(file: Path, name: str, found: Profile, settings: Settings) -> dict[str, str]:
    """Keep the profile of a file with a dataset, by a run of its own; return which.

    Raises:
        BadInputError: if the name cannot be one.
    """
    plan = plan_of(
        EXPERIMENT, f"profile {name}"[:250], None, None, None, None, None, capture=False
    )
    with ActiveRun(plan, target_of(settings)) as run:
        noted = run.log_dataset(file, name, "profile", profile=found)
    return {"name": noted.name, "digest": noted.digest, "run": run.id}
