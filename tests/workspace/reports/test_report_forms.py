"""One comparison in every form: HTML that needs nothing, Markdown, a notebook, plain values."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import mainspring as ms
from mainspring.ground.errors import BadInputError
from mainspring.workspace.reports.comparison import DataComparison

EVIL = "</script><script>window.owned = 1</script><img src=x onerror='window.owned = 1'>"
PIPES = "a|b`c*d_e[f](http://elsewhere.example)\n# no"


@pytest.fixture(scope="module")
def compared() -> DataComparison:
    rng = np.random.default_rng(1)

    def table(shift: float, words: list[str]) -> pl.DataFrame:
        return pl.DataFrame(
            {
                EVIL: rng.normal(shift, 1, 600),
                PIPES: rng.choice(words, 600),
                "calm": np.ones(600),
            }
        )

    return ms.compare_data(
        table(0, ["x", EVIL]), table(2, ["y", EVIL, PIPES]), names=(EVIL, PIPES)
    )


class _Seen(HTMLParser):
    """Gathers the tags, the addresses that are loaded, and the attributes that would run."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.runs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "action", "data") and not str(value).startswith("#"):
                self.loaded.append(str(value))
            if name.startswith("on") or name == "style":
                self.runs.append(name)


def test_the_file_loads_nothing_and_runs_only_what_its_policy_names(
    compared: DataComparison, tmp_path: Path
) -> None:
    text = compared.to_html(tmp_path / "report.html").read_text("utf-8")
    seen = _Seen()
    seen.feed(text)
    assert seen.loaded == []
    assert seen.runs == []
    assert seen.tags.count("script") == 3  # the figures as JSON, plotly, the script of the file
    assert "img" not in seen.tags
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
        digest = b64encode(sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy[1]
    assert "'unsafe-inline'" not in policy[1].partition("style-src")[0]


def test_figures_are_data_in_which_no_tag_can_begin(
    compared: DataComparison, tmp_path: Path
) -> None:
    text = compared.to_html(tmp_path / "report.html").read_text("utf-8")
    held = re.search(r'<script type="application/json" id="figures">(.*?)</script>', text)
    assert held is not None
    assert "<" not in held[1]
    figures = json.loads(held[1])
    assert len(figures) == 4
    # What plotly draws as a text of its own small markup is escaped for it, too.
    assert "<img" not in json.dumps([one["layout"] for one in figures])
    assert "&lt;img" in json.dumps(figures)


def test_markdown_shows_hostile_names_as_text(compared: DataComparison) -> None:
    text = compared.to_markdown()
    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;script&gt;" in text
    assert "](http" not in text
    assert "http://" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert not any(line.startswith("# no") for line in text.splitlines())
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in rows}
    assert widths <= {3, 4, 5, 6, 7}
    assert "**alarm**" not in rows[0]


def test_a_notebook_shows_tables_and_pictures_without_any_script(compared: DataComparison) -> None:
    shown = compared._repr_html_()
    seen = _Seen()
    seen.feed(shown)
    assert "script" not in seen.tags
    assert seen.loaded == seen.runs == []
    assert "svg" in seen.tags
    assert "&lt;script&gt;" in shown


def test_plain_values_are_json_and_say_all(compared: DataComparison) -> None:
    told = json.loads(json.dumps(compared.to_dict()))
    assert told["verdict"] == "alarm"
    assert [one["name"] for one in told["columns"]][-1] == "calm"
    assert {"drift", "before", "now", "why", "distribution"} <= set(told["columns"][0])
    assert told["columns"][0]["drift"]["smallest"] > 0


def test_markdown_is_written_where_a_path_is_given(
    compared: DataComparison, tmp_path: Path
) -> None:
    text = compared.to_markdown(tmp_path / "report.md")
    assert (tmp_path / "report.md").read_text("utf-8") == text


def test_a_folder_that_is_not_there_is_named(compared: DataComparison, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be written") as told:
        compared.to_html(tmp_path / "nowhere" / "report.html")
    assert told.value.field == "report"


def test_where_nothing_differs_the_file_says_so_and_is_whole(tmp_path: Path) -> None:
    frame = pl.DataFrame({"word": ["a", "b"] * 10})
    found = ms.compare_data(frame, frame)
    text = found.to_html(tmp_path / "small.html").read_text("utf-8")
    assert "None of 1 columns differs" in text
    assert repr(found).startswith("DataComparison(")


def test_a_profile_is_reported_in_one_file_and_as_markdown(tmp_path: Path) -> None:
    from mainspring.workspace.profiling import profile
    from mainspring.workspace.reports import of_profile, writing

    rows = 400
    frame = pl.DataFrame(
        {
            EVIL: np.random.default_rng(2).normal(0, 1, rows),
            "city": ["Ulm", None] * (rows // 2),
            "at": pl.datetime_range(
                pl.datetime(2026, 1, 1), pl.datetime(2026, 1, 1) + pl.duration(hours=rows - 1),
                interval="1h", eager=True,
            ),
            "never": [None] * rows,
        }
    )  # fmt: skip
    told = of_profile.report(profile(frame), EVIL)
    written = writing.write(told, tmp_path / "p.html", tmp_path / "p.md")
    assert written == [str(tmp_path / "p.html"), str(tmp_path / "p.md")]
    seen = _Seen()
    seen.feed((tmp_path / "p.html").read_text("utf-8"))
    assert seen.loaded == seen.runs == []
    assert seen.tags.count("details") == 4
    text = (tmp_path / "p.md").read_text("utf-8")
    assert "<img" not in text
    assert "50 %" in text
    assert "1 Jan 2026, 00:00" in text
    assert "never are missing" in text
