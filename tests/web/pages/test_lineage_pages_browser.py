"""Lineage, schedules and triggers in a real browser: drawn, walked by clicks, and pressed."""

from __future__ import annotations

import re
from types import ModuleType
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
        assert page.locator("svg.graph g.step").count() <= 60
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


def test_from_a_prediction_to_its_data_and_back_by_clicks(
    opened, home: Workspace, site: str, chained: ModuleType
) -> None:
    """Among 540 things: by the boxes of the picture there, by pages and links back."""
    ids = chained.furnish(home, wide=180)
    with opened(viewport={"width": 1280, "height": 900}) as (page, complaints):
        page.goto(f"{site}/lineage?subject=prediction:{ids[0]}")
        expect(page.locator("#here")).to_contain_text("by endpoint arrivals")
        for box, here in (
            ("version delays/1", "version delays/1"),
            ("step fit", "step fit"),
            ("step clean", "step clean"),
            ("step load", "step load"),
            ("run run_a", "run run_a"),
            ("dataset flights@1", "dataset flights@1"),
        ):
            page.get_by_role("link", name=box).first.click()
            expect(page.locator("#here")).to_contain_text(here)
        expect(page.locator("[role=status]", has_text="are folded")).to_be_visible()
        assert page.locator("svg.graph g.step").count() < 100
        page.get_by_role("link", name="predictions that came of it").click()
        expect(page.locator("#sum")).to_contain_text("7 captured predictions")
        page.get_by_role("link", name=ids[2], exact=True).click()
        expect(page.locator("#here")).to_contain_text(f"prediction {ids[2]}")
        # By pages: the endpoint's, the version's, the run's and the data's lead to their lineage.
        page.get_by_role("link", name="its endpoint").click()
        expect(page.locator("h1")).to_contain_text("arrivals")
        page.get_by_role("link", name="Its lineage").click()
        page.get_by_role("link", name="Page of version delays/1").click()
        page.get_by_role("link", name="Its lineage").click()
        page.get_by_role("link", name="Page of step fit").first.click()
        page.get_by_role("link", name="what it came from, what came of it").click()
        expect(page.locator("#here")).to_contain_text("step fit")
        page.get_by_role("link", name="Page of dataset flights@1").click()
        page.get_by_role("link", name="predictions that came of it").click()
        expect(page.locator("#sum")).to_contain_text("7 captured predictions")
        assert page.evaluate("[window.breaches, window.owned ?? null]") == [[], None]
        assert complaints == []


def test_among_hundreds_a_thing_is_found_unfolded_and_reached_by_keys(
    opened, home: Workspace, site: str, chained: ModuleType
) -> None:
    chained.furnish(home, wide=180)
    with opened(viewport={"width": 1280, "height": 900}) as (page, complaints):
        page.goto(f"{site}/lineage?subject=dataset:flights@1")
        focused = "document.activeElement.dataset.ref ?? document.activeElement.id"
        page.keyboard.press("/")
        assert page.evaluate(focused) == "find"
        page.keyboard.type("run_0170")
        page.keyboard.press("Enter")
        expect(page.locator("[role=status]", has_text="“run_0170”")).to_be_visible()
        expect(page.locator("svg.graph a[data-ref='run:run_0170'] g")).not_to_have_class(
            re.compile("dim")
        )
        expect(page.locator("svg.graph a[data-ref='run:run_a'] g")).to_have_class(
            re.compile("dim")
        )
        page.locator("svg.graph a[aria-current]").focus()
        page.keyboard.press("ArrowRight")
        one = page.evaluate(focused)
        page.keyboard.press("ArrowDown")
        other = page.evaluate(focused)
        assert one.startswith("run:")
        assert other not in (one, "find")
        assert page.locator("svg.graph path.mine").count() > 0
        page.keyboard.press("ArrowLeft")
        assert page.evaluate(focused) == "dataset:flights@1"
        page.goto(f"{site}/lineage?subject=dataset:flights@1")
        before = page.locator("svg.graph a[data-ref^='run:']").count()
        page.locator("svg.graph a[data-ref='folded:1:run']").click()
        expect(page.locator("svg.graph a[data-ref^='run:']")).not_to_have_count(before)
        assert complaints == []
