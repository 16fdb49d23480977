"""Write to a run that somebody else began and will end, such as a trial of a tuning."""

from __future__ import annotations

from mainspring.ground.settings import Settings
from mainspring.workspace.tracking import living
from mainspring.workspace.tracking.active import _CURRENT, ActiveRun
from mainspring.workspace.tracking.planning import plan_of
from mainspring.workspace.tracking.writing import Target, target_of


class JoinedRun(ActiveRun):
    """A run that is in the store already. Leaving the block leaves it as it is."""

    def __init__(self, settings: Settings, run: str, experiment: str) -> None:
        plan = plan_of(experiment, None, None, None, None, None, run, capture=False)
        super().__init__(plan, target_of(settings))

    def __enter__(self) -> JoinedRun:
        # Nothing is written yet: most functions log nothing on their way.
        self._before.append(_CURRENT.get())
        _CURRENT.set(self)
        living.enter(self._id)
        return self

    def _begin(self) -> None:
        # Owned by no process, so that neither the block's end nor ours ends the run.
        self._owner = 0
        self._started = self._now()
        self._journal = self.target_known.journal
        self._introduce(own=False, params={}, tags={})

    @property
    def target_known(self) -> Target:
        """Return where it is written to, without beginning it."""
        assert self._target is not None  # noqa: S101  given when it was made
        return self._target
