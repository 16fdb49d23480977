"""Make a pipeline's run again in a clean place, and say whether the same came of it.

1. Its code is made again from what the run kept, in a folder of the home (:mod:`places`).
2. Its environment is that of its lock: what is installed here if that is exactly the same, else
   one that is built (``here``: what is installed here in any case, and how it differs).
3. The pipeline is planned there, refused unless code, arguments and inputs are those of the
   run, and run once or several times with nothing reused.
4. What came of it is compared and kept as evidence (:mod:`reproducing`), the folder deleted.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from mainspring.engine import tasks
from mainspring.engine.worker import Done
from mainspring.experiments import runs as experiments
from mainspring.ground import locks
from mainspring.ground.errors import ConflictError, MainspringError, UnavailableError
from mainspring.ground.identity import new_id
from mainspring.ground.locks import Lock
from mainspring.ground.objects import Evidence, Run, RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import environments as kept
from mainspring.pipelines import reading
from mainspring.readiness import evidence, registry
from mainspring.workspace import brought, captured, checkouts, environments, running
from mainspring.workspace.checkouts import CannotError
from mainspring.workspace.proofs import places, reproducing

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace


REPRODUCED = "mainspring.reproduced"  #: on a run: what came of making it again, in words
FOLDER = checkouts.AGAIN  #: of the home: where the places are


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is to be made again."""

    run: str
    model: str | None = None  #: of the version that is meant
    number: int | None = None
    count: int = 1
    tolerance: float = 0.01
    here: bool = False  #: in the environment that is installed here, whatever it is
    rebuild: bool = False  #: in one that is built, even if the same is installed here


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """The environment a run is made again in."""

    python: str | None = None  #: of the one that was built
    lock: Lock | None = None  #: what that was built of
    words: str = ""
    changed: list[str] = []  #: packages of the same version that hold something else, in words
    own: dict[str, Lock] = {}  #: of steps with their own, by target


class Past(NamedTuple):
    """What is known of the run that is made again."""

    run: Run
    told: tuple[captured.ProjectFile, bytes] | None
    environments: dict[str, str]  #: step -> digest
    listing: dict[str, str]


def ask(ws: Workspace, wanted: Wanted) -> reproducing.Started:
    """Submit the task that makes a run again; an engine carries it out.

    Raises:
        NotFoundError: if there is no such run or version.
        ConflictError: if no pipeline made it, or it has not finished.
    """

    def work(tx: Tx) -> reproducing.Started:
        run = wanted.run
        if wanted.model is not None:
            version = registry.get(tx, wanted.model, int(wanted.number or 0))
            reproducing.refuse_strange(tx, version)
            run = str(version.run)
        was = experiments.get(tx, run)
        if origin := was.tags.get(reproducing.TAG, "").removeprefix("run:"):
            # What made a run again is no record of its own: it was made of that one's.
            was = experiments.get(tx, origin) if "/" not in origin else was
        _refuse_unfit(was)
        asked = msgspec.structs.replace(wanted, run=was.id)
        task = tasks.NewTask(
            id=new_id("again"),
            kind=reproducing.REMAKE,
            payload=msgspec.to_builtins(asked),
            max_attempts=5,
        )
        tasks.submit(tx, [msgspec.structs.replace(task, group=task.id)])
        return reproducing.Started(task=task.id, runs=[])

    return ws.write(Permission.RUN, work)


def remake(ws: Workspace, lease: Lease) -> Done:
    """Make the place, plan the runs there and hand them out; or keep why it cannot be."""
    wanted = msgspec.convert(lease.task.payload, Wanted)
    place = ws.home / FOLDER / lease.task.id
    shutil.rmtree(place, ignore_errors=True)  # of an attempt that was interrupted
    try:
        return _handed_out(ws, wanted, place, lease)
    except UnavailableError:
        raise  # another try may do better
    except (CannotError, MainspringError) as error:
        shutil.rmtree(place, ignore_errors=True)
        words = error.message if isinstance(error, MainspringError) else str(error)
        made = _cannot(ws, wanted, words, lease.task.id)
        return Done(result={"evidence": made[0].id}, apply=lambda tx: keep(tx, made))


def keep(tx: Tx, made: list[Evidence]) -> None:
    """Keep what came of it: as evidence, and in words on the run."""
    for one in made:
        evidence.record(tx, one)
    run = made[0].detail.get("run") or next(
        (one[4:] for one in made[0].opens if one.startswith("run:")), None
    )
    if run is not None:
        told = f"{made[0].detail['verdict']}: {made[0].found}"
        experiments.set_tags(tx, run, {REPRODUCED: told[:500]})


