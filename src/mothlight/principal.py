"""Who calls: what every protocol asks, and what it is told."""

from __future__ import annotations

import inspect
import logging
import re
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from .errors import Error, Internal

log = logging.getLogger("mothlight")


@dataclass(frozen=True, slots=True)
class Principal:
    """Whose a call is. Calls are visible to their principal only; principals take turns in the
    queue. ``rate``: calls a second that it may begin; ``concurrency``: calls of it that may run at
    once; None leaves them to the settings. Raises TypeError, ValueError."""

    name: str
    rate: float | None = None
    concurrency: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"a principal's name is a str, not {type(self.name).__name__}")
        if self.rate is not None and not self.rate > 0:
            raise ValueError(f"rate={self.rate}: it has to be above 0")
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError(f"concurrency={self.concurrency}: it has to be 1 or more")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request says of its caller, in every protocol. ``headers``: by name in lower case;
    ``address``: the client's, or what one of ``proxies`` names; ``path``: what is asked."""

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


def guarded(hook: Authenticate) -> Authenticate:
    """The hook, so that it gives a Principal or raises Error. What else it raises or gives is
    logged, without what the request said of its caller, and Internal raised."""
    if inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(type(hook).__call__):

        async def ask_later(credentials: Credentials) -> Principal:
            try:
                found = hook(credentials)
                return _principal(await found if isinstance(found, Awaitable) else found)
            except Error:
                raise
            except Exception as error:
                raise _failed(error, credentials) from None

        return ask_later

    def ask(credentials: Credentials) -> Principal:
        try:
            return _principal(hook(credentials))
        except Error:
            raise
        except Exception as error:
            raise _failed(error, credentials) from None

    return ask


def _principal(found: object) -> Principal:
    if isinstance(found, Principal):
        return found
    if inspect.iscoroutine(found):
        found.close()
        raise TypeError("authenticate gave a coroutine: define it with   async def")
    raise TypeError(f"authenticate gave {type(found).__name__}, and no Principal")


def _failed(error: Exception, credentials: Credentials) -> Internal:
    # A hook's KeyError quotes the token that it looked for.
    text = "".join(traceback.format_exception(error))
    said = {piece for value in credentials.headers.values() for piece in _PIECE.findall(value)}
    for piece in sorted(said, key=len, reverse=True):
        text = text.replace(piece, "[hidden]")
    log.error("authenticate failed: %s", text.rstrip())
    return Internal()


_PIECE = re.compile(r"[^\s,;=\"]{6,}")
