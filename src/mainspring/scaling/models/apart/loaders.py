"""Load a model whose code is not ours, inside of its child process.

Any Python from 3.8 on runs this file by its path; it needs nothing of Mainspring. A predictor is
a class with ``predict(frame)``, and ``load(folder)`` if it has files to read. Its frame is of
polars where that is there, else of pandas, else a dict of lists.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Score = Callable[[int, dict[str, Any], dict[str, str]], Any]

_SMALL = 1e-6  # a sum of probabilities in single precision


def pyfunc(told: dict[str, Any]) -> Score:
    """Return what scores a model directory of MLflow, by its ``python_function`` flavor."""
    import mlflow.pyfunc
    import numpy
    import pandas

    model = mlflow.pyfunc.load_model(told["folder"])

    def score(rows: int, columns: dict[str, Any], types: dict[str, str]) -> Any:
        words = told["types"]
        found = {
            name: values if types[name] == "str" else _narrow(values, words.get(name))
            for name, values in columns.items()
        }
        frame = pandas.DataFrame(found)
        given = numpy.column_stack(list(found.values())) if told["tensor"] else frame
        return answers(model.predict(given), told, rows)

    return score


def _narrow(values: Any, word: str | None) -> Any:
    """Return numbers in the type that MLflow's signature asks for, where they fit."""
    import numpy

    kinds = {"integer": numpy.int32, "long": numpy.int64, "float": numpy.float32}
    wanted = kinds.get(word or "")
    if wanted is None or (values.dtype.kind == "f" and word != "float"):
        return numpy.array(values)  # what was received cannot be written to
    narrow = numpy.array(values).astype(wanted)
    return narrow if word == "float" or (narrow == values).all() else numpy.array(values)


def predictor(told: dict[str, Any]) -> Score:
    """Return what scores a predictor: a class of a file in a folder."""
    folder = Path(told["folder"])
    file, _, name = told["entry"].rpartition(":")
    sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location(Path(file).stem, folder / file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    made = getattr(module, name)()
    if hasattr(made, "load"):
        made.load(folder)

    def score(rows: int, columns: dict[str, Any], types: dict[str, str]) -> Any:
        return answers(made.predict(_frame(columns, types)), told, rows)

    return score


def _frame(columns: dict[str, Any], types: dict[str, str]) -> Any:
    if importlib.util.find_spec("polars") is not None:
        import polars as pl

        words = {"float": pl.Float64, "int": pl.Int64, "bool": pl.Boolean, "str": pl.String}
        several = []
        for name, values in columns.items():
            one = pl.Series(name, values, dtype=pl.String if types[name] == "str" else None)
            if one.dtype == pl.Float64:
                one = one.fill_nan(None)
            several.append(one.cast(words[types[name]]))
        return pl.DataFrame(several)
    if importlib.util.find_spec("pandas") is not None:
        import pandas

        return pandas.DataFrame(columns).copy()
    return {name: list(values) for name, values in columns.items()}


def answers(found: Any, told: dict[str, Any], rows: int) -> list[list[float]]:
    """Return what a model answered as scores, one list a row.

    A regression answers one number a row. A classifier answers one probability a class; or for
    two classes that of the second; or the class itself, whose score is then 1 and the others' 0.

    Raises:
        ValueError: if it is none of these.
    """
    plain = _lists(found)
    if len(plain) != rows:
        raise ValueError(f"the model gave {len(plain)} answers to {rows} rows")
    classes = told["classes"]
    several = [list(one) for one in plain if isinstance(one, (list, tuple))]
    if several and len(several) != len(plain):
        raise ValueError("the model gave lists for some rows and single answers for others")
    if several and all(len(one) == 1 for one in several):
        plain, several = [one[0] for one in several], []
    if told["kind"] == "regression":
        if several:
            raise ValueError("the model gave several answers a row, a regression gives one")
        return [[float(one)] for one in plain]
    if several:
        return [_shares(one, classes) for one in several]
    if len(classes) == 2 and _shares_of_two(plain, classes):
        return [_shares([one], [classes[1]]) for one in plain]
    return [_place(one, classes) for one in plain]


def _lists(found: Any) -> list[Any]:
    if hasattr(found, "columns") and hasattr(found, "values"):  # a frame of pandas
        found = found.values
    if hasattr(found, "rows") and hasattr(found, "schema"):  # a frame of polars
        return [list(one) for one in found.rows()]
    for name in ("tolist", "to_list"):
        if hasattr(found, name):
            return list(getattr(found, name)())
    return list(found)


def _shares_of_two(plain: list[Any], classes: list[str]) -> bool:
    """Return whether answers are probabilities rather than classes that are numbers."""
    numbers = all(isinstance(one, (bool, int, float)) for one in plain)
    named = all(one.lstrip("-").isdecimal() for one in classes)
    return numbers and (not named or set(classes) == {"0", "1"})


def _shares(row: list[float], classes: list[str]) -> list[float]:
    found = [float(one) for one in row]
    if len(found) != len(classes):
        raise ValueError(
            f"the model gave {len(found)} scores a row, there are {len(classes)} classes"
        )
    for one in found:
        if not -_SMALL <= one <= 1 + _SMALL:
            raise ValueError(f"the model gave {one!r}, which is no probability")
    kept = [min(max(one, 0.0), 1.0) for one in found]
    return kept[1:] if len(classes) == 2 else kept


def _place(value: Any, classes: list[str]) -> list[float]:
    name = str(value)
    if isinstance(value, bool):
        name = "true" if value else "false"
    elif isinstance(value, float) and value.is_integer():
        name = str(int(value))
    if name not in classes:
        raise ValueError(
            f"the model gave {name[:80]!r}, the classes are {', '.join(classes[:20])}"
        )
    if len(classes) == 2:
        return [float(name == classes[1])]
    return [float(name == one) for one in classes]
