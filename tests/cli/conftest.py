"""Commands called as a user calls them, in this process."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mainspring.cli.start import main
from mainspring.workspace.views import endpoint_http


class Said:
    """What a command answered."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def _however_slow_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an endpoint that is only slow not be taken for one that is down."""
    monkeypatch.setattr(endpoint_http, "STATUS_TIMEOUT_S", 60.0)


@pytest.fixture
def say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """Return a function that runs ``mainspring ...`` in a fresh folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO())  # no terminal is attached
    for name in ("HOME", "URL", "TOKEN", "PORT", "HOST", "ROOT"):
        monkeypatch.delenv(f"MAINSPRING_{name}", raising=False)

    def run(*words: str) -> Said:
        capfd.readouterr()
        code = main(words)
        out, err = capfd.readouterr()
        return Said(code, out, err)

    return run
