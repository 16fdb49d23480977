"""Serve what does not change: script, style sheets, plotly out of its wheel."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from starlette.types import Receive, Scope, Send

from mainspring.ground.errors import NotFoundError
from mainspring.web.front import send_bytes

_FOLDER = Path(__file__).parent / "static"
_KINDS = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_PLOTLY = "plotly.min.js"
_FOREVER = b"public, max-age=31536000, immutable"


@cache
def plotly_file() -> Path:
    """Return where plotly's wheel keeps its JavaScript, without importing plotly."""
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise NotFoundError("plotly is not installed, so there are no charts.")
    return Path(spec.origin).parent / "package_data" / _PLOTLY


@cache
def _files() -> dict[str, Path]:
    own = {file.name: file for file in _FOLDER.iterdir() if file.suffix in _KINDS}
    return {**own, _PLOTLY: plotly_file()}


@cache
def _content(name: str) -> tuple[bytes, str]:
    body = _files()[name].read_bytes()
    return body, sha256(body).hexdigest()[:12]


def url(name: str) -> str:
    """Return the address of a file; it changes with the content, so it may be kept forever."""
    return f"/static/{name}?v={_content(name)[1]}"


class Static:
    """Answers with one of the files, and with no other."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one request."""
        scope["state"]["route"] = "/static"
        name = scope["path_params"]["file"]
        if name not in _files():
            raise NotFoundError("There is nothing at this path.")
        body, version = _content(name)
        # An address without the content's digest must be asked for again.
        exact = scope["query_string"] == f"v={version}".encode()
        headers = [(b"cache-control", _FOREVER if exact else b"no-cache")]
        await send_bytes(send, body, _KINDS[Path(name).suffix], headers=headers)
