"""Load a package where Mainspring is not installed: the file that travels inside it.

MLflow's ``pyfunc`` puts the package's ``code`` folder on the path and imports this. It needs
numpy, pandas, scikit-learn and skops, polars where features are SQL, and a booster's library.
Answers are those of an endpoint: ``predictions`` (the class, or the value), or ``scores`` if the
model is loaded with ``model_config={"output": "scores"}``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

#: Types beyond those skops trusts by itself; filled in when the package is written.
ALLOWED: list[str] = []

_MAKE: dict[str, Any] = {"float": float, "int": int, "str": str, "bool": bool}
_KINDS = {"float": "float64", "int": "int64", "bool": "bool"}


class Loaded:
    """A packaged model: raw rows in, predictions out."""

    def __init__(self, estimator: Any, signature: Any, features: Any, output: str) -> None:
        if output not in ("predictions", "scores"):
            raise ValueError(f"output is predictions or scores, found {output!r}")
        self._estimator = estimator
        self._signature = signature
        self._features = features
        self._output = output
        self._words = _words(signature["classes"])

    def get_raw_model(self) -> Any:
        """Return the estimator, which takes features."""
        return self._estimator

    # Without hints: MLflow would take them for what the rows must be.
    def predict(self, data, params=None):  # type: ignore[no-untyped-def]  # noqa: ARG002
        """Return one prediction a row, or with ``output`` scores what an endpoint calls so."""
        import numpy as np

        rows = self._rows(data)
        kind = self._signature["kind"]
        if kind == "regression":
            return np.asarray(self._estimator.predict(rows), dtype=np.float64).reshape(-1)
        scores = np.asarray(self._estimator.predict_proba(rows), dtype=np.float64)
        if self._output == "scores":
            return scores[:, 1] if kind == "binary" else scores
        binary = kind == "binary"
        places = (scores[:, 1] >= 0.5).astype(int) if binary else scores.argmax(axis=1)
        return np.array([self._words[place] for place in places])

    def _rows(self, data: Any) -> Any:
        import pandas as pd

        columns = self._signature["columns"]
        if not isinstance(data, pd.DataFrame):
            data = pd.DataFrame(data, columns=[column["name"] for column in columns])
        missing = [column["name"] for column in columns if column["name"] not in data.columns]
        if missing:
            raise ValueError(f"The rows lack {', '.join(missing)}.")
        try:
            import polars as pl
        except ImportError:
            if self._features is not None:
                raise ImportError("This model computes features: pip install polars") from None
            return _plain(data, columns)
        types = {"float": pl.Float64, "int": pl.Int64, "str": pl.String, "bool": pl.Boolean}
        found = []
        for column in columns:
            values = data[column["name"]]
            make = _MAKE[column["type"]]
            several = [None if pd.isna(value) else make(value) for value in values]
            found.append(pl.Series(column["name"], several, dtype=types[column["type"]]))
        frame = pl.DataFrame(found)
        if self._features is None:
            return frame
        asked = [pl.sql_expr(text).alias(name) for name, text in self._features.items()]
        return _typed(frame.select(asked))


def _typed(frame: Any) -> Any:
    """Return features in the types they were learnt in: numbers, texts and booleans."""
    import polars as pl

    kept = []
    for column in frame.get_columns():
        kind = column.dtype
        if kind.is_integer():
            kept.append(column.cast(pl.Int64))
        elif kind == pl.Boolean:
            kept.append(column)
        elif kind.is_numeric() or kind == pl.Null:
            kept.append(column.cast(pl.Float64))
        else:
            kept.append(column.cast(pl.String))
    return pl.DataFrame(kept)


def _plain(data: Any, columns: Any) -> Any:
    """Return the rows as pandas has them, texts as objects with None where one is missing."""
    import pandas as pd

    found = {}
    for column in columns:
        values = data[column["name"]]
        if column["type"] == "str":
            several = [None if pd.isna(value) else str(value) for value in values]
            found[column["name"]] = pd.Series(several, dtype=object, index=data.index)
        else:
            whole = not values.isna().any()
            found[column["name"]] = values.astype(_KINDS[column["type"]] if whole else "float64")
    return pd.DataFrame(found)


def _words(classes: list[str]) -> list[Any]:
    """Return classes as the values they were, where their text says so."""
    if classes and set(classes) <= {"true", "false"}:
        return [name == "true" for name in classes]
    if all(name.removeprefix("-").isdecimal() and str(int(name)) == name for name in classes):
        return [int(name) for name in classes]
    return list(classes)


class _Booster:
    """A booster of XGBoost or LightGBM, with the transformers in front of it."""

    def __init__(self, folder: Path, before: Any) -> None:
        self._facts = json.loads((folder / "booster.json").read_text("utf-8"))
        self._before = before
        if self._facts["library"] == "xgboost":
            import xgboost

            self._model: Any = xgboost.Booster(model_file=str(folder / "model.ubj"))
        else:
            import lightgbm

            self._model = lightgbm.Booster(model_file=str(folder / "model.lgb"))

    def predict(self, rows: Any) -> Any:
        """Return what a regression says of rows."""
        return self._scores(rows)

    def predict_proba(self, rows: Any) -> Any:
        """Return one probability a class."""
        import numpy as np

        found = self._scores(rows)
        return np.column_stack([1.0 - found, found]) if found.ndim == 1 else found

    def _scores(self, rows: Any) -> Any:
        import numpy as np

        if self._before is not None:
            rows = self._before.transform(rows)
        if hasattr(rows, "get_columns"):
            columns = [one.cast(float).to_numpy() for one in rows.get_columns()]
            rows = np.column_stack(columns)
        numbers = np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows, np.float64)
        if self._facts["library"] == "lightgbm":
            return np.asarray(self._model.predict(numbers), np.float64)
        gap = self._facts["missing"]
        several = self._facts["kind"] == "multiclass"
        found = self._model.predict(
            _matrix(numbers, np.nan if gap is None else gap),
            output_margin=several,
            validate_features=False,
        )
        found = np.asarray(found, np.float64)
        if not several:
            return found
        powers = np.exp(found - found.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)


def _matrix(numbers: Any, gap: float) -> Any:
    import xgboost

    return xgboost.DMatrix(numbers, missing=gap)


def _load_pyfunc(path: str, model_config: Any = None) -> Loaded:
    """Load the package in a folder; MLflow calls this."""
    folder = Path(path)
    signature = json.loads((folder / "signature.json").read_text("utf-8"))
    features = json.loads((folder / "features.json").read_text("utf-8"))["expressions"]
    file = folder / "model.skops"
    estimator = _built(file) if file.is_file() else None
    if (folder / "booster.json").is_file():
        estimator = _Booster(folder, estimator)
    return Loaded(
        estimator, signature, features, (model_config or {}).get("output", "predictions")
    )


def _built(file: Path) -> Any:
    """Return the estimator of a skops file, if it is of listed types."""
    import skops.io

    named = set(skops.io.get_untrusted_types(file=file))
    if strange := sorted(named - set(ALLOWED)):
        raise ValueError(f"The model names types that may not be loaded: {', '.join(strange)}.")
    return skops.io.load(file, trusted=sorted(named))
