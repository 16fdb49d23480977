"""Runs of objects are held as few, and are the bytes that were taken, no more and no fewer."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.pipelines.data import living
from mainspring.pipelines.data.living import Runs
from mainspring.pipelines.data.manifest import Part

parts = st.builds(Part, st.sampled_from("abc"), st.integers(0, 30), st.integers(1, 9))


@pytest.mark.parametrize("together", [1, 100_000], ids=["at once", "later"])
@given(given_=st.lists(st.lists(parts, max_size=5), max_size=5))
def test_the_bytes_of_runs_are_those_that_were_taken(
    together: int, given_: list[list[Part]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(living, "_TOGETHER", together)
        runs = Runs()
        for some in given_:
            runs.take(some)
    wanted: dict[str, set[int]] = {}
    for part in (part for some in given_ for part in some):
        places = range(part.offset, part.offset + part.length)
        wanted.setdefault(part.object, set()).update(places)
    told = dict(runs.runs())
    assert {
        name: {at for start, length in each for at in range(start, start + length)}
        for name, each in told.items()
    } == wanted
    for each in told.values():  # in order, and none could be joined to the next
        assert all(a + b < c for (a, b), (c, _) in itertools.pairwise(each))
