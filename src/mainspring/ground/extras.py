"""Load an optional package, or name the extra that installs it."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from mainspring.ground.errors import MissingExtraError


def need(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Return an optional module.

    ``purpose`` begins the sentence the user reads: "Storing in PostgreSQL".

    Raises:
        MissingExtraError: if the package is not installed. A package that is there but
            broken inside raises its own error.
    """
    root = module.partition(".")[0]
    if importlib.util.find_spec(root) is None:
        raise MissingExtraError(
            f"{purpose} needs {root}.", hint=f"Install it: pip install 'mainspring[{extra}]'"
        )
    return importlib.import_module(module)
