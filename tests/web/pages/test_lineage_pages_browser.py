"""Lineage, schedules and triggers in a real browser: drawn, walked by clicks, and pressed."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from mainspring.engine import firing, schedules, triggers
from mainspring.engine.firetimes import Schedule
from mainspring.engine.triggers import Happened, Trigger
from mainspring.experiments import datasets, runs
from mainspring.experiments.datasets import Dataset, Use
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.workspace.opening import Workspace

HOSTILE = '<img src=x onerror="window.owned=1">'
AT = 1_700_000_000.0


def furnish(tx: Tx) -> None:
    for number in range(230):
        name = f"run_{number:03}"
        runs.create(
            tx,
            Run(id=name, experiment="e", name=HOSTILE, status=RunStatus.FINISHED, started=AT,
                parent="run_000" if number in (1, 2) else None),
        )  # fmt: skip
        told = [Dataset(name="flights", digest="d1", source_type="local",
                        source='{"uri": "/data/flights.parquet"}')]  # fmt: skip
        if number == 0:
            told.append(Dataset(name=HOSTILE, digest="d2", source_type="code", source="{}"))
        datasets.log(tx, name, [Use(dataset=one) for one in told], AT)
    payload = {"root": "/", "pipeline": "project:train", "params": {}}
    nightly = Schedule(name="nightly", cron="30 2 * * *", kind="start_run", payload=payload)
    schedules.put(tx, nightly, AT)
    firing.run_now(tx, "nightly", "ada", AT)
    on = Trigger(name="on-flights", source="dataset", what=HOSTILE, root="/", pipeline="p:train")
    triggers.put(tx, on, [], None, AT)
    happened = Happened(key="k", body={"x": HOSTILE})
    triggers.note(tx, "on-flights", happened, f"its filter {HOSTILE} does not hold", AT)


@pytest.fixture
def place(home: Workspace, site: str) -> str:
    home.store.write(service("engine"), Permission.WORK, furnish)
    return site


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 420)])
def test_the_pages_are_drawn_walked_and_pressed_without_a_breach(
    opened, settle, place: str, scheme: str, width: int
) -> None:
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}}
    with opened(**options) as (page, complaints):
        asked: list[str] = []
        page.on("request", lambda r: asked.append(r.url))

        def fits() -> None:
            assert page.evaluate("[window.breaches, window.owned ?? null]") == [[], None]
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

        page.goto(f"{place}/lineage")
        expect(page.locator("main")).to_contain_text("prediction:ID")
        page.get_by_label("Of", exact=True).fill("run:run_000")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("svg.graph")).to_be_visible()
        fits()
        box = page.locator("svg.graph a", has_text="flights@d1").first
        box.focus()
        page.keyboard.press("Enter")
        expect(page.locator("[role=status]", has_text="are folded")).to_be_visible()
        assert page.locator("svg.graph g.step").count() <= 200
        expect(page.locator("svg.graph")).to_contain_text("more")
        fits()
        page.goto(f"{place}/schedules")
        settle(page)
        expect(page.locator("#schedules-scroll")).to_contain_text("nightly")
        expect(page.locator("#triggers-scroll")).to_contain_text("<img src=x")
        fits()
        page.get_by_role("button", name="Pause nightly").click()
        expect(page.get_by_role("button", name="Resume nightly")).to_be_visible()
        page.get_by_role("button", name="Pause on-flights").click()
        expect(page.get_by_role("button", name="Resume on-flights")).to_be_visible()
        page.get_by_role("button", name="Run now nightly").click()
        expect(page.locator("#schedules-scroll .badge").nth(1)).to_be_visible()
        fits()
        assert {urlsplit(url).netloc for url in asked} == {urlsplit(place).netloc}
        assert complaints == []
