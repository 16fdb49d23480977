"""What the supervisor starts: the mains of web, engine, endpoints, and the project's loops.

``python -m mainspring.cli.processes web|engine|endpoint NAME|host|project --link FD``; where to
work comes from the environment, as the supervisor set it. ``--socket FD`` is what a worker of an
endpoint answers on, together with the others.
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
    parser.add_argument("kind", choices=("web", "engine", "endpoint", "host", "project"))
    parser.add_argument("name", nargs="?")
    parser.add_argument("--link", type=int, help="descriptor of the line to the supervisor")
    parser.add_argument("--socket", type=int, help="descriptor of a socket that listens")
    parser.add_argument("--worker", type=int, default=1, help="which of an endpoint's")
    parser.add_argument("--home", help="default: MAINSPRING_HOME")
    asked = parser.parse_args(arguments)
    if (asked.kind == "endpoint") != bool(asked.name):
        parser.error("an endpoint, and nothing else, has a name")
    settings = load({"home": asked.home})
    os.umask(0o077)
    link = Link(asked.link)
    link.obey_signals()
    log = _log(asked, settings)
    log.say("info", "began", version=__version__)
    try:
        _run(asked, settings, link)
        log.say("info", "ended")
    except BaseException as error:
        log.say("critical", f"ended by {type(error).__name__}: {error}", trace=format_exc())
        raise
    finally:
        log.close()
        _end_group(asked.link)
    return 0


def _log(asked: argparse.Namespace, settings: Settings) -> Log:
    """Begin the log; those who answer requests never wait for it."""
    # A crash below Python is printed, and what is printed goes into the logs as well.
    faulthandler.enable()
    process = f"{asked.kind}-{asked.name}" if asked.name else asked.kind
    if asked.worker > 1:
        process = f"{process}~{asked.worker}"
    waits = asked.kind in ("engine", "project")
    return begin(settings, process, waits=waits, endpoint=asked.name)


def _run(asked: argparse.Namespace, settings: Settings, link: Link) -> None:
    if asked.kind == "web":
        run_web(settings, link)
    elif asked.kind == "engine":
        from mainspring.workspace.processes import run_engine

        run_engine(settings, link)
    elif asked.kind == "endpoint":
        from mainspring.workspace.processes import run_endpoint

        run_endpoint(settings, asked.name, link, asked.socket)
    elif asked.kind == "host":
        from mainspring.workspace.hosting import run_host

        run_host(settings, link, asked.socket)
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
