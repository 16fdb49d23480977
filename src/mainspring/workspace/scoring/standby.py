"""The process of a drill: one endpoint of the home that the environment names, on a free port."""

import os
import sys

from mainspring.ground.settings import load
from mainspring.workspace.link import Link
from mainspring.workspace.processes import run_endpoint


def main(name: str, descriptor: int) -> None:
    """Serve until the other end of the line closes, or a signal says stop."""
    os.umask(0o077)
    link = Link(descriptor)
    link.obey_signals()
    run_endpoint(load(), name, link)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
