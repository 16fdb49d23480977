"""What the supervisor starts: the mains of web, engine, endpoints, and the project's loops.

``python -m mainspring.cli.processes web|engine|endpoint NAME|project --link FD``; where to work
comes from the environment, as the supervisor set it.
"""

import argparse
import faulthandler
import os
import signal
import sys
from collections.abc import Sequence
from traceback import format_exc

from mainspring.ground.logs import Log
from mainspring.ground.settings import Settings, load
from mainspring.ground.version import __version__
from mainspring.workspace.link import Link
from mainspring.workspace.logs.beginning import begin


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one process until its link or a signal says stop."""
    parser = argparse.ArgumentParser(prog="mainspring.cli.processes")
    parser.add_argument("kind", choices=("web", "engine", "endpoint", "project"))
    parser.add_argument("name", nargs="?")
    parser.add_argument("--link", type=int, help="descriptor of the line to the supervisor")
    parser.add_argument("--home", help="default: MAINSPRING_HOME")
    asked = parser.parse_args(arguments)
    if (asked.kind == "endpoint") != bool(asked.name):
        parser.error("an endpoint, and nothing else, has a name")
    settings = load({"home": asked.home})
    os.umask(0o077)
    link = Link(asked.link)
    link.obey_signals()
    log = _log(asked.kind, asked.name, settings)
    log.say("info", "began", version=__version__)
    try:
        _run(asked.kind, asked.name, settings, link)
        log.say("info", "ended")
    except BaseException as error:
        log.say("critical", f"ended by {type(error).__name__}: {error}", trace=format_exc())
        raise
    finally:
        log.close()
        _end_group(asked.link)
    return 0


def _log(kind: str, name: str | None, settings: Settings) -> Log:
    """Begin the log; those who answer requests never wait for it."""
    # A crash below Python is printed, and what is printed goes into the logs as well.
    faulthandler.enable()
    process = f"{kind}-{name}" if name else kind
    return begin(settings, process, waits=kind in ("engine", "project"), endpoint=name)


def _run(kind: str, name: str | None, settings: Settings, link: Link) -> None:
    if kind == "web":
        run_web(settings, link)
    elif kind == "engine":
        from mainspring.workspace.processes import run_engine

        run_engine(settings, link)
    elif kind == "endpoint" and name is not None:
        from mainspring.workspace.processes import run_endpoint

        run_endpoint(settings, name, link)
    else:
        from mainspring.cli.declaring import declare_project

        link.send({"say": declare_project(settings)})


def run_web(settings: Settings, link: Link) -> None:
    """Serve pages and API until told to stop."""
    from mainspring.web.server import serve_web
    from mainspring.workspace.opening import open_workspace

    workspace = open_workspace(settings)
    try:
        serve_web(
            workspace,
            settings.host,
            settings.port,
            on_ready=lambda: link.send({"ready": True}),
            stop=link.stop,
        )
    finally:
        workspace.close()


def _end_group(link: int | None) -> None:
    """End what this process started and did not end, such as a step in work."""
    if link is not None and os.getpgrp() == os.getpid():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(os.getpgrp(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
