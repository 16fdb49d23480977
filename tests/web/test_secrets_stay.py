"""An attack on secrets: a step tells all it knows, and a stranger reads all there is."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote, urldefrag

import httpx
import pytest

from mainspring.ground.settings import Settings
from mainspring.web.api import call, every
from mainspring.workspace import engines, running
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.openlineage import delivering
from waiting import files_below

MARK = "marked/secret+of 42 and more"
FORMS = [
    MARK, quote(MARK, safe=""), quote(MARK), base64.b64encode(MARK.encode()).decode(),
    MARK.replace("/", "\\/"),
]  # fmt: skip
PROJECT = """
import base64, json, logging, os, sys
from urllib.parse import quote

import mainspring as ms


@ms.step(secrets=["SERVICE_KEY"], retries=1)
def tells(fails: bool) -> int:
    key = os.environ["SERVICE_KEY"]
    assert "MAINSPRING_SECRET_KEY" not in os.environ
    print(key, quote(key, safe=""), base64.b64encode(key.encode()).decode(), json.dumps([key]))
    print(key[:9], end="", flush=True)
    print(key[9:])
    logging.getLogger("own").warning("with %s", key)
    sys.stderr.write(key)
    os.system("printenv SERVICE_KEY; env")
    ms.log(size=len(key))
    if fails:
        try:
            raise KeyError(key)
        except KeyError as error:
            raise ValueError(f"refused: {key}") from error
    return len(key)


@ms.pipeline
def uses(fails: bool = False):
    return tells(fails)
"""
_LINK = re.compile(r'(?:href|src|data-[\w-]+)="(/[^"]*)"')


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A home that keeps the marked secret in each of its places, and has had it told by steps."""
    (tmp_path / "project.py").write_text(PROJECT)
    monkeypatch.setenv("MAINSPRING_SECRET_KEY", base64.b64encode(bytes(32)).decode())
    settings = Settings(root=str(tmp_path), home=str(tmp_path / "home"), webhook_hosts=["ci"])
    with closing(open_workspace(settings)) as ws:
        call(ws, "secrets.set", name="SERVICE_KEY", value=MARK)
        hook = {"name": "ci", "url": "http://ci/in", "events": ["alias.set"], "secret": MARK}
        call(ws, "webhooks.add", **hook)
        call(ws, "channels.add", name="ops", kind="webhook", target={"url": "http://ci/in"},
             secret=MARK)  # fmt: skip
        call(ws, "triggers.put", name="push", pipeline="uses", on="webhook", secret=MARK)
        for fails in (False, True):
            run = running.start_run(ws, "uses", {"fails": fails})
            assert (engines.drive(ws, run).status == "failed") is fails
        call(ws, "secrets.rotate")
        yield ws


def answers(ws: Workspace, client: httpx.Client) -> Iterator[tuple[str, str]]:
    """Yield every page that can be reached by links, and what every reading operation says."""
    runs = [one["id"] for one in call(ws, "runs.list", limit=10)["runs"]]
    waiting, seen = ["/", *(f"/runs/{run}" for run in runs)], set[str]()
    for one in every().values():
        if one.method == "GET":
            path = one.path.replace("{run}", runs[0]).replace("{step}", "tells")
            waiting.append(re.sub(r"\{\w+\}", "uses", path))
    while waiting and len(seen) < 220:
        path = urldefrag(waiting.pop(0).replace("&amp;", "&")).url
        if path in seen or "/static/" in path:
            continue
        seen.add(path)
        with client.stream("GET", path) as answer:
            if "event-stream" in answer.headers.get("content-type", ""):
                continue
            answer.read()
            text = answer.text + str(answer.headers)
        yield path, text
        waiting += _LINK.findall(text)


def test_a_secret_is_in_no_file_of_the_home_and_in_no_answer(
    house: Workspace, web: httpx.Client, tmp_path: Path
) -> None:
    shown = ""
    for path, text in answers(house, web):
        check(path, text)
        shown += text
    assert "refused: ***" in shown  # the trace is there, and only the secret is not
    assert "with ***" in shown
    for event in delivering.exported(house):
        check("openlineage", repr(event))
    key = os.environ["MAINSPRING_SECRET_KEY"].encode()
    for file in files_below(tmp_path / "home"):
        with suppress(IsADirectoryError, FileNotFoundError):  # the server works there meanwhile
            data = file.read_bytes()
            found = [form for form in [*(f.encode() for f in FORMS), key] if form in data]
            assert not found, file


def check(path: str, text: str) -> None:
    assert not [form for form in FORMS if form in text], path
