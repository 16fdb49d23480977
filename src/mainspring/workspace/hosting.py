"""The body of the shared host: one process for all endpoints whose place is ``shared``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from mainspring.ground.errors import MainspringError
from mainspring.ground.objects import Routing
from mainspring.ground.permissions import Permission, service
from mainspring.ground.settings import Settings
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.processes import read_json, write_json
from mainspring.workspace.routing import shared_routings

if TYPE_CHECKING:
    from mainspring.scaling.models.scorer import Scorer
    from mainspring.scaling.serving.app import EndpointApp
    from mainspring.scaling.serving.library import Limits
    from mainspring.scaling.serving.places import Places
    from mainspring.workspace.link import Link

_log = logging.getLogger(__name__)

POLL_S = 0.1
REST_S = 0.2  # between two readings: something is written all the time, rarely a routing
RETRY_S = 1.0
MEND_S = 5.0
#: A host's captures are written and sealed less often than an endpoint's own: each writes for
#: itself, a few rows at a time, and each seal is a flush to disk. A kill -9 loses the last second.
GATHER_S, SEAL_S = 1.0, 15.0
FILES = 65_536  # that may be open: two of each endpoint that captures, one of each connection


def run_host(settings: Settings, link: Link, shared: int | None = None) -> None:
    """Serve every endpoint whose place is ``shared`` below ``/e/NAME`` until the link says stop.

    ``shared`` is a listening socket that outlives this process; without it a free port is taken.
    """
    from mainspring.scaling.serving.host import Host
    from mainspring.scaling.serving.library import Library
    from mainspring.scaling.serving.places import Places
    from mainspring.scaling.serving.server import serve
    from mainspring.workspace.access import Gatekeeper, own_names
    from mainspring.workspace.peers import http_protocol

    _allow_files()
    ws = open_workspace(settings)
    admit = Gatekeeper(ws, own_names(settings)).admit
    places = Places(
        make=_maker(ws, admit),
        library=Library(_loader(ws)),
        most_models=settings.host_models,
        most_bytes=settings.host_memory_mb * 2**20,
    )
    listening = None if shared is None else socket.socket(fileno=shared)
    files = Files(ws, None if listening is None else int(listening.getsockname()[1]))
    reader = Reader(ws.acting_as(service("host")), places, files)
    host = Host(places, admit, create=_creator(ws), begin=reader.begin, end=reader.end)

    def ready(port: int) -> None:
        files.begin(port)
        link.send({"ready": True})

    try:
        serve(
            host,
            "127.0.0.1",
            0,
            on_ready=ready,
            stop=link.stop,
            http=http_protocol(),
            shared=listening,
        )
    finally:
        files.end()
        ws.close()


def _allow_files() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _maker(
    ws: Workspace, admit: Callable[..., object]
) -> Callable[[str, Callable[[], Routing], Callable[[str], Scorer]], EndpointApp]:
    """Return what makes an endpoint's application; all of them share two threads."""
    from mainspring.scaling.models import carried
    from mainspring.scaling.serving.app import EndpointApp
    from mainspring.scaling.serving.capture import CaptureWriter
    from mainspring.scaling.serving.chores import Chores

    writing, counting = Chores("capture"), Chores("tallies")

    def make(
        name: str, routing: Callable[[], Routing], loader: Callable[[str], Scorer]
    ) -> EndpointApp:
        return EndpointApp(
            name=name,
            routing=routing,
            loader=loader,
            captures=CaptureWriter(
                ws.captures(name), gather_s=GATHER_S, seal_s=SEAL_S, chores=writing
            ),
            authenticate=admit,  # type: ignore[arg-type]
            settings=ws.settings,
            chores=counting,
            usual=lambda package: carried.usual(package, ws.objects),
        )

    return make


def _loader(ws: Workspace) -> Callable[[str, Limits], Scorer]:
    from mainspring.scaling.serving.scorers.choosing import native_in_child

    def load(digest: str, limits: Limits) -> Scorer:
        return native_in_child(digest, ws.objects, objects_folder(ws, digest), limits)

    return load


