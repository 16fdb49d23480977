"""Carry a trial's reports from its process to the worker that watches it, and the verdict back.

One line of JSON each way over a local socket. The worker answers after the report is in the
store, so what a trial has said survives whatever happens next.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from pathlib import Path

import msgspec

from mainspring.experiments.trial import Tell
from mainspring.ground.errors import MainspringError, UnavailableError


class Heard:
    """The worker's end: listens while the block lasts, and asks ``tell`` about each report."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._folder = Path(tempfile.mkdtemp(prefix="mainspring-trial-"))
        self.path = str(self._folder / "talk")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(1)
        self._thread = threading.Thread(target=self._listen, name="reports", daemon=True)
        #: what went wrong while a report was kept, to be raised by whoever waits for the trial
        self.error: MainspringError | None = None

    def __enter__(self) -> Heard:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Closing alone would not wake a thread that waits in accept.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _listen(self) -> None:
        try:
            talk, _ = self._listener.accept()
        except OSError:
            return  # the trial ended without a report
        with talk, talk.makefile("rwb") as line:
            for message in line:
                try:
                    value, step = msgspec.json.decode(message, type=tuple[str, int])
                    answer = b"1\n" if self._tell(float(value), step) else b"0\n"
                except MainspringError as error:
                    self.error = error
                    return
                try:
                    line.write(answer)
                    line.flush()
                except OSError:
                    return  # the trial's process is gone; its end is seen elsewhere


class Teller:
    """The trial's end: called with value and step, returns whether to stop."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._talk: socket.socket | None = None

    def __call__(self, value: float, step: int) -> bool:
        """Tell the worker.

        Raises:
            UnavailableError: if it does not listen any more.
        """
        try:
            if self._talk is None:
                self._talk = socket.socket(socket.AF_UNIX)
                self._talk.connect(self._path)
                self._line = self._talk.makefile("rwb")
            self._line.write(msgspec.json.encode((repr(value), step)) + b"\n")
            self._line.flush()
            answer = self._line.readline()
        except OSError as error:
            raise UnavailableError(f"The tuner does not listen any more: {error}.") from error
        if not answer:
            raise UnavailableError("The tuner does not listen any more.")
        return answer == b"1\n"
