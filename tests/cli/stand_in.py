"""Run a supervisor over stand-in processes: python stand_in.py HOME PORT [endpoint ...]."""

import os
import sys
import time
from pathlib import Path

from mainspring.cli.supervisor import supervise
from mainspring.ground.errors import MainspringError
from mainspring.workspace.link import Link


def child(words: list[str], fd: int) -> None:
    """Be a process that does nothing but live, as long as it is told to."""
    link = Link(fd)
    link.obey_signals()
    print(f"{words[-1]} prints, password=hunter2", flush=True)
    if "stubborn" in words:
        time.sleep(60)
    if words[0] == "web":
        link.send({"ready": True})
    if words[0] == "engine":
        wanted = Path(os.environ["MAINSPRING_HOME"]) / "wanted"
        told = None
        while not link.stop.wait(0.02):
            names = wanted.read_text().split() if wanted.exists() else []
            if names != told:
                link.send({"endpoints": names})
                told = names
        time.sleep(0.2)  # draining takes a while
    link.stop.wait()


def command(words: list[str], fd: int) -> list[str]:
    """Return the command line of a stand-in."""
    return [sys.executable, __file__, "child", *words, str(fd)]


if __name__ == "__main__":
    if sys.argv[1] == "child":
        child(sys.argv[2:-1], int(sys.argv[-1]))
        sys.exit(0)
    try:
        sys.exit(supervise(Path(sys.argv[1]), "127.0.0.1", int(sys.argv[2]), command=command))
    except MainspringError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
