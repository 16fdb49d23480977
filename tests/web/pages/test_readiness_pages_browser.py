"""The pages of readiness and debt in a real browser: they fit, breach nothing, and go by keys."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

PATHS = (
    "/models/flights?version=4",
    "/models/flights/5/card",
    "/evidence/ev_load",
    "/decisions",
    "/loops/flights",
    "/debt",
)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 420)])
def test_every_page_is_drawn_without_an_error_or_a_breach_and_fits(
    opened, settle, ready_url: str, scheme: str, width: int
) -> None:
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}}
    own = urlsplit(ready_url).netloc
    with opened(**options) as (page, complaints):
        asked: list[str] = []
        page.on("request", lambda r: asked.append(r.url))
        for path in PATHS:
            page.goto(ready_url + path)
            if not path.endswith("/card"):  # it does not change by itself
                settle(page)
            for chart in page.locator(".chart").all():
                expect(chart.locator("svg.main-svg").first).to_be_attached(timeout=60_000)
            assert page.evaluate("[window.breaches, window.owned ?? null]") == [[], None]
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            assert page.locator("canvas").count() == 0
        assert {urlsplit(url).netloc for url in asked} == {own}
        assert complaints == []


def test_from_a_version_to_its_evidence_and_back_by_keys(opened, settle, ready_url: str) -> None:
    with opened(viewport={"width": 1280, "height": 900}) as (page, complaints):
        page.goto(ready_url + "/models/flights")
        settle(page)
        version = page.get_by_role("link", name="v4", exact=True).first
        version.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#chosen h2")).to_have_text("flights/4")
        settle(page)
        fold = page.locator("details[id^=score-]").first
        fold.locator("summary").focus()
        page.keyboard.press("Enter")
        expect(fold.locator("li").first).to_be_visible()
        shown = page.locator("#gate").get_by_role("link", name="evidence").first
        shown.focus()
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_contain_text("Load")
        expect(page.locator("main")).to_contain_text("<img src=x")
        gate = page.get_by_role("link", name="the gate")
        gate.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#gate h2")).to_have_text("Gate of flights/5")
        assert page.evaluate("[window.breaches, window.owned ?? null]") == [[], None]
        assert complaints == []
