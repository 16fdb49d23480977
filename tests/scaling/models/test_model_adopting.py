"""An estimator that was fitted elsewhere becomes a model like any other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mainspring.backends.objects import open_objects
from mainspring.ground.errors import BadInputError
from mainspring.scaling.models import package
from mainspring.scaling.models.model import Model

RANDOM = np.random.default_rng(0)
ROWS = pl.DataFrame(
    {
        "x": RANDOM.normal(size=200),
        "n": RANDOM.integers(0, 5, 200),
        "city": RANDOM.choice(["Ulm", "Bonn"], 200),
        "y": ["no", "yes"] * 100,
        "v": RANDOM.normal(size=200),
    }
).with_columns(x=pl.col("x") + (pl.col("y") == "yes"))


def test_a_classifier_fitted_on_a_pandas_frame_is_kept_with_its_own_classes() -> None:
    frame = ROWS.select("x", "n").to_pandas()
    fitted = LogisticRegression().fit(frame, ROWS["y"].to_numpy())
    model = Model(fitted, target="y").adopt(ROWS)
    assert (model.signature.kind, model.signature.classes) == ("binary", ["no", "yes"])
    assert [one.name for one in model.signature.columns] == ["x", "n"]
    assert model.metrics["auc"] > 0.6
    assert model.measured_on == "training"
    np.testing.assert_array_equal(
        model.score(ROWS.head(5))[:, 0], fitted.predict_proba(frame.head(5))[:, 1]
    )


def test_one_fitted_on_bare_arrays_takes_the_columns_in_their_order() -> None:
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(
        ROWS.select("x", "n").to_numpy(), ROWS["y"].to_numpy()
    )
    model = Model(fitted, target="y").adopt(ROWS.select("x", "n", "y"))
    wanted = fitted.predict_proba(ROWS.select("x", "n").to_numpy()[:5])[:, 1]
    np.testing.assert_array_equal(model.score(ROWS.head(5))[:, 0], wanted)
    assert not hasattr(fitted[0], "feature_names_in_")  # what the user holds is left as it was


def test_a_pipeline_with_text_columns_is_kept_and_comes_back(tmp_path) -> None:
    split = ColumnTransformer([("city", OneHotEncoder(), ["city"])], remainder="passthrough")
    frame = ROWS.select("city", "x").to_pandas()
    fitted = make_pipeline(split, RandomForestClassifier(5, random_state=0))
    fitted.fit(frame, ROWS["n"].to_numpy())
    model = Model(fitted, target="n").adopt(ROWS.select("city", "x", "n"))
    assert (model.signature.kind, model.signature.classes) == ("multiclass", list("01234"))
    objects = open_objects(str(tmp_path))
    back = package.read(package.write(model, objects), objects)
    np.testing.assert_array_equal(back.score(ROWS.head(9)), fitted.predict_proba(frame.head(9)))


def test_a_regression_is_measured_on_the_rows_it_is_given() -> None:
    fitted = LinearRegression().fit(ROWS.select("x", "n"), ROWS["v"])
    model = Model(fitted, target="v").adopt(ROWS)
    assert model.signature.kind == "regression"
    assert model.baseline.rows == 200


@pytest.mark.parametrize(
    ("estimator", "rows", "told"),
    [
        (LogisticRegression(), ROWS, "not fitted yet"),
        (KMeans(2, n_init=1, random_state=0).fit(ROWS.select("x", "n")), ROWS, "neither"),
        (object(), ROWS, "found object"),
        (LinearRegression().fit(ROWS.select("x", "n"), ROWS["v"]), ROWS.drop("n"), "'n'"),
        (LinearRegression().fit(ROWS[["x"]].to_numpy(), ROWS["v"]), ROWS[["x", "n", "v"]],
         "1 features"),
        (LinearRegression().fit(ROWS.select("x"), ROWS["v"]), ROWS.drop("v"), "no target"),
    ],
)  # fmt: skip
def test_what_cannot_be_adopted_is_refused_by_name(estimator, rows, told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        Model(estimator, target="v").adopt(rows)


def test_pandas_categories_are_text() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "y": [0, 0, 1, 1]})
    fitted = LogisticRegression().fit(frame[["x"]], frame["y"])
    assert Model(fitted, target="y").adopt(pl.from_pandas(frame)).signature.classes == ["0", "1"]
