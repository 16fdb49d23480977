"""Keep in the home's logs what commands that work long do: how they began, ended and failed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from traceback import format_exception
from typing import TYPE_CHECKING

from mainspring.ground.secrecy import HIDDEN, is_secret_name

if TYPE_CHECKING:
    from mainspring.ground.settings import Settings

#: Commands that work long, or change much; the name that their process has in the logs.
NAMES = {
    **dict.fromkeys(
        ("init", "demo", "simulate", "run", "resume", "repeat", "tune", "sync", "again", "judge"),
        "cli",
    ),
    **dict.fromkeys(("gc", "export", "import archive", "import mlflow", "notebook run"), "cli"),
    **dict.fromkeys(("monitor backtest", "monitor feed", "profile", "compare-data"), "cli"),
    "queue work": "worker",
}


@contextmanager
def logged(arguments: Sequence[str]) -> Iterator[None]:
    """Log a command from its beginning to its end, if it is one that works long.

    Where there is no home yet nothing is written: a log makes none.
    """
    command = command_of(arguments)
    settings = None if command is None else _settings(arguments)
    if command is None or settings is None:
        yield
        return
    from mainspring.workspace.logs.beginning import begin

    began = time.monotonic()
    with closing(begin(settings, NAMES[command], shown=True, command=command)) as log:
        log.say("info", "began", arguments=" ".join(hidden(arguments)))
        try:
            yield
        except BaseException as error:
            ours = isinstance(error, KeyboardInterrupt)
            log.say(
                "info" if ours else "error",
                f"ended by {type(error).__name__}: {error}".rstrip(": "),
                trace=None if ours else "".join(format_exception(error)),
                seconds=round(time.monotonic() - began, 3),
            )
            raise
        log.say("info", "ended", seconds=round(time.monotonic() - began, 3))


def command_of(arguments: Sequence[str]) -> str | None:
    """Return which long command a command line is, or None.

    >>> command_of(["queue", "work", "--slots", "4"]), command_of(["runs"])
    ('queue work', None)
    """
    words = [one for one in arguments[:2] if re.fullmatch(r"[a-z-]+", one)]
    for name in (" ".join(words), *words[:1]):
        if name in NAMES and not {"--help", "-h"} & set(arguments):
            return name
    return None


def hidden(arguments: Sequence[str]) -> list[str]:
    """Return a command line without what stands behind an option for a secret.

    >>> hidden(["run", "--token", "abc", "--api-key=xyz", "flights"])
    ['run', '--token', '***', '--api-key=***', 'flights']
    """
    found, after = [], False
    for one in arguments:
        name, equals, _ = one.partition("=")
        secret = one.startswith("-") and is_secret_name(name)
        found.append(HIDDEN if after else f"{name}={HIDDEN}" if secret and equals else one)
        after = secret and not equals
    return found


def _settings(arguments: Sequence[str]) -> Settings | None:
    from pathlib import Path

    from mainspring.ground.errors import MainspringError
    from mainspring.ground.settings import load

    home = next(
        (
            one.partition("=")[2] or following
            for one, following in zip(arguments, [*arguments[1:], ""], strict=True)
            if one == "--home" or one.startswith("--home=")
        ),
        None,
    )
    try:
        return load({"home": str(Path(home).expanduser().absolute()) if home else None})
    except (MainspringError, OSError):  # the command itself says what is wrong
        return None
