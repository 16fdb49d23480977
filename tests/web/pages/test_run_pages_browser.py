"""The pages of runs in a real browser: nothing stored runs, nothing chosen is lost, keys work."""

from __future__ import annotations

import random
import re
from types import ModuleType

import pytest
from playwright.sync_api import expect

from mainspring.experiments import artifacts, groups, runs
from mainspring.ground.objects import RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.workspace.opening import Workspace

PATHS = (
    "/runs",
    "/runs?filter=metrics.auc+%3E+0.9&spark=auc",
    "/runs?open=run_tune",
    "/runs/run_files?path=confusion.csv",
    "/runs/run_files?path=plots/roc.png",
    "/runs/run_files?path=mainspring/changes.patch",
    "/compare?runs=run_s00,run_s01,run_s02",
    "/compare?experiment=flights",
    "/experiments",
    "/experiments/flights",
)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 420)])
def test_every_page_is_drawn_without_an_error_or_a_breach_and_fits(
    opened, settle, tracked_url: str, scheme: str, width: int
) -> None:  # type: ignore[no-untyped-def]
    with opened(color_scheme=scheme, viewport={"width": width, "height": 800}) as (page, said):
        for path in PATHS:
            page.goto(tracked_url + path)
            settle(page)
            for chart in page.locator("[data-figure] .chart, .chart[data-figure]").all():
                expect(chart.locator("svg.main-svg").first).to_be_attached(timeout=60_000)
            assert page.evaluate("window.breaches") == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            assert page.locator("canvas").count() == 0
        assert said == []


def test_what_is_ticked_stays_so_over_refreshing_sorting_and_other_pages(
    opened, settle, site: str, home: Workspace, tracked: ModuleType
) -> None:  # type: ignore[no-untyped-def]
    tracked.furnish(home)
    with opened(viewport={"width": 1280, "height": 900}) as (page, said):
        page.goto(site + "/runs?experiment=flights")
        settle(page)
        expect(page.get_by_role("button", name="Compare")).to_be_disabled()
        page.get_by_label("Choose s59").check()
        page.get_by_label("Choose s58").check()
        expect(page.locator("#picked")).to_have_text("2 chosen")
        page.evaluate("window.mine = true")

        def work(tx: Tx) -> None:
            tracked.a_run(tx, "run_new", "flights", tracked.NOW, {}, {}, random.Random(1))

        home.write(Permission.LOG, work)
        expect(page.get_by_label("Choose new")).to_be_attached(timeout=60_000)
        expect(page.get_by_label("Choose s59")).to_be_checked()
        page.locator("th").get_by_role("link", name="auc").click()  # sorts without a reload
        expect(page).to_have_url(re.compile(r"order=-metrics\.auc"))
        expect(page.locator("th[aria-sort=descending]")).to_contain_text("auc")
        assert page.evaluate("window.mine") is True
        page.get_by_role("link", name="Next 50").click()
        settle(page)
        page.get_by_label("Choose all on this page").check()
        expect(page.locator("#picked")).to_contain_text("chosen")
        page.get_by_role("button", name="Choose none").click()
        page.go_back()
        settle(page)
        page.get_by_label("Choose s40").check()
        page.get_by_label("Choose s41").check()
        page.get_by_role("button", name="Compare").click()
        expect(page.locator("h1")).to_have_text("2 runs compared")
        assert said == []


def test_runs_are_deleted_after_a_question_and_restored(
    opened, settle, site: str, home: Workspace, tracked: ModuleType
) -> None:  # type: ignore[no-untyped-def]
    tracked.furnish(home)
    with opened(viewport={"width": 1280, "height": 900}) as (page, said):
        asked: list[str] = []
        page.on("dialog", lambda one: (asked.append(one.message), one.accept()))
        page.goto(site + "/runs?experiment=flights")
        settle(page)
        page.get_by_label("Choose s59").check()
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_label("Choose s59")).to_have_count(0)
        expect(page).to_have_url(site + "/runs?experiment=flights")
        assert asked == ["Delete what is chosen (1)? It can be restored."]
        page.goto(site + "/runs/run_s59")
        page.get_by_role("button", name="Restore").click()
        expect(page.locator("h1")).not_to_contain_text("deleted")
        page.locator("#edit summary").click()
        page.get_by_label("Name", exact=True).fill("renamed")
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_contain_text("renamed")
        assert page.evaluate("window.breaches") == []
        assert said == []


