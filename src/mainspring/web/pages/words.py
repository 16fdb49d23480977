"""Say states as people read them, in the colours that they mean."""

from __future__ import annotations

from mainspring.ground.words import (
    aligned,
    clip,
    day,
    figure,
    lasting,
    minutes,
    pretty,
    share,
    short,
    size,
    stamp,
    when,
)

__all__ = [
    "aligned",
    "clip",
    "day",
    "figure",
    "lasting",
    "minutes",
    "pretty",
    "share",
    "short",
    "size",
    "stamp",
    "tone",
    "when",
    "word",
]

#: What was decided or what a thing is -> the colour that means it. The word stands beside it.
_TONES = {
    "promote": "green",
    "promoted": "green",
    "finished": "green",
    "done": "green",
    "up": "green",
    "passed": "green",
    "roll_back": "red",
    "rolled_back": "red",
    "failed": "red",
    "crashed": "red",
    "deleted": "amber",
    "refused": "red",
    "down": "red",
    "reverting": "red",
    "withdrawing": "red",
    "alarm": "amber",
    "open": "amber",
    "paused": "amber",
    "pause": "amber",
    "notice": "amber",
    "override": "amber",
    "canary": "blue",
    "shadow": "blue",
    "blue_green": "blue",
    "linear": "blue",
    "ab": "blue",
    "step": "blue",
    "share": "blue",
    "better": "green",
    "rollout": "blue",
    "running": "blue",
    "waiting": "violet",
    "interrupted": "amber",
    "retrain": "violet",
    "training": "violet",
    "registering": "violet",
    "judging": "violet",
    "checking": "violet",
    "promoting": "green",
    "idle": "green",
    "reused": "teal",
    "champion": "green",
    "challenger": "blue",
    "reject": "red",
    "refuse": "red",
    "approve": "green",
    "pass": "green",
    "fail": "red",
    "stale": "amber",
    "waits for approval": "violet",
    "deprecated": "amber",
    "high": "red",
    "medium": "amber",
    "accepted": "teal",
    "expired": "amber",
    "asks": "amber",
}

_WORDS = {
    "roll_back": "rolled back",
    "rolled_back": "rolled back",
    "promote": "promoted",
    "reject": "rejected",
    "retrain": "retrain",
    "dismiss": "dismissed",
    "wait": "no retraining",
    "decline": "declined",
    "hold": "on hold",
    "override": "override",
    "blue_green": "blue-green",
    "ab": "A/B",
    "better": "proved better",
    "step": "next step",
    "share": "share moved",
    "idle": "watching",
    "rollout": "rolling out",
    "score_drift": "score drift",
}


def tone(kind: object) -> str:
    """Return the name of the colour that a kind, state or outcome has."""
    return _TONES.get(str(kind), "grey")


def word(kind: object) -> str:
    """Return how a kind, state or outcome is called.

    >>> word("roll_back")
    'rolled back'
    """
    return _WORDS.get(str(kind), str(kind).replace("_", " "))
