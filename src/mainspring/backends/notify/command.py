"""Tell people by a command of their own: a list of words, never a shell."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Sequence

from mainspring.backends.notify.webhook import body_of
from mainspring.ground.errors import BadInputError, UnavailableError
from mainspring.ground.rules import Message

TIMEOUT_S = 30.0
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")


class CommandNotifier:
    """Runs a command with the message as JSON on its standard input.

    Its environment holds PATH, HOME and the language, ``MAINSPRING_ALARM_EVENT``, ``_TITLE``,
    ``_ENDPOINT`` and ``_ID``, and nothing else of ours. After 30 s it and all it started end.
    """

    def __init__(self, words: Sequence[str], timeout_s: float = TIMEOUT_S) -> None:
        self._words, self._timeout_s = list(words), timeout_s

    def send(self, message: Message, at: float) -> str:  # noqa: ARG002  it has a clock of its own
        """Run it and return its exit code.

        Raises:
            UnavailableError: if it fails or takes too long.
            BadInputError: if there is no such program.
        """
        text = json.dumps(body_of(message)).encode()
        try:
            process = subprocess.Popen(  # noqa: S603  what an admin asked to be run, no shell
                self._words,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_environment(message),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise BadInputError(
                f"{self._words[0][:80]!r} cannot be started: {error}.", field="command"
            ) from error
        try:
            process.communicate(text, timeout=self._timeout_s)
        except subprocess.TimeoutExpired:
            raise UnavailableError(
                f"{self._words[0][:80]!r} took longer than {self._timeout_s:g} s."
            ) from None
        finally:
            # What it started and left behind shall not outlive it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode:
            raise UnavailableError(f"{self._words[0][:80]!r} ended with {process.returncode}.")
        return "exit code 0"


def _environment(message: Message) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    told = {
        "EVENT": message.event,
        "TITLE": message.title,
        "ENDPOINT": message.endpoint,
        "ID": message.id,
    }
    clean = {key: value.replace("\x00", "") for key, value in told.items()}
    return kept | {f"MAINSPRING_ALARM_{key}": value for key, value in clean.items()}
