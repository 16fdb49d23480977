"""Turn what a record says can be opened into links, and everything else into text.

Evidence, checks, items and findings name what shows them as ``run:ID`` or ``evidence:ID``. Such
a name may come from a script or over HTTP: it becomes an address of ours or it stays text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

import msgspec

#: kind -> (path, what the link is called)
_PAGES = {
    "run": ("/runs/{}", "the run"),
    "alarm": ("/alarms/{}", "the alarm"),
    "decision": ("/decisions?one={}", "the decision"),
    "loop": ("/loops/{}", "the loop"),
    "endpoint": ("/endpoints/{}", "the endpoint"),
    "model": ("/models/{}", "the model"),
}
#: What is shown on the page of a version: kind -> (where on it, what the link is called)
_PLACES = {
    "gate": ("gate", "the gate"),
    "card": ("card", "the card"),
    "why": ("why", "why it is"),
    "version": ("chosen", "the version"),
}
#: A path of ours: browsers take "//" and "/\" for another host.
_PATH = re.compile(r"/(?![/\\])[^\s\\]*")
_OLD_VERSION = re.compile(r"/models/([^/?#]+)/(\d+)")
_NAMED = ("/endpoints/", "/models/", "/loops/", "/runs/")


class Opens(msgspec.Struct, frozen=True):
    """Something that can be opened, or, without ``href``, only named."""

    text: str
    href: str | None = None


def opens(found: Iterable[str], subject: str = "") -> list[Opens]:
    """Return what stands behind names, each once; ``subject`` says whose gate is meant."""
    several = (one(text, subject) for text in found)
    return list({(each.text, each.href): each for each in several}.values())


def one(text: str, subject: str = "") -> Opens:
    """Return what stands behind one name.

    >>> one("run:run_1").href, one("gate:g", "flights/7").href
    ('/runs/run_1', '/models/flights?version=7#gate')
    >>> one("//elsewhere.example/x").href is None
    True
    """
    if text.startswith("/"):
        return _path(text)
    kind, mark, name = text.partition(":")
    if mark and name:
        return _named(kind, name, subject)
    return Opens(text[:120])


def _named(kind: str, name: str, subject: str) -> Opens:
    if kind in _PAGES:
        path, called = _PAGES[kind]
        return Opens(called, path.format(quote(name, safe="")))
    if kind == "evidence":
        return _evidence(name)
    if kind in _PLACES:
        place, called = _PLACES[kind]
        return Opens(called, of_version(subject if kind == "gate" else name, place))
    if kind == "artifact":
        return Opens(f"object {name[:12]}")
    return Opens(f"{kind}:{name}"[:120])


def of_version(subject: str, place: str = "chosen") -> str | None:
    """Return where ``model/number`` is shown, None if that is no version.

    >>> of_version("flights/7", "card"), of_version("project")
    ('/models/flights?version=7#card', None)
    """
    model, slash, number = subject.rpartition("/")
    if not slash or not model or not number.isdecimal():
        return None
    return f"/models/{quote(model, safe='')}?version={number}#{place}"


def of_subject(subject: str) -> str | None:
    """Return the page of what evidence or debt is about, None if it has none.

    >>> of_subject("endpoint:taxis"), of_subject("model:a b"), of_subject("project")
    ('/endpoints/taxis', '/models/a%20b', None)
    """
    kind, mark, name = subject.partition(":")
    if mark and kind in ("endpoint", "loop", "model"):
        return _PAGES[kind][0].format(quote(name, safe=""))
    return None if mark else of_version(subject)


def _evidence(name: str) -> Opens:
    kind, mark, subject = name.partition(":")
    if mark:  # the newest of a kind on a subject
        asked = f"kind={quote(kind, safe='')}&subject={quote(subject, safe='')}"
        return Opens(f"evidence, {kind.replace('_', ' ')}", f"/evidence?{asked}")
    return Opens("evidence", f"/evidence/{quote(name, safe='')}")


def _path(text: str) -> Opens:
    if not _PATH.fullmatch(text):
        return Opens(text[:120])
    version = _OLD_VERSION.fullmatch(text)
    if version:
        return Opens("the version", f"/models/{version[1]}?version={version[2]}#chosen")
    for start in _NAMED:
        if text.startswith(start) and text.count("/") == 2:
            return Opens(f"the {start.strip('/').removesuffix('s')}", text)
    return Opens(text[:60], text)
