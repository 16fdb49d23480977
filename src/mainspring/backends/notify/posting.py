"""Post to a URL that somebody gave: signed, in time, and never inward.

An address is resolved once, every address it has is looked at, and the connection goes to the
one that was looked at: a name that is resolved again cannot lead elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Mapping, Sequence

import msgspec

from mainspring.ground.errors import BadInputError, UnavailableError

TIMEOUT_S = 10.0
MOST_ANSWER = 10_000  #: bytes of an answer that are read
#: Statuses below 500 after which another try may do better.
AGAIN = (408, 425, 429)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a receiver said."""

    status: int
    body: str


def signature(secret: str, delivery: str, timestamp: str, body: bytes) -> str:
    """Return how receivers know that a delivery is ours: HMAC-SHA256 over id, time and body."""
    signed = f"{delivery}.{timestamp}.".encode() + body
    made = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(made).decode()}"


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    allowed: Sequence[str],
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """Send JSON and return the answer. Redirects and proxies are not followed.

    Raises:
        BadInputError: if the address is one of this network's and not ``allowed``.
        UnavailableError: if nobody answers in time.
    """
    import httpx

    target = httpx.URL(check_url(url))
    address = _address(target.host, target.port or _port(target.scheme), allowed)
    told = {"Host": target.netloc.decode(), "Content-Type": "application/json", **headers}
    try:
        with (
            httpx.Client(trust_env=False, timeout=timeout_s) as client,
            client.stream(
                "POST",
                target.copy_with(host=address),
                content=body,
                headers=told,
                extensions={"sni_hostname": target.host},
            ) as reply,
        ):
            held = b""
            for part in reply.iter_bytes():
                held += part
                if len(held) >= MOST_ANSWER:
                    break
            return Answer(
                status=reply.status_code, body=held[:MOST_ANSWER].decode(errors="replace")
            )
    except httpx.HTTPError as error:
        raise UnavailableError(f"{target.host} does not answer: {error}.") from error


def accepted(answer: Answer, host: str) -> str:
    """Return what a receiver that took a delivery said, in short.

    Raises:
        UnavailableError: if another try may do better.
        BadInputError: if it refused.
    """
    if answer.status >= 500 or answer.status in AGAIN:
        raise UnavailableError(f"{host} answered {answer.status}.")
    if answer.status >= 300:
        raise BadInputError(f"{host} answered {answer.status}: {answer.body[:200]}")
    return f"{answer.status}"


def check_url(url: str) -> str:
    """Return a URL that deliveries may go to.

    Raises:
        BadInputError: if it is none, or none of HTTP.
    """
    import httpx

    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise BadInputError(f"Invalid webhook URL: {error}", field="url") from error
    if target.scheme not in ("http", "https"):
        raise BadInputError(
            f"Invalid webhook URL scheme: '{target.scheme}'. Allowed schemes are: https, http.",
            field="url",
        )
    if not target.host or target.userinfo:
        raise BadInputError("A webhook's URL names a host, and no user or password.", field="url")
    return url


def refuse_inward(url: str, allowed: Sequence[str]) -> None:
    """Refuse a URL that leads to this network; a name that nobody knows now is let pass.

    Raises:
        BadInputError: if it does, and is not allowed.
    """
    import httpx

    target = httpx.URL(check_url(url))
    try:
        _address(target.host, target.port or _port(target.scheme), allowed)
    except UnavailableError:
        return  # each delivery looks again


def _address(host: str, port: int, allowed: Sequence[str]) -> str:
    """Return an address of a host that may be connected to."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnavailableError(f"Nobody knows the host {host}: {error}.") from error
    addresses = [str(one[4][0]) for one in found]
    if host in allowed or f"{host}:{port}" in allowed:
        return addresses[0]
    for address in addresses:
        if not is_outside(address):
            raise BadInputError(
                f"{host} is {address}, an address of this network, and no delivery goes there.",
                field="url",
                hint=f"Allow it in the settings: webhook_hosts = ['{host}'].",
            )
    return addresses[0]


def is_outside(address: str) -> bool:
    """Return whether an address is one of the open internet.

    >>> [is_outside(a) for a in ("93.184.216.34", "10.0.0.1", "169.254.169.254", "::1")]
    [True, False, False, False]
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    # The IPv4 address inside is where packets to these would end.
    inner = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
    both = [ip] if inner is None else [ip, inner]
    return all(one.is_global and not one.is_multicast for one in both)


def _port(scheme: str) -> int:
    return 443 if scheme == "https" else 80
