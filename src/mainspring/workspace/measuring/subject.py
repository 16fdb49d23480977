"""What is measured: a loaded candidate, and the fresh rows it is measured on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.objects import Profile
from mainspring.ground.ports import Objects
from mainspring.scaling.models.load import Served

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Fresh:
    """Labelled rows that neither version learnt from, and what both lose on them."""

    rows: pl.DataFrame
    target: Floats
    scores: Floats
    losses: Floats
    theirs: Floats | None  #: the champion's losses
    blocks: npt.NDArray[np.int64]  #: the day of every row


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A version that is measured: loaded, with what its package tells of its training."""

    digest: str
    served: Served
    baseline: Profile
    reference: pl.DataFrame | None
    example: pl.DataFrame
    objects: Objects

    def heaviest(self, most: int) -> list[str]:
        """Return the raw columns that the version listens to most, the heaviest first."""
        shares = {one.name: one.share for one in self.baseline.columns}
        names = [one.name for one in self.served.signature.columns]
        return sorted(names, key=lambda name: (-shares.get(name, 0.0), name))[:most]
