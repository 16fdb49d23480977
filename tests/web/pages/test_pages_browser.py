"""The pages in a real browser: no error, no breach of the policy, kept fresh, usable by keys."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
from playwright.sync_api import expect

from mainspring.engine import reactor
from mainspring.ground import messages as m
from mainspring.ground.objects import Decision
from mainspring.ground.ports import Tx
from mainspring.readiness import decisions
from mainspring.scaling.serving import endpoints
from mainspring.workspace.opening import Workspace
from waiting import held_port

PATHS = ("/", "/loops/flights", "/endpoints/flights", "/runs", "/runs/run_001", "/models/flights")
Write = Callable[[Callable[[Tx], object]], object]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_every_page_is_drawn_without_an_error_or_a_breach_and_fits(
    opened, settle, told_url: str, scheme: str, width: int
) -> None:
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 800}}
    with opened(**options) as (page, complaints):
        for path in PATHS:
            page.goto(told_url + path)
            settle(page)
            for chart in page.locator(".chart").all():
                expect(chart.locator("svg.main-svg").first).to_be_attached(timeout=60_000)
                chart.hover()
            assert page.evaluate("window.breaches") == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert page.locator("canvas").count() == 0
        assert complaints == []


def test_a_chart_tells_the_reason_of_a_decision(opened, settle, told_url: str) -> None:
    with opened(viewport={"width": 1280, "height": 1400}) as (page, complaints):
        page.goto(told_url + "/loops/flights")
        settle(page)
        page.locator("#timeline .scatterlayer .trace .points path").last.hover(force=True)
        expect(page.locator("#timeline .hoverlayer")).to_contain_text("rolled back flights/4")
        assert page.evaluate("window.breaches") == []
        assert complaints == []


def test_another_metric_and_another_column_can_be_chosen(opened, settle, told_url: str) -> None:
    with opened() as (page, complaints):
        page.goto(told_url + "/loops/flights")
        settle(page)
        page.get_by_label("Quality as").select_option("auc")
        expect(page.locator("#timeline .ytitle")).to_have_text("AUC")
        page.goto(told_url + "/endpoints/flights")
        settle(page)
        pick = page.get_by_role("button", name="carrier")
        pick.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#drift .ytitle")).to_have_text("distance of carrier")
        expect(pick).to_have_attribute("aria-pressed", "true")
        assert complaints == []


def test_a_page_takes_in_what_happens_and_keeps_what_the_reader_did(
    opened, settle, site: str, write: Write, story: ModuleType
) -> None:
    write(story.furnish)
    with opened(viewport={"width": 1280, "height": 800}) as (page, complaints):
        page.goto(site + "/loops/flights")
        settle(page)
        details = page.locator("ol.decisions details").first
        details.locator("summary").click()
        page.evaluate("window.scrollTo(0, 300)")
        page.evaluate("window.mine = true")

        def work(tx: Tx) -> None:
            paused = m.Paused(loop="flights", at=story.NOW, by="eve", reason="Holiday.")
            reactor.emit(tx, paused, "by hand")
            story.Story(tx).react()

        write(work)
        expect(page.locator("h1 .badge")).to_have_text("paused")
        expect(page.locator("ol.decisions li").first).to_contain_text("eve: Holiday.")
        kept = page.locator("ol.decisions details[open]")
        expect(kept).to_have_count(1)
        assert page.evaluate("[window.mine, window.scrollY]") == [True, 300]
        assert complaints == []


def test_a_script_in_a_reason_stays_text(
    opened, settle, site: str, write: Write, story: ModuleType
) -> None:
    evil = "<script>window.owned = 1</script><img src=x onerror='window.owned = 1'>"

    def work(tx: Tx) -> None:
        story.furnish(tx)
        decision = Decision(
            id="decision_evil",
            at=story.START + 40 * story.WEEK,
            made=story.NOW,
            kind="roll_back",
            subject=evil,
            reason=evil,
            by=evil,
            loop="flights",
            evidence={"of": evil},
        )
        decisions.record(tx, decision)

    write(work)
    with opened(viewport={"width": 1280, "height": 1400}) as (page, complaints):
        for path in ("/", "/loops/flights"):
            page.goto(site + path)
            settle(page)
            expect(page.get_by_text("window.owned").first).to_be_visible()
        page.locator("#timeline .scatterlayer .trace").last.locator(".points path").first.hover(
            force=True
        )
        expect(page.locator("#timeline .hoverlayer")).to_contain_text("<script>")
        assert page.evaluate("[window.owned, window.breaches]") == [None, []]
        assert complaints == []


def test_where_there_is_nothing_to_draw_it_is_said_in_words(
    opened, settle, site: str, write: Write, story: ModuleType
) -> None:
    def work(tx: Tx) -> None:
        endpoints.ensure(tx, "flights", "flights", at=story.START, loop="flights")
        reactor.declare(tx, story.SPEC, at=story.START)

    write(work)
    with opened() as (page, complaints):
        page.goto(site + "/loops/flights")
        settle(page)
        expect(page.locator("#timeline")).to_contain_text("Nothing has been decided yet.")
        page.goto(site + "/endpoints/flights")
        settle(page)
        expect(page.locator("#drift")).to_contain_text("No window has been judged yet.")
        expect(page.locator("#traffic")).to_contain_text("No traffic has been captured yet.")
        assert page.evaluate("window.breaches") == []
        assert complaints == []


def test_a_page_says_that_the_server_is_away_and_comes_back(
    opened, settle, home: Workspace, write: Write, story: ModuleType, serve_again
) -> None:  # type: ignore[no-untyped-def]
    write(story.furnish)
    with opened() as (page, _), held_port() as port:  # the page tries it all the time
        with serve_again(home, port) as url:
            page.goto(url + "/")
            settle(page)
        expect(page.locator("#live")).to_have_text("reconnecting…", timeout=60_000)
        with serve_again(home, port):
            settle(page)


def test_one_signs_in_with_a_token_and_out(opened, settle, site: str, home: Workspace) -> None:
    from mainspring.web.api import call

    token = call(home, "tokens.create", name="eve", role="viewer")["token"]
    with opened() as (page, complaints):
        page.goto(site + "/runs?status=failed")
        expect(page).to_have_url(site + "/login?next=%2Fruns")
        page.get_by_label("Token").fill(token)
        page.keyboard.press("Enter")
        expect(page).to_have_url(site + "/runs")
        settle(page)
        assert page.evaluate("document.cookie") == ""
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_url(site + "/login")
        assert page.evaluate("window.breaches") == []
        assert complaints == []


@pytest.mark.parametrize(
    ("printed", "meant"),
    [("#/experiments/1/runs/run_001", "/runs/run_001"), ("#/experiments/1", "/experiments")],
)
def test_an_address_that_a_tracking_client_prints_leads_to_the_page(
    opened, settle, told_url: str, printed: str, meant: str
) -> None:
    with opened() as (page, complaints):
        page.goto(f"{told_url}/{printed}")
        page.wait_for_url(f"{told_url}{meant}", timeout=60_000)
        settle(page)
    assert complaints == []
