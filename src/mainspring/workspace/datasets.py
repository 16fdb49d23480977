"""Datasets by name: the profile that a run kept of one, and keeping that of a file."""

from __future__ import annotations

from pathlib import Path

from mainspring.experiments import artifacts, datasets
from mainspring.ground.errors import NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.ground.profiles import Profile
from mainspring.ground.records import Record
from mainspring.ground.settings import Settings
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
