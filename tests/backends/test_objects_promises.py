"""A folder and a bucket keep the promises of an object store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import obstore
import pytest

from mainspring.backends.objects import open_objects
from mainspring.backends.objects.s3 import CLAIMED, DOOM_S, DOOMED, S3Objects
from mainspring.ground.clock import SystemClock, TurnedClock
from mainspring.ground.errors import BadInputError, UnavailableError
from mainspring.testing.objects import ObjectsPlace, ObjectsPromises
from mainspring.testing.s3 import S3Server


class TestFolder(ObjectsPromises):
    @pytest.fixture
    def place(self, tmp_path_factory: pytest.TempPathFactory) -> ObjectsPlace:
        root = tmp_path_factory.mktemp("objects")

        def spoil(digest: str, data: bytes) -> None:
            (root / digest[:2] / digest[2:]).write_bytes(data)

        def age(digest: str, seconds: float) -> None:
            then = SystemClock().now() - seconds
            os.utime(root / digest[:2] / digest[2:], (then, then))

        return ObjectsPlace(open=lambda: open_objects(str(root)), spoil=spoil, age=age)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


class AgedObjects(S3Objects):
    """A bucket in which some objects are older than the server says, until they are put again."""

    def __init__(self, url: str, aged: dict[str, float]) -> None:
        super().__init__(url)
        self._aged = aged

    def _at(self, digest: str) -> float | None:
        at = super()._at(digest)
        return None if at is None else at - self._aged.get(digest, 0.0)

    def _freshen(self, digest: str, write: Callable[[], object]) -> None:
        def young() -> None:
            write()
            self._aged.pop(digest, None)

        super()._freshen(digest, young)


class TestBucket(ObjectsPromises):
    @pytest.fixture
    def url(self, s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> str:
        return s3.bucket(tmp_path_factory.mktemp("bucket").name)

    @pytest.fixture
    def place(self, url: str) -> ObjectsPlace:
        aged: dict[str, float] = {}

        def spoil(digest: str, data: bytes) -> None:
            objects = open_objects(url)
            assert isinstance(objects, S3Objects)
            obstore.put(objects._store, f"{digest[:2]}/{digest[2:]}", data)

        return ObjectsPlace(open=lambda: AgedObjects(url, aged), spoil=spoil, age=aged.__setitem__)

    def test_who_claims_an_object_keeps_it(self, place: ObjectsPlace) -> None:
        objects = place.open()
        digest = objects.put(b"claimed")
        objects._raise_flag(CLAIMED, digest)
        assert not objects.delete(digest, before=1e12)
        objects._lower_flag(CLAIMED, digest)
        assert objects.delete(digest, before=1e12)

    def test_who_puts_what_is_doomed_waits_and_is_told(
        self, place: ObjectsPlace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        objects = place.open()
        digest = objects.put(b"doomed")
        place.age(digest, 1e6)
        objects._raise_flag(DOOMED, digest)
        monkeypatch.setattr("mainspring.backends.objects.s3.PATIENCE_S", 0.0)
        with pytest.raises(UnavailableError, match="just being deleted"):
            objects.put(b"doomed")
        objects._clock = TurnedClock(SystemClock().now() + DOOM_S + 5)
        assert objects.put(b"doomed") == digest, "a doom this old belongs to the dead"

    def test_flags_are_no_objects(self, place: ObjectsPlace) -> None:
        objects = place.open()
        objects._raise_flag(DOOMED, "0" * 64)
        assert list(objects.each()) == []


def test_an_unknown_place_is_refused() -> None:
    for url in ("ftp://somewhere", "s3://", "s3://bucket?pasword=x"):
        with pytest.raises(BadInputError):
            open_objects(url)


def test_a_server_that_is_away_is_unavailable(s3: S3Server, tmp_path: Path) -> None:
    objects = open_objects(s3.bucket("there").replace("s3://there", "s3://not-there"))
    with pytest.raises(UnavailableError):
        objects.put(b"x")
