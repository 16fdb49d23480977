"""The text of a starter project: plain Python, under 80 lines, the user's from then on."""

from __future__ import annotations

import json
import keyword
import math
import textwrap
from typing import TYPE_CHECKING

from mainspring.workspace.tables import LINES, NULLS, PARQUET

if TYPE_CHECKING:
    from mainspring.cli.columns import Described

#: Names that a starter project gives to other things.
_TAKEN = {
    "load", "validate", "features", "train", "evaluate", "tidy", "loop", "ms", "pl",
    "DATA", "TARGET", "TIME", "TEXT", "NUMBERS", "FLAGS", "NULLS", "Boosting",
}  # fmt: skip

_TEXT = '''"""Predict {target} ({kind}). Steps, one pipeline, one loop: change anything."""

import polars as pl
{imports}
import mainspring as ms

DATA = {path}
{lists}


def tidy(rows: pl.DataFrame) -> pl.DataFrame:
    """Give every column one type, so that rows of the file and of traffic fit together."""
{tidy}


@ms.step(cache=False)
def load(captured: str | None) -> pl.DataFrame:
    """The rows of the file, and those that were served and labelled since."""
{read}
    if captured:
        rows = pl.concat([rows, tidy(ms.rows(captured))])
    return rows{sort}


@ms.step
def validate(rows: pl.DataFrame) -> int:
    """Refuse rows that nothing can be learnt from. Add what must hold for your data."""
    assert rows.height >= 60 and rows[TARGET].n_unique() > 1, "there is nothing to learn"
    return rows.height


@ms.step
def features() -> dict[str, str]:
    """Features as SQL over the raw columns: they travel inside the version, as written."""
    return {{name: '"' + name.replace('"', '""') + '"' for name in {columns}}}


@ms.step
def train(rows: pl.DataFrame, height: int, features: dict[str, str], trees: int) -> ms.FittedModel:
    """Measure on the rest what {older} teach, then learn from all."""
    learn, test = rows.head(height * 4 // 5), rows.tail(height - height * 4 // 5)
{estimator}
    model = ms.Model(estimator, TARGET, "{kind}", features, list(features){time})
    return model.fit(learn, holdout=test, refit=True)


@ms.step
def evaluate(model: ms.FittedModel) -> None:
    """Log how good it is on rows it has not seen."""
    ms.log(**model.metrics)


@ms.pipeline
def {function}(captured: str | None = None, trees: int = 100):
    rows = load(captured)
    model = train(rows, validate(rows), features(), trees)
    evaluate(model)
    return model


loop = ms.Loop(
    {name}, pipeline={function}, target=TARGET, kind="{kind}",{loop_time}
    gate=ms.Gate({gate}),  # raise it to what you need
    card=ms.Card(purpose={purpose}, owner="you", limitations="Not reviewed yet."),
)
'''


_TESTS = '''"""Tests of project.py, where steps are plain functions. Run them: mainspring test"""

import polars as pl
import pytest

import project


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    """The newest rows of the file: enough to learn from, and soon learnt from."""
    return project.load(None).tail(5_000)


def test_rows_keep_their_types_when_they_are_tidied_again(rows: pl.DataFrame) -> None:
    assert project.tidy(rows).schema == rows.schema
    assert project.validate(rows) == rows.height


def test_a_table_without_anything_to_learn_is_refused(rows: pl.DataFrame) -> None:
    with pytest.raises(AssertionError):
        project.validate(rows.head(9))


def test_each_feature_is_made_of_every_row(rows: pl.DataFrame) -> None:
    for name, text in project.features().items():
        assert rows.select(pl.sql_expr(text).alias(name)).height == rows.height


def test_the_same_rows_teach_the_same(rows: pl.DataFrame) -> None:
    first, again = (project.train(rows, rows.height, project.features(), 5) for _ in range(2))
    assert first.metrics == again.metrics
    assert 0 <= first.metrics["loss"] <= 1
'''


def tests_text() -> str:
    """Return the Python of the tests that a starter project comes with."""
    return _TESTS


def project_text(found: Described, name: str, path: str) -> str:
    """Return the Python of a starter project for a table, found at the Python text ``path``."""
    return _TEXT.format(
        target=_safe(found.target),
        kind=found.kind,
        imports=_imports(found),
        path=path,
        lists=_lists(found, path),
        tidy=textwrap.indent(_tidy(found), "    "),
        read=textwrap.indent(_read(found, path), "    "),
        columns=_columns(found),
        sort=".sort(TIME)" if found.time else ".sample(fraction=1.0, shuffle=True, seed=0)",
        older="the older four fifths" if found.time else "four fifths",
        estimator=textwrap.indent(_estimator(found), "    "),
        time=", TIME" if found.time else "",
        loop_time=" time=TIME," if found.time else "",
        function=function_name(name),
        name=quoted(name),
        gate=_gate(found),
        purpose=quoted(f"Predict {found.target}."),
    )