def forget(ws: Workspace, place: str | None) -> None:
    """Delete a place after the runs in it were compared; nothing else is ever deleted."""
    if place is None:
        return
    folder, above = Path(place), ws.home / FOLDER
    if folder.is_relative_to(above) and folder != above:
        shutil.rmtree(above / folder.relative_to(above).parts[0], ignore_errors=True)


def _handed_out(ws: Workspace, wanted: Wanted, place: Path, lease: Lease) -> Done:
    def look(tx: Tx) -> tuple[Past, dict[str, str]]:
        was = experiments.get(tx, wanted.run)
        envs = kept.of_steps(tx, was.id)
        told = captured.read(ws, tx, was.id)
        reads = {path: one.step for one in reading.steps_of(tx, was.id) for path in one.reads}
        return Past(was, told, envs, reading.environment_of(tx, was.id)), reads

    (was, told, envs, listing), reads = ws.read(Permission.WORK, look)
    if told is None:
        raise CannotError("its code was not kept (capture was off, or an older release ran it)")
    project, patch = told
    root, notes = places.make(
        project, patch, place, ws.objects, was.started, ws.home, Path(ws.settings.root), reads
    )
    past = Past(was, told, envs, listing)
    around = _surroundings(ws, was.id, past, wanted, place, lease)
    tags = {reproducing.TAG: f"run:{was.id}", captured.SEED: was.tags.get(captured.SEED, "0")}
    if around.lock is not None:
        tags[running.ENVIRONMENT] = around.lock.digest
    fired = was.tags.get(running.SCHEDULED)
    planned = running.plan(
        ws, str(root), str(was.pipeline), was.params, tags=tags, lease=lease,
        python=around.python, locks=around.own, before=was.id,
        fire_at=datetime.fromisoformat(fired).timestamp() if fired else None,
    )  # fmt: skip
    ws.read(Permission.WORK, lambda tx: reproducing.refuse_other(ws, tx, was, planned))
    plans = [reproducing.named(planned, f"{lease.task.id}:{nth}") for nth in range(wanted.count)]
    payload = {
        "run": was.id,
        "model": wanted.model,
        "number": wanted.number,
        "tolerance": wanted.tolerance,
        "packages": [
            *_patches(project.python, around.python),
            *around.changed,
            *_changes(listing, planned.environment, project),
        ],
        "environment": around.words,
        "notes": notes,
        "place": str(root),
    }

    def apply(tx: Tx) -> None:
        if around.lock is not None:  # who runs a step asks for it by its digest
            kept.keep(tx, around.lock.listing, around.lock)
        for one in plans:
            one.submit(tx)
        reproducing.submit_comparison(tx, lease.task.id, plans, payload)

    return Done(result={"runs": [one.run.id for one in plans]}, apply=apply)


def _surroundings(
    ws: Workspace, run: str, past: Past, wanted: Wanted, place: Path, lease: Lease
) -> Surroundings:
    """Return the environment to run in; it is built if it is another than what is here.

    Raises:
        ConflictError: if what the run had is not known, or of another machine.
        CannotError: if a package that no index has was not kept, and is not here as it was.
        BadInputError, UnavailableError: if it cannot be built; in the tool's words.
    """

    def look(tx: Tx) -> tuple[dict[str, Lock], Lock | None]:
        own, others = {}, None
        for step, digest in past.environments.items():
            lock = kept.lock_of(tx, digest)
            if reading.is_apart(tx, run, step):
                if lock is None:
                    raise ConflictError(f"What {step} ran in was not kept.", field="env")
                own[reading.row_of(tx, run, step).target] = lock
            else:
                others = lock
        return own, others

    own, lock = ws.read(Permission.WORK, look)
    for one in own.values():  # what cannot be had is refused before anything runs
        venvs_ready(ws, one, lease)
    here = locks.installed()
    count = len(here.listing) - 2
    packages = past.told[0].packages if past.told else {}
    other = {name: one for name, one in packages.items() if not brought.is_same(one, name)}
    edited = {name: one for name, one in other.items() if one.sources is not None}
    beside = f"; {', '.join(edited)} as it was then, beside them" if edited else ""
    same = lock is not None and lock.digest == here.digest
    same = same and all(one.sources or one.why for one in other.values())
    if lock is not None and not wanted.here and (wanted.rebuild or not same):
        return _built(ws, lock, packages, place, own, lease)
    if wanted.here or lock is None:
        why = "as asked" if wanted.here else "what the run had was not kept"
        words = f"what is installed here ({why})"
    else:
        words = f"the same {count} packages are installed here"
        unknown = [
            name for name in lock.left if name != locks.OURS and _is_unknown(packages, name)
        ]
        words += f"; {', '.join(unknown)} cannot be compared" if unknown else ""
    if edited:  # their code is the run's, whatever else is installed
        places.bring(edited, place, ws.objects)
    files = [
        f"{name} {one.version} with other files"
        for name, one in other.items()
        if not one.sources and not one.why and here.listing.get(name) == one.version
    ]
    return Surroundings(words=words + beside, own=own, changed=files)


