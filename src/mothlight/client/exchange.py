"""One call without its I/O: the request, whether to try again, and what the answer means."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, TypedDict, TypeVar
from uuid import uuid4

import httpx2
from pydantic_core import from_json

from ..errors import DeadlineExceeded, Error, InvalidRequest
from ..schema import MediaType, Nothing, Payload
from ..service import Method
from . import body, sse
from .errors import ConnectionFailed, StreamCut, UnexpectedAnswer

O = TypeVar("O")  # noqa: E741
E = TypeVar("E", bound=Error)

Timeout = float | Literal["auto"] | None
MEBI = 1024 * 1024
SLACK = 0.5
"""Seconds that we wait beyond the deadline, so that the server's own word on it can arrive."""
LONGEST_PAUSE = 30.0
CONNECT_TIMEOUT = 10.0
MAX_PROBLEM = MEBI


class Changes(TypedDict, total=False):
    """What ``with_options`` changes; see ``Options``."""

    timeout: Timeout
    headers: Mapping[str, str]
    progress: body.Progress | None
    retries: int
    idle: float
    max_answer: int


@dataclass(frozen=True)
class Options:
    """How calls are made.

    ``timeout``: seconds of a call with all its tries and all of its stream; it reaches the server.
    "auto" is 60 for a unary call and none for a stream, None is none. ``headers``: sent with every
    call. ``progress(sent, total)``: bytes of the body (from 0 again at another try). ``retries``:
    further tries where the server cannot have begun: the connection was refused, or it answered
    503 with Retry-After before any work. ``idle``: seconds of silence after which a stream counts
    as dead (servers send a heartbeat every 15 s). ``max_answer``: bytes of an answer or an event.
    """

    timeout: Timeout = "auto"
    headers: Mapping[str, str] = field(default_factory=dict)
    progress: body.Progress | None = None
    retries: int = 2
    idle: float = 45.0
    max_answer: int = 256 * MEBI

    def changed(self, changes: Changes) -> Options:
        """These options with some changed; headers are added."""
        if "headers" in changes:
            changes = {**changes, "headers": {**self.headers, **changes["headers"]}}
        return replace(self, **changes)


