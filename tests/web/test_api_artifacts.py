"""Files of a run over the operations."""

from __future__ import annotations

import base64

import pytest

from mainspring.experiments import artifacts
from mainspring.ground.errors import BadInputError, NotFoundError, TooLargeError
from mainspring.ground.permissions import Permission
from mainspring.web.api import call
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views import artifacts as view


def _keep(house: Workspace, path: str, data: bytes) -> str:
    digest = house.objects.put(data)
    house.write(
        Permission.LOG, lambda tx: artifacts.put(tx, "run_1", path, digest, len(data), 1.0)
    )
    return digest


def test_a_file_comes_back_as_it_was_kept(house: Workspace) -> None:
    digest = _keep(house, "out/é.bin", b"\0\xff")
    [one] = call(house, "artifacts.list", run="run_1")
    assert (one["path"], one["size"], one["digest"]) == ("out/é.bin", 2, digest)
    found = call(house, "artifacts.get", run="run_1", path="out/é.bin")
    assert base64.b64decode(found["data"]) == b"\0\xff"
    assert found["digest"] == digest


def test_what_is_not_there_or_too_large_is_refused(
    house: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    _keep(house, "a.bin", b"12345")
    for run, path in (("run_1", "b.bin"), ("run_9", "a.bin")):
        with pytest.raises(NotFoundError):
            call(house, "artifacts.get", run=run, path=path)
    with pytest.raises(NotFoundError):
        call(house, "artifacts.list", run="run_9")
    with pytest.raises(BadInputError):
        call(house, "artifacts.get", run="run_1", path="")
    monkeypatch.setattr(view, "MOST_BYTES", 4)
    with pytest.raises(TooLargeError) as caught:
        call(house, "artifacts.get", run="run_1", path="a.bin")
    assert caught.value.field == "path"
