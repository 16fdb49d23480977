"""What answers like a fitted estimator without being scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Kind

Floats = npt.NDArray[np.float64]


class Ours:
    """A fitted model of another kind: polars features in, what an estimator answers out.

    ``feature_names_in_`` are the columns it takes and ``classes_`` the classes in the order of
    its scores, where it knows them. One that cannot be had as ONNX says why in ``no_onnx``.
    """

    no_onnx = ""
    waits = False  #: for another process, whenever it scores

    def __init__(
        self,
        kind: Kind,
        names: list[str] | None = None,
        classes: npt.NDArray[Any] | None = None,
    ) -> None:
        self.kind: Kind = kind
        if names is not None:
            self.feature_names_in_ = np.asarray(names, dtype=object)
        if classes is not None:
            self.classes_ = classes

    def inputs(self) -> dict[str, str] | None:
        """Return how each column is typed in its ONNX form; None: as any estimator's."""
        return None

    def scores(self, features: Any) -> Floats:
        """Return scores of shape (rows, k): p(positive), one a class, or the value."""
        raise NotImplementedError

    def converted(self) -> bytes:
        """Return its ONNX form, one input a column."""
        raise NotImplementedError

    def predict(self, features: Any) -> Floats:
        """Return the values of a regression, or the places of the classes."""
        found = self.scores(features)
        if self.kind == "regression":
            return found[:, 0]
        places = found[:, 0] >= 0.5 if self.kind == "binary" else found.argmax(axis=1)
        numbers: Floats = places.astype(np.float64)
        return numbers

    def predict_proba(self, features: Any) -> Floats:
        """Return one probability a class, shape (rows, classes).

        Raises:
            BadInputError: if it is a regression.
        """
        if self.kind == "regression":
            raise BadInputError("A regression has no probabilities.", field="model")
        found = self.scores(features)
        return np.column_stack([1.0 - found, found]) if self.kind == "binary" else found