class Exchange(Generic[O]):
    """One call. A driver sends ``request()``, and asks ``lost`` or ``refused`` what to do about a
    failure: they raise the call's error, or give the seconds to wait before another try.

    Raises InvalidRequest at once where the message does not fit the method.
    """

    def __init__(
        self, url: str, method: Method[Any, O, Any], message: Any, options: Options
    ) -> None:
        self.url = url + method.path
        self.method, self.options = method, options
        self.streams = method.cardinality.streams_out
        if method.cardinality.streams_in:
            reason = "takes a stream of messages, which REST cannot carry"
            raise InvalidRequest(errors=[{"path": method.name, "message": reason}])
        self.body = body.encode(method, message)
        self.id = uuid4().hex
        self.tries = 0
        seconds = options.timeout
        if seconds == "auto":
            seconds = None if self.streams else 60.0
        self.deadline = None if seconds is None else time.monotonic() + seconds

    # Time

    def left(self) -> float | None:
        """Seconds until the deadline; None without one."""
        return None if self.deadline is None else self.deadline - time.monotonic()

    def check(self) -> None:
        """Raises DeadlineExceeded when the deadline is over, and the slack with it."""
        if (left := self.left()) is not None and left + SLACK <= 0:
            raise self.mark(DeadlineExceeded())

    def _pause(self, seconds: float) -> bool:
        left = self.left()
        fits = seconds <= LONGEST_PAUSE and (left is None or seconds < left)
        again = fits and self.tries < self.options.retries
        self.tries += again
        return again

    # Asking

    def request(self, http: httpx2.Client | httpx2.AsyncClient) -> httpx2.Request:
        """The request of the next try. Raises DeadlineExceeded where no time is left for it."""
        left = self.left()
        if left is not None and left <= 0:
            raise self.mark(DeadlineExceeded())
        headers = {
            "Accept": "text/event-stream" if self.streams else "*/*",
            "Accept-Encoding": "identity",
            "Idempotency-Key": self.id,
            **self.options.headers,
        }
        if left is not None:
            headers["Request-Timeout"] = f"{left:.3f}"
        content: Any = None
        if self.body.content_type:
            headers["Content-Type"] = self.body.content_type
            headers["Content-Length"] = str(self.body.length)
            upload = body.Upload(self.body, self.options.progress)
            content = upload if isinstance(http, httpx2.Client) else body.AsyncUpload(upload)
        url = f"{self.url}?{self.body.query}" if self.body.query else self.url
        return http.build_request(
            self.method.verb,
            url,
            headers=headers,
            content=content,
            extensions={"timeout": _Patience(self)},
        )

    # What came of it

    def lost(self, error: Exception) -> float:
        """The connection failed before an answer: seconds until the next try, or its error."""
        if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
            seconds = random.uniform(0.05, 0.1) * float(2**self.tries)
            if self._pause(seconds):
                return seconds
        raise self.failure(error) from error

    def failure(self, error: Exception) -> Error:
        """The error that a failed connection means."""
        left = self.left()
        waited = isinstance(error, httpx2.TimeoutException)
        if waited and left is not None and left + SLACK <= 0.05:
            return self.mark(DeadlineExceeded())
        reason = str(error) or type(error).__name__
        hint = next((hint for word, hint in _HINTS if word in reason), _HINT)
        return self.mark(ConnectionFailed(url=self.url, reason=reason, hint=hint))

    def refused(self, response: httpx2.Response, content: bytes) -> float:
        """The server answered with an error: seconds until the next try, or that error."""
        problem = None
        if _media_type(response) == "application/problem+json":
            problem = _as_problem(content)
        wait = response.headers.get("retry-after", "")
        # "Unavailable" may come in the middle of the work (its worker died); all other 503s of
        # ours, and a proxy's, are said before any.
        begun = (problem or {}).get("type") == "Unavailable"
        if response.status_code == 503 and wait.isdigit() and not begun:
            seconds = float(wait[:9]) * random.uniform(1.0, 1.25)
            if self._pause(seconds):
                return seconds
        if problem is not None:
            raise self.mark(Error.from_problem(problem, self.method.raises), response)
        raise self.unexpected("this is not the answer of a Mothlight server", response, content)

    def result(self, response: httpx2.Response, content: bytes) -> O:
        """The message of an answer."""
        node = self.method.output.node
        kind = _media_type(response)
        if isinstance(node, Nothing):
            return self.decode(Payload(b"null"), response)
        if isinstance(node, MediaType):
            payload = Payload(b'{"$media":0}', ((content, kind, None),))
        elif kind == "application/json":
            payload = Payload(content)
        else:
            raise self.unexpected("the answer is not JSON", response, content)
        return self.decode(payload, response)

    def decode(self, payload: Payload, response: httpx2.Response) -> O:
        """The message of a payload; UnexpectedAnswer where it does not fit."""
        try:
            return self.method.output.decode(payload)
        except Exception as error:
            # Told apart from a fault of the request: the server is of another version, or none.
            reason = f"the answer does not fit {self.method.qualname}: {error}"
            raise self.unexpected(reason, response, payload.json) from error

    def unexpected(
        self, reason: str, response: httpx2.Response, content: bytes | bytearray
    ) -> UnexpectedAnswer:
        """The error of an answer that is none of ours."""
        return self.mark(
            UnexpectedAnswer(
                reason=reason,
                answered=response.status_code,
                media_type=_media_type(response) or "no content type",
                start=content[:800].decode("utf-8", "replace")[:200],
            ),
            response,
        )

    def mark(self, error: E, response: httpx2.Response | None = None) -> E:
        """The error with the call's id."""
        error.call_id = response.headers.get("call-id", self.id) if response else self.id
        return error


