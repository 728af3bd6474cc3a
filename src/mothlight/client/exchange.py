"""One call without its I/O: its requests, whether to try again, and what the answers mean.

  ┌────────── lost: again, with the same key ──────────┐
POST ── silent, or a stream was cut ──> GET /calls/{id} ┴──> message | items | Error
left early: DELETE /calls/{id}             └── not found: POST
"""

from __future__ import annotations

from secrets import token_hex
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx2

from ..errors import DeadlineExceeded, Error, Superseded
from ..schema import MediaType, Nothing, Payload
from ..services import Method
from . import body
from .answer import Answer
from .errors import ConnectionFailed, StreamCut, UnexpectedAnswer, hint
from .options import Options
from .patience import SLACK, Patience, Phases

O = TypeVar("O")  # noqa: E741
E = TypeVar("E", bound=Error)
Http = httpx2.Client | httpx2.AsyncClient

CANCEL_TIME = 1.5
"""Seconds that a call which is left may take to be cancelled."""

_PROXYS = (None, "about:blank")
_REFUSALS = (*_PROXYS, "Overloaded", "QuotaExceeded")
"""The types of problems that are said before any work, or by a proxy. All others, "Unavailable"
among them (its worker died), are what became of this call for good."""

_GATEWAY = (502, 503, 504)
_USELESS = (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol)


