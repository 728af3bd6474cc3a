"""Callers: who makes a request, by what it says of him and by where it comes from; one rule for all
protocols."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Sequence
from functools import lru_cache

from ..principal import ANONYMOUS, Authenticate, Credentials, Principal
from . import http

Client = tuple[str, int] | None
"""Address and port of the other end of a connection, where it has any."""

_FORWARDED = 256
"""Bytes at the end of an ``X-Forwarded-For`` that are looked at; strangers write its beginning."""


class Callers:
    """``authenticate`` is the hook, None where nobody is asked. ``proxies`` are the addresses and
    networks whose ``X-Forwarded-For`` is believed."""

    def __init__(self, authenticate: Authenticate | None, proxies: Sequence[str]) -> None:
        self.authenticate = authenticate
        self._proxies = [ipaddress.ip_network(proxy, strict=False) for proxy in proxies]
        self._is_proxy = lru_cache(4096)(self._is_proxy_uncached)
        self._named = lru_cache(4096)(self._named_uncached)

    async def principal(self, client: Client, headers: dict[bytes, bytes], path: str) -> Principal:
        """Who makes a request. Raises Unauthenticated, or what else the hook raises."""
        found = self.ask(client, headers, path)
        return await found if isinstance(found, Awaitable) else found

    def ask(
        self, client: Client, headers: dict[bytes, bytes], path: str
    ) -> Principal | Awaitable[Principal]:
        """The same, as the hook gives it."""
        if self.authenticate is None:
            return ANONYMOUS
        said = Credentials(http.Headers(headers), self.peer(client, headers), path)
        return self.authenticate(said)

    def peer(self, client: Client, headers: dict[bytes, bytes]) -> str:
        """Where a request comes from: the client's address; of a proxy, the last address that it
        names and that is no proxy's, too."""
        host = client[0] if client else ""
        if (named := headers.get(b"x-forwarded-for")) is not None and self._is_proxy(host):
            return self._named(named[-_FORWARDED:]) or host
        return host

    def network(self, client: Client, headers: dict[bytes, bytes]) -> str:
        """The ``peer`` as others are told apart from it: in IPv6 by its network."""
        address = self.peer(client, headers)
        return _network(address) if ":" in address else address

    def _is_proxy_uncached(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:  # a name, or a Unix socket's nothing
            return False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in self._proxies)

    def _named_uncached(self, named: bytes) -> str:
        hosts = [_without_port(entry.strip()) for entry in named.decode("latin-1").split(",")]
        return next((host for host in reversed(hosts) if not self._is_proxy(host)), "")[:64]


def _without_port(address: str) -> str:
    if address.startswith("["):  # RFC 3986, 3.2.2
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


@lru_cache(maxsize=4096)
def _network(address: str) -> str:
    """The /64 of an IPv6 address, which the smallest customer has for itself (RFC 6177)."""
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if mapped := found.ipv4_mapped:
        return str(mapped)
    return str(ipaddress.IPv6Network((found, 64), strict=False))
