"""Printed text becomes lines, a traceback one, however it arrives."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground import tails
from mainspring.ground.tails import Tail

PRINTED = b"""epoch 1
WARNING:root:slow
Traceback (most recent call last):
  File "a.py", line 1, in <module>
    1 / 0

ZeroDivisionError: division by zero
done
"""
TAKEN = [
    ("info", "epoch 1"),
    ("warning", "WARNING:root:slow"),
    ("error", "ZeroDivisionError: division by zero"),
    ("info", "done"),
]


@given(st.lists(st.integers(0, len(PRINTED)), max_size=6))
def test_lines_are_the_same_in_whatever_pieces_they_come(tmp_path_factory, cuts) -> None:
    file = tmp_path_factory.mktemp("tail") / "out.log"
    taken: list[tuple[str, str, str]] = []
    tail = Tail(file, lambda *line: taken.append(line))
    before = 0
    for cut in [*sorted(cuts), len(PRINTED)]:
        with file.open("ab") as handle:
            handle.write(PRINTED[before:cut])
        before = cut
        tail.drain()
    tail.drain(final=True)
    assert [line[:2] for line in taken] == TAKEN
    assert taken[2][2].startswith("Traceback")
    assert taken[2][2].endswith("division by zero")


def test_a_file_that_was_emptied_is_read_from_its_beginning(tmp_path: Path) -> None:
    file, taken = tmp_path / "out.log", []
    tail = Tail(file, lambda *line: taken.append(line[1]))
    tail.drain()  # it may not be there yet
    file.write_text("a much longer line\n")
    tail.drain()
    file.write_text("short\n")
    tail.drain()
    assert taken == ["a much longer line", "short"]


def test_the_last_words_count_without_a_newline(tmp_path: Path) -> None:
    file, taken = tmp_path / "out.log", []
    file.write_bytes(b"Fatal Python error: Segmentation fault\n\xff\xfehalf")
    tail = Tail(file, lambda *line: taken.append(line[:2]))
    tail.drain()
    assert taken == [("critical", "Fatal Python error: Segmentation fault")]
    tail.drain(final=True)
    assert taken[1] == ("info", "\ufffd\ufffdhalf")


def test_beyond_its_bytes_one_line_says_that_there_is_more(tmp_path: Path) -> None:
    file, taken = tmp_path / "out.log", []
    file.write_text("12345678\n" * 100)
    tail = Tail(file, lambda *line: taken.append(line[:2]), most_bytes=18)
    tail.drain()
    file.write_text("12345678\n" * 200)
    tail.drain(final=True)
    assert taken == [
        ("warning", "it printed more than is taken into the logs"),
        ("info", "12345678"),
        ("info", "12345678"),
    ]


@pytest.mark.parametrize("size", [10, 1000])
def test_a_line_without_an_end_does_not_grow_for_ever(tmp_path, monkeypatch, size) -> None:
    monkeypatch.setattr(tails, "MOST_AT_ONCE", 64)
    file, taken = tmp_path / "out.log", []
    file.write_bytes(b"x" * size)
    Tail(file, lambda *line: taken.append(line[1])).drain(final=True)
    assert "".join(taken) == "x" * size
