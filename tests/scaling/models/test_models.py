"""Fit, package, load, check: a model as bytes says what the model said."""

import io
import json
import math
import subprocess
import sys
import zipfile

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from mainspring.ground.errors import BadInputError, DamagedError, NotExactError
from mainspring.ground.objects import Column, Signature
from mainspring.scaling.models import load, native_form, package
from mainspring.scaling.models.check import check
from mainspring.scaling.models.features import compile_features
from mainspring.scaling.models.model import Model

ROW = {"distance": [731.0], "hour": [18], "carrier": ["B6"], "weekend": [False]}


def logistic():
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


def test_both_forms_say_what_the_estimator_says(fitted, first, objects, rows) -> None:
    wanted = fitted.score(rows)
    fast, exact = load.load(first, objects), load.load(first, objects, prefer="native")
    assert (fast.form, exact.form) == ("onnx", "native")
    assert package.parity(first, objects).passed
    assert np.abs(fast.score(rows) - wanted).max() < 1e-5
    assert np.array_equal(exact.score(rows), wanted)
    assert np.abs(fast.score(ROW) - exact.score(ROW)).max() < 1e-5
    assert fast.score(rows[:0]).shape == (0, 1)


def test_a_package_gives_back_the_fitted_model(fitted, first, objects, rows) -> None:
    again = package.read(first, objects)
    assert np.array_equal(again.score(rows), fitted.score(rows))
    assert again.signature == fitted.signature == package.signature(first, objects)
    assert again.metrics == fitted.metrics
    assert package.profile(first, objects) == fitted.baseline
    assert package.example(first, objects).height == 1000
    assert package.features(first, objects) is None
    assert package.write(again, objects)


def test_features_keep_the_order_they_were_told_in(objects, rows) -> None:
    told = {"z": "hour * 2", "a": "distance"}
    fitted = Model(logistic(), "late", features=told, columns=["hour", "distance"]).fit(
        rows.head(300)
    )
    digest = package.write(fitted, objects)
    assert list(package.features(digest, objects)) == ["z", "a"]
    exact = load.load(digest, objects, prefer="native")
    assert np.array_equal(exact.score(rows), fitted.score(rows))


def test_the_baseline_knows_what_columns_are_worth(fitted) -> None:
    shares = {column.name: column.share for column in fitted.baseline.columns}
    assert math.isclose(sum(shares.values()), 1.0)
    assert shares["hour"] > 0.5 > shares["distance"]
    assert fitted.measured_on == "holdout"
    assert 0 < fitted.baseline.loss < 0.25
    assert fitted.metrics["auc"] > 0.8
    assert fitted.signature.classes == ["on time", "late"]


def test_a_refit_learns_from_all_and_keeps_the_honest_measure() -> None:
    rows = pl.DataFrame(
        {"x": [float(n % 7) for n in range(70)], "y": [n % 7 > 3 for n in range(70)]}
    )
    model = Model(LogisticRegression(), target="y")
    apart = model.fit(rows.head(56), holdout=rows.tail(14))
    again = model.fit(rows.head(56), holdout=rows.tail(14), refit=True)
    whole = model.fit(rows)
    assert again.baseline.rows == 70
    assert np.array_equal(again.score(rows), whole.score(rows))
    assert (again.metrics, again.measured_on) == (apart.metrics, "holdout")
    assert again.baseline.loss == apart.baseline.loss


@pytest.mark.parametrize(
    ("target", "kind", "classes"),
    [
        ([0, 1] * 30, "binary", ["0", "1"]),
        ([True, False] * 30, "binary", ["false", "true"]),
        (["a", "b", "c"] * 20, "multiclass", ["a", "b", "c"]),
        ([1, 2, 3] * 20, "multiclass", ["1", "2", "3"]),
        (["1", "²", "³"] * 20, "multiclass", ["1", "²", "³"]),  # digits, and no numbers
        ([float(n) / 7 for n in range(60)], "regression", []),
        (list(range(60)), "regression", []),
    ],
)
def test_the_kind_follows_from_the_target(objects, target, kind, classes) -> None:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    frame = pl.DataFrame({"x": [float(n % 7) for n in range(60)], "y": target})
    tree = DecisionTreeRegressor if kind == "regression" else DecisionTreeClassifier
    fitted = Model(tree(max_depth=3), target="y").fit(frame)
    assert (fitted.signature.kind, fitted.signature.classes) == (kind, classes)
    served = load.load(package.write(fitted, objects), objects)
    assert served.score(frame).shape == (60, max(1, len(classes) if kind == "multiclass" else 1))
    assert type(served.labels(served.score(frame))[0]) is (
        type(target[0]) if kind != "regression" else float
    )