def objects_folder(ws: Workspace, digest: str) -> Path:
    """Return a folder with a package's objects, laid out as the local store does.

    That is the store's own where it is a folder, so that processes share the machine's cache of
    it; objects kept elsewhere are fetched to the home once.
    """
    from mainspring.scaling.models import in_child, package

    if "://" not in ws.settings.objects_url:
        return Path(ws.settings.objects_url)
    folder = ws.home / "run" / "packages"
    for one in (digest, *package.read_manifest(digest, ws.objects).files.values()):
        path = in_child.object_path(folder, one)
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            part = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.part")
            ws.objects.fetch(one, part)
            part.replace(path)
    return folder


def _creator(ws: Workspace) -> Callable[[str, str], None]:
    from mainspring.workspace.acts import create_endpoint

    def create(name: str, model: str) -> None:
        create_endpoint(ws, name, model, shared=True)

    return create


class Reader:
    """One thread that asks the store what all endpoints should serve, when something changed."""

    def __init__(self, ws: Workspace, places: Places, files: Files) -> None:
        self._ws, self._places, self._files = ws, places, files
        self._seen = -1
        self._known: dict[str, Routing] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="routing", daemon=True)

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read now, then follow from a thread."""
        self._loop = loop
        self._look()
        self._thread.start()

    def end(self) -> None:
        """Follow no longer."""
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        trouble, wait, mended = "", POLL_S, monotonic()
        while not self._stop.wait(wait):
            try:
                wait = REST_S if self._look() else POLL_S
                trouble = ""
                if monotonic() - mended > MEND_S:
                    mended = monotonic()
                    self._files.mend()
            # Following must outlive every failure of the store: what is served goes on.
            except Exception as error:  # noqa: BLE001
                told = str(error) if isinstance(error, MainspringError) else repr(error)
                if told != trouble:
                    _log.warning("routing: %s", told)
                trouble, wait = told, RETRY_S

    def _look(self) -> bool:
        changed = self._ws.store.changed()
        if changed == self._seen:
            return False
        found = self._ws.read(Permission.WORK, shared_routings)
        self._seen = changed
        if found != self._known and self._loop is not None:
            self._known = found
            self._files.tell(found)
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._places.route, found)
        return True


class Files:
    """``run/endpoints/NAME.json`` of every endpoint of the host: where it is to be asked."""

    def __init__(self, ws: Workspace, port: int | None) -> None:
        self._folder = ws.home / "run" / "endpoints"
        self._started = ws.clock.now()
        self._port, self._begun = port, False
        self._names: set[str] = set()
        self._written: set[str] = set()
        self._lock = threading.Lock()

    def begin(self, port: int) -> None:
        """Tell of those that are known, from now on."""
        with self._lock:
            self._port, self._begun = self._port or port, True
            self._write()

    def tell(self, routings: Mapping[str, Routing]) -> None:
        """Take over which endpoints there are; those without a champion cannot be asked."""
        with self._lock:
            self._names = {name for name, one in routings.items() if one.champion is not None}
            if self._begun:
                self._write()

    def end(self) -> None:
        """Take away what nobody answers any more."""
        with self._lock:
            self._names = set()
            self._write()

    def mend(self) -> None:
        """Write again what somebody took away: an endpoint's own process, when it ended late."""
        with self._lock:
            there = {name for name in self._written if (self._folder / f"{name}.json").exists()}
            self._written = there
            if self._begun:
                self._write()

    def _write(self) -> None:
        for name in self._names - self._written:
            write_json(
                self._folder / f"{name}.json",
                {
                    "name": name,
                    "pid": os.getpid(),
                    "port": self._port,
                    "url": f"http://127.0.0.1:{self._port}/e/{name}",
                    "started": self._started,
                    "place": "shared",
                },
            )
        for name in self._written - self._names:
            file = self._folder / f"{name}.json"
            if (read_json(file) or {}).get("place") == "shared":
                file.unlink(missing_ok=True)
        self._written = set(self._names)