def test_curves_follow_what_is_chosen_and_a_running_run_grows(
    opened, settle, site: str, home: Workspace, tracked: ModuleType
) -> None:  # type: ignore[no-untyped-def]
    tracked.furnish(home)
    with opened(viewport={"width": 1280, "height": 900}) as (page, said):
        page.goto(site + "/runs/run_live")
        settle(page)
        expect(page.locator("#curves figcaption")).to_have_text(["auc", "loss"])
        page.get_by_label("Draw auc").uncheck()
        expect(page.locator("#curves figcaption")).to_have_text(["loss"])
        page.get_by_role("button", name="Log", exact=True).click()
        expect(page.get_by_role("button", name="Log", exact=True)).to_have_attribute(
            "aria-pressed", "true"
        )
        points = page.locator("#curves .points path")
        expect(points).to_have_count(20)
        home.write(
            Permission.LOG,
            lambda tx: runs.log(tx, "run_live", {"loss": 0.01}, 20, at=tracked.NOW),
        )
        expect(points).to_have_count(21, timeout=60_000)
        expect(page.get_by_label("Draw auc")).not_to_be_checked()
        home.write(
            Permission.LOG, lambda tx: runs.end(tx, "run_live", RunStatus.FINISHED, tracked.NOW)
        )
        expect(page.locator("h1 .badge")).to_have_text("finished", timeout=60_000)
        assert page.evaluate("window.breaches") == []
        assert said == []


def test_a_file_opens_without_leaving_the_page(opened, settle, tracked_url: str) -> None:  # type: ignore[no-untyped-def]
    with opened(viewport={"width": 1280, "height": 900}) as (page, said):
        page.goto(tracked_url + "/runs/run_files")
        settle(page)
        page.evaluate("window.mine = true")
        page.get_by_role("link", name="confusion.csv").click()
        expect(page.locator(".preview td").first).to_have_text("late")
        page.get_by_role("link", name="roc.png").click()
        picture = page.locator(".preview img")
        expect(picture).to_be_visible()
        assert picture.evaluate("async (one) => { await one.decode(); return one.naturalWidth; }")
        page.go_back()
        expect(page.locator(".preview td").first).to_have_text("late")
        assert page.evaluate("window.mine") is True
        assert page.evaluate("window.breaches") == []
        assert said == []


def test_a_run_lights_up_wherever_it_stands_and_a_brush_keeps_few(
    opened, settle, tracked_url: str
) -> None:  # type: ignore[no-untyped-def]
    with opened(viewport={"width": 1280, "height": 900}) as (page, said):
        page.goto(tracked_url + "/compare?experiment=flights")
        settle(page)
        row = page.locator("tr[data-run]").first
        row.hover()
        key = row.get_attribute("data-run")
        expect(page.locator(f'.parallel .line[data-run="{key}"]')).to_have_class(
            re.compile(r"\bon\b")
        )
        expect(page.locator("#readout")).to_contain_text("auc")
        page.evaluate("window.scrollTo(0, 0)")
        grip = page.locator(".parallel .axis").last.locator(".grip")
        box = grip.bounding_box()
        assert box is not None
        across = box["x"] + box["width"] / 2
        page.mouse.move(across, box["y"] + 2)
        page.mouse.down()
        page.mouse.move(across, box["y"] + box["height"] / 3, steps=4)
        page.mouse.up()
        expect(page.locator("#readout")).to_contain_text("of 66 runs pass there")
        shown = page.locator("tr[data-run]:not([hidden])").count()
        assert 0 < shown < 66
        page.mouse.click(across, box["y"] + box["height"] - 4)
        expect(page.locator("tr[data-run]:not([hidden])")).to_have_count(66)
        assert page.evaluate("window.breaches") == []
        assert said == []


def test_everything_is_reached_by_keys_and_has_a_name(opened, settle, tracked_url: str) -> None:  # type: ignore[no-untyped-def]
    with opened(viewport={"width": 1280, "height": 900}) as (page, said):
        for path in ("/runs", "/runs/run_files", "/compare?runs=run_s00,run_s01", "/experiments"):
            page.goto(tracked_url + path)
            settle(page)
            nameless = page.evaluate(NAMELESS)
            assert nameless == [], path
        page.goto(tracked_url + "/runs")
        settle(page)
        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_focused()
        page.get_by_label("Filter", exact=True).focus()
        page.keyboard.type("metrics.auc > 0.93")
        page.keyboard.press("Enter")
        settle(page)
        expect(page).to_have_url(re.compile("filter=metrics.auc"))
        menu = page.locator("#columns-menu")
        menu.locator("summary").focus()
        page.keyboard.press("Enter")
        expect(menu).to_have_attribute("open", "")
        page.get_by_label("Find a column").fill("loss")
        expect(menu.locator("label.column:visible")).to_have_count(1)
        page.keyboard.press("Escape")
        expect(menu).not_to_have_attribute("open", "")
        expect(menu.locator("summary")).to_be_focused()
        assert said == []


NAMELESS = """() => [...document.querySelectorAll(
    "input:not([type=hidden]), select, button, textarea, a[href], summary")]
  .filter((one) => one.checkVisibility())
  .filter((one) => !(one.getAttribute("aria-label") || one.labels?.length
    || one.textContent.trim() || one.title))
  .map((one) => one.outerHTML.slice(0, 120))"""

