"""Real containers for tests: a base from Debian's packages, made once; images run by podman.

No registry is asked. Everything is kept below ``~/.cache/mainspring/containers``, or where
``MAINSPRING_CONTAINERS`` says.
"""

from __future__ import annotations

import fcntl
import http.client
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

#: Debian's release with this Python: no other is in its packages.
SUITES = {(3, 11): "bookworm", (3, 13): "trixie"}
MIRROR = "http://deb.debian.org/debian"
NEEDED = ("buildah", "podman", "runc", "mmdebstrap")
#: What Python and wheels stand on. Only unpacked, not configured: 6 s, where debootstrap needs 43.
PACKAGES = "python3,python3-venv,base-files,base-passwd,bash,coreutils,dash,libc-bin,libstdc++6"
_USERS = "cd $1 && cp usr/share/base-passwd/passwd.master etc/passwd &&" \
    " cp usr/share/base-passwd/group.master etc/group"  # fmt: skip

#: How podman runs where no systemd and no bridge is.
PODMAN = ("podman", "--cgroup-manager", "cgroupfs", "--runtime", "runc")
LIMITS = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096", "--network", "host")


def place() -> Path:
    """Return where bases and images are kept."""
    told = os.environ.get("MAINSPRING_CONTAINERS")
    return Path(told) if told else Path.home() / ".cache" / "mainspring" / "containers"


def check_tools() -> None:
    """Fail where what builds and runs images is not there: this is tested, or it is not."""
    missing = [one for one in NEEDED if shutil.which(one) is None]
    if missing:
        pytest.fail(f"{', '.join(missing)} is missing. Install it: sh tools/system.sh")
    if sys.version_info[:2] not in SUITES:
        wanted = ", ".join(f"{major}.{minor}" for major, minor in SUITES)
        pytest.fail(f"Debian has no packages of this Python; test images with {wanted}.")


def storage(folder: Path) -> Path:
    """Write how the tools keep images in ``folder``; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["[storage]", 'driver = "overlay"']
    lines += [f'graphroot = "{folder}/graph"', f'runroot = "{folder}/run"']
    # The kernel does not lay an overlay over an overlay, as in a container that runs the tests.
    kind = subprocess.run(
        ["stat", "-f", "-c", "%T", str(folder)], capture_output=True, text=True, check=True
    ).stdout.strip()
    if kind == "overlayfs" and Path("/dev/fuse").exists() and shutil.which("fuse-overlayfs"):
        lines += [
            "[storage.options.overlay]",
            f'mount_program = "{shutil.which("fuse-overlayfs")}"',
        ]
    elif kind == "overlayfs":
        lines[1] = 'driver = "vfs"'
    file = folder / "storage.conf"
    part = file.with_name(f"storage.{os.getpid()}")
    part.write_text("\n".join(lines) + "\n", "utf-8")
    part.replace(file)
    return file


def base(folder: Path) -> str:
    """Return the name of an image with Debian's Python, made if it is not there yet."""
    suite = SUITES[sys.version_info[:2]]
    name = f"localhost/mainspring-tests/python:{suite}"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other suites of this machine make the same
        if said("buildah", "images", "--quiet", "--filter", f"reference={name}"):
            return name
        archive = folder / f"{suite}.tar"
        said(
            *("mmdebstrap", "--quiet", "--mode=root", "--variant=extract"),
            *(f"--include={PACKAGES}", "--dpkgopt=path-exclude=/usr/share/doc/*"),
            *(f"--customize-hook={_USERS}", suite, str(archive), MIRROR),
        )
        held = said("buildah", "from", "scratch")
        said("buildah", "add", "--quiet", held, str(archive), "/")
        said("buildah", "commit", "--quiet", "--rm", held, name)
        archive.unlink()
    return name


def said(*words: str) -> str:
    """Run a command and return what it says; fail with its own words where it does."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout.strip()


def ran(image: str, *words: str, entry: str | None = None, options: tuple[str, ...] = ()):
    """Run an image until it ends; return how it ended."""
    own = ("--entrypoint", entry) if entry else ()
    command = (*PODMAN, "run", "--rm", *LIMITS, "--read-only", *own, *options, image, *words)
    # Not here: who watches over a container leaves a file "oom" where it runs.
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=place())


@contextmanager
def running(image: str, port: int, *options: str) -> Iterator[str]:
    """Serve an image on a port of loopback; yield the container's id once it answers."""
    environ = ("-e", f"SAGEMAKER_BIND_TO_PORT={port}", "-e", "MAINSPRING_HOST=127.0.0.1")
    box = said(
        *(*PODMAN, "run", "--detach", *LIMITS, "--read-only", "--read-only-tmpfs=false"),
        *(*environ, *options, image, "serve"),
    ).splitlines()[-1]
    try:
        for _ in range(600):
            if ask(port, "GET", "/ping")[0] == 200:
                break
            if said(*PODMAN, "inspect", "--format", "{{.State.Running}}", box) != "true":
                pytest.fail(subprocess.run([*PODMAN, "logs", box], capture_output=True).stderr)
            time.sleep(0.1)
        yield box
    finally:
        said(*PODMAN, "rm", "--force", "--time", "5", box)


def ask(
    port: int, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> tuple[int, str, bytes]:
    """Return status, content type and body of an answer; 0 where nobody answers."""
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        asked.request(method, path, body, dict(headers or {}))
        answer = asked.getresponse()
        return answer.status, answer.headers.get("content-type", ""), answer.read()
    except OSError:
        return 0, "", b""
    finally:
        asked.close()
