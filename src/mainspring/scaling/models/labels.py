"""Say what scores mean in the target's own words, whoever computed them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mainspring.ground.objects import Signature


class Labels:
    """Turns scores of a signature into classes or values.

    Example:
        >>> words = Labels(Signature(columns=[], kind="binary", target="y", classes=["0", "1"]))
        >>> words.of(np.array([[0.2], [0.5]]))
        [0, 1]
    """

    def __init__(self, signature: Signature) -> None:
        self.width = len(signature.classes) if signature.kind == "multiclass" else 1
        self._kind = signature.kind
        self._classes = _words(signature.classes)

    def of(self, scores: npt.NDArray[np.float64]) -> list[Any]:
        """Return the class of each row, or its value; scores have shape (rows, ``width``).

        Classes that are whole numbers or true and false are returned as such.
        """
        kind, classes = self._kind, self._classes
        if kind == "regression":
            values: list[float] = scores[:, 0].tolist()
            return values
        if kind == "binary":
            return [classes[value >= 0.5] for value in scores[:, 0].tolist()]
        return [classes[place] for place in scores.argmax(axis=1).tolist()]


def _words(classes: list[str]) -> list[Any]:
    """Return classes as the values they were, where their text says so."""
    if classes and set(classes) <= {"true", "false"}:
        return [name == "true" for name in classes]
    if all(name.removeprefix("-").isdecimal() and str(int(name)) == name for name in classes):
        return [int(name) for name in classes]
    return list(classes)
