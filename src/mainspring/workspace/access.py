"""Who is asking? The one place that answers, for API, wire, endpoints and pages."""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mainspring.ground.errors import PermissionDeniedError, UnauthenticatedError
from mainspring.ground.permissions import Permission, Principal, owner, service
from mainspring.ground.settings import Settings
from mainspring.workspace import peers, tokens
from mainspring.workspace.opening import Workspace

#: A revocation reaches every process within a second: nothing is believed for longer.
BELIEVED_S = 0.5
_LOCAL = {"127.0.0.1", "localhost", "::1", "[::1]"}


class Gatekeeper:
    """Admits a request as a principal, or refuses it.

    Before the first token exists, a loopback connection is the owner's when it comes from the
    owner's own uid or brings the secret kept in ``run/secret``. After the first token, tokens
    alone.
    """

    def __init__(self, workspace: Workspace, hosts: frozenset[str] = frozenset()) -> None:
        self._workspace = workspace.acting_as(service("access"))
        self._hosts = _LOCAL | {host.lower() for host in hosts}
        self._secret = read_secret(workspace.home)
        self._known: dict[str, tuple[float, Principal | None]] = {}
        self._tokens: tuple[float, bool] = (-1.0, False)
        self._lock = threading.Lock()

    def admit(self, scope: Mapping[str, Any]) -> Principal:
        """Return who sends the request that an ASGI scope describes.

        Raises:
            PermissionDeniedError: for a foreign Host or Origin.
            UnauthenticatedError: if nobody known is asking.
        """
        headers = {k: v for k, v in scope["headers"] if k in _READ}
        self.check_site(headers)
        shown = headers.get(b"authorization", b"").decode("latin-1")
        if shown.lower().startswith("bearer "):
            return self._by_token(shown[7:].strip())
        if b"x-amz-security-token" in headers:
            # A client of AWS has one place for a secret that it sends as it is: the token of its
            # session. What it signs with is not known here, and is not checked.
            return self._by_token(headers[b"x-amz-security-token"].decode("latin-1").strip())
        if b"x-mainspring-secret" in headers or not self._tokens_exist():
            return self._by_ownership(scope, headers)
        raise UnauthenticatedError(
            "This server asks for a token.",
            hint="Send 'Authorization: Bearer TOKEN', or set MAINSPRING_TOKEN.",
        )

    def check_site(self, headers: Mapping[bytes, bytes]) -> None:
        """Refuse a Host or an Origin that is not ours, whatever the method."""
        host = headers.get(b"host", b"").decode("latin-1")
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if name.lower() not in self._hosts:
            raise PermissionDeniedError(f"The host {host[:100]!r} is not one of this server's.")
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").partition("://")[2] != host:
            raise PermissionDeniedError(
                f"A page from {origin.decode('latin-1')[:100]!r} may not use this server."
            )

    def _by_token(self, secret: str) -> Principal:
        now = self._workspace.clock.now()
        known = self._known.get(secret)
        if known is None or not 0 <= now - known[0] < BELIEVED_S:
            who = self._workspace.read(Permission.READ, lambda tx: tokens.verify(tx, secret, now))
            with self._lock:
                if len(self._known) > 1000:  # strangers must not fill our memory
                    self._known.clear()
                self._known[secret] = known = (now, who)
        if known[1] is None:
            raise UnauthenticatedError(
                "The token is unknown, expired or revoked.",
                hint="Ask an admin: mainspring token create NAME --role ROLE",
            )
        return known[1]

    def _by_ownership(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> Principal:
        shown = headers.get(b"x-mainspring-secret", b"")
        if self._tokens_exist():
            raise UnauthenticatedError(
                "This server has tokens; the owner's secret no longer counts.",
                hint="Send 'Authorization: Bearer TOKEN'.",
            )
        if shown and hmac.compare_digest(shown, self._secret.encode()):
            return owner()
        uid = scope.get("state", {}).get("peer_uid", peers.UNKNOWN)
        if uid == peers.UNKNOWN:
            uid = peers.uid_of(scope.get("client"), scope.get("server"))
        if uid == os.getuid():
            return owner()
        raise UnauthenticatedError(
            "Only the owner of this home may connect while there are no tokens.",
            hint="Connect as the same user, send the secret in run/secret as"
            " X-Mainspring-Secret, or make a token: mainspring token create NAME --role ROLE",
        )

    def _tokens_exist(self) -> bool:
        now = self._workspace.clock.now()
        at, there = self._tokens
        # Once there are tokens there always are: only their absence is asked again.
        if not there and not 0 <= now - at < BELIEVED_S:
            there = self._workspace.read(Permission.READ, tokens.exist)
            self._tokens = (now, there)
        return there


_READ = {b"authorization", b"host", b"origin", b"x-amz-security-token", b"x-mainspring-secret"}


def own_names(settings: Settings, host: str | None = None) -> frozenset[str]:
    """Return the names of this server besides localhost: where it listens, and ``hosts``.

    >>> sorted(own_names(Settings(root="/", home="/h", host="0.0.0.0", hosts=["ml.lan"])))
    ['ml.lan']
    """
    host = host or settings.host
    names = set(settings.hosts)
    if host not in ("0.0.0.0", "::"):  # noqa: S104
        # An IPv6 address stands in brackets where a port may follow.
        names.add(f"[{host}]" if ":" in host else host)
    return frozenset(names)


def read_secret(home: Path) -> str:
    """Return the owner's secret of a home, made on first need and readable by the owner alone."""
    file = home / "run" / "secret"
    if not file.exists():
        mine = file.with_name(f"secret.{secrets.token_hex(8)}")
        mine.touch(mode=0o600)
        mine.write_text(secrets.token_urlsafe(32), "ascii")
        with contextlib.suppress(FileExistsError):
            os.link(mine, file)  # whole or not at all; the first of several wins
        mine.unlink()
    return file.read_text("ascii").strip()
