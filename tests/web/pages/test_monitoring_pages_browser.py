"""The pages of monitoring in a real browser: no error, no breach, nothing from elsewhere, keys."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from urllib.parse import quote, urlsplit

import polars as pl
import pytest
from playwright.sync_api import Page, expect

import mainspring as ms
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import alarms
from mainspring.workspace.opening import Workspace

PATHS = (
    "/monitoring",
    "/endpoints/loans/drift",
    "/endpoints/loans/performance",
    "/endpoints/loans/bias",
    "/alarms",
)


def _elsewhere(page: Page, url: str) -> list[str]:
    """Gather the requests of a page that do not go to its own server."""
    own = urlsplit(url).netloc
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url) if urlsplit(r.url).netloc != own else None)
    return asked


def _alarm(ws: Workspace, kind: str, subject: str) -> str:
    every = ws.read(Permission.READ, lambda tx: alarms.open_alarms(tx, "loans"))
    return next(a.id for a in every if (a.kind, a.subject) == (kind, subject))


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 420)])
def test_every_page_is_drawn_without_an_error_or_a_breach_and_fits(
    opened, settle, watched_url: str, watched_home: Workspace, scheme: str, width: int
) -> None:
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}}
    cause = f"/alarms/{_alarm(watched_home, 'drift', 'amount')}"
    with opened(**options) as (page, complaints):
        asked = _elsewhere(page, watched_url)
        for path in (*PATHS, cause):
            page.goto(watched_url + path)
            settle(page)
            for chart in page.locator(".chart").all():
                expect(chart.locator("svg.main-svg").first).to_be_attached(timeout=60_000)
                chart.hover()
            assert page.evaluate("window.breaches") == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            assert page.locator("canvas").count() == 0
            assert page.evaluate("window.owned") is None
        assert asked == []
        assert complaints == []


def test_a_cell_of_the_strip_leads_to_its_window_and_column_without_a_reload(
    opened, settle, watched_url: str, watched: ModuleType
) -> None:
    with opened(viewport={"width": 1280, "height": 1600}) as (page, complaints):
        page.goto(watched_url + "/endpoints/loans/drift")
        settle(page)
        page.evaluate("window.mine = true")
        page.get_by_role("link", name="age: 5 Jan 2026 to 6 Jan 2026").click()
        expect(page.locator("[data-part=chosen] h2")).to_have_text("age", timeout=60_000)
        expect(page.locator("[data-part=chosen] .said")).to_contain_text("5 Jan 2026, 00:00 to")
        expect(page.locator("#distances .ytitle")).to_have_text("distance of age", timeout=60_000)
        expect(page.locator("#distribution .xtitle")).to_have_text("age")
        assert f"window=loans%3A{int(watched.START)}" in page.url
        page.go_back()
        expect(page.locator("[data-part=chosen] h2")).not_to_have_text("age", timeout=60_000)
        assert page.evaluate("window.mine") is True
        assert page.evaluate("window.breaches") == []
        assert complaints == []


def test_windows_are_stepped_through_by_keys(opened, settle, watched_url: str) -> None:
    with opened(viewport={"width": 1280, "height": 900}) as (page, complaints):
        page.goto(watched_url + "/endpoints/loans/drift?column=amount")
        settle(page)
        slider = page.get_by_role("slider", name="Window")
        expect(slider).to_have_value("9")
        slider.focus()
        page.keyboard.press("ArrowLeft")
        said = page.locator("[data-part=chosen] .said")
        expect(said).to_contain_text("13 Jan 2026, 00:00 to", timeout=60_000)
        page.keyboard.press("Home")
        expect(said).to_contain_text("5 Jan 2026, 00:00 to", timeout=60_000)
        expect(page.locator("[data-part=chosen] .badge")).to_have_text("quiet")
        after = page.get_by_role("link", name="after")
        after.focus()
        page.keyboard.press("Enter")
        expect(said).to_contain_text("6 Jan 2026, 00:00 to", timeout=60_000)
        expect(slider).to_have_value("1")
        assert complaints == []


def test_a_metric_is_chosen_and_immature_windows_are_hatched(
    opened, settle, watched_url: str
) -> None:
    with opened(viewport={"width": 1280, "height": 1200}) as (page, complaints):
        page.goto(watched_url + "/endpoints/loans/performance")
        settle(page)
        expect(page.locator("#metric .ytitle")).to_have_text("mean loss", timeout=60_000)
        assert page.locator("#metric pattern").count() > 0
        page.get_by_role("combobox", name="Metric").select_option("auc")
        expect(page.locator("#metric .ytitle")).to_have_text("AUC", timeout=60_000)
        assert page.evaluate("window.breaches") == []
        assert complaints == []


def test_a_metric_of_bias_is_chosen(opened, settle, watched_url: str) -> None:
    with opened(viewport={"width": 1280, "height": 1200}) as (page, complaints):
        page.goto(watched_url + "/endpoints/loans/bias")
        settle(page)
        page.get_by_role("link", name="DI", exact=True).click()
        expect(page.locator("#history .ytitle")).to_have_text("DI, region = south", timeout=60_000)
        assert complaints == []


def test_alarms_unfold_by_keys_and_lead_to_their_cause(opened, settle, watched_url: str) -> None:
    with opened(viewport={"width": 1280, "height": 900}) as (page, complaints):
        page.goto(watched_url + "/alarms?endpoint=loans")
        settle(page)
        fold = page.locator("ol.groups details").first
        fold.locator("summary").focus()
        page.keyboard.press("Enter")
        link = fold.get_by_role("link").first
        expect(link).to_be_visible()
        told = link.inner_text()
        link.focus()
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_contain_text(told)
        settle(page)
        assert page.evaluate("window.breaches") == []
        assert complaints == []


def test_the_board_takes_in_what_happens(
    opened, settle, home: Workspace, site: str, write, watched: ModuleType
) -> None:  # type: ignore[no-untyped-def]
    watched.furnish(home)
    with opened(viewport={"width": 1280, "height": 700}) as (page, complaints):
        page.goto(site + "/monitoring")
        settle(page)
        before = page.locator("tr", has_text="calm").locator("td").last
        expect(before).to_have_text("none")
        window = f"calm:{int(watched.START)}"
        expect(page.locator("tr", has_text="loans").first.locator(".badge.amber")).to_be_visible()

        def work(tx: Tx) -> None:
            one = alarms.Alarm(
                id="alarm_new", endpoint="calm", kind="drift", subject=watched.EVIL,
                reason=watched.EVIL, raised=watched.START, window=window,
            )  # fmt: skip
            alarms.raise_(tx, one)

        write(work)
        expect(before).to_have_text("1 open", timeout=60_000)
        page.goto(site + "/alarms/alarm_new")
        settle(page)
        expect(page.locator("h1")).to_contain_text("<img src=x")
        assert page.evaluate("[window.owned, window.breaches]") == [None, []]
        assert complaints == []


def test_a_report_of_two_tables_is_drawn_from_its_file_alone(
    opened, tmp_path: Path, watched: ModuleType
) -> None:
    before = pl.DataFrame({watched.EVIL: range(900), "city": ["Ulm", watched.EVIL, "Bonn"] * 300})
    moved = before.with_columns(pl.col(watched.EVIL) * 2)
    file = ms.compare_data(before, moved, names=(watched.EVIL, "b")).to_html(tmp_path / "r.html")
    for scheme, width in (("light", 1280), ("dark", 420)):
        options = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}}
        with opened(**options) as (page, complaints):
            asked: list[str] = []
            page.on("request", lambda r: asked.append(r.url))  # noqa: B023
            page.goto(file.as_uri() + "#column-0")
            expect(page.locator("details[open] svg.main-svg").first).to_be_attached(timeout=60_000)
            page.locator("section .chart").first.scroll_into_view_if_needed()
            expect(page.locator("section svg.main-svg").first).to_be_attached(timeout=60_000)
            assert asked == [file.as_uri()] or asked == [file.as_uri() + "#column-0"]
            assert page.evaluate("[window.owned, window.breaches]") == [None, []]
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert complaints == []


def test_a_window_is_downloaded_as_one_file(
    opened, settle, watched_url: str, watched: ModuleType, tmp_path: Path
) -> None:
    window = quote(f"loans:{int(watched.START)}")
    with opened() as (page, complaints):
        page.goto(f"{watched_url}/endpoints/loans/drift?window={window}")
        settle(page)
        with page.expect_download(timeout=60_000) as got:
            page.get_by_role("link", name="Report of this window").click()
        file = tmp_path / "window.html"
        got.value.save_as(file)
        assert got.value.suggested_filename == "loans-2026-01-05.html"
        page.goto(file.as_uri())
        expect(page.locator("h1")).to_contain_text("loans, 5 Jan 2026")
        # Whether a column of this week stands out is not what is tested here.
        if not page.locator("details[open]").count():
            page.locator("details > summary").first.click()
        expect(page.locator("details[open] svg.main-svg").first).to_be_attached(timeout=60_000)
        assert page.evaluate("[window.owned, window.breaches]") == [None, []]
        assert complaints == []


def test_an_alarm_is_acknowledged_by_keys_and_what_is_typed_is_kept(
    opened, settle, home: Workspace, site: str, watched: ModuleType
) -> None:
    watched.furnish(home)
    with opened(viewport={"width": 1280, "height": 900}) as (page, complaints):
        page.goto(site + "/alarms?endpoint=loans")
        settle(page)
        fold = page.locator("details.act", has_text="Acknowledge").first
        fold.locator("summary").focus()
        page.keyboard.press("Enter")
        fold.get_by_label("Why").fill("A new price list.")
        page.evaluate("document.dispatchEvent(new Event('mainspring:refresh'))")
        settle(page)
        expect(fold.get_by_label("Why")).to_have_value("A new price list.")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Seen by").first).to_be_attached(timeout=60_000)
        assert page.evaluate("window.breaches") == []
        assert complaints == []
