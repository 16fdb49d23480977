"""What every object store promises, as tests. Subclass ObjectsPromises; override ``place``."""

# ruff: noqa: S101  (these are tests)

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from mainspring.ground.clock import SystemClock
from mainspring.ground.errors import BadInputError, DamagedError, NotFoundError
from mainspring.ground.ports import Objects

DAY = 86_400.0
ALL = 1e12  #: later than anything


class ObjectsPlace(msgspec.Struct, frozen=True):
    """Objects under test: how to open them, and how to spoil what is kept."""

    open: Callable[[], Objects]
    spoil: Callable[[str, bytes], None]  #: put other bytes under a digest, behind the port's back
    age: Callable[[str, float], None]  #: let an object have been put so many seconds ago


class ObjectsPromises:
    """Override ``place``; a test is one promise of :class:`mainspring.ground.ports.Objects`."""

    @pytest.fixture
    def place(self) -> ObjectsPlace:
        """Return an empty place."""
        raise NotImplementedError("override the fixture `place`")

    @pytest.fixture
    def objects(self, place: ObjectsPlace) -> Objects:
        """Open it for one test."""
        return place.open()

    @pytest.mark.parametrize("data", [b"", b"a", b"\x00" * 70_000, os.urandom(300_000)], ids=len)
    def test_bytes_come_back_under_their_digest(self, objects: Objects, data: bytes) -> None:
        """Empty ones too."""
        digest = objects.put(data)
        assert digest == hashlib.sha256(data).hexdigest()
        assert objects.get(digest) == data
        assert objects.size(digest) == len(data)
        assert objects.has(digest)

    def test_putting_again_is_a_hit(self, place: ObjectsPlace, objects: Objects) -> None:
        """Idempotent, also from another opening."""
        digest = objects.put(b"same")
        assert objects.put(b"same") == digest
        assert place.open().put(b"same") == digest
        assert place.open().get(digest) == b"same"

    def test_a_file_goes_in_and_out(self, objects: Objects, tmp_path: Path) -> None:
        """Larger than one part, without holding it in memory."""
        source, target = tmp_path / "in", tmp_path / "out"
        data = os.urandom(1 << 20) * 11 + b"end"
        source.write_bytes(data)
        digest = objects.put_file(source)
        assert digest == hashlib.sha256(data).hexdigest() == objects.put_file(source)
        target.write_bytes(b"what was there before")
        objects.fetch(digest, target)
        assert target.read_bytes() == data
        assert objects.get(digest) == data
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]

    def test_what_is_not_there_is_not_found(self, objects: Objects, tmp_path: Path) -> None:
        """By every door."""
        nothing = "0" * 64
        assert not objects.has(nothing)
        for ask in (objects.get, objects.size, lambda d: objects.fetch(d, tmp_path / "x")):
            with pytest.raises(NotFoundError, match=nothing):
                ask(nothing)
        with pytest.raises(NotFoundError):
            objects.put_file(tmp_path / "no such file")

    @pytest.mark.parametrize("digest", ["", "abc", "../" * 20, "A" * 64, "0" * 63 + "/"])
    def test_only_a_digest_is_a_name(self, objects: Objects, digest: str) -> None:
        """Names never become paths."""
        for ask in (objects.get, objects.size, objects.has):
            with pytest.raises(BadInputError):
                ask(digest)

    def test_a_flipped_bit_is_found(
        self, place: ObjectsPlace, objects: Objects, tmp_path: Path
    ) -> None:
        """Verified: damaged bytes are never handed out, nor left in a target file."""
        digest = objects.put(b"precious bytes")
        place.spoil(digest, b"precious bytez")
        with pytest.raises(DamagedError, match=digest):
            objects.get(digest)
        for target in (tmp_path / "target", None):
            with pytest.raises(DamagedError):
                objects.fetch(digest, target)
        assert list(tmp_path.iterdir()) == []

    def test_many_put_the_same_at_once(self, objects: Objects) -> None:
        """Created once; everybody gets the digest."""
        data = os.urandom(200_000)
        gate, found = threading.Barrier(8), []

        def go() -> None:
            gate.wait()
            found.append(objects.put(data))

        threads = [threading.Thread(target=go) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [hashlib.sha256(data).hexdigest()] * 8
        assert objects.get(found[0]) == data

    def test_some_of_the_bytes_can_be_looked_at(self, objects: Objects) -> None:
        """As many as there are, where there are fewer."""
        digest = objects.put(b"0123456789")
        assert objects.part(digest, 0, 4) == b"0123"
        assert objects.part(digest, 6, 2) == b"67"
        assert objects.part(digest, 6, 40) == b"6789"
        assert objects.part(digest, 10, 4) == b""
        assert objects.part(objects.put(b""), 0, 4) == b""
        with pytest.raises(NotFoundError):
            objects.part("0" * 64, 0, 4)

    def test_pieces_are_kept_as_they_come(self, objects: Objects) -> None:
        """Under the digest of all of them; what fails on the way leaves nothing."""
        buffer = bytearray(4)

        def pieces(break_at: int) -> Iterator[bytes | memoryview]:
            for number in range(3):
                if number == break_at:
                    raise BadInputError("It ends here.")
                buffer[:] = bytes([number]) * 4  # as a reader does that has one buffer
                yield memoryview(buffer)

        whole = b"".join(bytes([number]) * 4 for number in range(3))
        with pytest.raises(BadInputError):
            objects.put_file(pieces(2))
        assert not objects.has(hashlib.sha256(whole).hexdigest())
        digest = objects.put_file(pieces(-1))
        assert digest == hashlib.sha256(whole).hexdigest()
        assert objects.get(digest) == whole

    def test_everything_that_is_kept_can_be_gone_through(
        self, place: ObjectsPlace, objects: Objects
    ) -> None:
        """Each once, with its size and when it was put."""
        sizes = {objects.put(os.urandom(n)): n for n in (0, 1, 1000, 3000)}
        found = list(place.open().each())
        assert {one.digest: one.size for one in found} == sizes
        assert len(found) == len(sizes)
        now = SystemClock().now()
        assert all(abs(one.at - now) < 3600 for one in found)

    def test_what_is_old_can_be_deleted(self, objects: Objects) -> None:
        """And put again."""
        digest = objects.put(b"not needed")
        assert objects.delete(digest, before=ALL)
        assert not objects.has(digest)
        assert not objects.delete(digest, before=ALL)
        assert list(objects.each()) == []
        assert objects.put(b"not needed") == digest
        assert objects.get(digest) == b"not needed"

    def test_what_was_put_lately_is_not_deleted(
        self, place: ObjectsPlace, objects: Objects, tmp_path: Path
    ) -> None:
        """A hit counts as put, by every door: whoever got the digest relies on it."""
        digest = objects.put(b"precious")
        source = tmp_path / "source"
        source.write_bytes(b"precious")
        for by_file in (False, True):
            place.age(digest, 3 * DAY)
            if by_file:
                place.open().put_file(source)
            else:
                objects.put(b"precious")
            assert not objects.delete(digest, before=SystemClock().now() - DAY)
            assert objects.get(digest) == b"precious"
        place.age(digest, 3 * DAY)
        assert objects.delete(digest, before=SystemClock().now() - DAY)

    def test_what_was_renewed_is_as_fresh_as_if_it_was_put(
        self, place: ObjectsPlace, objects: Objects
    ) -> None:
        """For those who only know the digest."""
        digest = objects.put(b"known by name")
        place.age(digest, 3 * DAY)
        assert objects.renew(digest)
        assert not objects.delete(digest, before=SystemClock().now() - DAY)
        assert objects.get(digest) == b"known by name"
        assert [one.digest for one in objects.each()] == [digest]
        assert not objects.renew("0" * 64)

    def test_putting_and_deleting_at_once_loses_nothing_that_was_put(
        self, place: ObjectsPlace, objects: Objects
    ) -> None:
        """Whichever comes first: once put has returned, the bytes are there."""
        datas = [os.urandom(100) for _ in range(10)]
        lost: list[str] = []
        for data in datas:
            digest = objects.put(data)
            place.age(digest, 3 * DAY)
            gate = threading.Barrier(2)

            def put(data: bytes = data, gate: threading.Barrier = gate) -> None:
                gate.wait()
                digest = place.open().put(data)
                if not objects.has(digest):
                    lost.append(digest)

            thread = threading.Thread(target=put)
            thread.start()
            gate.wait()
            objects.delete(digest, before=SystemClock().now() - DAY)
            thread.join()
            assert objects.has(digest)
        assert lost == []
