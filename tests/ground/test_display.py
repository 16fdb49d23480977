from __future__ import annotations

import html
import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.display import MOST_ROWS, Page, run_page, shown
from mainspring.ground.objects import Run, RunStatus

NASTY = "<script>alert(1)</script>\"' onload=x &amp; \x1b[31m"


class Tags(HTMLParser):
    """Which elements a text holds."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        self.attributes += attrs


def _run(**more: object) -> Run:
    given_ = {"experiment": "e", "name": "n", "status": RunStatus.FINISHED, "started": 0.0}
    return Run(**{"id": "run_1", "ended": 90.0, **given_, **more})  # type: ignore[arg-type]


def test_a_run_shows_what_it_is_in_html_and_in_text() -> None:
    run = _run(params={"lr": "0.1"}, metrics={"auc": 0.912345678}, tags={"who": "me"})
    page = run._repr_html_()
    for wanted in ("run_1", "finished", "1970-01-01 00:00:00", "lr", "0.1", "0.91235", "who"):
        assert wanted in page
    text = run_page(run).text()
    assert "  experiment  e" in text.splitlines()
    assert "params:\n  lr  0.1" in text


class Printer:
    def __init__(self) -> None:
        self.told = ""

    def text(self, told: str) -> None:
        self.told += told


def test_a_shell_without_html_gets_lines() -> None:
    printer = Printer()
    _run()._repr_pretty_(printer, cycle=False)
    assert printer.told.startswith("run n (run_1)\n  experiment  e\n")
    assert repr(_run()).startswith("Run(id='run_1'")


@given(st.text() | st.just(NASTY))
def test_nothing_of_a_users_text_becomes_an_element(text: str) -> None:
    run = _run(name=text or "x", params={text: text}, tags={text: text}, metrics={text: 1.0})
    page = run._repr_html_()
    parsed = Tags()
    parsed.feed(page)
    assert parsed.found <= {"div", "strong", "em", "table", "thead", "tbody", "tr", "th", "td"}
    assert parsed.attributes == []
    assert "\x1b" not in page
    assert "\x1b" not in run_page(run).text()


@given(st.text(max_size=100))
def test_what_can_be_printed_is_shown_as_it_is(text: str) -> None:
    cells = re.findall("<td>(.*?)</td>", Page("t").table("", (), [[text]]).html(), re.DOTALL)
    assert html.unescape(cells[0]) == shown(text)
    if text.isprintable():
        assert shown(text) == text


def test_long_tables_and_long_texts_are_cut_and_say_so() -> None:
    page = Page("t").table("rows", ("n",), [[n] for n in range(MOST_ROWS + 5)])
    assert "and 5 more" in page.html()
    assert page.text().endswith("  and 5 more")
    assert len(shown("x" * 1000)) == 200
