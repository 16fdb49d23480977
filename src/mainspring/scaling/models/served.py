"""A loaded model: raw rows in, scores out, by the fast form where there is one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.contracts import Contract
from mainspring.ground.objects import Signature
from mainspring.numerics.rowwise import RowChecks
from mainspring.scaling.models import exact
from mainspring.scaling.models.check import Prepared, check, check_frame
from mainspring.scaling.models.features import Features, compile_features
from mainspring.scaling.models.files import CONTRACT, ContractFile, FeatureFile
from mainspring.scaling.models.graph import Graph
from mainspring.scaling.models.labels import Labels
from mainspring.scaling.models.one_row import OneRow
from mainspring.scaling.models.onnx_form import OnnxScorer, Parity, feature_columns
from mainspring.scaling.models.ours import Ours

Floats = npt.NDArray[np.float64]
Form = Literal["onnx", "native"]


class Served:
    """A loaded version: raw rows in, scores out. Safe to use from several threads."""

    def __init__(
        self,
        digest: str,
        signature: Signature,
        features: Features,
        form: Form,
        scorer: Callable[[Any], Floats],
        careful: Callable[[], Callable[[Any], Floats]] | None = None,
        contract: Contract | None = None,
        held_bytes: int = 0,
    ) -> None:
        self.digest = digest
        self.signature = signature
        self.form: str = form
        self.held_bytes = held_bytes
        self.waits = False  #: for another process
        names = [column.name for column in signature.columns]
        self.asks = RowChecks(contract or Contract(), names)
        self._one_row = OneRow(signature)
        self._features = features
        self._scorer = scorer
        self._careful = careful
        self._native: Callable[[Any], Floats] | None = None
        self._loading = threading.Lock()
        self._labels = Labels(signature)

    @property
    def inline(self) -> bool:
        """Return whether a few rows may be scored in the event loop: where they are cheap, yes."""
        return not self.waits

    def close(self) -> None:
        """Let go of what it holds."""

    def check(self, columns: Mapping[str, Any]) -> Prepared:
        """Return rows ready to be scored, given as lists or arrays by column name.

        Raises:
            BadInputError, NotExactError: naming the column and the row.
        """
        return self._one_row.check(columns) or check(columns, self.signature)

    def score(self, rows: Prepared | pl.DataFrame | Mapping[str, Any]) -> Floats:
        """Return scores of shape (rows, k): p(positive), one a class, or the value.

        Raises:
            BadInputError: for rows that were not checked before and do not pass.
        """
        if isinstance(rows, pl.DataFrame):
            rows = check_frame(rows, self.signature)
        elif not isinstance(rows, Prepared):
            rows = check(rows, self.signature)
        if rows.rows == 0:
            return np.empty((0, self._labels.width))
        if self.form == "native":
            return self._scorer(self._features.apply(rows.frame()))
        if self._careful is not None and rows.has_missing():
            return self._by_estimator()(self._features.apply(rows.frame()))
        if self._features.plain:
            return self._scorer(rows.columns)
        return self._scorer(feature_columns(self._features.apply(rows.frame())))

    def features(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the features of raw rows as serving computes them.

        Raises:
            BadInputError: for rows that do not pass the check.
        """
        return self._features.apply(check_frame(rows, self.signature).frame())

    def warm(self) -> None:
        """Load now what would otherwise be loaded by the first row with a missing value."""
        if self._careful is not None:
            self._by_estimator()

    def _by_estimator(self) -> Callable[[Any], Floats]:
        with self._loading:
            if self._native is None and self._careful is not None:
                self._native = self._careful()
            return self._native or self._scorer

    def labels(self, scores: Floats) -> list[Any]:
        """Return what scores say in the target's own words: the class, or the value."""
        return self._labels.of(scores)


class Staged(Served):
    """A loaded graph: ``stages`` returns how often and how long each of its stages was asked."""

    stages: Callable[[], list[dict[str, Any]]]


def opened(
    digest: str, paths: Mapping[str, str], read: Callable[[str], bytes], prefer: Form = "onnx"
) -> Served:
    """Return the model of a package's files ready to score.

    ``paths`` are its files, digest by path; ``read`` gives the verified bytes of a path.

    Raises:
        NotFoundError, DamagedError: if a file is not there or not what it was.
        BadInputError: if they name types that may not be loaded.
    """
    signature = msgspec.json.decode(read("signature.json"), type=Signature)
    expressions = msgspec.json.decode(read("features.json"), type=FeatureFile).expressions
    features = compile_features(expressions, signature.columns)
    contract = None
    if CONTRACT in paths:
        contract = msgspec.json.decode(read(CONTRACT), type=ContractFile).contract
    if prefer == "onnx" and "model.onnx" in paths:
        parity = msgspec.json.decode(read("parity.json"), type=Parity)
        data = read("model.onnx")
        scorer = OnnxScorer(data, parity.inputs, signature.kind)
        careful = None if parity.missing else lambda: _native(paths, read, signature)[1]
        return Served(
            digest, signature, features, "onnx", scorer.score, careful, contract, len(data)
        )
    parts = {path: read(path) for path in exact.paths(paths)}
    estimator, native = _native(paths, lambda path: parts.get(path) or read(path), signature)
    held = sum(map(len, parts.values()))
    kind = Staged if isinstance(estimator, Graph) else Served
    made = kind(digest, signature, features, "native", native, None, contract, held)
    made.waits = estimator.waits if isinstance(estimator, Ours) else False
    if isinstance(made, Staged):
        made.stages = estimator.stages
    return made


def _native(
    paths: Mapping[str, str], read: Callable[[str], bytes], signature: Signature
) -> tuple[Any, Callable[[pl.DataFrame], Floats]]:
    from mainspring.scaling.models.estimator import raw_scores

    estimator = exact.load(paths, read, opened)
    told = getattr(estimator, "feature_names_in_", None)
    names = None if told is None else [str(name) for name in told]

    def score(frame: pl.DataFrame) -> Floats:
        # Packages of the first release had their features in the alphabet's order.
        ordered = names is not None and names != frame.columns and set(names) == set(frame.columns)
        return raw_scores(estimator, signature.kind, frame.select(names) if ordered else frame)

    return estimator, score
