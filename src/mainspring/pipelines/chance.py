"""Draw the same by chance each time: every step begins from a seed of its own.

The seed is made of the run's seed and the step's name. Python's, numpy's and torch's own
generators are set to it before the step's function is called; a library that the function
imports itself is seeded as it is loaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import random
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_MOST = 2**31 - 1  # every generator takes so much


def seed_of(run: int, step: str, rank: int = 0) -> int:
    """Return the seed of a step, from 0 to 2**31 - 1; each of its workers has its own.

    >>> seed_of(0, "train") == seed_of(0, "train"), seed_of(0, "train") == seed_of(1, "train")
    (True, False)
    """
    digest = hashlib.sha256(f"{run} {step} {rank or ''}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % (_MOST + 1)


def settle(seed: int) -> None:
    """Set the generators that code draws from without naming one."""
    random.seed(seed)
    for name, act in _SEEDED.items():
        loaded = sys.modules.get(name)
        if loaded is not None:
            act(loaded, seed)
        elif not any(isinstance(one, _Later) and one.module == name for one in sys.meta_path):
            sys.meta_path.insert(0, _Later(name, act, seed))


def _numpy(module: Any, seed: int) -> None:
    module.seed(seed)


def _torch(module: Any, seed: int) -> None:
    module.manual_seed(seed)


_SEEDED: dict[str, Callable[[Any, int], None]] = {"numpy.random": _numpy, "torch": _torch}


class _Later:
    """Seeds a module as soon as it is loaded."""

    def __init__(self, module: str, act: Callable[[Any, int], None], seed: int) -> None:
        self.module, self._act, self._seed = module, act, seed

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None,  # noqa: ARG002  the import protocol's
        target: ModuleType | None = None,  # noqa: ARG002  the import protocol's
    ) -> ModuleSpec | None:
        """Return the spec another finder gives, with a loader that seeds at its end."""
        if name != self.module or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)  # or it would find itself
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        run, act, seed = spec.loader.exec_module, self._act, self._seed

        def loaded(module: ModuleType) -> None:
            run(module)
            act(module, seed)

        spec.loader.exec_module = loaded  # type: ignore[method-assign]
        return spec
