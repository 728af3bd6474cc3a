"""Who calls: what every protocol asks, and what it is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """Whose a call is. Calls are visible to their principal only; principals take turns in the
    queue. ``rate``: calls a second that it may begin; ``concurrency``: calls of it that may run at
    once; None leaves them to the settings."""

    name: str
    rate: float | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request says of its caller, in every protocol. ``headers``: by name in lower case;
    ``address``: the client's, or what a proxy on this machine names; ``path``: what is asked."""

    headers: Mapping[str, str]
    address: str
    path: str

    @property
    def bearer(self) -> str:
        """The token of ``Authorization: Bearer …`` (RFC 6750); "" where there is none."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""


Authenticate = Callable[[Credentials], Principal | Awaitable[Principal]]
"""The hook: gives the principal, or raises Unauthenticated."""

ANONYMOUS = Principal("")
"""Whoever calls where nobody is asked: the id of a call is its secret."""
