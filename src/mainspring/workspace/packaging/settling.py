"""Take out of a built image what is of the build alone, so that the same folder gives the same id.

Layers of buildah and podman are the same to the byte already: their files have one time, and what
pip compiles is told by hash (``SOURCE_DATE_EPOCH``). What differs is in the configuration: the
name and the id of the container that was built in. It is written again without them and taken
in beside the layers, none of which is copied.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from mainspring.ground.errors import MainspringError
from mainspring.ground.identity import canonical, sha256

#: How containers' tools know a folder that holds one image.
_VERSION = "Directory Transport Version: 1.1\n"


def settle(tag: str) -> None:
    """Give a name to the image that it had, without traces of the container it was built in.

    Raises:
        MainspringError: if a tool fails, with its words.
    """
    tool = "buildah" if shutil.which("buildah") else "podman"
    with tempfile.TemporaryDirectory(prefix="mainspring-image-") as place:
        folder = Path(place)
        config, manifest = _by_buildah(tag) if tool == "buildah" else _by_podman(tag, folder)
        before = manifest["config"]["digest"].removeprefix("sha256:")
        data = canonical(without_traces(config))
        digest = sha256(data)
        manifest["config"] |= {"digest": f"sha256:{digest}", "size": len(data)}
        (folder / digest).write_bytes(data)
        (folder / "manifest.json").write_bytes(canonical(manifest))
        (folder / "version").write_text(_VERSION, "ascii")
        said(tool, "pull", "--quiet", f"dir:{folder}")
        said(tool, "tag", digest, tag)
    if before != digest:
        # Another name may have it, which is then not ours to take.
        subprocess.run([tool, "rmi", before], capture_output=True, check=False)  # noqa: S603


def without_traces(config: dict[str, Any]) -> dict[str, Any]:
    """Return an image's configuration without the container that it was built in.

    >>> without_traces({"container": "1f", "config": {"Hostname": "1f", "User": "5"}})
    {'config': {'User': '5'}}
    """
    kept = {key: value for key, value in config.items() if key != "container"}
    for key in ("config", "container_config"):
        if isinstance(kept.get(key), dict):
            kept[key] = {name: one for name, one in kept[key].items() if name != "Hostname"}
    return kept


def _by_buildah(tag: str) -> tuple[dict[str, Any], dict[str, Any]]:
    told = json.loads(said("buildah", "inspect", "--type", "image", tag))
    return json.loads(told["Config"]), json.loads(told["Manifest"])


def _by_podman(tag: str, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the same where there is no buildah: podman tells it with all layers alone."""
    said("podman", "save", "--quiet", "--format", "docker-dir", "--output", str(folder), tag)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    file = folder / manifest["config"]["digest"].removeprefix("sha256:")
    return json.loads(file.read_bytes()), manifest


def said(*command: str) -> str:
    """Return what a tool says.

    Raises:
        MainspringError: if it fails, with its last words.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise MainspringError(f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}")
    return done.stdout
