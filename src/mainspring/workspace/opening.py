"""Open a workspace: the one place where settings become backends."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from mainspring.ground import structs
from mainspring.ground.clock import Clock, SystemClock
from mainspring.ground.errors import BadInputError
from mainspring.ground.permissions import Permission, Principal, owner
from mainspring.ground.ports import Executor, Objects, Store, Tx
from mainspring.ground.settings import Settings
from mainspring.workspace.warm import speaking

if TYPE_CHECKING:
    from sqlalchemy import MetaData

T = TypeVar("T")
_STARTING = threading.Lock()

#: Imported by the fork server when nothing is asked of it, and before the first step at the
#: latest: what steps that fit models need.
HEAVY = (
    "sklearn.ensemble",
    "sklearn.pipeline",
    "sklearn.compose",
    "sklearn.preprocessing",
    "sklearn.linear_model",
    "skops.io",
    "mainspring.workspace.warm.last",
)
#: What every call needs of us, and what a project's file reaches by ``ms.step``. It brings
#: neither numpy nor polars: see :mod:`mainspring.workspace.warm.speaking`.
LIGHT = (
    "mainspring.workspace.children",
    "mainspring.pipelines.child",
    "mainspring.pipelines.dynamics",
    "mainspring.pipelines.shaping",
    "mainspring.pipelines.tracing",
    "mainspring.pipelines.texts",
    "mainspring.workspace.codecs",
    "mainspring.workspace.performing.keeping",
    "mainspring.workspace.tracking.living",
    "mainspring.workspace.tracking.verbs",
    "mainspring.workspace.words",
    "mainspring.backends.objects",
    "mainspring.ground.locks",
    "mainspring.workspace.warm.first",
)
#: Imported by the fork server before it forks, so that a step starts in milliseconds.
PRELOAD = (
    "numpy",
    "polars",
    "mainspring.workspace.children",
    "mainspring.workspace.families.child",
    "mainspring.scaling.models.model",
    "mainspring.scaling.models.package",
    "mainspring.scaling.models.load",
    # What a step's own process needs of us, and what a project's file reaches by ``ms.step``.
    "mainspring.sdk",
    "mainspring.backends.objects",
    "mainspring.pipelines.child",
    "mainspring.workspace.codecs",
    "mainspring.workspace.tracking.living",
    "mainspring.workspace.warm.first",
    *HEAVY,
)


@runtime_checkable
class Warms(Protocol):
    """An executor that can be started before it is needed."""

    def warm(self, *, light: bool = False) -> None:
        """Start, so that the first call (or the first that is ``light``) finds it ready."""
        ...


class Workspace:
    """Everything one principal needs to work, opened once and shared by threads."""

    def __init__(self, settings: Settings, store: Store, objects: Objects, clock: Clock) -> None:
        self.settings = settings
        self.store = store
        self.objects = objects
        self.clock = clock
        self.who = owner()
        self._started: list[Executor] = []  # shared by all who act in this workspace
        self.spoken = speaking.Spoken()

    @property
    def home(self) -> Path:
        """Return the folder where everything is kept."""
        return Path(self.settings.home)

    def captures(self, endpoint: str) -> Path:
        """Return the folder of an endpoint's captured traffic."""
        return self.home / "captures" / endpoint

    @property
    def executor(self) -> Executor:
        """Return what runs calls in processes of their own; started on first need."""
        return self._executor(heavy=True)

    def warm(self) -> None:
        """Start what runs calls, so that it makes itself ready while we do something else.

        It is for who runs this project and ends: where nothing of the project speaks of models
        or of tables, what they need is not imported, and a step that does imports it itself.
        """
        found = self.spoken.of(self.settings.root)
        executor = self._executor(heavy=found == speaking.MODELS)
        if isinstance(executor, Warms):
            executor.warm(light=found == speaking.PLAIN)

    def _executor(self, *, heavy: bool) -> Executor:
        with _STARTING:
            if not self._started:
                from mainspring.backends.executors.elsewhere import Executors

                first = [name for name in PRELOAD if name not in HEAVY]
                later = [name for name in PRELOAD if name in HEAVY] if heavy else []
                self._started.append(Executors(self.home / "run", first, later, LIGHT))
            return self._started[0]

    def acting_as(self, who: Principal) -> Workspace:
        """Return the same workspace, asked by somebody else."""
        other = Workspace(self.settings, self.store, self.objects, self.clock)
        other.who = who
        other._started, other.spoken = self._started, self.spoken
        return other

    def read(self, permission: Permission, work: Callable[[Tx], T]) -> T:
        """Run ``work`` on one view of the data, as this workspace's principal."""
        return self.store.read(self.who, permission, work)

    def write(self, permission: Permission, work: Callable[[Tx], T]) -> T:
        """Run ``work`` in one durable transaction, as this workspace's principal."""
        return self.store.write(self.who, permission, work)

    def close(self) -> None:
        """Let go of the database and end the fork server."""
        for executor in self._started:
            executor.close()
        self.store.close()


