"""The typed client: a service's own class, or its contract alone, as calls over HTTP.

    with Client("http://127.0.0.1:8000") as client:
        client.of(Sentiment).analyze(Review(text="fine"))     # -> Verdict, by the class
        client.call(Sentiment.analyze, Review(text="fine"))   # the same
        client.of("Sentiment").analyze(text="fine")           # by the server's contract alone

All but the I/O is shared by ``Client`` and ``AsyncClient``:

    message ─body─> query | JSON | multipart ─exchange, patience─> requests, tries, deadline
            ─sync, aio─> HTTP ─exchange─> message | Error     ─sse, items─> items of a stream
"""

from __future__ import annotations

try:
    import httpx2  # noqa: F401
except ImportError as error:
    raise ImportError(
        'the client needs httpx2:   pip install "mothlight[client]"', name="httpx2"
    ) from error

from .aio import AsyncClient
from .errors import ConnectionFailed, StreamCut, UnexpectedAnswer, UnknownName
from .operation import AsyncOperation, Operation, Status
from .sync import Client

__all__ = [
    "AsyncClient",
    "AsyncOperation",
    "Client",
    "ConnectionFailed",
    "Operation",
    "Status",
    "StreamCut",
    "UnexpectedAnswer",
    "UnknownName",
]
