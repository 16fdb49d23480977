"""The models of a process that serves many of them, as protocols of several models see them."""

from __future__ import annotations

from typing import Protocol

from mainspring.ground.objects import Record
from mainspring.scaling.serving.body import Receive, Scope, Send


class Listed(Record, frozen=True, kw_only=True):
    """One model that can be asked by its endpoint's name."""

    name: str  #: of the endpoint
    reference: str  #: what it serves: ``model@champion``
    loaded: bool  #: whether it is in memory now; if not, the next request loads it
    bytes: int  #: of memory that it holds
    version: int | None  #: the champion's number


class Catalog(Protocol):
    """What a process that serves many models offers to protocols. Called in its event loop.

    An endpoint that is let go of stays in the list: its next request loads it again.
    """

    def names(self, after: str | None = None, limit: int = 100) -> tuple[list[Listed], str | None]:
        """Return a page of the models by name, and what to ask ``after`` for the next."""

    def get(self, name: str) -> Listed:
        """Return one model.

        Raises:
            NotFoundError: if there is none by that name.
        """

    async def load(self, name: str, reference: str | None = None) -> Listed:
        """Have a model in memory.

        ``reference`` (``model`` or ``model@champion``) makes the endpoint if it is not there.

        Raises:
            NotFoundError: if it is not there and no reference was given.
            AlreadyExistsError: if it is in memory already.
            ConflictError: if it serves another model than the reference says.
            UnavailableError: if it cannot be loaded, saying why.
            OverloadedError: if it is not loaded in time.
        """

    async def unload(self, name: str) -> None:
        """Let go of a model until it is asked again.

        Raises:
            NotFoundError: if there is none by that name.
        """

    async def pass_on(
        self, name: str, path: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Have a model's endpoint answer a request as if it had come for ``path`` there.

        Raises:
            NotFoundError: if there is none by that name.
        """
