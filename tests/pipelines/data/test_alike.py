"""The runs of a file that changed put it together again, and are few where little changed."""

from __future__ import annotations

import io
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.pipelines.data import alike
from mainspring.pipelines.data.alike import Alike, Run


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at files of hundreds of bytes as at ones of hundreds of megabytes."""
    monkeypatch.setattr(alike, "PIECE", 256)
    monkeypatch.setattr(alike, "_SURE", 16)
    monkeypatch.setattr(alike, "_NEEDLE", 4)
    monkeypatch.setattr(alike, "_BEHIND", (0, 4, 16, 64, 128))


def compared(new: bytes, old: bytes) -> tuple[list[Run], bytes, int]:
    """Return the runs, what was not matched, and how far the old file was come."""
    source = io.BytesIO(new)
    both = Alike(source.read, lambda at, count: old[at : at + count], len(old))
    runs = list(both.runs())
    rest = both.rest + source.read()
    put_together = b"".join(
        run.data if run.base is None else old[run.base : run.base + run.length] for run in runs
    )
    assert put_together + rest == new
    assert all(run.length > 0 for run in runs)
    return runs, rest, both.behind


OLD = random.Random(7).randbytes(2000)


@pytest.mark.parametrize(
    ("new", "most"),
    [
        (OLD, 0),
        (OLD[:900] + b"8 bytes!" + OLD[908:], 8),
        (OLD[:900] + b"8 bytes!" + OLD[900:], 8),
        (OLD[:900] + OLD[950:], 0),
        (OLD + b"more", 4),
        (b"more" + OLD, 4),
        (OLD[:1500], 0),
        (OLD[:300] + bytes(100) + OLD[400:1200] + b"!" + OLD[1200:], 101),
    ],
    ids=["same", "overwritten", "put-in", "taken-out", "behind", "before", "cut", "twice"],
)
def test_only_what_is_new_is_new(new: bytes, most: int) -> None:
    runs, rest, _ = compared(new, OLD)
    assert sum(run.length for run in runs if run.base is None) <= most
    assert not rest


def test_a_file_that_resembles_nothing_is_left_as_it_is() -> None:
    other = random.Random(8).randbytes(2000)
    runs, rest, behind = compared(OLD[:600] + other, OLD)
    assert sum(run.length for run in runs if run.base is not None) >= 600
    assert len(rest) > 1000
    assert behind == 600
    assert compared(other, OLD)[1:] == (other, 0)
    assert compared(b"", OLD) == ([], b"", 0)
    assert compared(other, b"")[1] == b""


pieces = st.lists(st.sampled_from([b"a", b"ab", bytes(40), OLD[:50], OLD[50:300]]), max_size=12)


@given(pieces, pieces)
def test_any_two_files_are_put_together_again(new: list[bytes], old: list[bytes]) -> None:
    compared(b"".join(new), b"".join(old))
