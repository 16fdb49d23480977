"""The promises of every port as test suites, and throw-away servers to keep them on.

A backend is done when it passes its suite: subclass :class:`store.StorePromises`,
:class:`objects.ObjectsPromises` or :class:`executor.ExecutorPromises` and override the one
fixture. :class:`mainspring.ground.clock.TurnedClock` is the clock that tests turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.testing.executor import ExecutorPromises
    from mainspring.testing.objects import ObjectsPromises
    from mainspring.testing.store import StorePromises

__all__ = ["ExecutorPromises", "ObjectsPromises", "StorePromises"]


def __getattr__(name: str) -> Any:
    """Load a suite when it is asked for: they need pytest, throw-away servers do not."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module = importlib.import_module(f"{__name__}.{name.removesuffix('Promises').lower()}")
    return getattr(module, name)
