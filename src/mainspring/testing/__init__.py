"""Test your own project, and the backends of this one.

For users, documented in docs/howto/test-your-project.md: :func:`sample_rows` and
:func:`rows_strategy` draw rows from a contract or a profile; :func:`run_step` and
:func:`run_pipeline` try a step or a whole pipeline as the engine would; :func:`assert_learns`,
:func:`assert_restores` and :func:`assert_reproducible` ask promises of them; :class:`TurnedClock`
is a clock to turn, and :func:`home` a throw-away home. ``mainspring test`` runs what you write
with them and keeps that it passed on exactly this code.

For backends: the promises of every port as test suites. A backend is done when it passes its
suite: subclass :class:`store.StorePromises`, :class:`objects.ObjectsPromises` or
:class:`executor.ExecutorPromises` and override the one fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.ground.clock import TurnedClock as TurnedClock

if TYPE_CHECKING:
    from mainspring.testing.executor import ExecutorPromises
    from mainspring.testing.objects import ObjectsPromises
    from mainspring.testing.store import StorePromises
    from mainspring.workspace.harness.drawing import rows_strategy, sample_rows
    from mainspring.workspace.harness.promising import (
        assert_learns,
        assert_reproducible,
        assert_restores,
    )
    from mainspring.workspace.harness.trying import home, run_pipeline, run_step

__all__ = [
    "ExecutorPromises",
    "ObjectsPromises",
    "StorePromises",
    "TurnedClock",
    "assert_learns",
    "assert_reproducible",
    "assert_restores",
    "home",
    "rows_strategy",
    "run_pipeline",
    "run_step",
    "sample_rows",
]

#: Where each stands. The harness stands on the workspace, above this package, and is loaded when
#: it is asked for; so are the suites, which need pytest.
_PLACES = {
    "ExecutorPromises": "mainspring.testing.executor",
    "ObjectsPromises": "mainspring.testing.objects",
    "StorePromises": "mainspring.testing.store",
    "assert_learns": "mainspring.workspace.harness.promising",
    "assert_reproducible": "mainspring.workspace.harness.promising",
    "assert_restores": "mainspring.workspace.harness.promising",
    "home": "mainspring.workspace.harness.trying",
    "rows_strategy": "mainspring.workspace.harness.drawing",
    "run_pipeline": "mainspring.workspace.harness.trying",
    "run_step": "mainspring.workspace.harness.trying",
    "sample_rows": "mainspring.workspace.harness.drawing",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_PLACES[name]), name)
