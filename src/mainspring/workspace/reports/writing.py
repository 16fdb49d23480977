"""Write reports to files."""

from __future__ import annotations

import os
from pathlib import Path

from mainspring.ground.errors import BadInputError
from mainspring.workspace.reports.document import Report


def write(report: Report, html: Path | None, text: Path | None) -> list[str]:
    """Write a report as HTML, as Markdown, or both; return the paths that were written.

    Raises:
        BadInputError: if a file cannot be written there.
    """
    from mainspring.workspace.reports import markdown, onefile

    written = []
    if html is not None:
        written.append(str(to_file(html, onefile.html(report))))
    if text is not None:
        written.append(str(to_file(text, markdown.text(report))))
    return written


def to_file(path: str | os.PathLike[str], text: str) -> Path:
    """Write a text to a file and return its path.

    Raises:
        BadInputError: if it cannot be written there.
    """
    to = Path(path).expanduser()
    try:
        to.write_text(text, "utf-8")
    except OSError as error:
        raise BadInputError(
            f"The report cannot be written to {to}: {error.strerror or error}.",
            field="report",
            hint="Name a file in a folder that is there and may be written to.",
        ) from error
    return to
