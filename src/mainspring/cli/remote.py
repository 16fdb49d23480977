"""Ask for an operation: over HTTP where a URL is given, else in this process on the home."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.ground.errors import BadInputError
from mainspring.ground.settings import Settings, load

if TYPE_CHECKING:
    from mainspring.cli.options import Everywhere
    from mainspring.workspace.data.sending import There
    from mainspring.workspace.opening import Workspace


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
        from mainspring.workspace.asking import Server

        self.settings = settings
        self._server = Server(settings.url or "", settings.token)
        self.url = self._server.url

    def call(self, name: str, /, **fields: Any) -> Any:
        """Ask the server for an operation.

        Raises:
            UnavailableError: if no server answers.
            MainspringError: what the server refused with.
        """
        from mainspring.web.api import find

        wanted = find(name)
        path, query, body = wanted.split(fields)
        return self._server.ask(
            wanted.method,
            path,
            query=query,
            body=body if wanted.has_body else None,
            as_json=wanted.media == "application/json",
        )

    def send(
        self, name: str, file: Path, tell: Callable[[int], None] | None = None, /, **fields: Any
    ) -> Any:
        """Ask the server for an operation whose body is a file.

        ``tell`` is told how many bytes of it are on their way.

        Raises:
            UnavailableError, MainspringError: as :meth:`call`.
        """
        from mainspring.web.api import find

        wanted = find(name)
        path, query, _ = wanted.split(fields)
        return self._server.ask(wanted.method, path, query=query, file=file, tell=tell)

    @property
    def data(self) -> There:
        """Return the server's data versions, for files of this machine."""
        from mainspring.workspace.data.sending import There

        return There(self._server, Path(self.settings.home))

    def close(self) -> None:
        """Let go of the connection."""
        self._server.close()


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
