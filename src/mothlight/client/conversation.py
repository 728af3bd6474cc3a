"""Conversation: one call over WebSockets without its I/O, for methods that take a stream.

client ─ message, …, {"end": true} ─────────────────────────> server
       <─ {"call": id, "received": n}, item, {"received": n}, …, {"end": true} | {"error": …} ─
lost: again with the same key, with the messages after n, for the items after the last one
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from websockets.exceptions import ConnectionClosed, InvalidStatus

from .. import control
from ..codec.json import inline
from ..media.file import MEDIA_TYPES, OCTETS, sniff
from ..schema import MediaType, Payload
from . import body
from .answer import Answer
from .errors import UnexpectedAnswer
from .exchange import Exchange
from .outbox import Frame, Outbox
from .patience import SLACK

O = TypeVar("O")  # noqa: E741

CLOSE_TIME = 1.0
"""Seconds that the end of a connection may take."""

_log = logging.getLogger("mothlight.client.socket")
_log.setLevel(logging.CRITICAL)  # to the library a torn connection is an error, with a traceback

_TOO_LARGE = 1009


class Conversation(Generic[O]):
    """What a socket's frames mean. ``ended``: the last item has come."""

    def __init__(self, exchange: Exchange[O], http: Mapping[str, Any]) -> None:
        self.exchange, self._http = exchange, http
        self.outbox = Outbox()
        self.ended = False
        self._answer = Answer(101, {})

    # Connecting

    @property
    def url(self) -> str:
        return "ws" + self.exchange.url.removeprefix("http")

    def connecting(self) -> dict[str, Any]:
        """The arguments of the next connection. Raises DeadlineExceeded where no time is left for
        it, Superseded."""
        exchange, options = self.exchange, self.exchange.options
        exchange.check(0.0)
        headers = {**options.sent(), **exchange.begin()}
        if exchange.received:
            headers["Last-Event-ID"] = str(exchange.received)
        arguments: dict[str, Any] = {
            "additional_headers": headers,
            "subprotocols": ["mothlight.v1"],
            "compression": None,  # models send what is small, or is compressed
            "open_timeout": min(exchange.patience.bound("connect") or options.idle, options.idle),
            "close_timeout": CLOSE_TIME,
            "ping_interval": options.idle / 2,
            "ping_timeout": options.idle / 2,
            "max_size": options.max_answer,
            "logger": _log,
            "proxy": True if self._http.get("trust_env", True) else None,
        }
        if self.url.startswith("wss:") and (context := _context(self._http.get("verify", True))):
            arguments["ssl"] = context
        return arguments

    @property
    def seconds(self) -> float | None:
        """How long to wait for the next frame; the pings see to a connection that is dead."""
        left = self.exchange.patience.left()
        return None if left is None else max(0.001, left + SLACK)

    # What is said

    def encode(self, message: Any) -> Frame:
        """A message's frame: a file as it is where that says all of it, else JSON. Raises
        InvalidRequest, and what its files raise."""
        payload = body.payload(self.exchange.method, message)
        node = self.exchange.method.input.node
        if isinstance(node, MediaType) and len(payload.media) == 1:
            data, kind, name = payload.media[0]
            plain = kind in (None, OCTETS, MEDIA_TYPES.get(sniff(data)))
            if name is None and (node.kind != "file" or plain):
                return data
        return inline(payload).decode()

    def greet(self, frame: Frame) -> None:
        """The first frame of a connection. Raises the call's error."""
        found = control.read(frame, control.FROM_SERVER)
        if "call" not in found:
            self._told(found, frame)
            raise self._odd("this is not the greeting of a Mothlight server", frame)
        if self.exchange.is_open and found["received"] < self.outbox.confirmed:
            raise self.exchange.cut("the server does not have the call any more")
        self._received(found, frame, self.outbox.rewind)
        self.exchange.is_open = True

    def take(self, frame: Frame) -> tuple[O, ...]:
        """The item that a frame is, if it is one. Raises the error that the call ended with."""
        self.exchange.check()
        if self._told(control.read(frame, control.FROM_SERVER), frame):
            return ()
        if isinstance(frame, str):
            payload = Payload(frame.encode())
        elif isinstance(self.exchange.method.output.node, MediaType):
            payload = Payload(b'{"$media":0}', ((frame, None, None),))
        else:
            raise self._odd("a file came where none is due", frame)
        item = self.exchange.decode(payload, self._answer)
        self.exchange.received += 1
        self.exchange.patience.progress()
        return (item,)

    def _told(self, found: dict[str, Any], frame: Frame) -> bool:
        """Whether a frame was one of control."""
        if "end" in found:
            self.ended = True
            self.exchange.over()
        elif "error" in found:
            self.exchange.over()
            raise self.exchange.error(found["error"], self._answer)
        elif found:
            self._received(found, frame, self.outbox.confirm)
        else:
            return False
        return True

    def _received(self, found: dict[str, Any], frame: Frame, confirm: Any) -> None:
        before = self.outbox.confirmed
        try:
            confirm(found["received"])
        except ValueError as error:
            raise self._odd(f"the server says that it has {error}", frame) from None
        if self.outbox.confirmed > before:
            self.exchange.patience.progress()

    def _odd(self, reason: str, frame: Frame) -> UnexpectedAnswer:
        content = frame.encode() if isinstance(frame, str) else frame
        return self.exchange.unexpected(reason, self._answer._replace(content=content))

    # What came of it

    def lost(self, error: Exception | None) -> float:
        """The connection failed, or was refused: seconds until the next, or the call's error."""
        if isinstance(error, InvalidStatus):
            response = error.response
            content = bytes(response.body or b"")
            return self.exchange.refused(Answer(response.status_code, response.headers, content))
        if isinstance(error, ConnectionClosed) and error.sent and error.sent.code == _TOO_LARGE:
            limit = self.exchange.options.max_answer
            raise self.exchange.cut(f"an item is longer than {limit} bytes") from error
        return self.exchange.lost(error)


def _context(verify: Any) -> ssl.SSLContext | None:
    if isinstance(verify, ssl.SSLContext):
        return verify
    if verify:
        return None
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
