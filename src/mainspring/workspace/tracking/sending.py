"""The thread that sends what this process logs for a server, and is never in anybody's way."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.experiments import journal
from mainspring.ground.errors import MainspringError, UnavailableError
from mainspring.workspace.tracking import spool
from mainspring.workspace.tracking.courier import Courier

if TYPE_CHECKING:
    from mainspring.workspace.tracking.writing import Target

EVERY_S = 1.0  #: between two looks at what there is to send
LONGEST_S = 15.0  #: between two tries at a server that is away
END_S = 3.0  #: the end of a run, and of its process, waits this long for a server that answers


class Sender:
    """Sends the journal of a target about once a second, and those that dead processes left."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._folder: Path = target.folder
        self._changed = threading.Condition()
        self._asked = threading.Event()
        self._reached: dict[str, spool.Reach] = {}
        self._away = False  # the server did not answer the last time
        self._refused = ""  # why the server takes nothing more
        self._rounds = 0
        thread = threading.Thread(target=self._run, name="mainspring-sender", daemon=True)
        thread.start()

    def settle(self, *, last: bool = False) -> bool:
        """Wait a bounded time until the server has all of it; return whether it has.

        A server that is away is not waited for. ``last`` also waits for a first try at it, and
        for the journals of this process to be closed.
        """
        name, end = self._target.journal.id, self._target.journal.end
        self._asked.set()
        with self._changed:
            begun = self._rounds

            def over() -> bool:
                if self._refused or (self._away and (not last or self._rounds > begun)):
                    return True
                if last:
                    return self._rounds > begun and not spool.waiting(self._folder)
                found = self._reached.get(name)
                return found is not None and found.position >= end

            self._changed.wait_for(over, END_S)
            return not (self._away or self._refused)

    @property
    def refused(self) -> str:
        """Return why the server takes nothing more of us, or nothing."""
        return self._refused

    def _run(self) -> None:
        settings = self._target.settings
        pause = EVERY_S
        courier = Courier(settings.url or "", settings.token)
        while not self._refused:
            self._asked.wait(pause)
            self._asked.clear()
            try:
                self._round(courier)
                self._away, pause = False, EVERY_S
            except UnavailableError:
                self._away, pause = True, min(max(pause, EVERY_S) * 2, LONGEST_S)
            except (MainspringError, OSError) as error:
                self._refused = str(error)
                say(f"{settings.url} does not take what is logged: {error}")
                say(f"It is kept in {self._folder}. Later: mainspring sync")
            with self._changed:
                self._rounds += 1
                self._changed.notify_all()
        courier.close()

    def _round(self, courier: Courier) -> None:
        """Send what there is: our own journal, and those whose process is gone."""
        mine, end = self._target.journal.id, self._target.journal.end
        for name, parts in journal.listed(self._folder).items():
            own = name == mine
            known = self._reached.get(name)
            if own and known is not None and known.position >= end:
                continue
            if not own and journal.followed(parts)[1]:
                continue  # its process sends it
            try:
                reach = spool.send(courier, self._folder, name, parts, known=known)
            except FileNotFoundError:  # somebody else sent it at the same time
                self._reached.pop(name, None)
                continue
            self._reached[name] = reach
            if own:
                self._target.sweep(name, reach.position)


def say(text: str) -> None:
    """Tell the user something while their script runs."""
    sys.stderr.write(f"mainspring: {text}\n")


def farewell(target: Target, sender: Sender) -> None:
    """Send the last of it at the exit of the process, for a bounded time, or say what is left."""
    target.journal.close()
    sender.settle(last=True)
    left = spool.waiting(target.folder)
    if left and not sender.refused:
        say(f"{left:,} bytes wait in {target.folder} for {target.url}. Later: mainspring sync")


def started(target: Target, known: tuple[int, Sender] | None) -> tuple[int, Sender]:
    """Return the sender of a target in this process, started if it has none."""
    if known is not None and known[0] == os.getpid():
        return known
    return os.getpid(), Sender(target)
