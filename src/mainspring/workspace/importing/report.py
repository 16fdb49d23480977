"""Count what an import brought, and keep what could not come and why."""

from __future__ import annotations

import msgspec

TAG = "mlflow.importedFrom"
_MOST = 10_000  #: problems that are kept one by one


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that could not be brought."""

    what: str
    why: str


class Report(msgspec.Struct, kw_only=True):
    """What was brought, or would be. ``known`` counts what was here before."""

    source: str
    dry_run: bool
    new: dict[str, int] = {}
    known: dict[str, int] = {}
    points: int = 0
    files: int = 0
    bytes: int = 0
    problems: list[Problem] = []
    more_problems: int = 0

    def count(self, what: str, *, new: bool) -> None:
        """Count one thing, new or here before."""
        side = self.new if new else self.known
        side[what] = side.get(what, 0) + 1

    def add(self, what: str, number: int) -> None:
        """Count points, files or bytes."""
        setattr(self, what, getattr(self, what) + number)

    def problem(self, what: str, why: str) -> None:
        """Keep what could not be brought."""
        if len(self.problems) < _MOST:
            self.problems.append(Problem(what=what, why=why))
        else:
            self.more_problems += 1