def function_name(name: str) -> str:
    """Return a Python name for the pipeline.

    >>> function_name("my-churn"), function_name("2024"), function_name("train")
    ('my_churn', 'model_2024', 'model_train')
    """
    plain = "".join(c if c.isalnum() and c.isascii() else "_" for c in name)
    if not plain.isidentifier() or keyword.iskeyword(plain) or plain in _TAKEN:
        plain = f"model_{plain}"
    return plain


def quoted(text: str) -> str:
    """Return Python text for a string, in double quotes where that needs no escapes."""
    shown = repr(text)
    return f'"{shown[1:-1]}"' if shown[0] == "'" and '"' not in shown else shown


def _safe(text: str) -> str:
    return text.replace("\\", " ").replace('"', " ").replace("\n", " ")


def _imports(found: Described) -> str:
    model = "Regressor" if found.kind == "regression" else "Classifier"
    trees = f"from sklearn.ensemble import HistGradientBoosting{model} as Boosting"
    if not found.text:
        return f"{trees}\n"
    return "\n".join(
        (
            "from sklearn.compose import make_column_transformer",
            trees,
            "from sklearn.pipeline import make_pipeline",
            "from sklearn.preprocessing import OrdinalEncoder\n",
        )
    )


def _lists(found: Described, path: str) -> str:
    lines = [f"TARGET = {quoted(found.target)}"]
    if found.time:
        lines.append(f"TIME = {quoted(found.time)}")
    for title, names in _groups(found):
        if names:
            items = ", ".join(quoted(name) for name in names)
            line = f"{title} = [{items}]"
            if len(line) > 99:
                line = f"{title} = [\n{_wrapped(names)}\n]"
            lines.append(line)
    if not path.lower().rstrip("'\"").endswith(PARQUET):
        lines.append(f"NULLS = {json.dumps(NULLS)}")
    return "\n".join(lines)


def _groups(found: Described) -> tuple[tuple[str, list[str]], ...]:
    return (("TEXT", found.text), ("NUMBERS", found.numbers), ("FLAGS", found.flags))


def _wrapped(names: list[str]) -> str:
    """Return names as the lines of a list, broken between names only."""
    lines = [""]
    for name in names:
        item = f"{quoted(name)},"
        if len(lines[-1]) + len(item) > 93:
            lines.append("")
        lines[-1] += f" {item}" if lines[-1] else item
    return "\n".join(f"    {line}" for line in lines)


def _tidy(found: Described) -> str:
    inputs = []
    if found.text:
        inputs.append("pl.col(TEXT).cast(pl.String)")
    if found.numbers:
        inputs.append("pl.col(NUMBERS).cast(pl.Float64).fill_nan(None)")
    flags = " + [pl.col(FLAGS).cast(pl.Boolean)]" if found.flags else ""
    known = ["pl.col(TARGET).cast(pl.String)"]
    if found.kind == "regression":
        known = ["pl.col(TARGET).cast(pl.Float64).fill_nan(None)"]
    elif found.whole:
        known = ["pl.col(TARGET).cast(pl.Int64, strict=False)"]
    if found.time:
        known.append("pl.col(TIME).cast(pl.Float64)")
    return "\n".join(
        (
            f"inputs = [{', '.join(inputs)}]",
            f"known = [{', '.join(known)}]",
            f"return rows.select(inputs + known{flags}).drop_nulls(TARGET)",
        )
    )


def _read(found: Described, path: str) -> str:
    lower = path.lower().rstrip("'\"")
    text = "rows = pl.read_parquet(DATA)\n"
    moment = "pl.col(TIME)"
    if lower.endswith(LINES):
        text = "rows = pl.read_ndjson(DATA, infer_schema_length=None)\n"
        moment = 'pl.col(TIME).str.to_datetime(time_unit="us")'
    elif not lower.endswith(PARQUET):
        rest = "null_values=NULLS, try_parse_dates=True, infer_schema_length=None)\n"
        tab = 'separator="\\t",\n' + " " * 19 if lower.endswith(".tsv") else ""
        text = f"rows = pl.read_csv(DATA, {tab}{rest}"
    dates = f'rows.with_columns({moment}.dt.epoch("us") / 1e6)' if found.dates else "rows"
    return f"{text}rows = tidy({dates})"


def _columns(found: Described) -> str:
    return " + ".join(title for title, names in _groups(found) if names)


def _estimator(found: Described) -> str:
    trees = "Boosting(max_iter=trees, random_state=0)"
    if not found.text:
        return f"estimator = {trees}"
    return (
        'codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)\n'
        'columns = make_column_transformer((codes, TEXT), remainder="passthrough")\n'
        f"estimator = make_pipeline(columns, {trees})"
    )


def _gate(found: Described) -> str:
    if found.kind == "binary":
        return 'at_least={"auc": 0.55}'
    if found.kind == "regression":
        return 'at_least={"r2": 0.0}'
    least = math.floor(found.most_common * 95) / 100
    return f'at_least={{"accuracy": {least}}}'
