"""Start the fork server in an environment that has neither our package nor what it needs.

Run by its path with that environment's Python, it may import nothing of ours before it says
where that is. Two names are found for it, and nothing is put on its path: ``mainspring``, which
is always the one that asked; and ``msgspec``, which our code cannot do without, where the
environment has none and its Python is the version of ours (else it is installed).
"""

import json
import runpy
import signal
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_OURS = json.loads(sys.argv.pop())  # name -> folder it is in


class _Finder:
    """Finds one name where it was said to be."""

    def __init__(self, only: str) -> None:
        self._only = only

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where the module is, if it is ours to find."""
        if path is None and name == self._only and name in _OURS:
            return PathFinder.find_spec(name, [_OURS[name]], target)
        return None


sys.meta_path.insert(0, _Finder("mainspring"))
sys.meta_path.append(_Finder("msgspec"))
signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the owner's to answer
runpy.run_module("mainspring.backends.executors.forkserver", run_name="__main__")
