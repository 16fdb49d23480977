"""Tell people by a line in the log of the process that works on alarms."""

from __future__ import annotations

import logging

from mainspring.ground.rules import Message

_log = logging.getLogger("mainspring.alarms")


class LogNotifier:
    """Writes a warning for an alarm, and an information when it is over."""

    def send(self, message: Message, at: float) -> str:  # noqa: ARG002  the log has its own clock
        """Write one line."""
        level = logging.WARNING if message.event == "ALARM" else logging.INFO
        _log.log(level, "%s [%s]", message.title, message.id)
        return "logged"
