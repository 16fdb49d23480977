"""Teach the pipelines to keep a fitted model: rooms do not know each other, we know both."""

from __future__ import annotations

from typing import Any

from mainspring.ground.ports import Objects


def register() -> None:
    """Add the codec named ``model``: a package of files, each under its digest."""
    from mainspring.pipelines import outputs
    from mainspring.scaling.models import package
    from mainspring.scaling.models.model import FittedModel

    def encode(value: Any, objects: Objects) -> str:
        return package.write(value, objects)

    def decode(digest: str, objects: Objects) -> Any:
        return package.read(digest, objects)

    outputs.register(outputs.Codec("model", FittedModel, encode, decode))
