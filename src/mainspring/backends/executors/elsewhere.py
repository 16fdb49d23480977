"""Run calls each in the environment it names: a fork server an environment."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

import mainspring
from mainspring.backends.executors import local
from mainspring.ground import locks
from mainspring.ground.ports import Call, Outcome

MOST = 4  #: servers of other environments that stay warm; the one unused longest ends first
PRELOAD = ("numpy", "polars", "msgspec")
_BEGIN = Path(__file__).with_name("begin.py")
#: What would let our own packages, or another environment's, be found there.
_NOT_THEIRS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")


class Executors:
    """A :class:`mainspring.ground.ports.Executor` with a warm server for each environment.

    Calls that are ``light`` have one of their own, which has imported ``light`` only: a fork of
    it has a fraction of the memory to map and to touch.
    """

    def __init__(
        self,
        run_dir: Path,
        preload: Sequence[str],
        later: Sequence[str] = (),
        light: Sequence[str] = (),
    ) -> None:
        self._run_dir = run_dir
        self._ours = local.LocalExecutor(run_dir, preload, later=later)
        self._light = local.LocalExecutor(run_dir, light) if light else self._ours
        self._mutex = threading.Lock()
        self._others: dict[str, local.LocalExecutor] = {}  # by interpreter, used last comes last
        self._busy: dict[str, int] = {}

    def run(self, call: Call, cancelled: Callable[[], bool] | None = None) -> Outcome:
        """Run one call to its end; safe to use from several threads."""
        if call.python is None:
            return (self._light if call.light else self._ours).run(call, cancelled)
        executor = self._taken(call.python)
        try:
            return executor.run(msgspec.structs.replace(call, python=None), cancelled)
        finally:
            with self._mutex:
                self._busy[call.python] -= 1

    def warm(self, *, light: bool = False) -> None:
        """Start our own server now, so that the first call finds it ready."""
        (self._light if light else self._ours).warm()

    def close(self) -> None:
        """End every child."""
        self._ours.close()
        self._light.close()
        with self._mutex:
            for one in self._others.values():
                one.close()

    def _taken(self, python: str) -> local.LocalExecutor:
        with self._mutex:
            idle = [one for one in self._others if not self._busy[one] and one != python]
            for one in idle[: max(len(self._others) - MOST + 1, 0)]:
                self._others.pop(one).close()
            found = self._others.pop(python, None)
            if found is None:
                found = local.LocalExecutor(self._run_dir, PRELOAD, start=_start(python))
            self._others[python] = found
            self._busy[python] = self._busy.get(python, 0) + 1
            return found


def _start(python: str) -> tuple[list[str], dict[str, str]]:
    """Return how the server of another environment is started.

    -P, or the folder of our own modules would be on its path.
    """
    ours = {"mainspring": str(Path(mainspring.__file__).resolve().parents[1])}
    if f"python{locks.here()}" in {one.name for one in _libraries(python)}:
        ours["msgspec"] = str(Path(msgspec.__file__).resolve().parents[1])
    known = local.without_keys(os.environ)
    kept = {name: value for name, value in known.items() if name not in _NOT_THEIRS}
    begin = ["-P", "-c", _BEGIN_WITH, str(_BEGIN), json.dumps(ours)]
    return [python, *begin], {**kept, **local.SETTLED}


#: The server takes its words from the end, and begin.py takes the last of all.
_BEGIN_WITH = (
    "import sys; file, ours, *words = sys.argv[1:]; sys.argv = [file, *words, ours];"
    " exec(compile(open(file, encoding='utf-8').read(), file, 'exec'))"
)


def _libraries(python: str) -> list[Path]:
    return list((Path(python).parents[1] / "lib").glob("python*"))
