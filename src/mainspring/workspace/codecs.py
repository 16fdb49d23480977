"""Teach the pipelines to keep models, to pickle in a home, and to check contracts.

Rooms do not know each other, we know both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainspring.ground.contracts import Contract
from mainspring.ground.errors import BadInputError, NotExactError
from mainspring.ground.ports import Objects
from mainspring.pipelines import expecting, outputs
from mainspring.pipelines.outputs import pickled


class ModelCodec:
    """Keeps a FittedModel as a package: a manifest of files, each under its digest."""

    name = "model"

    def takes(self, value: Any) -> bool:
        """Return whether the value is a fitted model, without importing what models need."""
        return type(value).__qualname__ == "FittedModel" and type(value).__module__.startswith(
            "mainspring."
        )

    def encode(self, value: Any, objects: Objects) -> outputs.Stored:
        """Keep the package and name every file of it."""
        from mainspring.scaling.models import package

        digest = package.write(value, objects)
        files = package.read_manifest(digest, objects).files
        return outputs.Stored(digest=digest, type=self.name, blobs=[digest, *files.values()])

    def decode(self, digest: str, objects: Objects, folder: Path) -> Any:  # noqa: ARG002
        """Return the model as it was fitted."""
        from mainspring.scaling.models import package

        return package.read(digest, objects)


class EstimatorCodec:
    """Keeps an estimator of scikit-learn as skops, where every type in it is on our list."""

    name = "estimator"

    def takes(self, value: Any) -> bool:
        """Return whether it is an estimator; imports nothing."""
        return any(
            base.__module__ == "sklearn.base" and base.__name__ == "BaseEstimator"
            for base in type(value).__mro__
        )

    def encode(self, value: Any, objects: Objects) -> outputs.Stored:
        """Keep it, if it can be loaded again without pickle."""
        from mainspring.scaling.models import native_form

        try:
            data = native_form.dump(value)
        except BadInputError as error:
            raise NotExactError(error.message, hint=error.hint) from error
        digest = objects.put(data)
        return outputs.Stored(digest=digest, type=self.name, blobs=[digest])

    def decode(self, digest: str, objects: Objects, folder: Path) -> Any:  # noqa: ARG002
        """Return the estimator; a file that names a type beyond the list is refused."""
        from mainspring.scaling.models import native_form

        return native_form.load(objects.get(digest))


class OnnxCodec:
    """Keeps a model of the onnx package as the bytes of an .onnx file."""

    name = "onnx"

    def takes(self, value: Any) -> bool:
        """Return whether it is one; imports nothing."""
        kind = type(value)
        return kind.__name__ == "ModelProto" and kind.__module__.startswith("onnx")

    def encode(self, value: Any, objects: Objects) -> outputs.Stored:
        """Keep its bytes, in the one order that the same model always has."""
        digest = objects.put(value.SerializeToString(deterministic=True))
        return outputs.Stored(digest=digest, type=self.name, blobs=[digest])

    def decode(self, digest: str, objects: Objects, folder: Path) -> Any:  # noqa: ARG002
        """Return the model."""
        import onnx

        return onnx.load_from_string(objects.get(digest))


def register(home: str | Path | None = None) -> None:
    """Add the codecs to those of the pipelines, and say who checks contracts.

    ``home`` is where steps run: what has no other form is pickled there, and read there alone.
    """
    for codec in (OnnxCodec(), EstimatorCodec(), ModelCodec()):
        outputs.register(codec)
    expecting.install(keep_contract)
    if home is not None:
        pickled.install(Path(home))


def keep_contract(value: Any, contract: Contract, what: str) -> None:
    """Check what a step was given; what can do that is loaded when there is a contract.

    Raises:
        ContractError: if it breaks the contract.
    """
    from mainspring.workspace import contracts

    contracts.keep_contract(value, contract, what)
