"""The pages of data in a real browser: they fit, breach nothing, and lead on by keys."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

PATHS = ("/data", "/data/features", "/data/flights", "/data/flights/diff?from=1&to=2")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 420)])
def test_every_page_is_drawn_without_a_breach_and_fits(
    opened, data_url: str, scheme: str, width: int
) -> None:
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}}
    own = urlsplit(data_url).netloc
    with opened(**options) as (page, complaints):
        asked: list[str] = []
        page.on("request", lambda r: asked.append(r.url))
        for path in PATHS:
            page.goto(data_url + path)
            expect(page.locator("h1")).to_be_visible()
            assert page.evaluate("[window.breaches, window.owned ?? null]") == [[], None]
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert {urlsplit(url).netloc for url in asked} == {own}
        assert complaints == []


def test_from_the_list_to_what_differs_by_keys(opened, data_url: str) -> None:
    with opened(viewport={"width": 1280, "height": 900}) as (page, complaints):
        page.goto(data_url + "/data")
        for link in ("flights", "What differs from flights@1"):
            found = page.get_by_role("link", name=link, exact=True).first
            found.focus()
            page.keyboard.press("Enter")
            expect(page.locator("h1")).to_contain_text("flights@")
        expect(page.locator("h1")).to_have_text("flights@1 and flights@2")
        page.get_by_label("From").select_option("2")
        page.get_by_role("button", name="Compare").click()
        expect(page.locator("main")).to_contain_text("Nothing differs.")
        assert page.evaluate("[window.breaches, window.owned ?? null]") == [[], None]
        assert complaints == []
