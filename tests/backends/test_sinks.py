"""What a call prints reaches its file whole, without secrets, line by line behind its prefix."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.backends.executors.sinks import open_sink
from mainspring.ground.ports import Call

SECRET = "abcabd/12"


def printed(pieces: list[bytes], file: Path, **options: object) -> bytes:
    sink = open_sink(Call(target="x:y", payload={}, log=str(file), **options))  # type: ignore[arg-type]
    for piece in pieces:
        sink.write(piece)
    sink.close()
    return file.read_bytes()


@settings(max_examples=40, deadline=None)
@given(data=st.data(), text=st.lists(st.sampled_from([SECRET, "abc", "abcab", " ", "\n", "/12"])))
def test_a_secret_is_hidden_however_it_is_cut(
    data: st.DataObject, text: list[str], tmp_path_factory: object
) -> None:
    whole = "".join(text).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    places = [0, *cuts, len(whole)]
    pieces = [whole[start:end] for start, end in itertools.pairwise(places)]
    file = tmp_path_factory.mktemp("sink") / "log"  # type: ignore[attr-defined]
    assert printed(pieces, file, hide=[SECRET]) == whole.replace(SECRET.encode(), b"***")


def test_encoded_forms_are_hidden_too(tmp_path: Path) -> None:
    said = b'abcabd%2F12 "abcabd/12" YWJjYWJkLzEy'
    assert printed([said], tmp_path / "log", hide=[SECRET]) == b'*** "***" ***'


def test_lines_stand_behind_the_prefix(tmp_path: Path) -> None:
    assert printed([b"a", b"b\nc\n\nd"], tmp_path / "log", prefix="[3] ") == (
        b"[3] ab\n[3] c\n[3] \n[3] d\n"
    )


def test_several_print_into_one_file_in_whole_lines(tmp_path: Path) -> None:
    def one(number: int) -> None:
        printed([b"x" * 300 + b"\n"] * 200, tmp_path / "log", prefix=f"[{number}] ")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = (tmp_path / "log").read_bytes().splitlines()
    assert sorted(lines) == sorted(
        b"[%d] %s" % (n, b"x" * 300) for n in range(4) for _ in range(200)
    )