FRAME = pl.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "c": ["a", "b", "a", "b"], "y": [0, 1, 0, 1]})


@pytest.mark.parametrize(
    ("frame", "options", "field"),
    [
        (FRAME, {"target": "z"}, "z"),
        (FRAME.with_columns(y=pl.lit(1)), {}, "y"),
        (FRAME[:0], {}, "rows"),
        (FRAME.with_columns(y=pl.Series([0.0, 1.0, float("nan"), 1.0])), {}, "y"),
        (FRAME.with_columns(y=pl.Series([0, 1, None, 1])), {}, "y"),
        (FRAME, {"columns": ["x", "x"]}, "x"),
        (FRAME, {"columns": ["x", "y"]}, "y"),
        (FRAME, {"columns": ["q"]}, "q"),
        (FRAME, {"time": "when"}, "when"),
        (FRAME, {"positive": "7"}, "positive"),
        (FRAME, {"features": {}}, "features"),
        (FRAME.with_columns(x=pl.lit(float("inf"))), {}, "x"),
        (FRAME.with_columns(x=pl.lit("2020-01-01").str.to_date()), {}, "x"),
        (FRAME.rename({"x": "_id"}), {}, "_id"),
    ],
)
def test_what_cannot_be_learnt_from_is_named(frame, options, field) -> None:
    with pytest.raises(BadInputError) as caught:
        Model(logistic(), **{"target": "y", **options}).fit(frame)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "text",
    ["a - avg(a)", "sum(a)", "count(*)", "zz * 2", "nosuch(a)", "a +", "1", "", "c * 2",
     "row_number() over (order by a)", "read_csv('/etc/passwd')", "(select 1)"],
)  # fmt: skip
def test_a_feature_that_cannot_be_used_is_named_with_its_expression(text) -> None:
    columns = [Column(name="a", type="float"), Column(name="c", type="str")]
    frame = pl.DataFrame({"a": [1.0, 2.0, 4.0], "c": ["x", "y", "z"]})
    with pytest.raises(BadInputError) as caught:
        compile_features({"f": text}, columns).check_rowwise(frame)
    assert caught.value.field == "f"
    assert repr(text) in caught.value.message


