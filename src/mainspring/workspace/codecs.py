"""Teach the pipelines to keep a fitted model, and to check a table against a contract.

Rooms do not know each other, we know both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainspring.ground.contracts import Contract
from mainspring.ground.ports import Objects
from mainspring.pipelines import expecting, outputs


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


def register() -> None:
    """Add the codec to those of the pipelines, and say who checks contracts."""
    outputs.register(ModelCodec())
    expecting.install(keep_contract)


def keep_contract(value: Any, contract: Contract, what: str) -> None:
    """Check what a step was given; what can do that is loaded when there is a contract.

    Raises:
        ContractError: if it breaks the contract.
    """
    from mainspring.workspace import contracts

    contracts.keep_contract(value, contract, what)
