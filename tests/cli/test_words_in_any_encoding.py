"""What a command prints reaches a terminal that has no letters for it, and stays JSON."""

from __future__ import annotations

import io
import json
import sys

import pytest

from mainspring.cli.start import main


def test_letters_that_the_terminal_has_not_are_escaped_and_no_command_ends_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for encoding in ("ascii", "iso8859-1"):
        raw = io.BytesIO()
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
            assert main(["--version"]) == 0
            sys.stdout.write(json.dumps({"größe": "süd ├ 😀"}, ensure_ascii=False))
            sys.stdout.flush()
            assert json.loads(raw.getvalue().decode(encoding).split("\n")[1]) == {
                "größe": "süd ├ 😀"
            }
