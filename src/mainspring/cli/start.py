"""Begin here: parse the command line, run one command, and word every error in a line."""

import codecs
import gc
import io
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.ground.errors import BadInputError, MainspringError
from mainspring.ground.version import __version__

if TYPE_CHECKING:
    from cyclopts import CycloptsError

INTERRUPTED = 130
_RARELY = 50_000  #: objects made between two looks for garbage
_ESCAPED = "mainspring.escaped"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1, 2 for bad input, 130 for Ctrl-C."""
    # Imports make objects that stay: looking through them for garbage took a fifth of a command.
    gc.set_threshold(_RARELY, *gc.get_threshold()[1:])
    codecs.register_error(_ESCAPED, _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
            stream.reconfigure(errors=_ESCAPED)
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--version"]:  # answered before anything is imported
        sys.stdout.write(f"{__version__}\n")
        return 0
    try:
        return _run(_without_settings(given))
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return INTERRUPTED
    except MainspringError as error:
        return _tell(error, "--json" in given)
    except BrokenPipeError:
        # Whoever read us, such as `head`, has enough. Nothing must be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001  the outermost place: the trace goes to a file
        return _crash(error, "--json" in given)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Write what a terminal has no letters for as JSON does, which ``--json`` may hold as well."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def _without_settings(arguments: list[str]) -> list[str]:
    """Take every ``--set NAME=VALUE`` out and put it where children of ours find it too.

    Raises:
        BadInputError: for a setting that is not there, or one without a value.
    """
    from mainspring.ground.settings import Settings

    kept: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        option, equals, text = argument.partition("=")
        if argument == "--":
            return [*kept, argument, *waiting]
        if option != "--set":
            kept.append(argument)
            continue
        name, given, value = (text if equals else next(waiting, "")).partition("=")
        if not given or name not in Settings.__struct_fields__:
            raise BadInputError(
                f"--set takes NAME=VALUE, found {name!r}.",
                field="set",
                hint=f"Names: {', '.join(Settings.__struct_fields__)}.",
            )
        os.environ[f"MAINSPRING_{name.upper()}"] = value
    return kept


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["--complete"]:  # a shell asks, with every press of the tab key
        from mainspring.cli import completing

        return completing.answer(arguments[1:])
    from cyclopts import CycloptsError

    from mainspring.cli.commands import build
    from mainspring.cli.logged import logged

    try:
        with logged(arguments):
            found = build()(
                arguments,
                exit_on_error=False,
                print_error=False,
                help_on_error=False,
                result_action="return_value",
            )
    except CycloptsError as error:
        raise _worded(error, arguments) from error
    sys.stdout.flush()
    return found if isinstance(found, int) else 0


def _worded(error: "CycloptsError", arguments: Sequence[str]) -> BadInputError:
    """Return a mistake on the command line as one of our errors."""
    from mainspring.cli import mistaken

    found = mistaken.worded(error, arguments)
    if found is not None:
        return found
    words = " ".join(str(error).split())
    command = " ".join(error.command_chain or ())
    return BadInputError(words, hint=f"See: mainspring {f'{command} ' if command else ''}--help")


def _tell(error: MainspringError, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps(error.as_dict()) + "\n")
    sys.stderr.write(f"error: {_one_line(error.message)}\n")
    if error.hint:
        sys.stderr.write(f"hint: {_one_line(error.hint)}\n")
    trace = getattr(error, "trace", "")
    if trace and not as_json:
        sys.stderr.write(f"{trace.rstrip()}\n")
    return error.exit_code


def _crash(error: Exception, as_json: bool) -> int:
    """Keep the trace in a file and say where."""
    kept = _kept(error)
    told = MainspringError(
        f"Something failed that should not: {type(error).__name__}: {error}",
        hint=f"The trace is in {kept}." if kept else "Its trace could not be written.",
    )
    return _tell(told, as_json)


def _kept(error: Exception) -> Path | None:
    from mainspring.ground.clock import SystemClock
    from mainspring.ground.settings import load

    stamp = f"{SystemClock().now():.3f}".replace(".", "-")
    try:
        home = Path(load().home)
        folder = home / "logs" if home.is_dir() else Path(tempfile.mkdtemp(prefix="mainspring-"))
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / f"crash-{stamp}.txt"
        file.touch(mode=0o600)
        file.write_text("".join(traceback.format_exception(error)), "utf-8")
    except (OSError, MainspringError):
        return None
    return file


def _one_line(text: str) -> str:
    shown = " ".join(text.split())
    return "".join(c if c.isprintable() else "?" for c in shown)


if __name__ == "__main__":
    sys.exit(main())
