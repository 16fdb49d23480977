"""The folder that an image is built from: the same for the same version, whole, without rows."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from mainspring.ground.errors import AlreadyExistsError, BadInputError, NotFoundError
from mainspring.ground.identity import sha256
from mainspring.ground.unpacking import unpack
from mainspring.pipelines.packaging import containerfile, pins, wheel
from mainspring.pipelines.packaging.containerfile import Image
from mainspring.scaling.serving import packaged
from mainspring.web.api import call
from mainspring.workspace.opening import Workspace
from mainspring.workspace.packaging import building, folders, models, telling

DIGEST = "a" * 64
BASE = f"docker.io/library/python:3.11-slim-bookworm@sha256:{DIGEST}"


def test_a_version_gives_the_same_folder_every_time(served: Workspace) -> None:
    first = call(served, "images.model", reference="tide/1", base=BASE)
    again = call(served, "images.model", reference="tide@champion", base=BASE)
    assert first == again
    files = folders.unpacked(first)
    assert files == models.folder_of(served, "tide/1", BASE)[1]
    assert call(served, "images.artifact", reference="tide/1") == call(
        served, "images.artifact", reference="tide/1"
    )


def test_it_holds_what_serves_and_nothing_that_trains(served: Workspace, tmp_path: Path) -> None:
    version, files = models.folder_of(served, "tide/1", BASE)
    folders.write(files, tmp_path / "image")
    packaged.Folder(tmp_path / "image" / "model")
    told = dict(line.split("==") for line in files["requirements.txt"].decode().split())
    assert {"numpy", "onnxruntime", "polars", "uvicorn"} <= set(told)
    assert not {"scikit-learn", "scipy", "skops", "sqlalchemy", "plotly", "mainspring"} & set(told)
    names = set(files)
    assert not {f"model/{one}" for one in packaged.ASIDE} & names
    assert f"wheels/{wheel.NAME}" in names
    text = files["Containerfile"].decode()
    assert f"FROM {BASE} AS packages" in text
    assert "NOT PINNED" not in text
    assert "USER 10001:10001" in text
    assert f'io.mainspring.package="sha256:{version.package}"' in text
    sbom = json.loads(files["sbom.cdx.json"])
    held = {one["name"]: one["version"] for one in sbom["components"] if one["type"] == "library"}
    assert held == {**told, "mainspring": held["mainspring"]}


def test_a_base_without_a_digest_is_told_in_the_file_and_outside(served: Workspace) -> None:
    _, files = models.folder_of(served, "tide/1")
    assert "NOT PINNED" in files["Containerfile"].decode()
    assert "not a digest" in files["README.md"].decode()
    assert telling.read_back(files) == {
        "title": "tide/1",
        "tag": "localhost/mainspring/tide:1",
        "base": containerfile.default_base(telling.read_back(files)["python"]),
        "pinned": False,
        "hashed": False,
        "python": telling.read_back(files)["python"],
        "created": 1_800_000_000.0,
    }


@pytest.mark.parametrize(
    ("reference", "base", "error"),
    [
        ("tide/9", BASE, NotFoundError),
        ("tide@nobody", BASE, NotFoundError),
        ("tide", BASE, BadInputError),
        ("tide/1", "two words", BadInputError),
        ("tide/1", "python@sha256:short", BadInputError),
    ],
)
def test_what_cannot_be_packaged_is_refused(served, reference, base, error) -> None:
    with pytest.raises(error):
        models.folder_of(served, reference, base)


def test_an_artifact_is_what_sagemaker_unpacks(served: Workspace, tmp_path: Path) -> None:
    version, data = models.artifact_of(served, "tide/1")
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        unpack(tar, tmp_path / "model")
    held = packaged.Folder(tmp_path / "model")
    assert held.packed.package == version.package


def test_a_folder_of_ours_is_written_over_and_no_other(served: Workspace, tmp_path: Path) -> None:
    _, files = models.folder_of(served, "tide/1", BASE)
    place = tmp_path / "image"
    folders.write(files, place)
    (place / "left.txt").write_text("over")
    folders.write(files, place)
    assert not (place / "left.txt").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    with pytest.raises(AlreadyExistsError, match="other files"):
        folders.write(files, tmp_path / "mine")


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../../b"])
def test_an_archive_that_leads_out_is_refused(name: str) -> None:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(BadInputError, match="does not belong"):
        folders.unpacked(held.getvalue())


def test_our_wheel_is_the_one_hatchling_builds(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    (built,) = tmp_path.glob("*.whl")
    assert built.name == wheel.NAME
    theirs, ours = zipfile.ZipFile(built), zipfile.ZipFile(io.BytesIO(wheel.wheel()))
    code = {name for name in theirs.namelist() if name.startswith("mainspring/")}
    assert code == {name for name in ours.namelist() if name.startswith("mainspring/")}
    assert all(theirs.read(name) == ours.read(name) for name in code)
    entry = next(name for name in theirs.namelist() if name.endswith("entry_points.txt"))
    assert theirs.read(entry).split() == ours.read(entry).split()
    assert sha256(wheel.wheel()) == sha256(wheel.wheel())


def test_pins_have_hashes_only_if_all_are_known(tmp_path: Path) -> None:
    lock = tmp_path / "uv.lock"
    lock.write_text(
        '[[package]]\nname = "Six"\nversion = "1.17"\n'
        'sdist = { url = "s", hash = "sha256:bb" }\nwheels = [{ url = "w", hash = "sha256:aa" }]\n'
    )
    hashes = pins.locked(lock)
    told = "--require-hashes\nsix==1.17 --hash=sha256:aa --hash=sha256:bb\n"
    assert pins.lines({"six": "1.17"}, hashes) == told
    both = {"six": "1.17", "click": "8.1"}
    assert pins.lines(both, hashes) == "click==8.1\nsix==1.17\n"
    assert pins.locked(tmp_path / "none.lock") == {}


def test_the_first_who_knows_a_version_says_it() -> None:
    found = pins.pinned(["a", "b"], [{"a": "1"}, {"A": "2", "B": "3"}])
    assert found == {"a": "1", "b": "3"}


def test_labels_cannot_break_out_of_their_quotes() -> None:
    image = Image(
        title='a" \nRUN rm -rf / $HOME',
        base="x",
        python="3.11",
        created=0.0,
        entry=["true"],
        command=[],
    )
    text = containerfile.containerfile(image)
    said = r'LABEL org.opencontainers.image.title="a\" RUN rm -rf / \$HOME"'
    assert re.sub(" +", " ", text).count(said) == 1
    assert not re.search(r"^RUN rm", text, re.MULTILINE)


def test_each_tool_is_told_what_it_needs(tmp_path: Path) -> None:
    secrets = {"pip": Path("/etc/pip.conf")}
    told = building.command_of(tmp_path, "t:1", 12.5, tool="buildah", secrets=secrets)
    assert told[:2] == ["buildah", "build"]
    assert {"--format=docker", "--isolation=chroot", "--timestamp=12"} <= set(told)
    assert "--secret=id=pip,src=/etc/pip.conf" in told
    docker = building.command_of(tmp_path, "t:1", 12.5, tool="docker", more=["--pull"])
    assert "--isolation=chroot" not in docker
    assert docker[-6:] == ["--pull", "-t", "t:1", "-f", f"{tmp_path}/Containerfile", str(tmp_path)]


def test_a_missing_tool_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NotFoundError) as caught:
        building.find_tool()
    assert "apt-get install" in (caught.value.hint or "")
    with pytest.raises(BadInputError, match="kaniko"):
        building.find_tool("kaniko")
