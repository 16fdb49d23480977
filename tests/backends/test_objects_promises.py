"""A folder and a bucket keep the promises of an object store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest

from mainspring.backends.objects import open_objects
from mainspring.backends.objects.s3 import S3Objects
from mainspring.testing.objects import ObjectsPlace, ObjectsPromises
from mainspring.testing.s3 import S3Server


class TestFolder(ObjectsPromises):
    @pytest.fixture
    def place(self, tmp_path_factory: pytest.TempPathFactory) -> ObjectsPlace:
        root = tmp_path_factory.mktemp("objects")

        def spoil(digest: str, data: bytes) -> None:
            (root / digest[:2] / digest[2:]).write_bytes(data)

        return ObjectsPlace(open=lambda: open_objects(str(root)), spoil=spoil)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


class TestBucket(ObjectsPromises):
    @pytest.fixture
    def place(self, s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> ObjectsPlace:
        url = s3.bucket(tmp_path_factory.mktemp("bucket").name)

        def spoil(digest: str, data: bytes) -> None:
            objects = open_objects(url)
            assert isinstance(objects, S3Objects)
            obstore.put(objects._store, f"{digest[:2]}/{digest[2:]}", data)

        return ObjectsPlace(open=lambda: open_objects(url), spoil=spoil)


def test_an_unknown_place_is_refused() -> None:
    from mainspring.ground.errors import BadInputError

    for url in ("ftp://somewhere", "s3://", "s3://bucket?pasword=x"):
        with pytest.raises(BadInputError):
            open_objects(url)


def test_a_server_that_is_away_is_unavailable(s3: S3Server, tmp_path: Path) -> None:
    from mainspring.ground.errors import UnavailableError

    objects = open_objects(s3.bucket("there").replace("s3://there", "s3://not-there"))
    with pytest.raises(UnavailableError):
        objects.put(b"x")
