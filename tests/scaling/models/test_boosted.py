"""Boosters of XGBoost and LightGBM: kept as their own files, and as ONNX where both agree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest
import xgboost
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mainspring.ground import extras
from mainspring.ground.errors import BadInputError, MissingExtraError
from mainspring.scaling.models import boosted, load, package, trees
from mainspring.scaling.models.model import Model

RANDOM = np.random.default_rng(7)
N = 1200
ROWS = pl.DataFrame(
    {
        "x": RANDOM.normal(size=N),
        "z": RANDOM.normal(size=N),
        "n": RANDOM.integers(0, 9, N),
        "on": RANDOM.random(N) > 0.5,
    }
).with_columns(
    x=pl.when(pl.Series(RANDOM.random(N) < 0.1)).then(None).otherwise(pl.col("x")),
    two=pl.Series(np.where(RANDOM.random(N) > 0.6, "yes", "no")),
    three=pl.col("n") // 3,
    value=pl.col("n") * 2.0 + pl.col("z") + 5,
    count=pl.col("n") + 1.0,
)
INPUTS = ["x", "z", "n", "on"]
SMALL: dict[str, Any] = {"n_estimators": 15, "n_jobs": 1}
QUIET: dict[str, Any] = SMALL | {"verbose": -1}

ESTIMATORS = {
    "xgb-binary": (xgboost.XGBClassifier(**SMALL), "two"),
    "xgb-multi": (xgboost.XGBClassifier(**SMALL), "three"),
    "xgb-value": (xgboost.XGBRegressor(**SMALL), "value"),
    "xgb-count": (xgboost.XGBRegressor(**SMALL, objective="count:poisson"), "count"),
    "xgb-dart": (xgboost.XGBClassifier(**SMALL, booster="dart", rate_drop=0.4), "two"),
    "xgb-forest": (xgboost.XGBRFClassifier(**SMALL), "two"),
    "lgb-binary": (lightgbm.LGBMClassifier(**QUIET), "two"),
    "lgb-multi": (lightgbm.LGBMClassifier(**QUIET), "three"),
    "lgb-value": (lightgbm.LGBMRegressor(**QUIET), "value"),
    "lgb-count": (lightgbm.LGBMRegressor(**QUIET, objective="tweedie"), "count"),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_both_forms_say_what_the_library_says_with_values_missing_too(name: str, objects) -> None:
    estimator, target = ESTIMATORS[name]
    fitted = Model(estimator, target, columns=INPUTS).fit(ROWS)
    digest = package.write(fitted, objects)
    parity = package.parity(digest, objects)
    assert parity.passed, parity.reason
    assert parity.labels_differ == 0
    assert parity.gaps > 100  # the real rows lack a tenth of x, and some lack each column

    fast, native = load.load(digest, objects), load.load(digest, objects, prefer="native")
    assert (fast.form, native.form) == ("onnx", "native")
    gone = ROWS.select(INPUTS).with_columns(z=pl.lit(None, dtype=pl.Float64))
    for rows in (ROWS, gone):
        wanted = fitted.score(rows)
        np.testing.assert_array_equal(native.score(rows), wanted)
        np.testing.assert_allclose(fast.score(rows), wanted, atol=1e-5 * fitted.signature.scale)

    # And what the library's own estimator says of the same numbers.
    numbers = boosted.matrix(ROWS.select(INPUTS))
    truth = fitted.truth(ROWS)
    again = type(estimator)(**estimator.get_params())
    again.fit(numbers, truth if fitted.signature.kind == "regression" else truth.astype(int))
    theirs = (
        again.predict_proba(numbers) if hasattr(again, "predict_proba") else again.predict(numbers)
    )
    theirs = theirs[:, 1] if fitted.signature.kind == "binary" else theirs
    np.testing.assert_allclose(fitted.score(ROWS).squeeze(), theirs, atol=1e-6)


def test_a_package_holds_the_library_s_own_file_and_nothing_pickled(objects) -> None:
    fitted = Model(xgboost.XGBClassifier(**SMALL), "two", columns=INPUTS).fit(ROWS)
    files = package.read_manifest(package.write(fitted, objects), objects).files
    assert {"model.ubj", "booster.json", "model.onnx"} <= set(files)
    assert "model.skops" not in files
    theirs = xgboost.Booster(model_file=bytearray(objects.get(files["model.ubj"])))
    assert theirs.num_boosted_rounds() == 15
    assert b"xgboost" in objects.get(files["MLmodel"])
    assert b"xgboost" in objects.get(files["requirements.txt"])


@pytest.mark.parametrize("kind", [xgboost.XGBClassifier, lightgbm.LGBMClassifier])
def test_text_is_encoded_in_front_of_a_booster_and_kept_by_skops(kind, objects, rows) -> None:
    given = QUIET if kind is lightgbm.LGBMClassifier else SMALL
    fitted = Model(kind(**given), "late", time="at").fit(rows)
    assert fitted.metrics["auc"] > 0.8
    digest = package.write(fitted, objects)
    assert "model.skops" in package.read_manifest(digest, objects).files
    assert package.parity(digest, objects).passed, package.parity(digest, objects)
    wanted = fitted.score(rows)
    np.testing.assert_allclose(load.load(digest, objects).score(rows), wanted, atol=1e-5)
    np.testing.assert_array_equal(package.read(digest, objects).score(rows), wanted)


def test_a_pipeline_that_ends_in_a_booster_is_kept_whole(objects) -> None:
    pipeline = make_pipeline(StandardScaler(), lightgbm.LGBMRegressor(**QUIET))
    fitted = Model(pipeline, "value", columns=INPUTS).fit(ROWS)
    digest = package.write(fitted, objects)
    np.testing.assert_array_equal(package.read(digest, objects).score(ROWS), fitted.score(ROWS))


def test_a_booster_without_its_estimator_takes_the_classes_of_the_rows(objects) -> None:
    numbers = boosted.matrix(ROWS.select(INPUTS))
    truth = (ROWS["two"] == "yes").to_numpy().astype(int)
    for library in ("xgboost", "lightgbm"):
        if library == "xgboost":
            made = xgboost.train(
                {"objective": "binary:logistic", "nthread": 1},
                xgboost.DMatrix(numbers, truth, feature_names=INPUTS),
                8,
            )
            wanted = made.inplace_predict(numbers, validate_features=False)
        else:
            told = {"objective": "binary", "verbose": -1, "num_threads": 1}
            made = lightgbm.train(told, lightgbm.Dataset(numbers, truth, feature_name=INPUTS), 8)
            wanted = made.predict(numbers)
        model = Model(made, "two").adopt(ROWS)
        assert (model.signature.kind, model.signature.classes) == ("binary", ["no", "yes"])
        assert [column.name for column in model.signature.columns] == INPUTS
        np.testing.assert_allclose(model.score(ROWS)[:, 0], wanted, atol=1e-7)
        np.testing.assert_allclose(
            load.load(package.write(model, objects), objects).score(ROWS)[:, 0], wanted, atol=1e-5
        )


def test_rounds_after_the_best_one_are_left_out_as_the_library_does() -> None:
    numbers = boosted.matrix(ROWS.select(INPUTS))
    truth = RANDOM.integers(0, 2, N)
    early = xgboost.XGBClassifier(**(SMALL | {"n_estimators": 60}), early_stopping_rounds=3)
    early.fit(numbers[:800], truth[:800], eval_set=[(numbers[800:], truth[800:])], verbose=False)
    assert early.best_iteration + 1 < early.get_booster().num_boosted_rounds()
    kept = boosted.taken(early)
    np.testing.assert_allclose(
        kept.predict_proba(numbers), early.predict_proba(numbers), atol=1e-7
    )


def test_what_cannot_be_told_as_plain_trees_is_served_by_its_library(objects) -> None:
    linear = Model(xgboost.XGBRegressor(booster="gblinear", n_jobs=1), "value", columns=INPUTS)
    rows = ROWS.with_columns(pl.col("x").fill_null(0.0))
    digest = package.write(linear.fit(rows), objects)
    parity = package.parity(digest, objects)
    assert not parity.passed
    assert "gblinear" in parity.reason
    served = load.load(digest, objects)
    assert served.form == "native"
    assert np.isfinite(served.score(rows)).all()


def test_zeros_that_mean_missing_are_left_to_the_library(objects) -> None:
    told = lightgbm.LGBMRegressor(**QUIET, zero_as_missing=True)
    made = Model(told, "value", columns=INPUTS).fit(ROWS)
    with pytest.raises(BadInputError, match="zeros that mean missing"):
        trees.of(made.estimator)
    assert load.load(package.write(made, objects), objects).form == "native"


def test_a_ranking_is_refused_by_its_objective() -> None:
    ranked = lightgbm.LGBMRanker(**QUIET).fit(
        boosted.matrix(ROWS.select(INPUTS)), ROWS["three"].to_numpy(), group=[N]
    )
    with pytest.raises(BadInputError, match="lambdarank"):
        Model(ranked, "value").adopt(ROWS)


def test_a_damaged_file_is_refused_in_words() -> None:
    for library in ("xgboost", "lightgbm"):
        with pytest.raises(BadInputError, match="cannot read the model"):
            boosted.of_file(library, b"not a model", best=False)


def test_the_fast_form_needs_no_library_and_the_exact_one_names_its_extra(
    objects, monkeypatch
) -> None:
    fitted = Model(xgboost.XGBClassifier(**SMALL), "two", columns=INPUTS).fit(ROWS)
    digest = package.write(fitted, objects)

    def gone(module: str, *, extra: str, purpose: str) -> Any:
        raise MissingExtraError(f"{purpose} needs {module}.", hint=f"mainspring[{extra}]")

    monkeypatch.setattr(extras, "need", gone)
    assert load.load(digest, objects).score(ROWS.head(3)).shape == (3, 1)
    native = load.load(digest, objects, prefer="native")
    with pytest.raises(MissingExtraError, match="needs xgboost") as told:
        native.score(ROWS.head(3))
    assert told.value.hint == "mainspring[xgboost]"


def test_serving_the_fast_form_imports_neither_library(objects, tmp_path: Path) -> None:
    fitted = Model(lightgbm.LGBMClassifier(**QUIET), "two", columns=INPUTS).fit(ROWS)
    digest = package.write(fitted, objects)
    for name, data in objects.items():
        (tmp_path / name).write_bytes(data)
    code = f"""
import sys
from pathlib import Path
from mainspring.scaling.models import load
class Objects:
    get = staticmethod(lambda digest: (Path({str(tmp_path)!r}) / digest).read_bytes())
served = load.load({digest!r}, Objects())
served.score({{"x": [0.5], "z": [1.0], "n": [3], "on": [True]}})
print([one for one in ("lightgbm", "xgboost", "sklearn", "scipy") if one in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
