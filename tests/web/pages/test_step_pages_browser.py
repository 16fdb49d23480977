"""The run of the how-to in a browser: looked at box by box, answered, and gone on with."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.pipelines import project as projects
from mainspring.pipelines import runs as pipelines
from mainspring.workspace import engines, printing, running
from mainspring.workspace.opening import Workspace

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "look-at-pipelines.md"


@pytest.fixture
def place(tmp_path: Path, home: Workspace) -> Iterator[Workspace]:
    [project] = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "project.py").write_text(project)
    yield home
    projects.close()


def carried_out(ws: Workspace) -> str:
    run = running.start_run(ws, "week", {})
    engines.drive(ws, run)
    return run


def grows(ws: Workspace, run: str, page: Any, settle: Any) -> None:
    """Look on while the log of a step grows, and let the step wait again."""
    file = printing.file_of(ws.home, run, "shops")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("opening 1\n")

    def begin(tx: Tx) -> None:
        pipelines.started(tx, pipelines.prepare(tx, run, "shops", lambda _: True), 1.0)

    ws.store.write(service("engine"), Permission.WORK, begin)
    page.goto(f"{page.url}?step=shops")
    settle(page)
    expect(page.locator("#log-tail")).to_contain_text("opening 1")
    with file.open("a") as printed:
        printed.write("<b>opening 2</b>\n")
    expect(page.locator("#log-tail")).to_contain_text("<b>opening 2</b>")
    ws.store.write(
        service("engine"), Permission.WORK, lambda tx: pipelines.unstarted(tx, run, "shops")
    )


def test_a_run_is_looked_at_answered_and_followed_to_its_failure(
    opened, settle, place: Workspace, site: str
) -> None:  # type: ignore[no-untyped-def]
    with opened(viewport={"width": 1280, "height": 900}) as (page, complaints):
        page.goto(f"{site}/pipelines")  # where nothing ran yet
        page.get_by_role("link", name="project:week", exact=True).click()
        page.get_by_text("Run", exact=True).click()
        page.get_by_label("count").fill("8")
        page.get_by_role("button", name="Run it").click()
        page.wait_for_url("**/runs/run_*")
        first = page.url.rpartition("/")[2]
        grows(place, first, page, settle)
        engines.drive(place, first)
        page.goto(f"{site}/runs/{first}?step=release")
        page.get_by_label("Why").fill("not today")
        with page.expect_navigation():
            page.get_by_role("button", name="Refuse").click()
        engines.drive(place, first)
        run = carried_out(place)
        page.goto(f"{site}/runs/{run}")
        settle(page)
        picture = page.locator("#graph-scroll svg")
        box = picture.get_by_role("link", name="sales: done")
        expect(box).to_contain_text("7 of 8 done, 1 failed")
        expect(picture.get_by_role("link", name="shops: reused")).to_be_visible()
        page.evaluate("window.mine = true")
        box.focus()
        page.keyboard.press("Enter")
        panel = page.locator("#step")
        expect(panel).to_contain_text("7 of 8 done, 1 failed")
        expect(panel.locator("tbody tr").first).to_contain_text("shop 3 has no till")
        panel.get_by_role("link", name="[3]").click()
        expect(panel.locator("h3")).to_contain_text("[3]")
        expect(panel).to_contain_text("Traceback")
        expect(panel).to_contain_text("Part of")
        expect(picture.locator("a[aria-current]")).to_have_count(1)
        picture.get_by_role("link", name="shops: reused").click()
        expect(panel.locator(".why")).to_contain_text("reused from")
        expect(panel).to_contain_text("Result of")
        picture.get_by_role("link", name="release: waits for somebody").click()
        expect(panel).to_contain_text("Is it good?")
        assert page.evaluate("window.mine"), "nothing of it loaded the page anew"
        panel.get_by_label("Why").fill("It is.")
        with page.expect_navigation():  # to the same address
            panel.get_by_role("button", name="Approve").click()
        settle(page)
        page.evaluate("window.mine = true")
        thread = threading.Thread(target=engines.drive, args=(place, run))
        thread.start()
        thread.join(120)
        assert not thread.is_alive()
        expect(picture.get_by_role("link", name="release: done")).to_be_visible()
        expect(picture.get_by_role("link", name="publish: failed")).to_be_visible()
        expect(picture.get_by_role("link", name="not taken")).to_be_visible()
        expect(page.locator("#step .why")).to_contain_text("It is.")
        picture.get_by_role("link", name="publish: failed").click()
        expect(panel.locator(".error")).to_contain_text("the printer is off")
        assert page.evaluate("[window.mine, window.breaches]") == [True, []]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        bars = page.locator("#timeline-scroll svg g.step")
        expect(bars).to_have_count(13)  # every step that began; the branch not taken did not
        page.get_by_role("link", name="Pipelines").click()
        row = page.locator("#pipelines-scroll tbody tr")
        expect(row).to_have_count(1)
        expect(row.get_by_role("img")).to_have_attribute("aria-label", "Of the last 2: 2 failed")
        expect(row).to_contain_text("failed")
        row.get_by_role("link", name="project:week", exact=True).click()
        settle(page)
        expect(page.locator("#runs-scroll tbody tr")).to_have_count(2)
        row = page.locator("#steps-scroll tbody tr", has_text="sales[…]")
        expect(row.locator("td")).to_contain_text(["step", "", "", "50 %", "2", "16"])
        assert page.evaluate("window.breaches") == []
        page.locator("svg.graph").get_by_role("link", name="publish: failed").click()
        expect(panel.locator(".error")).to_contain_text("the printer is off")
        page.go_back()
        page.get_by_role("link", name="Compare the last two").click()
        settle(page)
        row = page.locator("#steps-scroll tbody tr", has_text="shops")
        expect(row).to_contain_text("reused from")
        expect(row).to_contain_text("the same")
        row = page.locator("#steps-scroll tbody tr").filter(
            has=page.get_by_role("rowheader", name="publish")
        )
        expect(row).to_contain_text("the printer is off")
        assert page.evaluate("window.breaches") == []
        assert complaints == []
    with opened(color_scheme="dark", viewport={"width": 420, "height": 900}) as (page, complaints):
        page.goto(f"{site}/runs/{first}?step=shops")
        settle(page)
        expect(page.locator("#step")).to_contain_text("counting to 8")
        assert page.evaluate("window.breaches") == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for path in ("/pipelines", "/pipelines/project:week"):
            page.goto(site + path)
            settle(page)
            assert page.evaluate("window.breaches") == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert complaints == []
