"""Know the installed packages again: a list of name==version and its digest."""

from __future__ import annotations

import platform
from collections.abc import Sequence

import msgspec

from mainspring.ground.environment import environment
from mainspring.ground.identity import key_of

_NO_PACKAGES = frozenset({"python", "machine"})


class Packages(msgspec.Struct, frozen=True, kw_only=True):
    """The Python a run had, and every distribution it could import."""

    python: str  #: such as "3.11.7"
    implementation: str  #: such as "CPython"
    installed: list[str]  #: name==version, by name
    digest: str  #: of all the above; equal digests mean equal environments


def read() -> Packages:
    """Return the packages of this process."""
    found = environment()
    installed = [f"{name}=={v}" for name, v in found.items() if name not in _NO_PACKAGES]
    python, kind = platform.python_version(), platform.python_implementation()
    return Packages(
        python=python,
        implementation=kind,
        installed=installed,
        digest=key_of("packages", kind, python, installed),
    )


def versions(installed: Sequence[str]) -> dict[str, str]:
    """Return versions by name.

    >>> versions(["polars==2.1.0", "six==1.17"])
    {'polars': '2.1.0', 'six': '1.17'}
    """
    return {name: version for name, _, version in (one.partition("==") for one in installed)}
