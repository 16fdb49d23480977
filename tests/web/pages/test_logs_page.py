"""The page of the logs: searched by its address, safe, for administrators."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from mainspring.ground.clock import SystemClock
from mainspring.ground.logs import line_of
from mainspring.web.api import call
from mainspring.workspace.opening import Workspace


@pytest.fixture
def reader(home: Workspace, site: str):
    now = SystemClock().now()
    lines = [
        line_of(now - 60, "info", "engine", 1, "step done", {"run": "run_1", "step": "train"}),
        line_of(now - 30, "error", "engine", 1, "<script>alert(1)</script>",
                {"endpoint": "flights", "trace": "Traceback\n<b>ValueError</b>"}),
        line_of(now - 10, "debug", "engine", 1, "a small thing", {}),
    ]  # fmt: skip
    folder = Path(home.home) / "logs"
    folder.mkdir(exist_ok=True)
    (folder / "engine.jsonl").write_bytes(b"".join(lines))
    with httpx.Client(base_url=site, trust_env=False, timeout=60) as client:
        yield client


def test_lines_are_shown_newest_first_with_links_and_nothing_in_them_runs(reader) -> None:
    text = reader.get("/logs").text
    assert text.index("&lt;script&gt;alert(1)") < text.index("step done")
    assert "<script>alert" not in text
    assert "&lt;b&gt;ValueError" in text
    assert 'href="/runs/run_1"' in text
    assert 'href="/endpoints/flights"' in text
    assert "a small thing" not in text  # debug is asked for
    assert "a small thing" in reader.get("/logs?level=debug").text


def test_the_address_is_the_search(reader) -> None:
    assert "step done" not in reader.get("/logs?level=error").text
    assert "step done" in reader.get("/logs?text=STEP&run=run_1&since=1h").text
    assert "Nothing in the logs meets this" in reader.get("/logs?text=zzz").text
    assert "Nothing in the logs meets this" in reader.get("/logs?since=1s&text=step").text


def test_what_cannot_be_asked_is_said_beside_the_form(reader) -> None:
    for query, words in (("since=soon", "15m"), ("level=loud", "debug, info"), ("process=x", "x")):
        answer = reader.get(f"/logs?{query}")
        assert answer.status_code == 200
        assert words in answer.text


def test_only_administrators_read_them(reader, home: Workspace) -> None:
    made = {
        role: call(home, "tokens.create", name=role, role=role) for role in ("viewer", "admin")
    }
    for role, status in (("viewer", 403), ("admin", 200)):
        shown = {"Authorization": f"Bearer {made[role]['token']}"}
        assert reader.get("/logs", headers=shown).status_code == status
