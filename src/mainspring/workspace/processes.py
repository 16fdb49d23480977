"""The bodies of the long-lived processes: the engine and the endpoints."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import socket
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.ground.objects import EndpointOptions, Routing
from mainspring.ground.permissions import Permission, service
from mainspring.ground.settings import Settings
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.signs import BEAT_S
from mainspring.workspace.signs import read_json as read_json

if TYPE_CHECKING:
    from mainspring.engine.worker import Engine
    from mainspring.scaling.serving.app import EndpointApp
    from mainspring.workspace.link import Link


def run_engine(settings: Settings, link: Link) -> None:
    """Be the engine until the link says stop: work, and tell which endpoints are wanted."""
    from mainspring.workspace.engines import SLOTTED, make_engine
    from mainspring.workspace.families.kinds import OWN_LANE
    from mainspring.workspace.logs.alarming import keep_watch
    from mainspring.workspace.tracking.upkeep import keep_up

    ws = open_workspace(settings)
    # A kind that only one process can do is never ours.
    engine = make_engine(ws, "engine", leaves=(*SLOTTED, OWN_LANE))
    slots = make_engine(ws, "slots", scanning=False, workers=ws.settings.slots, only=SLOTTED)
    work = threading.Thread(target=slots.run, args=(link.stop,), name="slots")
    folding = threading.Thread(
        target=keep_up, args=(ws, link.stop, engine.troubles), name="folding", daemon=True
    )
    work.start()
    beat = threading.Thread(target=_beat, args=(ws, engine, link), name="beat", daemon=True)
    watching = threading.Thread(
        target=keep_watch, args=(ws, link.stop, engine.troubles), name="logs", daemon=True
    )
    folding.start()
    watching.start()
    beat.start()
    try:
        engine.run(link.stop)
    finally:
        link.stop.set()
        work.join()
        folding.join(timeout=5)
        watching.join(timeout=5)
        beat.join(timeout=5)
        ws.close()


def _beat(ws: Workspace, engine: Engine, link: Link) -> None:
    """Say that the engine lives and which endpoints should; at once when they change."""
    from mainspring.readiness import registry
    from mainspring.scaling.serving import endpoints

    own = ws.acting_as(service("engine"))
    seen, told, due, ready = -1, None, 0.0, False
    while not link.stop.is_set():
        now = time.monotonic()  # a round may take long: its turns are no measure of time
        if now >= due:
            write_json(
                ws.home / "run" / "engine.json",
                {"pid": os.getpid(), "at": ws.clock.now(), "troubles": engine.troubles},
            )
            due = now + BEAT_S
            if not ready:
                link.send({"ready": True})
                ready = True
        changed = ws.store.changed()
        if changed != seen:
            seen = changed
            wanted = own.read(
                Permission.WORK,
                lambda tx: [
                    {"name": e.name, "place": e.options.place}
                    | msgspec.to_builtins(e.options.scaling)
                    for e in endpoints.list_endpoints(tx)
                    if e.kind == "served" and registry.champion(tx, e.model) is not None
                ],
            )
            if wanted != told:
                link.send({"endpoints": wanted})
                told = wanted
        link.stop.wait(0.1)


def run_endpoint(settings: Settings, name: str, link: Link, shared: int | None = None) -> None:
    """Be a worker of one endpoint until the link says stop.

    ``shared`` is the socket that all its workers answer on. Beside it each has a port of its own,
    on which it alone is asked how it is; without ``shared`` that is the endpoint's.
    """
    from mainspring.scaling.serving.metrics import EDGES
    from mainspring.scaling.serving.rpc.door import Door
    from mainspring.scaling.serving.server import serve
    from mainspring.workspace.peers import http_protocol, uid_of

    ws = open_workspace(settings)
    app = _app(ws, settings, name)
    app.doorkeeper.door = Door(app, uid_of, settings.max_body_mb * 2**20)
    file = ws.home / "run" / "endpoints" / f"{name}.json"
    if shared is not None:
        file = file.with_suffix(".d") / f"{os.getpid()}.json"

    def ready(port: int) -> None:
        write_json(
            file,
            {
                "name": name,
                "pid": os.getpid(),
                "port": port,
                "url": f"http://127.0.0.1:{port}",
                "started": ws.clock.now(),
            },
        )
        link.send({"ready": True, "edges": list(EDGES)})

    listening = None if shared is None else socket.socket(fileno=shared)
    try:
        serve(
            app,
            "127.0.0.1",
            0,
            on_ready=ready,
            stop=link.stop,
            http=http_protocol(),
            shared=listening,
            on_start=partial(_listen, app, link),
        )
    finally:
        if shared is not None:
            _depart(app, file.parent)
        if _mine(file):
            file.unlink(missing_ok=True)
        ws.close()


def _app(ws: Workspace, settings: Settings, name: str) -> EndpointApp:
    """Return the application of one endpoint, which follows what the store says of it."""
    from mainspring.scaling.models import carried
    from mainspring.scaling.serving.app import EndpointApp
    from mainspring.scaling.serving.capture import CaptureWriter
    from mainspring.scaling.serving.scorers import choosing
    from mainspring.workspace.access import Gatekeeper, own_names
    from mainspring.workspace.routing import routing

    own = ws.acting_as(service(f"endpoint-{name}"))

    known = {"options": EndpointOptions()}

    def current() -> Routing:
        found = own.read(Permission.WORK, lambda tx: routing(tx, name))
        known["options"] = found.options
        return found

    return EndpointApp(
        name=name,
        routing=current,
        changed=ws.store.changed,
        loader=lambda package: choosing.served(
            package, ws.objects, lambda: known["options"].limits
        ),
        captures=CaptureWriter(ws.captures(name)),
        authenticate=Gatekeeper(ws, own_names(settings)).admit,
        settings=settings,
        usual=lambda package: carried.usual(package, ws.objects),
    )


def _depart(app: EndpointApp, folder: Path) -> None:
    """Leave what this worker counted with those before it, or a scraper would see counts fall."""
    from mainspring.ground.exposition import text_of
    from mainspring.scaling.serving.exposing import exposition
    from mainspring.workspace import joined

    file = folder / "departed.json"
    try:
        locked = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:  # the endpoint was removed
        return
    try:
        fcntl.flock(locked, fcntl.LOCK_EX)  # two may end at once
        before = read_json(file) or {}
        mine = exposition(app)
        texts = [text for text in (before.get("metrics"), mine) if text]
        found = [one for one in joined.metrics(texts) if one.kind != "gauge"]
        status = joined.statuses([before.get("status") or {}, joined.lasting(app.status())])
        with contextlib.suppress(FileNotFoundError):  # it is being removed
            write_json(file, {"status": status, "metrics": text_of(found)})
    finally:
        os.close(locked)


def _listen(app: EndpointApp, link: Link, state: Any) -> None:
    """Tell the supervisor how busy this worker is, and do as it says of connections."""
    from mainspring.scaling.serving.leaving import shed
    from mainspring.scaling.serving.pulse import Pulse

    loop = asyncio.get_running_loop()

    def beat(told: dict[str, Any]) -> None:
        app.pulse = told
        link.murmur({"beat": told})

    def heard(told: dict[str, Any]) -> None:
        loop.call_soon_threadsafe(shed, state, told.get("shed", 0))

    Pulse(state, lambda: app.counts.latency.counts, beat).begin()
    link.listen(heard)


def write_json(file: Path, value: dict[str, Any]) -> None:
    """Replace a small file whole, readable by its owner alone."""
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(value), "utf-8")
    part.replace(file)


def _mine(file: Path) -> bool:
    known = read_json(file)
    return known is not None and known.get("pid") == os.getpid()
