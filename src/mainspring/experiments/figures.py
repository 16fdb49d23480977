"""Write a figure (matplotlib, plotly, an image) in the form that its path's suffix names."""

from __future__ import annotations

import io
import json
from pathlib import PurePosixPath
from typing import Any

from mainspring.ground.errors import BadInputError

_MATPLOTLIB = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp")
_PLOTLY = (".json", ".html", ".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp")
_IMAGE = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp")
#: So that the same figure gives the same bytes.
_PLAIN: dict[str, dict[str, Any]] = {
    ".png": {"metadata": {"Software": None}},
    ".svg": {"metadata": {"Date": None}},
    ".pdf": {"metadata": {"CreationDate": None}},
}


def write(figure: Any, to: str) -> bytes:
    """Return a figure's bytes.

    A matplotlib figure (or axes, or what has a ``figure``, as seaborn's grids) becomes .png,
    .svg, .pdf or .jpg; a plotly figure .json (shown live on the pages), .html (whole, works
    offline) or, with the package kaleido, an image; a Pillow image .png, .jpg and the like.

    Raises:
        BadInputError: for what is no figure, or a suffix that it cannot be written as.
    """
    suffix = PurePosixPath(to).suffix.lower()
    library = _library(figure)
    if library == "plotly":
        return _plotly(figure, _known(suffix, _PLOTLY, to))
    if library == "PIL":
        return _image(figure, _known(suffix, _IMAGE, to))
    drawn = _matplotlib(figure)
    if drawn is not None:
        return _saved(drawn, _known(suffix, _MATPLOTLIB, to))
    raise BadInputError(
        "A figure is one of matplotlib, plotly or Pillow, found"
        f" {type(figure).__module__}.{type(figure).__name__}.",
        field="figure",
        hint="Save it to a file yourself, and use log_artifact.",
    )


def _library(figure: Any) -> str:
    kinds = [kind.__module__.partition(".")[0] for kind in type(figure).__mro__]
    if hasattr(figure, "to_plotly_json") and "plotly" in kinds:
        return "plotly"
    return "PIL" if "PIL" in kinds else ""


def _matplotlib(figure: Any) -> Any | None:
    """Return the matplotlib figure that this is, or that it belongs to."""
    for one in (figure, getattr(figure, "figure", None)):
        if hasattr(one, "savefig") and hasattr(one, "canvas"):
            return one
    return None


def _known(suffix: str, several: tuple[str, ...], to: str) -> str:
    if suffix not in several:
        raise BadInputError(
            f"This figure can be written as {', '.join(several)}, found {to[-60:]!r}.", field="to"
        )
    return suffix


def _saved(figure: Any, suffix: str) -> bytes:
    import matplotlib as mpl

    held = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "mainspring"}):  # else its ids are drawn at random
        figure.savefig(held, format=suffix[1:], bbox_inches="tight", **_PLAIN.get(suffix, {}))
    return held.getvalue()


def _plotly(figure: Any, suffix: str) -> bytes:
    if suffix == ".json":
        # Through JSON once more: keys in order, so that equal figures give equal bytes.
        plain = json.loads(figure.to_json())
        return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()
    if suffix == ".html":
        text: str = figure.to_html(include_plotlyjs=True, full_html=True, div_id="figure")
        return text.encode()
    try:
        data: bytes = figure.to_image(format=suffix[1:])
    except (ValueError, ImportError, RuntimeError) as error:
        first = str(error).strip().partition("\n")[0][:200]
        raise BadInputError(
            f"This plotly figure cannot be written as {suffix}: {first}",
            field="to",
            hint="Use .json or .html, or install the package kaleido.",
        ) from error
    return data


def _image(image: Any, suffix: str) -> bytes:
    held = io.BytesIO()
    try:
        image.save(held, format={".jpg": "JPEG"}.get(suffix, suffix[1:].upper()))
    except (OSError, ValueError, KeyError) as error:
        raise BadInputError(f"This image cannot be written: {error}.", field="to") from error
    return held.getvalue()
