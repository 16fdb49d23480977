"""The tags of ours that several rooms of code read; whose names begin with ``mainspring.``."""

from __future__ import annotations

GROUP = "mainspring.group"  #: the group that a run belongs to
USER = "mainspring.user"  #: who started it, by the name the system knows
