"""Run a supervisor over stand-in processes: python stand_in.py HOME PORT [endpoint ...]."""

import json
import os
import socket
import sys
import time
from pathlib import Path

from mainspring.cli.supervisor import own_command, supervise
from mainspring.ground.errors import MainspringError
from mainspring.workspace.link import Link


def child(words: list[str], fd: int) -> None:
    """Be a process that does nothing but live, as long as it is told to."""
    given = dict(zip(words[2::2], words[3::2], strict=False)) if words[0] == "endpoint" else {}
    words = words[:2]
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
            text = wanted.read_text() if wanted.exists() else ""
            names = json.loads(text) if text.startswith("[") else text.split()
            if names != told:
                link.send({"endpoints": names})
                told = names
        time.sleep(0.2)  # draining takes a while
    if "--socket" in given:
        answer(link, socket.socket(fileno=int(given["--socket"])))
    link.stop.wait()


def answer(link: Link, listening: socket.socket) -> None:
    """Answer who asks on the socket with the process id, and tell the load that a file holds."""
    load = Path(os.environ["MAINSPRING_HOME"]) / "load"
    listening.settimeout(0.02)
    slow = load.with_name("slow")
    time.sleep(float(slow.read_text()) if slow.exists() else 0.0)
    link.send({"ready": True, "edges": [0.01, 0.1, 1.0]})
    while not link.stop.is_set():
        beat = json.loads(load.read_text()) if load.exists() else {"flying": 0, "open": 0}
        link.murmur({"beat": beat})
        try:
            connection, _ = listening.accept()
        except (TimeoutError, BlockingIOError):
            continue
        with connection:
            connection.settimeout(60)
            connection.sendall(str(os.getpid()).encode())
    listening.close()


def command(words: list[str], fd: int) -> list[str]:
    """Return the command line of a stand-in, or of a real endpoint where the test wants that."""
    if words[0] == "endpoint" and "REAL_ENDPOINTS" in os.environ:
        return own_command(words, fd)
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
