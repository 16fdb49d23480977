"""Ask for an operation: over HTTP where a URL is given, else in this process on the home."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.ground import errors
from mainspring.ground.errors import BadInputError, MainspringError, UnavailableError
from mainspring.ground.settings import Settings, load

if TYPE_CHECKING:
    from mainspring.cli.options import Everywhere
    from mainspring.workspace.opening import Workspace

TIMEOUT_S = 120.0
_BY_CODE = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, MainspringError)
}


class Local:
    """Operations on a home, as its owner, with no server needed."""

    def __init__(self, settings: Settings, *, create: bool = False) -> None:
        self.settings = settings
        self._create = create
        self._workspace: Workspace | None = None

    @property
    def workspace(self) -> Workspace:
        """Return the opened home.

        Raises:
            BadInputError: if there is none, and the command does not make one.
        """
        if self._workspace is None:
            if not self._create and not Path(self.settings.home).is_dir():
                raise BadInputError(
                    f"There is no Mainspring home at {self.settings.home}.",
                    field="home",
                    hint="Make one with mainspring up or mainspring run, or name one with --home.",
                )
            from mainspring.workspace.opening import open_workspace

            self._workspace = open_workspace(self.settings)
        return self._workspace

    def call(self, name: str, /, **fields: Any) -> Any:
        """Carry out an operation and return its answer as plain values."""
        from mainspring.web.api import call

        return call(self.workspace, name, **fields)

    def close(self) -> None:
        """Let go of the home."""
        if self._workspace is not None:
            self._workspace.close()


class Remote:
    """Operations on a server."""

    def __init__(self, settings: Settings) -> None:
        import httpx

        self.settings = settings
        self.url = (settings.url or "").rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            raise BadInputError(
                f"The URL must begin with http:// or https://, found {self.url!r}.", field="url"
            )
        headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
        self._client = httpx.Client(base_url=self.url, headers=headers, timeout=TIMEOUT_S)

    def call(self, name: str, /, **fields: Any) -> Any:
        """Ask the server for an operation.

        Raises:
            UnavailableError: if no server answers.
            MainspringError: what the server refused with.
        """
        import httpx

        from mainspring.web.api import find

        wanted = find(name)
        path, query, body = wanted.split(fields)
        try:
            reply = self._client.request(
                wanted.method, path, params=query, json=body if wanted.has_body else None
            )
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"No server answers at {self.url}: {error}.",
                hint="Start one with mainspring up, or leave out --url to use the home.",
            ) from error
        if reply.is_success:
            return reply.json() if wanted.media == "application/json" else reply.text
        raise _as_error(reply.status_code, reply.text)

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


def _as_error(status: int, body: str) -> MainspringError:
    try:
        told = json.loads(body)
        kind, message = _BY_CODE.get(told["error"], MainspringError), str(told["message"])
    except (ValueError, KeyError, TypeError):
        return UnavailableError(f"The server answered {status}, and not as Mainspring does.")
    if kind is errors.OverloadedError:
        return errors.OverloadedError(message, hint=told.get("hint"))
    return kind(message, field=told.get("field"), hint=told.get("hint"))


def settings_of(options: Everywhere, **more: Any) -> Settings:
    """Return the settings in force for a command."""
    given = {"home": options.home, "url": options.url, "token": options.token}
    if options.home is not None:
        # What is typed is meant from where one stands, not from the project's root.
        given["home"] = str(Path(options.home).expanduser().absolute())
    return load({**given, **more})


def reach(options: Everywhere, *, create: bool = False) -> Local | Remote:
    """Return what answers a command's questions: the server of ``--url``, else the home."""
    settings = settings_of(options)
    return Remote(settings) if settings.url else Local(settings, create=create)


@contextmanager
def asking(options: Everywhere, *, create: bool = False) -> Iterator[Local | Remote]:
    """Reach what answers, and let go of it at the end."""
    house = reach(options, create=create)
    try:
        yield house
    finally:
        house.close()


def call(options: Everywhere, name: str, /, **fields: Any) -> Any:
    """Ask one question."""
    with asking(options) as house:
        return house.call(name, **fields)
