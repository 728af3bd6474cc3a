"""What is told of a call that is not, or not yet, told its answer: its status as a document."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import quote

from pydantic_core import to_json

from ..calls.base import Status
from . import http

CALLS = "/calls"
MEDIA_TYPE = b"application/vnd.mothlight.call+json"

_NOT_STORED = (b"cache-control", b"no-store")


def document(status: Status) -> dict[str, object]:
    """A status as JSON; times are RFC 3339."""
    found: dict[str, object] = {
        "id": status.id,
        "method": status.method.qualname,
        "state": status.state,
        "created": _time(status.created),
    }
    if status.ended is not None:
        found["ended"] = _time(status.ended)
    if status.method.cardinality.streams_out:
        found["items"] = status.items
    if status.problem is not None:
        found["problem"] = status.problem
    return found


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def answer(status: Status, headers: Iterable[http.Header] = ()) -> http.Answer:
    """200 with the status."""
    return http.answer(200, MEDIA_TYPE, to_json(document(status)), [_NOT_STORED, *headers])


def accepted(status: Status, headers: Iterable[http.Header], root: str) -> http.Answer:
    """202 with the status, and where to ask for more (RFC 9110, 15.3.3)."""
    where = f"{quote(root)}{CALLS}/{quote(status.id, safe='')}"
    more = [
        (b"location", where.encode()),
        _NOT_STORED,
        *headers,
    ]
    return http.answer(202, MEDIA_TYPE, to_json(document(status)), more)