class Collector:
    """The bytes of an answer, bounded in size and time."""

    def __init__(self, exchange: Exchange[Any], response: httpx2.Response) -> None:
        self.exchange, self.response = exchange, response
        self.limit = exchange.options.max_answer if response.is_success else MAX_PROBLEM
        self.content = bytearray()

    def add(self, chunk: bytes) -> bool:
        """Takes a piece; whether more is wanted. Raises where an answer is too long; what an error
        page has to say stands at its beginning."""
        self.exchange.check()
        self.content += chunk
        if len(self.content) <= self.limit:
            return True
        if self.response.is_success:
            reason = f"the answer is longer than {self.limit} bytes"
            raise self.exchange.unexpected(reason, self.response, self.content)
        return False


class Items(Generic[O]):
    """The items of a stream out of its bytes."""

    def __init__(self, exchange: Exchange[O], response: httpx2.Response) -> None:
        self.exchange, self.response = exchange, response
        if _media_type(response) != "text/event-stream":
            raise exchange.unexpected("the answer is not a stream of events", response, b"")
        self.received = 0
        self.ended = False
        self._decoder = sse.Decoder(exchange.options.max_answer)

    def feed(self, chunk: bytes) -> Iterator[O]:
        """The items that are whole now. Raises the error that the stream ended with."""
        self.exchange.check()
        try:
            for event in self._decoder.feed(chunk):
                if self.ended:
                    return
                match event.type:
                    case "" | "message":
                        yield self.exchange.decode(Payload(event.data), self.response)
                        self.received += 1
                    case "end":
                        self.ended = True
                    case "error":
                        raise self._error(event.data)
        except sse.TooLong as error:
            raise self.cut(str(error)) from None

    def _error(self, data: bytes) -> Error:
        problem = _as_problem(data)
        if problem is None:
            return self.exchange.unexpected("the error is no problem", self.response, data)
        known = self.exchange.method.raises
        return self.exchange.mark(Error.from_problem(problem, known), self.response)

    def cut(self, reason: str) -> Error:
        """The error of a stream without its end."""
        error = StreamCut(received=self.received, reason=reason)
        return self.exchange.mark(error, self.response)

    def broken(self, error: Exception) -> None:
        """The connection failed: raises what that means, unless the stream has ended before."""
        if self.ended:
            return
        if not isinstance(error, httpx2.TimeoutException):
            raise self.cut(str(error) or type(error).__name__) from error
        found = self.exchange.failure(error)
        if not isinstance(found, DeadlineExceeded):
            idle = self.exchange.options.idle
            found = self.cut(f"nothing came for {idle:g} s, not even a heartbeat")
        raise found from error

    def end(self) -> None:
        """The connection is closed: raises StreamCut where the stream has not ended."""
        if not self.ended:
            raise self.cut("the connection was closed")


class _Patience(dict[str, float | None]):
    """The timeouts of a request, read by the transport when each phase begins: what is left then
    of the call's time."""

    def __init__(self, exchange: Exchange[Any]) -> None:
        super().__init__()
        self._exchange = exchange

    def get(self, phase: str, default: Any = None) -> Any:
        left = self._exchange.left()
        bounds = [] if left is None else [max(0.001, left + SLACK)]
        if phase == "connect":
            bounds.append(CONNECT_TIMEOUT)
        elif phase == "read" and self._exchange.streams:
            bounds.append(self._exchange.options.idle)
        return min(bounds, default=None)


_HINT = "look whether the server is up and the address is right"
_START = "start the server (mothlight serve module:Service), or check host and port"
_HINTS = (
    ("refused", _START),
    ("All connection attempts", _START),
    ("Name or service", "check the host's name"),
    ("SSL", "check whether the server speaks https or http"),
    ("disconnected", "the server closed the connection while it worked; its log has the reason"),
)


def _media_type(response: httpx2.Response) -> str:
    kind: str = response.headers.get("content-type", "")
    return kind.partition(";")[0].strip().lower()


def _as_problem(content: bytes) -> dict[str, Any] | None:
    try:
        found = from_json(content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


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


def closed(url: str) -> ConnectionFailed:
    """The error of a call on a closed client."""
    return ConnectionFailed(url=url, reason="the client is closed", hint="make another one")
