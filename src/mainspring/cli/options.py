"""The options that every command takes."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Group, Parameter

_GROUP = Group("Everywhere", sort_key=99)


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True)
class Everywhere:
    """Where to work and how to answer."""

    home: Annotated[
        str | None,
        Parameter(help="Folder where everything is kept. [env: MAINSPRING_HOME]"),
    ] = None
    url: Annotated[
        str | None,
        Parameter(help="A server to ask instead of the home. [env: MAINSPRING_URL]"),
    ] = None
    token: Annotated[
        str | None,
        Parameter(help="What we show that server. [env: MAINSPRING_TOKEN]"),
    ] = None
    json: Annotated[
        bool, Parameter(help="Print one JSON document.", negative=(), show_default=False)
    ] = False


HERE = Everywhere()
