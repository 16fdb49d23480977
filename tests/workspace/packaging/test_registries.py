"""The digest of a base is what its registry says, with a token where it wants one."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import shelves

from mainspring.ground.errors import NotFoundError, UnauthenticatedError, UnavailableError
from mainspring.workspace.packaging import digests, registries
from mainspring.workspace.packaging.registries import Named


def test_a_registry_tells_the_digest_and_what_it_has_not(tmp_path: Path) -> None:
    with shelves.registry(tmp_path) as host:
        wanted = shelves.put(host, "team/base", "3.11")
        found = digests.pinned(f"{host}/team/base:3.11", (), pull=False)
        assert found == f"{host}/team/base:3.11@{wanted}"
        with pytest.raises(NotFoundError, match="has no image team/base:4"):
            registries.digest(f"{host}/team/base:4")
    with pytest.raises(UnavailableError, match="does not answer") as caught:
        digests.pinned(f"{host}/team/base:3.11", (), pull=False)
    assert "--unpinned" in (caught.value.hint or "")


def test_a_token_is_fetched_with_what_was_logged_in_with(tmp_path: Path) -> None:
    with shelves.registry(tmp_path) as host:
        wanted = shelves.put(host, "team/base", "3.11")
    with shelves.tokens(tmp_path) as realm, shelves.registry(tmp_path, realm) as host:
        nobody = {"HOME": str(tmp_path)}
        with pytest.raises(UnauthenticatedError, match="gives no token") as caught:
            registries.digest(f"{host}/team/base:3.11", nobody)
        assert f"podman login {host}" in (caught.value.hint or "")
        (tmp_path / ".docker").mkdir()
        kept = {"auths": {f"{host}/team": {"auth": shelves.PAIR}}}
        (tmp_path / ".docker" / "config.json").write_text(json.dumps(kept))
        assert registries.digest(f"{host}/team/base:3.11", nobody) == wanted


@pytest.mark.parametrize(
    ("image", "named"),
    [
        ("python", Named("docker.io", "library/python", "latest")),
        ("python:3.11", Named("docker.io", "library/python", "3.11")),
        ("someone/python", Named("docker.io", "someone/python", "latest")),
        ("docker.io/library/python:3", Named("docker.io", "library/python", "3")),
        ("localhost/base", Named("localhost", "base", "latest")),
        ("[::1]:5000/a/b:1", Named("[::1]:5000", "a/b", "1")),
        ("host:5000/base:1@sha256:" + "0" * 64, Named("host:5000", "base", "1")),
    ],
)
def test_a_name_leaves_out_what_is_docker_hubs(image: str, named: Named) -> None:
    assert registries.named(image) == named


@pytest.mark.parametrize("host", ["registry.example.org", "10.0.0.7:5000", "localhost.evil.org"])
def test_no_other_machine_is_asked_without_tls(host: str) -> None:
    assert Named(host, "a", "b").url == f"https://{host}"


def test_files_of_other_tools_are_passed_over(tmp_path: Path) -> None:
    asked = registries.named("registry.example.org/a")
    (tmp_path / "auth.json").write_text('{"auths": {"registry.example.org": {"auth": "%%"}}}')
    (tmp_path / "config.json").write_text("no JSON")
    environ = {
        "HOME": str(tmp_path),
        "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json"),
        "DOCKER_CONFIG": str(tmp_path),
    }
    assert registries.credentials(asked, environ) is None
    hub = {"auths": {"https://index.docker.io/v1/": {"auth": shelves.PAIR}}}
    (tmp_path / "config.json").write_text(json.dumps(hub))
    assert registries.credentials(registries.named("python:3.11"), environ) == shelves.PAIR


def test_an_image_that_is_here_is_taken_without_asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("buildah") is None:
        pytest.fail("buildah is missing. Install it: sh tools/system.sh")
    import boxes

    boxes.check_tools()
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(boxes.storage(boxes.place())))
    base = boxes.base(boxes.place())
    for tool in ("buildah", "podman"):
        found = digests.pinned(base, (tool,), pull=False)
        assert found.startswith(f"{base}@sha256:")
    assert digests.here("localhost/mainspring-tests/none:1", "buildah") is None