def _is_unknown(packages: Mapping[str, brought.Package], name: str) -> bool:
    return name not in packages or bool(packages[name].why)


def _built(
    ws: Workspace,
    lock: Lock,
    packages: Mapping[str, brought.Package],
    place: Path,
    own: dict[str, Lock],
    lease: Lease,
) -> Surroundings:
    for name, came in lock.left.items():
        if name != locks.OURS and _is_unknown(packages, name):
            why = f": {packages[name].why}" if name in packages else ""
            raise CannotError(
                f"package {name} was {came}, which no index has, and it was not kept{why}. Put it"
                " on an index or under version control, or take what is installed here: --here"
            )
    wheels = {name: one for name, one in packages.items() if one.wheel is not None}
    lines, listing = {locks.name_of(line): line for line in lock.lines}, dict(lock.listing)
    for name, one in wheels.items():
        file = environments.cache(ws.home) / "wheels" / str(one.wheel) / Path(one.file).name
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        ws.objects.fetch(str(one.wheel), file)
        lines[name] = f"{name} @ {file.as_uri()}"
        # Two packages of one version need not be the same: each has an environment of its own.
        listing[name] = f"{one.version}+{str(one.wheel)[:12]}"
    lock = msgspec.structs.replace(lock, lines=list(lines.values()), listing=listing)
    if any(one.sources for one in packages.values()):
        places.bring(packages, place, ws.objects)
    python = str(venvs_ready(ws, lock, lease))
    words = f"built of {len(lock.lines)} packages, Python {lock.python}"
    beside = [name for name, one in packages.items() if one.sources]
    words += f"; {', '.join(beside)} as it was then, beside them" if beside else ""
    return Surroundings(python=python, lock=lock, words=words, own=own)


def _changes(
    was: Mapping[str, str], now: Mapping[str, str], project: captured.ProjectFile
) -> list[str]:
    """Return which packages differ, those aside that were made again as they were."""
    told = reproducing.changes(was, now)
    return [one for one in told if one.partition(" ")[0] not in project.packages]


def _patches(was: str, python: str | None) -> list[str]:
    """Return in words that Python's own release is another; packages are built for either."""
    now = platform.python_version()
    if python is not None:
        from mainspring.ground import venvs

        now = venvs.release(Path(python)) or now
    return [f"python {was} -> {now}"] if was and was != now else []


def venvs_ready(ws: Workspace, lock: Lock, lease: Lease) -> Path:
    """Return the interpreter of a lock's environment, built if need be."""
    from mainspring.ground import venvs

    return venvs.ready(lock, environments.cache(ws.home), lease.cancelled)


def _refuse_unfit(was: Run) -> None:
    if was.pipeline is None:
        raise ConflictError(
            f"Run {was.id} is no pipeline's.",
            field="run",
            hint=f"A script's run is made again by: mainspring again {was.id}",
        )
    if was.status is not RunStatus.FINISHED:
        raise ConflictError(
            f"Run {was.id} is {was.status}; only one that finished can be compared with.",
            field="run",
        )


def _cannot(ws: Workspace, wanted: Wanted, why: str, task: str) -> list[Evidence]:
    """Return that a run cannot be made again, as evidence that is not kept yet."""
    was = ws.read(Permission.READ, lambda tx: experiments.get(tx, wanted.run))
    first = Evidence(
        id=f"ev_{task}",
        kind="reproduced",
        subject=f"run:{was.id}",
        passed=False,
        found=f"it cannot be made again: {why}"[:1000],
        at=ws.clock.now(),
        by=ws.who.name,
        code=was.tags.get(running.CODE, ""),
        detail={"verdict": "cannot", "run": was.id},
        opens=[f"run:{was.id}"],
    )
    return reproducing.on_both(first, was, msgspec.to_builtins(wanted))
