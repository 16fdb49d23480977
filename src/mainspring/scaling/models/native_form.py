"""The exact form of a model: scikit-learn kept by skops without pickle, of listed types."""

from __future__ import annotations

from typing import Any

from mainspring.ground.errors import BadInputError, DamagedError
from mainspring.scaling.models.settled import settled

#: Types beyond those skops trusts by itself: what fitted estimators of scikit-learn hold. All are
#: classes and functions of numpy, scipy, scikit-learn and functools, named one by one: no pattern,
#: and nothing of a user's. Building them was tested; their source was not reviewed line by line.
ALLOWED = frozenset(
    {
        # Holds a function and its arguments; the function must be on the list itself.
        "functools.partial",
        "numpy.dtype",
        "numpy.random._generator.Generator",
        "scipy.interpolate._bsplines.BSpline",
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogLink",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.AbsoluteError",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfGammaLoss",
        "sklearn._loss.loss.HalfMultinomialLoss",
        "sklearn._loss.loss.HalfPoissonLoss",
        "sklearn._loss.loss.HalfSquaredError",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn._loss.loss.HuberLoss",
        "sklearn._loss.loss.PinballLoss",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.calibration._TemperatureScaling",
        "sklearn.ensemble._gb_losses.BinomialDeviance",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils.validation.check_array",
    }
)


def dump(estimator: Any) -> bytes:
    """Return a fitted estimator as skops bytes that :func:`load` will take.

    Raises:
        BadInputError: if it holds a type that is not on the list, naming it.
    """
    import skops.io

    data = settled(skops.io.dumps(estimator))
    strange = _strange(data)
    if strange:
        raise BadInputError(
            f"The model holds {', '.join(strange)}, which cannot be kept without pickle.",
            field="estimator",
            hint="Use scikit-learn's own estimators and transformers, and SQL features.",
        )
    return data


def load(data: bytes, *, trusted: bool = False) -> Any:
    """Return the estimator that skops bytes hold.

    ``trusted``: a person answers for every type that they name.

    Raises:
        BadInputError: if they name a type that is not on the list; nothing of it is loaded.
        DamagedError: if they are no skops file.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    named = set(_untrusted(data))
    strange = sorted(named - ALLOWED)
    if strange and not trusted:
        raise BadInputError(
            f"The model names {', '.join(strange)}, which is not on the list of types that may"
            " be loaded.",
            field="model.skops",
        )
    try:
        return skops.io.loads(data, trusted=sorted(named if trusted else ALLOWED & named))
    except UntrustedTypesFoundException as error:
        raise BadInputError(f"The model is refused: {error}", field="model.skops") from error


def named(estimator: Any) -> list[str]:
    """Return the types that another reader of a kept estimator must be told to trust."""
    import skops.io

    return sorted(set(_untrusted(skops.io.dumps(estimator))))


def _strange(data: bytes) -> list[str]:
    return sorted(set(_untrusted(data)) - ALLOWED)


def _untrusted(data: bytes) -> list[str]:
    import zipfile

    import skops.io

    try:
        return list(skops.io.get_untrusted_types(data=data))
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise DamagedError(f"model.skops cannot be read: {error}") from error