_UNWRITABLE = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST
)  # fmt: skip


def open_workspace(
    settings: Settings, *, clock: Clock | None = None, create: bool = True
) -> Workspace:
    """Return the workspace that the settings describe; its home is made if it is missing.

    Raises:
        BadInputError: if ``create`` is False and there is no home yet; if it cannot be written.
        StoreError: if the database cannot be opened or is newer than this version.
    """
    from mainspring.backends.objects import open_objects
    from mainspring.backends.sql import open_store
    from mainspring.scaling.models.apart import places
    from mainspring.workspace.vault import sealed

    home = Path(settings.home)
    if not home.is_dir() and not create:
        raise BadInputError(
            f"There is no Mainspring home at {home}.",
            field="home",
            hint="Run: mainspring init, or name one with --home.",
        )
    clock = clock or SystemClock()
    try:
        make_home(home)
        store = open_store(
            settings.database_url, metadata(), clock, guards=guards(), steps=steps()
        )
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        raise BadInputError(
            f"The home {home} cannot be written: {error.filename}: {error.strerror}.",
            field="home",
            hint="It is to be a folder that you may write; name another with --home.",
        ) from error
    structs.prepare()
    places.use(home / "cache")
    found = Workspace(settings, store, open_objects(settings.objects_url), clock)
    sealed.at_start(found)
    return found


def make_home(home: Path) -> None:
    """Make the folders of a home, readable by their owner alone."""
    for folder in (
        home,
        home / "run",
        home / "run" / "endpoints",
        home / "logs",
        home / "captures",
        home / "journals",
    ):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def metadata() -> list[MetaData]:
    """Return the tables of every room."""
    return [room.METADATA for room in _rooms()]


def steps() -> list[Any]:
    """Return what each room has to do with rows of an older release: its ``STEPS``, if any.

    Each is (schema version, name, work on a transaction); see ``backends.sql.Step``.
    """
    return [step for room in _rooms() for step in getattr(room, "STEPS", ())]


def _rooms() -> list[Any]:
    from mainspring.debt import tables as debt
    from mainspring.engine import tables as engine
    from mainspring.experiments import tables as experiments
    from mainspring.monitoring import alarm_tables
    from mainspring.monitoring import tables as monitoring
    from mainspring.pipelines import tables as pipelines
    from mainspring.pipelines.data import tables as data
    from mainspring.readiness import tables as readiness
    from mainspring.scaling.serving import tables as serving
    from mainspring.workspace import tokens
    from mainspring.workspace.logs import rules as log_rules

    rooms = [engine, experiments, monitoring, alarm_tables, pipelines, readiness, serving]
    return [*rooms, debt, data, tokens, log_rules]


def guards() -> list[Any]:
    """Return the triggers by which the database itself guards the champion alias."""
    from mainspring.readiness import tables as readiness

    return list(readiness.GUARDS)