def test_onnx_scores_without_scikit_learn(first, objects, tmp_path) -> None:
    for digest, data in objects.items():
        (tmp_path / digest).write_bytes(data)
    code = f"""
import pathlib, sys
from mainspring.scaling.models import load
class Objects:
    def get(self, digest): return (pathlib.Path({str(tmp_path)!r}) / digest).read_bytes()
served = load.load({first!r}, Objects())
served.score({ROW!r})
assert served.form == "onnx"
bad = [m for m in ("sklearn", "scipy", "skops", "skl2onnx", "pandas") if m in sys.modules]
assert not bad, bad
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": "src"})


def test_where_the_forms_differ_on_missing_values_the_estimator_answers(objects, rows) -> None:
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(10, random_state=0)
    fitted = Model(forest, target="late", columns=["distance", "hour"]).fit(rows[:800])
    digest = package.write(fitted, objects)
    served = load.load(digest, objects)
    assert served.form == "onnx"
    strange = pl.DataFrame({"distance": [None, 10.0], "hour": [3, 4]})
    assert np.allclose(served.score(strange), fitted.score(strange), atol=1e-5)


def test_an_estimator_without_an_onnx_form_is_served_as_it_is(objects, rows) -> None:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import HistGradientBoostingClassifier

    hgb = HistGradientBoostingClassifier(max_iter=5, categorical_features=[0])
    frame = rows.select(pl.col("hour").cast(pl.Float64), "distance", "late")
    for estimator in (hgb, CalibratedClassifierCV(logistic(), cv=2)):
        fitted = Model(estimator, target="late").fit(frame)
        digest = package.write(fitted, objects)
        served = load.load(digest, objects)
        assert package.parity(digest, objects).passed == (served.form == "onnx")
        assert np.allclose(served.score(frame), fitted.score(frame), atol=1e-5)


def test_a_flipped_byte_in_any_file_is_damage(first, objects) -> None:
    manifest = package.read_manifest(first, objects)
    for path in ("model.onnx", "signature.json", "features.json", "parity.json", None):
        digest = first if path is None else manifest.files[path]
        copy = type(objects)(objects)
        data = bytearray(copy[digest])
        data[len(data) // 2] ^= 1
        copy[digest] = bytes(data)
        with pytest.raises(DamagedError):
            load.load(first, copy)

        class Careless(dict):
            def get(self, digest):
                return self[digest]

        with pytest.raises(DamagedError):
            load.load(first, Careless(copy))


def test_a_type_that_is_not_on_the_list_is_never_loaded(fitted, tmp_path) -> None:
    data = native_form.dump(fitted.estimator)
    marker = tmp_path / "ran"
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "schema.json":
                schema = json.loads(content)
                schema.update(__module__="os", __class__="system", __loader__="TypeNode")
                schema["content"] = f"touch {marker}"
                content = json.dumps(schema).encode()
            new.writestr(name, content)
    with pytest.raises(BadInputError, match=r"os\.system"):
        native_form.load(out.getvalue())
    assert not marker.exists()
    with pytest.raises(DamagedError):
        native_form.load(b"\x80\x04cos\nsystem\n.")


def test_an_estimator_of_ones_own_is_refused_when_it_is_kept() -> None:
    from sklearn.preprocessing import FunctionTransformer

    with pytest.raises(BadInputError, match="without pickle"):
        native_form.dump(FunctionTransformer(ROW.__class__.fromkeys))


SIGNATURE = Signature(
    columns=[
        Column(name="f", type="float"),
        Column(name="i", type="int", nullable=False),
        Column(name="s", type="str"),
        Column(name="b", type="bool"),
    ],
    kind="regression",
    target="y",
)
GOOD = {"f": [1.5], "i": [2], "s": ["x"], "b": [True]}


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("f", "1.5", BadInputError),
        ("f", True, BadInputError),
        ("f", math.inf, BadInputError),
        ("f", 2**53 + 1, NotExactError),
        ("f", 10**400, NotExactError),
        ("f", [1.0], BadInputError),
        ("i", 2.5, BadInputError),
        ("i", None, BadInputError),
        ("i", 2**63, NotExactError),
        ("i", "2", BadInputError),
        ("i", False, BadInputError),
        ("s", 1, BadInputError),
        ("s", b"x", BadInputError),
        ("b", 1, BadInputError),
        ("b", "true", BadInputError),
    ],
)
def test_a_value_is_taken_exactly_or_refused_with_its_row(name, value, error) -> None:
    columns = {key: [*values, *values] for key, values in GOOD.items()}
    columns[name][1] = value
    with pytest.raises(error) as caught:
        check(columns, SIGNATURE)
    assert caught.value.field == name
    assert "row 1" in caught.value.message


def test_missing_is_taken_where_it_may_be() -> None:
    both = {"f": [None, math.nan], "i": [1, 2.0], "s": [None, ""], "b": [None, False]}
    frame = check(both, SIGNATURE).frame()
    assert frame["f"].to_list() == [None, None]
    assert frame["i"].to_list() == [1, 2]
    assert frame["s"].to_list() == [None, ""]
    assert frame["b"].to_list() == [None, False]


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(allow_infinity=False), st.integers(-(2**53), 2**53)),
            st.integers(-(2**63), 2**63 - 1),
            st.one_of(st.none(), st.text()),
            st.one_of(st.none(), st.booleans()),
        ),
        min_size=1,
    )
)
def test_whatever_passes_the_check_is_unchanged(values) -> None:
    columns = dict(zip("fisb", map(list, zip(*values, strict=True)), strict=True))
    frame = check(columns, SIGNATURE).frame()
    assert frame["i"].to_list() == columns["i"]
    assert frame["s"].to_list() == columns["s"]
    assert frame["b"].to_list() == columns["b"]
    wanted = [None if v is None or v != v else float(v) for v in columns["f"]]
    assert frame["f"].to_list() == wanted


def test_huge_values_whose_sum_is_no_number_are_neither_missing_nor_refused() -> None:
    huge = [1.7e308, 1.7e308, -1.7e308, -1.7e308] * 64
    columns = {"f": huge, "i": [1] * 256, "s": ["x"] * 256, "b": [True] * 256}
    found = check(columns, SIGNATURE)
    assert not found.has_missing()
    assert found.frame()["f"].to_list() == huge


def test_column_names_that_are_no_identifiers_keep_their_places(objects, rows) -> None:
    from sklearn.linear_model import LogisticRegression

    names = {"hour": "z hour of day", "distance": "a distance (km)", "carrier": "m-carrier"}
    frame = rows.select(*names, "late").rename(names)
    fitted = Model(LogisticRegression(max_iter=5000), target="late").fit(frame)
    served = load.load(package.write(fitted, objects), objects)
    assert served.form == "onnx"
    assert np.abs(served.score(frame) - fitted.score(frame)).max() < 1e-5
