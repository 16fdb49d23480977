"""What others have stored never runs: hostile names, values and files, in a real browser."""

from __future__ import annotations

import random
from types import ModuleType
from urllib.parse import quote, urlsplit

import httpx
from playwright.sync_api import Page, Request

from mainspring.experiments import artifacts, groups, runs
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.workspace.opening import Workspace

BEACON = "/beacon-was-reached"
EVIL_NAMES = [
    f"\"'></td><script>fetch('{BEACON}')</script>",
    f"<img src=x onerror=\"fetch('{BEACON}')\">",
    f"</title></style></textarea><svg onload=fetch('{BEACON}')>",
    f"javascript:fetch('{BEACON}')",
    "{{ self.__init__.__globals__ }}${7*7}<%= 7*7 %>",
    "<a href='javascript:window.owned=1'>press</a>",
    "&#x202e;evil&zwj; %3Cscript%3E",
]
UNSEEN = "\u202eevil\u202c \u200b value"  # no name can hold it, a value can
SCRIPT = f"window.owned = 1; fetch('{BEACON}'); new Image().src = '{BEACON}'"
SVG = (
    f"<svg xmlns='http://www.w3.org/2000/svg' onload=\"{SCRIPT}\"><script>{SCRIPT}</script></svg>"
)
#: Begins as a GIF and is a script too, as those who smuggle scripts past a sniffer write them.
POLYGLOT = b"GIF89a/*\x01\x00\x80*/=1;" + SCRIPT.encode() + b"//\x00;"
EVIL_FILES: dict[str, bytes] = {
    "page.html": f"<!doctype html><script>{SCRIPT}</script>".encode(),
    "page.xhtml": f"<html xmlns='http://www.w3.org/1999/xhtml'><script>{SCRIPT}</script></html>".encode(),
    "shape.svg": SVG.encode(),
    "shape.png": SVG.encode(),
    "smuggled.gif": POLYGLOT,
    "code.js": SCRIPT.encode(),
    "report.pdf": b"%PDF-1.4 <script>" + SCRIPT.encode() + b"</script>",
    "cells.csv": f'a,b\n<script>{SCRIPT}</script>,"=HYPERLINK(""javascript:1"")"\n'.encode(),
    "table.json": (
        b'{"columns": ["<script>fetch(1)</script>"], "data": [["<img src=x onerror=fetch(2)>"]]}'
    ),
    "lines.patch": f"+<script>{SCRIPT}</script>\n-<img src=x onerror=1>\n".encode(),
    "notes.md": f"[press](javascript:{SCRIPT})\n<script>{SCRIPT}</script>".encode(),
    "a b%20c'\"&<x>.txt".replace("%", "-"): b"odd",
}


def _hostile(ws: Workspace, tracked: ModuleType) -> str:
    """Fill a home with names, values and files that would run if they could; return its key."""
    kept = {path: (ws.objects.put(data), len(data)) for path, data in EVIL_FILES.items()}

    def work(tx: Tx) -> str:
        draw = random.Random(2)
        note = " ".join([*EVIL_NAMES, UNSEEN])
        tags = {"mainspring.note": note, "mainspring.best": f"max {EVIL_NAMES[1]}"}
        one = groups.create(tx, f"e {EVIL_NAMES[0]}", {**tags, EVIL_NAMES[1]: note}, tracked.NOW)
        for number, name in enumerate(EVIL_NAMES):
            key = f"run_evil{number}"
            own = {
                "mainspring.group": name,
                "mainspring.user": name,
                "mainspring.source": name,
                name: name,
            }
            params = {each: f"{each} {number} {UNSEEN}" for each in EVIL_NAMES}
            at = tracked.NOW + number
            tracked.a_run(tx, key, one.key, at, params, own, draw, name=name)
            values = {each: float(number + place) for place, each in enumerate(EVIL_NAMES)}
            runs.log(tx, key, values, at=at)
            runs.log(tx, key, {f"system/{name}": 1.0}, at=at)
        for path, (digest, size) in kept.items():
            artifacts.put(tx, "run_evil0", path, digest, size, tracked.NOW)
        artifacts.put(
            tx, "run_evil0", f"dir <b>/{EVIL_NAMES[5].replace('/', '-')}", *kept["code.js"], 1
        )
        return one.key

    return ws.write(Permission.LOG, work)


def test_nothing_that_was_stored_ever_runs(
    opened, settle, site: str, home: Workspace, tracked: ModuleType
) -> None:  # type: ignore[no-untyped-def]
    key = _hostile(home, tracked)
    reached: list[str] = []

    def watch(request: Request) -> None:
        if urlsplit(request.url).path == BEACON or not request.url.startswith(
            (site, "data:", "about:")
        ):
            reached.append(request.url)

    everyone = "&".join(f"run=run_evil{n}" for n in range(len(EVIL_NAMES)))
    paths = [
        "/",
        f"/runs?experiment={key}",
        f"/runs?filter={quote(EVIL_NAMES[0])}",
        f"/runs?spark={quote(EVIL_NAMES[1])}&order=name",
        f"/experiments/{key}",
        "/experiments",
        f"/compare?{everyone}",
        f"/compare?{everyone}&by={quote(EVIL_NAMES[1])}",
        *(f"/runs/run_evil{n}" for n in range(len(EVIL_NAMES))),
        *(f"/runs/run_evil0?path={quote(path)}" for path in EVIL_FILES),
    ]
    with opened(viewport={"width": 1280, "height": 1600}) as (page, said):
        page.on("request", watch)
        page.on("dialog", lambda one: one.dismiss())
        for path in paths:
            page.goto(site + path)
            settle(page)
            _touch(page)
            assert page.evaluate("[window.owned, window.breaches]") == [None, []], path
        assert reached == []
        broken = [one for one in said if "Failed to load resource" not in one]
        assert broken == []


def _touch(page: Page) -> None:
    """Move over what says more when it is pointed at."""
    for where in (".parallel .line", ".scatterlayer .points path", "tr[data-run]"):
        spot = page.locator(where).first
        if spot.count():
            spot.hover(force=True)


def test_a_stored_file_opened_by_itself_runs_nothing_either(
    opened, site: str, home: Workspace, tracked: ModuleType
) -> None:  # type: ignore[no-untyped-def]
    _hostile(home, tracked)
    for path, body in EVIL_FILES.items():
        url = f"{site}/runs/run_evil0/files/{quote(path)}"
        for asked in (url, f"{url}?show=picture"):
            answer = httpx.get(asked, trust_env=False)
            assert answer.content == body
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "sandbox" in answer.headers["content-security-policy"]
            picture = "show" in asked and path.endswith(".gif")
            media = "image/gif" if picture else "application/octet-stream"
            assert answer.headers["content-type"] == media
            kind = "inline" if picture else "attachment"
            assert answer.headers["content-disposition"].startswith(f"{kind}; ")
    with opened() as (page, _):
        reached: list[str] = []
        page.on("request", lambda one: reached.append(one.url))
        page.goto(f"{site}/runs/run_evil0/files/smuggled.gif?show=picture")
        # As a script it is refused: the type says that it is a picture.
        page.goto(f"{site}/runs/run_evil0")
        loaded = page.evaluate(
            "(src) => new Promise((done) => { const one = document.createElement('script');"
            " one.src = src; one.onload = () => done(true); one.onerror = () => done(false);"
            " document.head.append(one); })",
            f"{site}/runs/run_evil0/files/smuggled.gif?show=picture",
        )
        assert loaded is False
        assert page.evaluate("window.owned") is None
        assert BEACON not in [urlsplit(one).path for one in reached]
