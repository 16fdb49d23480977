"""A told home, served once for all tests of the pages that only look."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

import serving_in_a_thread
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.ground.settings import load
from mainspring.web.app import build_app
from mainspring.workspace.opening import Workspace, open_workspace

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def _module(name: str) -> ModuleType:
    """Import a file that stands beside this one: test folders are not on the path."""
    file = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"pages_{name}", file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[Workspace]:
    (folder / "mainspring.toml").write_text("")
    ws = open_workspace(load({}, start=folder, environ={}))
    try:
        yield ws
    finally:
        ws.close()


def _served(ws: Workspace, port: int = 0) -> AbstractContextManager[str]:
    return serving_in_a_thread.served(build_app(ws), port)


Write = Callable[[Callable[[Tx], object]], object]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Workspace]:
    """An empty home."""
    with _opened(tmp_path) as ws:
        yield ws


@pytest.fixture
def write(home: Workspace) -> Write:
    """Write into the home as the engine does."""
    return lambda work: home.store.write(service("engine"), Permission.WORK, work)


@pytest.fixture
def site(home: Workspace) -> Iterator[str]:
    """The URL of that home, served."""
    with _served(home) as url:
        yield url


@pytest.fixture
def serve_again() -> Callable[[Workspace, int], contextlib.AbstractContextManager[str]]:
    """Serve a home on a given port, to come and go within a test."""
    return _served


@pytest.fixture(scope="session")
def story() -> ModuleType:
    """The module that tells the story: its ``furnish`` writes it into a home."""
    records = _module("records")  # which the story imports
    found = _module("story")
    found.records = records
    return found


@pytest.fixture(scope="session")
def told_url(tmp_path_factory: pytest.TempPathFactory, story: ModuleType) -> Iterator[str]:
    """The URL of a home in which thirty weeks have passed; nobody writes into it."""
    with _opened(tmp_path_factory.mktemp("told")) as ws:
        ws.store.write(service("engine"), Permission.WORK, story.furnish)
        with _served(ws) as url:
            yield url


@pytest.fixture
def told(told_url: str) -> Iterator[httpx.Client]:
    """A browser-like client of that home."""
    headers = {"Accept": "text/html,application/xhtml+xml"}
    with httpx.Client(base_url=told_url, headers=headers, trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def tracked() -> ModuleType:
    """The module that writes tracked runs: its ``furnish`` writes them into a home."""
    return _module("tracked")


@pytest.fixture(scope="session")
def tracked_url(tmp_path_factory: pytest.TempPathFactory, tracked: ModuleType) -> Iterator[str]:
    """The URL of a home with tracked runs; nobody writes into it."""
    with _opened(tmp_path_factory.mktemp("tracked")) as ws:
        tracked.furnish(ws)
        with _served(ws) as url:
            yield url


@pytest.fixture
def seen(tracked_url: str) -> Iterator[httpx.Client]:
    """A browser-like client of that home."""
    headers = {"Accept": "text/html,application/xhtml+xml"}
    with httpx.Client(
        base_url=tracked_url, headers=headers, trust_env=False, timeout=60
    ) as client:
        yield client


@pytest.fixture(scope="session")
def served() -> ModuleType:
    """The module of what endpoints' processes leave and say."""
    return _module("served")


@pytest.fixture(scope="session")
def watched() -> ModuleType:
    """The module that writes watched endpoints: its ``furnish`` writes them into a home."""
    return _module("watched")


@pytest.fixture(scope="session")
def watched_home(
    tmp_path_factory: pytest.TempPathFactory, watched: ModuleType
) -> Iterator[Workspace]:
    """A home with watched endpoints; nobody writes into it."""
    with _opened(tmp_path_factory.mktemp("watched")) as ws:
        watched.furnish(ws)
        yield ws


@pytest.fixture(scope="session")
def watched_url(watched_home: Workspace) -> Iterator[str]:
    """The URL of that home, served."""
    with _served(watched_home) as url:
        yield url


@pytest.fixture
def watching(watched_url: str) -> Iterator[httpx.Client]:
    """A browser-like client of that home."""
    headers = {"Accept": "text/html,application/xhtml+xml"}
    with httpx.Client(
        base_url=watched_url, headers=headers, trust_env=False, timeout=60
    ) as client:
        yield client


@pytest.fixture(scope="session")
def ready(story: ModuleType) -> ModuleType:
    """The module that writes readiness and debt beside the story."""
    # Which it imports; a test that leaves a project behind may have unloaded it meanwhile.
    sys.modules["pages_records"] = story.records
    return _module("ready")


@pytest.fixture(scope="session")
def ready_url(
    tmp_path_factory: pytest.TempPathFactory, story: ModuleType, ready: ModuleType
) -> Iterator[str]:
    """The URL of a home with the story, and all that readiness and debt know of it."""
    with _opened(tmp_path_factory.mktemp("ready")) as ws:
        ws.store.write(service("engine"), Permission.WORK, story.furnish)
        ws.store.write(service("engine"), Permission.WORK, ready.furnish)
        with _served(ws) as url:
            yield url


@pytest.fixture
def judging(ready_url: str) -> Iterator[httpx.Client]:
    """A browser-like client of that home."""
    headers = {"Accept": "text/html,application/xhtml+xml"}
    with httpx.Client(base_url=ready_url, headers=headers, trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def data_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a home with versions of data: tables, files, and names that attack."""
    data = _module("kept_data")
    with _opened(tmp_path_factory.mktemp("data")) as ws:
        data.furnish(ws, tmp_path_factory.mktemp("files"))
        with _served(ws) as url:
            yield url


@pytest.fixture(scope="session")
def chained() -> ModuleType:
    """The module that writes a chain from data to a prediction: ``furnish`` into a home."""
    return _module("chained")


# ---------------------------------------------------------------- a real browser

Opened = Callable[..., contextlib.AbstractContextManager[tuple[Page, list[str]]]]


@pytest.fixture(scope="module")  # a driver in the way of a later test file is a loop in its way
def browser() -> Iterator[Browser]:
    """Chromium, started once."""
    assert CHROMIUM is not None, "the pages are tested in a real browser: run make system"
    expect.set_options(timeout=60_000)  # a condition is waited for, however busy the machine
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@pytest.fixture
def opened(browser: Browser) -> Opened:
    """Open a page, with the options of a context; what the browser complains of is gathered."""

    @contextlib.contextmanager
    def page(**options: object) -> Iterator[tuple[Page, list[str]]]:
        context = browser.new_context(**options)  # type: ignore[arg-type]
        context.set_default_timeout(60_000)
        context.add_init_script(
            "window.breaches = [];"
            "document.addEventListener('securitypolicyviolation',"
            " (e) => window.breaches.push(e.violatedDirective + ' ' + e.blockedURI))"
        )
        page = context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        try:
            yield page, complaints
        finally:
            context.close()

    return page


@pytest.fixture
def settle() -> Callable[[Page], None]:
    """Wait until a page has shown what is new."""
    return lambda page: expect(page.locator("#live")).to_have_text("live", timeout=60_000)
