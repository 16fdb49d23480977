"""Ask a registry which digest the name of an image has now (Docker Registry HTTP API V2).

Nothing is pulled: one HEAD for the manifest, and a token before it where the registry wants one.
Of an image for several processors it is the digest of the whole, so that a build finds its own.

Source: distribution's specifications of the API and of token authentication,
https://distribution.github.io/distribution/spec/api/ and .../spec/auth/token/.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from mainspring.ground.errors import NotFoundError, UnauthenticatedError, UnavailableError

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 15.0
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HUB = "docker.io"
_HUB_ANSWERS = "registry-1.docker.io"
#: Under which credentials for Docker Hub are kept.
_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", _HUB)
_KINDS = ", ".join((
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
))  # fmt: skip
_PART = re.compile(r'(\w+)="([^"]*)"')


class Named(msgspec.Struct, frozen=True):
    """An image by its name: whose registry has it, what it is there, which of it."""

    host: str
    repository: str
    tag: str

    @property
    def url(self) -> str:
        """Return where the registry answers; without TLS on this machine's own loopback alone."""
        host = _HUB_ANSWERS if self.host == _HUB else self.host
        return f"{'http' if is_loopback(self.host) else 'https'}://{host}"


def named(image: str) -> Named:
    """Return what a name says; what it leaves out is Docker Hub's and ``latest``.

    >>> named("python:3.11")
    Named(host='docker.io', repository='library/python', tag='3.11')
    >>> named("127.0.0.1:5000/base").url
    'http://127.0.0.1:5000'
    """
    first, slash, rest = image.partition("@")[0].partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        host = first
    else:
        host, rest = _HUB, image.partition("@")[0]
    repository, colon, tag = rest.rpartition(":")
    if not colon:
        repository, tag = rest, "latest"
    if host == _HUB and "/" not in repository:
        repository = f"library/{repository}"
    return Named(host, repository, tag)


def is_loopback(host: str) -> bool:
    """Return whether a registry is this machine's own, so that nobody is between.

    >>> is_loopback("localhost:5000"), is_loopback("registry.example.org")
    (True, False)
    """
    name = urlsplit(f"//{host}").hostname or ""
    return name in ("localhost", "::1") or name.startswith("127.")


def digest(image: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the digest that the registry of an image has for its name: ``sha256:...``.

    ``environ`` says where credentials are: the files that docker, podman and buildah log in to.

    Raises:
        NotFoundError: if the registry has no such image.
        UnauthenticatedError: if it does not show it to us.
        UnavailableError: if it does not answer, or with something else.
    """
    import httpx

    asked = named(image)
    secret = credentials(asked, environ)
    try:
        with httpx.Client(timeout=TIMEOUT_S, follow_redirects=True) as client:
            answer = _head(client, asked, secret)
    except httpx.HTTPError as error:
        raise UnavailableError(
            f"The registry {asked.host} does not answer: {str(error) or type(error).__name__}."
        ) from error
    if answer.status_code == 404:
        raise NotFoundError(f"{asked.host} has no image {asked.repository}:{asked.tag}.")
    if answer.status_code in (401, 403):
        raise UnauthenticatedError(
            f"{asked.host} does not show {asked.repository} to us ({answer.status_code}).",
            hint=f"Log in to it: podman login {asked.host}",
        )
    found: str = answer.headers.get("docker-content-digest", "")
    if answer.status_code != 200 or DIGEST.fullmatch(found) is None:
        raise UnavailableError(
            f"{asked.host} told no digest of {asked.repository}:{asked.tag}:"
            f" status {answer.status_code}, digest {found[:80]!r}."
        )
    return found


def _head(client: httpx.Client, asked: Named, secret: str | None) -> httpx.Response:
    """Ask for the manifest; once more with what the registry wants to be shown."""
    url = f"{asked.url}/v2/{asked.repository}/manifests/{asked.tag}"
    answer = client.head(url, headers={"Accept": _KINDS})
    if answer.status_code != 401:
        return answer
    kind, _, rest = answer.headers.get("www-authenticate", "").partition(" ")
    if kind.lower() == "bearer":
        shown = f"Bearer {_token(client, asked, dict(_PART.findall(rest)), secret)}"
    elif kind.lower() == "basic" and secret:
        shown = f"Basic {secret}"
    else:
        return answer
    return client.head(url, headers={"Accept": _KINDS, "Authorization": shown})


def _token(
    client: httpx.Client, asked: Named, wanted: Mapping[str, str], secret: str | None
) -> str:
    """Return a token to read one repository, from whom the registry names."""
    realm = urlsplit(wanted.get("realm", ""))
    if realm.scheme != "https" and not is_loopback(realm.netloc):
        raise UnavailableError(
            f"{asked.host} has tokens given out at {realm.geturl()[:200]!r}, without TLS."
        )
    scope = wanted.get("scope") or f"repository:{asked.repository}:pull"
    params = {"scope": scope, **({"service": wanted["service"]} if "service" in wanted else {})}
    shown = {"Authorization": f"Basic {secret}"} if secret else {}
    answer = client.get(realm.geturl(), params=params, headers=shown)
    try:
        told: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
    except ValueError:
        told = {}
    found = told.get("token") or told.get("access_token")
    if not isinstance(found, str):
        raise UnauthenticatedError(
            f"{realm.netloc} gives no token to read {asked.repository} at {asked.host}"
            f" ({answer.status_code}).",
            hint=f"Log in to it: podman login {asked.host}",
        )
    return found


def credentials(asked: Named, environ: Mapping[str, str]) -> str | None:
    """Return what is kept for a registry, as ``Basic`` shows it; None if nothing is.

    Read are the files of docker, podman and buildah, the one for the longest part of the name
    first. What a credential helper keeps is not asked for.
    """
    keys = [asked.host, *(_HUB_KEYS if asked.host == _HUB else ())]
    parts = asked.repository.split("/")
    keys = [f"{asked.host}/{'/'.join(parts[:n])}" for n in range(len(parts), 0, -1)] + keys
    for file in _files(environ):
        try:
            kept = msgspec.json.decode(file.read_bytes(), type=_Kept).auths
        except (OSError, msgspec.DecodeError):
            continue  # there is none, or it is another tool's
        for key in keys:
            if key in kept and _is_pair(kept[key].auth):
                return kept[key].auth
    return None


class _Auth(msgspec.Struct):
    auth: str = ""  #: name and password, as Basic shows them


class _Kept(msgspec.Struct):
    auths: dict[str, _Auth] = {}


def _files(environ: Mapping[str, str]) -> list[Path]:
    home = Path(environ.get("HOME", "/root"))
    runtime, docker = environ.get("XDG_RUNTIME_DIR"), environ.get("DOCKER_CONFIG")
    told = environ.get("REGISTRY_AUTH_FILE")
    return [
        *([Path(told)] if told else []),
        *([Path(runtime) / "containers" / "auth.json"] if runtime else []),
        Path("/run/containers") / str(os.getuid()) / "auth.json",
        home / ".config" / "containers" / "auth.json",
        (Path(docker) if docker else home / ".docker") / "config.json",
    ]


def _is_pair(text: str) -> bool:
    try:
        return b":" in base64.b64decode(text, validate=True)
    except ValueError:
        return False
