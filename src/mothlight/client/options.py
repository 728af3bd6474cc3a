"""Options: how calls are made, for a client or for some of its calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypedDict
from urllib.parse import quote

import httpx2

from . import body
from .errors import ConnectionFailed
from .newest import Newest

Timeout = float | Literal["auto"] | None
Token = str | Callable[[], str] | None

MEBI = 1024 * 1024
RETRIES = 4


class Changes(TypedDict, total=False):
    """What ``with_options`` changes; see ``Options``."""

    timeout: Timeout
    headers: Mapping[str, str]
    progress: body.Progress | None
    retries: int
    idle: float
    max_answer: int
    token: Token
    priority: int | None
    supersede: str


@dataclass(frozen=True)
class Options:
    """How calls are made.

    ``timeout``: seconds of a call with all its tries and all of its stream; it reaches the server.
    "auto" is 60 for a call with one answer and none for a stream, None is none. ``headers``: sent
    with every call. ``progress(sent, total)``: bytes of the body (from 0 again at another try).
    ``retries``: further tries, one after the other without anything coming of them, after a lost
    connection or where the server has more work than it can do; each has the call's own key, so
    that the model runs once. A call that the server has (a stream that is open, the result of one
    in the background) is tried for 30 s at least, unless ``retries`` is 0.
    ``idle``: seconds of silence after which a connection counts as lost (servers send a heartbeat
    every 15 s on a stream; of a call with one answer they are asked whether it goes on).
    ``max_answer``: bytes of an answer, or of one item.

    ``token``: sent as ``Authorization: Bearer``; a function is asked for each request, and once
    more where the server refuses what it gave (401).
    ``priority``: 0, the first of this caller's own, to 7, behind everybody's; 3 is usual.
    ``supersede``: a name for calls of which only the newest matters ("search-box"): it ends the one
    before with ``Superseded``.
    """

    timeout: Timeout = "auto"
    headers: Mapping[str, str] = field(default_factory=dict)
    progress: body.Progress | None = None
    retries: int = RETRIES
    idle: float = 45.0
    max_answer: int = 256 * MEBI
    token: Token = None
    priority: int | None = None
    supersede: str = ""
    newest: Newest = field(default_factory=Newest, repr=False)
    """Of this client."""

    def __post_init__(self) -> None:
        if self.priority is not None and self.priority not in range(8):
            raise ValueError(f"priority={self.priority!r}: it is 0 (first) to 7 (last)")
        if len(quote(self.supersede)) > 90:
            raise ValueError("supersede is a short name, as search-box")

    def changed(self, changes: Changes) -> Options:
        """These options with some changed; headers are added."""
        if "headers" in changes:
            changes = {**changes, "headers": {**self.headers, **changes["headers"]}}
        return replace(self, **changes)

    def seconds(self, is_stream: bool) -> float | None:
        """The time of a call; None is no bound."""
        if self.timeout == "auto":
            return None if is_stream else 60.0
        return self.timeout

    def sent(self) -> dict[str, str]:
        """The headers of a request that these options are."""
        found: dict[str, str] = {}
        if self.token is not None:
            token = self.token if isinstance(self.token, str) else self.token()
            found["Authorization"] = f"Bearer {token}"
        if self.priority is not None:
            found["Priority"] = f"u={self.priority}"
        return {**found, **self.headers}

    @property
    def supersede_key(self) -> str:
        """The key as the server is told it; "" where there is none."""
        return self.supersede and f"{self.newest.secret}/{quote(self.supersede)}"


def address(url: str) -> str:
    """A server's address without its last slash. Raises ConnectionFailed where it is none."""
    try:
        parsed = httpx2.URL(url)
    except (httpx2.InvalidURL, TypeError) as error:
        reason = str(error)
    else:
        if parsed.scheme in ("http", "https") and parsed.host:
            return url.rstrip("/")
        reason = "this is no address"
    hint = "write   http://host:port"
    raise ConnectionFailed(url=str(url), reason=reason, hint=hint)