#: Texts that stand out too little from what lies behind them (below 4.5 to 1).
FAINT = """() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[0-9.]+/g).map(Number).map((v) => v / 255)
      .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!/^rgba\\(.*, 0\\)$|transparent/.test(colour) && /^rgb\\(/.test(colour)) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [];
  for (const one of document.querySelectorAll(
    "main :is(p, td, th, a, dt, dd, label, h1, h2)")) {
    const said = one.textContent.trim();
    if (!one.checkVisibility() || !said || one.closest("[disabled], svg")) continue;
    const colour = getComputedStyle(one).color;
    if (!/^rgb\\(/.test(colour)) continue;
    const [a, b] = [light(colour), light(behind(one))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) {
      found.push(`${one.className} ${colour} on ${behind(one)}: ${said.slice(0, 30)}`);
    }
  }
  return [...new Set(found)].slice(0, 5);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_what_is_behind_them(
    opened, settle, tracked_url: str, scheme: str
) -> None:  # type: ignore[no-untyped-def]
    with opened(color_scheme=scheme, viewport={"width": 1280, "height": 900}) as (page, _):
        for path in ("/runs", "/runs/run_files", "/compare?experiment=flights", "/experiments"):
            page.goto(tracked_url + path)
            settle(page)
            assert page.evaluate(FAINT) == [], path


# ---------------------------------------------------------------- without a script


def test_all_of_it_can_be_read_and_used_without_a_script(
    opened, site: str, home: Workspace, tracked: ModuleType
) -> None:  # type: ignore[no-untyped-def]
    tracked.furnish(home)
    with opened(java_script_enabled=False) as (page, _):
        page.goto(site + "/runs?experiment=flights")
        page.get_by_label("Filter", exact=True).fill("params.rate = '0.1'")
        page.get_by_role("button", name="Filter").click()
        expect(page.locator("tbody tr")).to_have_count(17)
        page.locator("th").get_by_role("link", name="auc").click()
        expect(page.locator("th[aria-sort=descending]")).to_contain_text("auc")
        page.locator("input[name=run]").nth(0).check()
        page.locator("input[name=run]").nth(1).check()
        page.get_by_role("button", name="Compare", exact=True).click()
        expect(page.locator("h1")).to_have_text("2 runs compared")
        expect(page.locator(".parallel .line")).to_have_count(2)
        page.goto(site + "/runs/run_files")
        page.get_by_role("link", name="confusion.csv").click()
        expect(page.locator(".preview td").first).to_have_text("late")


@pytest.mark.parametrize("width", [1280, 420])
def test_the_longest_names_break_no_page(
    opened, settle, site: str, home: Workspace, tracked: ModuleType, width: int
) -> None:  # type: ignore[no-untyped-def]
    word, words = "w" * 250, ("long " * 50).strip()

    def work(tx: Tx) -> str:
        one = groups.create(tx, word, {word: word}, tracked.NOW)
        for key, name in (("run_a", word), ("run_b", words)):
            tags = {"mainspring.group": word, "mainspring.user": word, word: "t" * 900}
            params = {word: f"{key} {'v' * 900}", words: "1"}
            tracked.a_run(tx, key, one.key, tracked.NOW, params, tags, random.Random(1), name=name)
            runs.log(tx, key, {word: 0.5, f"system/{word[:240]}": 1.0}, at=tracked.NOW)
        digest = home.objects.put(b"x" * 5000)
        artifacts.put(tx, "run_a", f"{word}/{word[:200]}.txt", digest, 5000, tracked.NOW)
        return one.key

    key = home.write(Permission.LOG, work)
    with opened(viewport={"width": width, "height": 900}) as (page, said):
        for path in (
            "/runs",
            "/runs/run_a",
            f"/runs/run_a?path={word}/{word[:200]}.txt",
            "/compare?runs=run_a,run_b",
            "/experiments",
            f"/experiments/{key}",
        ):
            page.goto(site + path)
            settle(page)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert said == []


def test_a_hundred_and_thirty_runs_are_compared_at_once(
    opened, settle, site: str, home: Workspace, tracked: ModuleType
) -> None:  # type: ignore[no-untyped-def]
    def work(tx: Tx) -> None:
        draw = random.Random(3)
        for number in range(130):
            params = {"rate": str(10 ** draw.uniform(-4, 0)), "kind": draw.choice("abc")}
            tracked.a_run(tx, f"run_m{number:03d}", "many", tracked.NOW, params, {}, draw)

    home.write(Permission.LOG, work)
    with opened(viewport={"width": 1280, "height": 900}) as (page, said):
        page.goto(site + "/compare?experiment=many")
        settle(page)
        expect(page.locator(".parallel .line")).to_have_count(130)
        expect(page.locator("#curves .scatterlayer .trace")).to_have_count(130)
        assert page.evaluate("window.breaches") == []
        assert said == []
