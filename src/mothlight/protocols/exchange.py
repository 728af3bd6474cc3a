"""Exchange: a request of a method over HTTP and its answer; whose it is, and how it is kept."""

from __future__ import annotations

import os
import re
import time
from typing import Any

from .. import metrics
from ..calls.base import Terms
from ..calls.identity import BITS, is_secret, public
from ..errors import MalformedRequest
from ..principal import ANONYMOUS, Principal
from ..services import Method
from ..timeline import Timeline
from . import http
from .observer import Observer

_KEY = re.compile(rb"[\x21-\x7e]{1,128}")


class Exchange:
    """A call of a method, from its request's head to its answer. ``id`` names it for its caller,
    ``name`` in the log: they differ where somebody could do something with the id."""

    __slots__ = ("client", "id", "method", "name", "observer", "prefer", "principal", "start",
                 "terms", "timeline")  # fmt: skip

    def __init__(
        self, method: Method[Any, Any, Any], client: tuple[str, int] | None = None
    ) -> None:
        self.method, self.start = method, time.monotonic()
        self.id = self.name = ""
        self.client = client
        self.principal: Principal = ANONYMOUS
        self.terms: Terms | None = None
        self.prefer = http.NO_PREFERENCE
        self.observer: Observer | None = None
        self.timeline: Timeline | None = None

    def identify(self, headers: dict[bytes, bytes]) -> None:
        """Gives it its id and its terms. Raises MalformedRequest."""
        key, latest = headers.get(b"idempotency-key"), headers.get(b"supersede-key")
        if b"prefer" in headers:
            self.prefer = http.prefer(headers[b"prefer"])
        background = self.prefer.is_async
        if key is None:
            self.id = self.name = fresh_id()
            if latest is None and not background and not self.method.cardinality.streams:
                return  # nobody learns its id before its answer
        else:
            self.id = client_key(key, "Idempotency-Key", self.principal)
        self.name = public(self.id)
        newest = "" if latest is None else client_key(latest, "Supersede-Key", self.principal)
        kept = key is not None or background
        self.terms = Terms(self.principal.name, self.id, kept, background, newest)

    @property
    def mark(self) -> list[http.Header]:
        """The header that names it, once it has a name."""
        return [(b"call-id", self.id.encode())] if self.id else []

    def end(self, code: str, status: int = 0, error: Exception | None = None) -> None:
        """Counts it: ``ok``, or one of the codes. ``status`` is its answer's, if it has one."""
        seconds = time.monotonic() - self.start
        metrics.call_ended(self.method.qualname, code, seconds)
        if self.timeline is not None and self.observer is not None:
            self.timeline.error = self.timeline.error or error
            self.observer.end(self.timeline, self.method, self.name, code, status, seconds)
            self.timeline.error = None  # its frames hold us


def client_key(key: bytes, header: str, principal: Principal) -> str:
    """A key that a client has made. Raises MalformedRequest."""
    if len(key) > 2 and key[:1] == key[-1:] == b'"':  # a structured field (RFC 9651) has quotes
        key = key[1:-1]
    if not _KEY.fullmatch(key):
        raise MalformedRequest(reason=f"{header} is 1 to 128 visible ASCII characters")
    found = key.decode()
    if not principal.name and not is_secret(found):
        raise MalformedRequest(
            reason=f"{header} is a secret here, for nobody is asked who he is: "
            f"it needs {BITS} random bits, as 32 hexadecimal digits or a UUID have them"
        )
    return found


def fresh_id() -> str:
    """A new id, which nobody can guess."""
    try:
        return _fresh.pop()
    except IndexError:
        digits = os.urandom(16 * 256).hex()  # one system call for many
        _fresh.extend(digits[at : at + 32] for at in range(32, len(digits), 32))
        return digits[:32]


_fresh: list[str] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fresh.clear)  # no two processes give out the same