class Exchange(Generic[O]):
    """One call. A driver sends ``request()``, and asks ``lost`` or ``refused`` what to do about a
    failure: they raise the call's error, or give the seconds to wait before another request.

    ``known``: the id of a call that was begun before; it is asked for, and never made or cancelled.
    ``is_page``: it is no call, only something that the server has. Raises InvalidRequest at once
    where the message does not fit the method.
    """

    def __init__(
        self,
        url: str,
        method: Method[Any, O, Any],
        message: Any,
        options: Options,
        *,
        known: str = "",
        is_background: bool = False,
        is_page: bool = False,
    ) -> None:
        self.base, self.url = url, url + method.path
        self.method, self.options = method, options
        self.streams = method.cardinality.streams_out
        self.id = known or token_hex(16)
        self.is_known, self.is_background, self.is_page = bool(known), is_background, is_page
        asked = known or method.cardinality.streams_in
        self.body = body.Body() if asked else body.encode(method, message)
        self.patience = Patience(options, method.cardinality.streams and not is_background)
        self.asks = bool(known)  # the next request asks for the call instead of making it
        self.is_open = False  # its stream has begun
        self.is_superseded = False  # by a newer call of this client
        self.received = 0  # items
        self._was_sent = self._is_over = self._is_lost = self._was_unknown = False

    # Asking

    def request(self, http: Http) -> httpx2.Request:
        """The next request. Raises DeadlineExceeded where no time is left for it, Superseded."""
        self.check(0.0)
        headers = {"Accept-Encoding": "identity", **self.options.sent()}
        headers["Accept"] = "text/event-stream" if self.streams else headers.get("Accept", "*/*")
        if self.asks:
            return self._ask(http, headers)
        headers |= self.begin()
        if self.is_background:
            headers |= {"Prefer": "respond-async", "Accept": "*/*"}
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
            extensions={"timeout": Phases(self.patience)},
        )

    def begin(self) -> dict[str, str]:
        """The headers that make the call: its name, and how long it may take."""
        headers = {} if self.is_page else {"Idempotency-Key": self.id}
        if self.options.supersede and not self.is_page:
            headers["Supersede-Key"] = self.options.supersede_key
            if not self._was_sent:
                self.options.newest.begin(self)
        self._was_sent = True
        left = self.patience.left()
        if left is not None and not (self.is_background and self.options.timeout == "auto"):
            headers["Request-Timeout"] = f"{left:.3f}"
        return headers

    def _ask(self, http: Http, headers: dict[str, str]) -> httpx2.Request:
        hold = 0
        if self.received:
            headers["Last-Event-ID"] = str(self.received)
        elif not self.streams:
            hold = self.patience.hold
            headers["Prefer"] = f"wait={hold}"
        timeout = Phases(self.patience, hold)
        return http.build_request(
            "GET", self.resource, headers=headers, extensions={"timeout": timeout}
        )

    @property
    def resource(self) -> str:
        """The address of the call itself."""
        return f"{self.base}/calls/{quote(self.id, safe='')}"

    def check(self, slack: float = SLACK) -> None:
        """Raises DeadlineExceeded when the deadline is over, and the slack with it; Superseded when
        a newer call has begun, whose request ends this one on the server."""
        if self.is_superseded:
            self._is_over = True
            raise self.mark(Superseded())
        try:
            self.patience.check(slack)
        except DeadlineExceeded as error:
            raise self.mark(error) from None

    # Leaving

    @property
    def is_left(self) -> bool:
        """Whether it may still run, now that nobody waits for it, and the server can be told."""
        over = self._is_over or self._is_lost or self.is_known or self.is_page
        return self._was_sent and not over

    def over(self) -> None:
        """The server has told its end."""
        self._is_over = True

    def cancel(self, http: Http, seconds: float) -> httpx2.Request:
        """The request that stops it."""
        return http.build_request(
            "DELETE", self.resource, headers=self.options.sent(), timeout=max(0.05, seconds)
        )

    @property
    def pauses(self) -> tuple[float, ...]:
        """Seconds before each try to cancel it. Where no answer has come, the server may not have
        read its request yet, and find no such call."""
        return (0.0,) if self.is_open else (0.0, 0.1, 0.4)

    # What came of it

    @property
    def _is_kept(self) -> bool:
        """Whether the server has it, as far as we know."""
        return self.is_open or self.is_known

    def lost(self, error: Exception | None) -> float:
        """The connection failed, or ended too soon: seconds until the next try, or its error."""
        waited = isinstance(error, httpx2.TimeoutException | TimeoutError)
        left = self.patience.left()
        if waited and left is not None and left + SLACK <= 0.05:
            raise self.mark(DeadlineExceeded()) from error
        waits = not (self.streams or self.asks or self.is_background or self.is_page)
        if isinstance(error, httpx2.ReadTimeout) and waits:
            self.asks = True  # it may well be at work, and will say so
            return 0.0
        if self.is_open:
            self.asks = True
        is_useless = isinstance(error, _USELESS)
        pause = None if is_useless else self.patience.pause(is_kept=self._is_kept)
        if pause is None:
            self._is_lost = True
            raise self._failure(error, waited) from error
        return pause

    def _failure(self, error: Exception | None, waited: bool) -> Error:
        reason = "the connection was closed"
        if error is not None:
            reason = str(error) or type(error).__name__
        if self.is_open:
            if waited:
                idle = self.options.idle
                reason = f"nothing came for {idle:g} s, not even a heartbeat"
            return self.cut(reason)
        return self.mark(ConnectionFailed(url=self.url, reason=reason, hint=hint(reason)))

    def cut(self, reason: str) -> StreamCut:
        """The error of a stream without its end."""
        return self.mark(StreamCut(received=self.received, reason=reason))

    def is_answer(self, answer: Answer) -> bool:
        """Whether it is what the request asked for."""
        return 200 <= answer.status < 300 and not (answer.status == 202 and self.asks)

    def refused(self, answer: Answer) -> float:
        """The answer is no message: seconds until the next request, or the error that it is."""
        if answer.status == 202 and self.asks:
            self.patience.progress()
            return 0.1
        problem = answer.problem
        kind = problem and problem.get("type")
        pause: float | None = None
        if kind == "CallNotFound" and self.asks and not self.is_known:
            if self.received:
                raise self.cut("the server does not have the call any more")
            self.asks = False
            pause = self.patience.pause()
        elif answer.status in (429, 503) and kind in _REFUSALS and answer.retry_after is not None:
            pause = self.patience.pause(answer.retry_after)
        elif answer.status in _GATEWAY and kind in _PROXYS:
            pause = self.patience.pause(is_kept=self._is_kept)
        elif answer.status == 401 and callable(self.options.token) and not self._was_unknown:
            self._was_unknown = True  # the token may have expired: once more, with a new one
            pause = 0.0
        elif kind == "Superseded" and self._is_newest:
            pause = self.patience.pause()
            if pause is not None:
                self.id, self.asks = token_hex(16), False
        if pause is not None:
            return pause
        self._is_over = True
        if problem is not None:
            raise self.error(problem, answer)
        raise self.unexpected("this is not the answer of a Mothlight server", answer)

    @property
    def _is_newest(self) -> bool:
        """Whether a request of an older call has only come to the server later than ours."""
        is_ours = bool(self.options.supersede) and not (self.is_known or self.is_page)
        return is_ours and not (self.is_superseded or self.is_open)

    def error(self, problem: dict[str, Any], answer: Answer | None = None) -> Error:
        """The error that a problem document describes."""
        return self.mark(Error.from_problem(problem, self.method.raises), answer)

    def result(self, answer: Answer) -> O:
        """The message of an answer."""
        self._is_over = True
        if len(answer.content) > self.options.max_answer:
            reason = f"the answer is longer than {self.options.max_answer} bytes"
            raise self.unexpected(reason, answer)
        node = self.method.output.node
        if isinstance(node, Nothing):
            return self.decode(Payload(b"null"), answer)
        if isinstance(node, MediaType):
            media = (bytes(answer.content), answer.kind, None)
            return self.decode(Payload(b'{"$media":0}', (media,)), answer)
        if answer.kind != "application/json" and not answer.kind.endswith("+json"):
            raise self.unexpected("the answer is not JSON", answer)
        return self.decode(Payload(bytes(answer.content)), answer)

    def only(self, items: list[O]) -> O:
        """The answer of a method that takes a stream."""
        if len(items) != 1:
            raise self.unexpected(f"{len(items)} answers came, not one", Answer(101, {}))
        return items[0]

    def decode(self, payload: Payload, answer: Answer) -> O:
        """The message of a payload; UnexpectedAnswer where it does not fit."""
        try:
            return self.method.output.decode(payload)
        except Exception as error:
            # Told apart from a fault of the request: the server is of another version, or none.
            reason = f"the answer does not fit {self.method.qualname}: {error}"
            raise self.unexpected(reason, answer._replace(content=payload.json)) from error

    def unexpected(self, reason: str, answer: Answer) -> UnexpectedAnswer:
        """The error of an answer that is none of ours."""
        return self.mark(
            UnexpectedAnswer(
                reason=reason,
                answered=answer.status,
                media_type=answer.kind or "no content type",
                start=bytes(answer.content[:800]).decode("utf-8", "replace")[:200],
            ),
            answer,
        )

    def mark(self, error: E, answer: Answer | None = None) -> E:
        """The error with the call's id."""
        error.call_id = answer.headers.get("call-id", self.id) if answer else self.id
        return error


def closed(url: str) -> ConnectionFailed:
    """The error of a call on a closed client."""
    return ConnectionFailed(url=url, reason="the client is closed", hint="make another one")
