from __future__ import annotations

import io
import json
import warnings

import pytest
from PIL import Image

from mainspring.experiments import figures
from mainspring.ground.errors import BadInputError


def _drawn():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of matplotlib's own imports
        from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([1, 2, 3], label="loss")
    return figure


@pytest.mark.parametrize(
    ("to", "magic"),
    [
        ("loss.png", b"\x89PNG"),
        ("plots/loss.SVG", b"<?xml"),
        ("loss.pdf", b"%PDF"),
        ("loss.jpg", b"\xff\xd8\xff"),
    ],
)
def test_a_matplotlib_figure_is_written_as_its_suffix_says(to: str, magic: bytes) -> None:
    figure = _drawn()
    data = figures.write(figure, to)
    assert data.startswith(magic)
    assert figures.write(figure.axes[0], to).startswith(magic)


@pytest.mark.parametrize("to", ["a.png", "a.svg", "a.pdf"])
def test_the_same_figure_gives_the_same_bytes(to: str) -> None:
    assert figures.write(_drawn(), to) == figures.write(_drawn(), to)


def test_a_plotly_figure_is_json_or_one_page_that_needs_no_network() -> None:
    import plotly.graph_objects as go

    figure = go.Figure(go.Scatter(y=[1, 2, None], name="<b>loss</b>"))
    found = json.loads(figures.write(figure, "loss.json"))
    assert found["data"][0]["name"] == "<b>loss</b>"
    page = figures.write(figure, "loss.html")
    assert page.startswith(b"<!doctype html>")
    assert b"<script src" not in page
    assert figures.write(figure, "loss.html") == page


def test_a_picture_is_kept_as_its_suffix_says() -> None:
    data = figures.write(Image.new("RGB", (4, 3), "red"), "a.png")
    assert Image.open(io.BytesIO(data)).size == (4, 3)
    with pytest.raises(BadInputError, match="cannot be written"):
        figures.write(Image.new("RGBA", (4, 3)), "a.jpg")


@pytest.mark.parametrize(
    ("figure", "to", "field"),
    [(3, "a.png", "figure"), (_drawn(), "a.html", "to"), (_drawn(), "a", "to")],
)
def test_what_is_no_figure_or_has_no_such_form_is_refused(figure, to: str, field: str) -> None:
    with pytest.raises(BadInputError) as caught:
        figures.write(figure, to)
    assert caught.value.field == field
