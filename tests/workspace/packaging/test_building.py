"""The same folder is the same image whenever it is built, and nobody's name is taken from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import boxes

from mainspring.workspace.packaging import building

CONTAINERFILE = """FROM {base} AS packages
RUN mkdir -p /opt/made && date > /dev/null && echo made > /opt/made/by
FROM {base}
COPY --from=packages /opt/made /opt/made
RUN touch /opt/made/now
HEALTHCHECK --interval=15s CMD ["true"]
CMD ["true"]
"""


def test_an_image_built_again_is_the_same_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes.check_tools()
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(boxes.storage(boxes.place())))
    text = CONTAINERFILE.format(base=boxes.base(boxes.place()))
    (tmp_path / "Containerfile").write_text(text)
    tags = [f"localhost/mainspring-tests/same:{os.getpid()}-{n}" for n in (1, 2)]
    try:
        first, second = [building.build(tmp_path, tag, 1.6e9, tool="buildah") for tag in tags]
        assert first.id == second.id
        assert (first.image, second.image) == tuple(tags)
        told = json.loads(boxes.said("podman", "image", "inspect", tags[1]))[0]
        assert told["Healthcheck"]["Test"] == ["CMD", "true"]
        assert told["Created"].startswith("2020-09-13T12:26:40")
        left = boxes.said("buildah", "images", "--quiet", "--filter", "dangling=true")
        assert first.id[:12] not in left.split()
    finally:
        for tag in tags:
            subprocess.run(["buildah", "rmi", "--force", tag], capture_output=True, check=False)
