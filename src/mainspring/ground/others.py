"""Settings under the names that other tools give them: read as their own clients read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from mainspring.ground.errors import BadInputError

#: What OpenLineage's clients are told by, and which setting each is.
_PLAIN = {
    "OPENLINEAGE_DISABLED": "openlineage_disabled",
    "OPENLINEAGE_NAMESPACE": "openlineage_namespace",
    "OPENLINEAGE_URL": "openlineage_url",
    "OPENLINEAGE_ENDPOINT": "openlineage_endpoint",
    "OPENLINEAGE_API_KEY": "openlineage_key",
}
_TRANSPORT = "OPENLINEAGE__TRANSPORT__"
_HTTP = {
    f"{_TRANSPORT}URL": "openlineage_url",
    f"{_TRANSPORT}ENDPOINT": "openlineage_endpoint",
    f"{_TRANSPORT}COMPRESSION": "openlineage_compression",
    f"{_TRANSPORT}CUSTOM_HEADERS": "openlineage_headers",
}
_AUTH, _TYPE, _FILE = (f"{_TRANSPORT}{name}" for name in ("AUTH", "TYPE", "LOG_FILE_PATH"))
_KEYS = ("apiKey", "apikey", "api_key")


def said(environ: Mapping[str, str]) -> Iterator[tuple[str, Any, str]]:
    """Yield setting, value and the name that it has in the environment; the last counts.

    What is told of a transport stands above the plain names, as their clients have it.

    Transports and ways to sign in that we have not are passed over: other tools have them.

    Raises:
        BadInputError: if what is told as JSON is none.
    """
    for name, key in _PLAIN.items():
        if environ.get(name):
            yield key, environ[name], name
    kind = environ.get(_TYPE, "").strip().lower()
    if kind == "file":
        if environ.get(_FILE):
            yield "openlineage_url", _as_file(environ[_FILE]), _FILE
        return
    if kind not in ("", "http", "async_http"):
        return  # of a tool that sends otherwise: it is not about us
    for name, key in _HTTP.items():
        if environ.get(name):
            yield key, environ[name], name
    told = mapping(environ.get(_AUTH) or "{}", _AUTH)
    shown = next((told[name] for name in _KEYS if told.get(name)), None)
    if shown is not None and told.get("type", "api_key") == "api_key":
        yield "openlineage_key", shown, _AUTH


def mapping(text: str, name: str) -> dict[str, str]:
    """Return a JSON object of texts that stands in the environment.

    >>> mapping('{"X-Team": "risk"}', "HEADERS")
    {'X-Team': 'risk'}

    Raises:
        BadInputError: if it is none.
    """
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except msgspec.DecodeError as error:
        raise BadInputError(
            f"{name} is no JSON object of texts: {error}", field=name, hint='As {"X-Team": "risk"}'
        ) from error


def _as_file(path: str) -> str:
    return path if path.startswith("file:") else f"file:{path}"
