"""Write the Containerfile of an image, and what its builder is not sent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from mainspring.ground.clock import iso
from mainspring.ground.errors import BadInputError
from mainspring.ground.records import Record
from mainspring.ground.version import __version__

UID = 10_001
_BASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/\-]{0,254}(@sha256:[0-9a-f]{64})?")
_TOOL, _VENV = "/build/tool", "/opt/mainspring/python"

#: Nothing that is not written by us goes into an image, whatever lies about in the folder.
IGNORE = """# Only what the Containerfile copies is sent to the builder.
*
!requirements.txt
!own.txt
!wheels
!model
!project
!sbom.cdx.json
**/__pycache__
**/*.pyc
"""


class Image(Record, frozen=True, kw_only=True):
    """What one image is."""

    title: str  #: such as flights/7
    base: str  #: image that it stands on, by digest where that is known
    python: str  #: the interpreter that is in it, such as 3.11
    created: float
    labels: dict[str, str] = {}  #: beside those of every image
    copies: dict[str, str] = {}  #: what of the folder goes where
    environ: dict[str, str] = {}
    entry: list[str]
    command: list[str]
    health: list[str] = []  #: none: what it does ends, and says by its exit code how it went
    port: int | None = None
    volumes: list[str] = []
    folder: str = "/"  #: where its command begins


def default_base(python: str) -> str:
    """Return the image that is built upon if none is named.

    >>> default_base("3.11")
    'docker.io/library/python:3.11-slim-bookworm'
    """
    return f"docker.io/library/python:{python}-slim-bookworm"


def check_base(base: str) -> str:
    """Return the name of an image to build upon.

    Raises:
        BadInputError: if it is none.
    """
    if _BASE.fullmatch(base) is None:
        raise BadInputError(
            f"{base[:200]!r} is no image to build upon.",
            field="base",
            hint="Such as docker.io/library/python:3.11-slim-bookworm@sha256:... with its digest.",
        )
    return base


def is_pinned(base: str) -> bool:
    """Return whether an image is named by its digest."""
    return "@sha256:" in base


def containerfile(image: Image) -> str:
    """Return the text: packages are installed in one stage, and only they go into the next."""
    told = [
        f"# {_plain(image.title)}, written by mainspring {__version__}: always the same text.",
        "# Build it: see README.md. The base has python3 with venv and ensurepip.",
        f"# For Python {image.python}.",
    ]
    if not is_pinned(image.base):
        told += [
            "# NOT PINNED: the digest of the base is not known here, so another build may",
            "# stand on another base. Name it with --base NAME@sha256:DIGEST.",
        ]
    return "\n".join([*told, "", *_packages(image), "", *_image(image), ""])


def _packages(image: Image) -> list[str]:
    # Configuration of pip and certificates come as secrets: they are in no layer.
    secrets = (
        "RUN --mount=type=secret,id=pip,target=/run/secrets/pip.conf,mode=0444"
        " --mount=type=secret,id=certificates,target=/run/secrets/certificates.crt,mode=0444"
    )
    return [
        f"FROM {image.base} AS packages",
        "WORKDIR /build",
        "COPY requirements.txt own.txt ./",
        "COPY wheels ./wheels",
        f"ENV SOURCE_DATE_EPOCH={int(image.created)} PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1"
        " PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore",
        f"{secrets} \\",
        "    if [ -s /run/secrets/pip.conf ]; then"
        " export PIP_CONFIG_FILE=/run/secrets/pip.conf; fi; \\",
        "    if [ -s /run/secrets/certificates.crt ]; then"
        " export PIP_CERT=/run/secrets/certificates.crt; fi; \\",
        # All of them are there, or they come from the index: never some from one of that name.
        "    if [ -e wheels/COMPLETE ]; then export PIP_NO_INDEX=1; fi; \\",
        f"    python3 -m venv {_TOOL} \\",
        f" && python3 -m venv --without-pip {_VENV} \\",
        f" && {_TOOL}/bin/python -m pip --python {_VENV}/bin/python install --no-deps"
        " --only-binary :all: --find-links wheels --requirement requirements.txt \\",
        f" && {_TOOL}/bin/python -m pip --python {_VENV}/bin/python install --no-deps --no-index"
        " --require-hashes --requirement own.txt",
    ]


def _image(image: Image) -> list[str]:
    labels = {
        "org.opencontainers.image.title": image.title,
        "org.opencontainers.image.created": iso(image.created),
        "org.opencontainers.image.base.name": image.base.partition("@")[0],
        **({"org.opencontainers.image.base.digest": image.base.partition("@")[2]}
           if is_pinned(image.base) else {}),
        **image.labels,
    }  # fmt: skip
    environ = {
        "PATH": f"{_VENV}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": "/tmp",  # noqa: S108  the one folder that is there for everybody
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **image.environ,
    }
    out = [
        f"FROM {image.base}",
        *(f"LABEL {key}={_quoted(value)}" for key, value in sorted(labels.items())),
        f"COPY --from=packages {_VENV} {_VENV}",
        *(f"COPY {source} {target}" for source, target in sorted(image.copies.items())),
        "COPY sbom.cdx.json /opt/mainspring/sbom.cdx.json",
        *(f"ENV {key}={_quoted(value)}" for key, value in sorted(environ.items())),
    ]
    for place in image.volumes:
        out += [f"RUN mkdir -p {place} && chown {UID}:{UID} {place}", f"VOLUME {place}"]
    out += [f"WORKDIR {image.folder}"] if image.folder != "/" else []
    out += [f"USER {UID}:{UID}"]
    out += [f"EXPOSE {image.port}"] if image.port is not None else []
    out += [
        "STOPSIGNAL SIGTERM",
        "HEALTHCHECK --interval=15s --timeout=4s --start-period=30s --retries=3"
        f" CMD {json.dumps(image.health)}"
        if image.health
        else "HEALTHCHECK NONE",
        f"ENTRYPOINT {json.dumps(image.entry)}",
        f"CMD {json.dumps(image.command)}",
    ]
    return out


def _quoted(value: str) -> str:
    """Return a value as the file has it: in quotes, nothing of it a variable."""
    return '"' + re.sub(r'(["\\$])', r"\\\1", _plain(value)) + '"'


def _plain(text: str) -> str:
    """Return a text in one line, so that nothing of it begins an instruction."""
    return "".join(c if c.isprintable() else " " for c in text)


def labels_of(told: Mapping[str, str | None]) -> dict[str, str]:
    """Return labels of ours that say something, below one name.

    >>> labels_of({"run": "run_1", "commit": None})
    {'io.mainspring.run': 'run_1'}
    """
    return {f"io.mainspring.{key}": value for key, value in told.items() if value}
