"""REST: one path for each method; JSON, forms, multipart, raw files and queries in, JSON, files and
streams out, problem documents for everything else.

    request ─ find the Method ─ read the body ─ Payload ─ validate (422 here, before any queue)
          ─ Backend.unary ─> JSON or file
          ─ Backend.stream ─> streams.py
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from typing import Any

from .. import metrics
from ..backend.base import Backend, Reply, Request
from ..codec import form, multipart
from ..codec.json import check, check_strings, inline
from ..contracts.content import content_types, raw_field
from ..errors import (
    Error,
    Internal,
    InvalidRequest,
    MalformedRequest,
    MethodNotAllowed,
    PayloadTooLarge,
    RequestTimeout,
    UnsupportedMedia,
)
from ..schema import MediaType, Nothing, Payload
from ..service import Method, Service
from ..settings import Settings
from ..timeline import Timeline
from . import http, streams
from .observer import Observer
from .priority import urgency

log = logging.getLogger("mothlight")

_KEY = re.compile(rb"[\x21-\x7e]{1,128}")
BODILESS = ("GET", "DELETE")
"""Verbs whose message is in the query."""

OCTETS = "application/octet-stream"
_PATIENCE = 0.05
"""Seconds after which a call is worth watching for its client to leave."""


class Call:
    """A call of a method, from its request's head to its answer."""

    __slots__ = ("client", "id", "method", "observer", "start", "timeline")

    def __init__(
        self, method: Method[Any, Any, Any], client: tuple[str, int] | None = None
    ) -> None:
        self.method, self.id, self.start = method, "", time.monotonic()
        self.client = client
        self.observer: Observer | None = None
        self.timeline: Timeline | None = None

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
            self.observer.end(self.timeline, self.method, self.id, code, status, seconds)


class Rest:
    """The methods of some services, by path and verb."""

    def __init__(
        self,
        services: list[Service],
        backend: Backend,
        settings: Settings,
        observer: Observer | None = None,
    ) -> None:
        self.backend, self.settings, self.observer = backend, settings, observer
        self.routes: dict[str, dict[str, Method[Any, Any, Any]]] = {}
        for service in services:
            for method in service.methods.values():
                self.routes.setdefault(method.path, {})[method.verb] = method
        self._longest = {  # seconds
            method: None if method.cardinality.streams_out else settings.timeout
            for service in services
            for method in service.methods.values()
        }
        # What has a body and one answer may go the short way: by path and verb as they are sent.
        self.short: dict[bytes, dict[bytes, Method[Any, Any, Any]]] = {}
        for path, verbs in self.routes.items():
            for verb, method in verbs.items():
                if verb not in BODILESS and not method.cardinality.streams_out:
                    self.short.setdefault(path.encode(), {})[verb.encode()] = method

    async def serve(
        self, scope: http.Scope, receive: http.Receive, send: http.Send, path: str
    ) -> None:
        """Serves a request for one of ``routes``, as an ASGI application does."""
        verbs = self.routes[path]
        method = verbs.get(scope["method"])
        if method is None:
            error = MethodNotAllowed(path=path, allow=sorted(verbs))
            await http.respond(send, http.problem(error))
            return
        call = Call(method, scope.get("client"))
        answer: http.Answer | None = None
        try:
            headers = http.head(scope)
            self._begin(call, headers)
            body = await self._body(method, scope, headers, receive)
            if method.cardinality.streams_out:
                request = self._request(call, headers, body)
                items = self.backend.stream(request)
                code = await streams.serve(items, request, headers, receive, send, self.settings)
                call.end(code, 200)
            else:
                future = self.backend.unary(self._request(call, headers, body))
                reply = await _watched(future, receive, asyncio.get_running_loop())
                answer = self.answer(call, reply)
        except http.BodyUnread as unread:
            call.end(unread.error.code.value, unread.error.status, unread.error)
            await http.respond_unread(send, receive, unread.error, self.settings, call.mark)
        except http.ClientGone:
            call.end("cancelled")
        except streams.BrokenOff as error:
            call.end(error.code, 200)
            raise
        except asyncio.CancelledError:
            call.end("cancelled")
            raise
        except Exception as error:
            answer = self.refuse(call, error)
        if answer:
            await http.respond(send, answer)

    # What the short way (``connection.py``) does too

    def submit(self, call: Call, headers: dict[bytes, bytes], body: bytes) -> asyncio.Future[Reply]:
        """Hands a unary call, whose body is all there, to the backend; cancelling the future
        cancels the call. Raises Error."""
        self._begin(call, headers)
        return self.backend.unary(self._request(call, headers, body))

    def answer(self, call: Call, reply: Reply) -> http.Answer:
        """The response of a unary call that has ended well."""
        payload, queued, computed, batch = reply
        timing = b'queue;dur=%.2f, batch;desc="%d", compute;dur=%.2f' % (
            queued * 1000,
            batch,
            computed * 1000,
        )
        headers = [(b"call-id", call.id.encode()), (b"server-timing", timing)]
        node = call.method.output.node
        if isinstance(node, MediaType):
            data, kind, _ = payload.media[0]
            headers.append((b"x-content-type-options", b"nosniff"))
            known = kind if kind and kind.isascii() and kind.isprintable() else OCTETS
            answer = http.answer(200, known.encode(), data, headers)
        elif isinstance(node, Nothing):
            answer = http.Answer(204, headers)
        else:
            answer = http.answer(200, http.JSON, inline(payload), headers)
        call.end("ok", answer.status)
        return answer

    def refuse(self, call: Call, error: Exception) -> http.Answer:
        """The response of a call that has ended with an error."""
        if not isinstance(error, Error):
            name = call.method.qualname
            told = {"calls": [call.id], "method": name}
            log.error(
                "%s failed outside its worker (call %s)", name, call.id, exc_info=error, extra=told
            )
            error = Internal()
        answer = http.problem(error, call.mark)
        call.end(error.code.value, answer.status, error)
        return answer

    def _begin(self, call: Call, headers: dict[bytes, bytes]) -> None:
        """Names a call, and lets it be observed."""
        if self.observer is not None:
            call.observer = self.observer
            call.timeline = self.observer.begin(call.method, headers, call.start)
        call.id = call_id(headers.get(b"idempotency-key"))

    def _request(self, call: Call, headers: dict[bytes, bytes], body: bytes) -> Request:
        """What a backend is asked; ``body`` is the query where the verb has no body."""
        method = call.method
        payload = self._payload(method, headers, body)
        seconds = self._longest[method]
        if (sent := headers.get(b"request-timeout")) is not None:
            asked = http.timeout(sent)
            seconds = asked if seconds is None else min(asked, seconds)
        deadline = None if seconds is None else call.start + seconds
        first = urgency(headers.get(b"priority"))
        whose = http.peer(call.client, headers)
        return Request(method, payload, call.id, deadline, first, whose, timeline=call.timeline)

    async def _body(
        self,
        method: Method[Any, Any, Any],
        scope: http.Scope,
        headers: dict[bytes, bytes],
        receive: http.Receive,
    ) -> bytes:
        if isinstance(method.input.node, Nothing):
            return b""
        if method.verb in BODILESS:
            query: bytes = scope["query_string"]
            return query
        try:
            return await http.read_body(headers, receive, self.settings)
        except (PayloadTooLarge, RequestTimeout) as error:
            raise http.BodyUnread(error) from None

    def _payload(
        self, method: Method[Any, Any, Any], headers: dict[bytes, bytes], body: bytes
    ) -> Payload:
        """The validated payload of a request."""
        if isinstance(method.input.node, Nothing):
            return Payload(b"null")
        if method.verb in BODILESS:
            items = form.parse_query(body, self.settings)
            payload = form.payload(method, items, self.settings)
        else:
            payload = self._read(method, headers, body)
        try:
            method.input.decode(payload)
        except InvalidRequest as error:
            if not method.is_bare:
                raise
            # A bare value's own path is empty; its parameter's name tells the reader more.
            errors = [{**e, "path": e["path"] or method.parameter} for e in error.errors]
            raise InvalidRequest(errors=errors) from None
        return payload

    def _read(
        self, method: Method[Any, Any, Any], headers: dict[bytes, bytes], body: bytes
    ) -> Payload:
        settings = self.settings
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise UnsupportedMedia(reason="encoded bodies are not taken", supported=["identity"])
        sent = headers.get(b"content-type", b"")
        kind, charset = (sent, b"") if sent == http.JSON else http.media_type(sent)
        if charset not in (b"", b"utf-8", b"utf8", b"us-ascii"):
            raise UnsupportedMedia(
                reason=f"the charset {charset.decode('latin-1')} is not taken", supported=["utf-8"]
            )
        if kind == b"multipart/form-data":
            return form.payload(method, multipart.parse(body, sent, settings), settings)
        if kind == b"application/x-www-form-urlencoded":
            return form.payload(method, form.parse_query(body, settings), settings)
        if _is_file(kind) and (name := raw_field(method)):
            return form.payload(method, [(name, (body, kind.decode("latin-1"), None))], settings)
        if kind in (http.JSON, b"") or kind.endswith(b"+json"):
            if not body and method.has_default and method.is_bare:
                return method.input.encode(method.default)
            parsed = check(body, settings)
            if len(body) > settings.max_string and method.input.has_strings:
                node, types = method.input.node, method.input.types
                check_strings(node, parsed, types, settings.max_string)
            return Payload(body)
        supported = content_types(method)
        raise UnsupportedMedia(
            reason=f"{kind.decode('latin-1')} is not taken; {' or '.join(supported)} is",
            supported=supported,
        )


async def _watched(
    answer: asyncio.Future[Reply], receive: http.Receive, loop: asyncio.AbstractEventLoop
) -> Reply:
    """The answer; ClientGone, and the call cancelled, when the client leaves before it is there.

    Most calls end sooner than a watcher could be started, so one is started only for slow ones.
    """
    task = asyncio.current_task(loop)  # without it, a system call asks which loop is ours
    assert task
    departure = http.Departure(receive, task)
    watcher: asyncio.Task[None] | None = None

    def start() -> None:
        nonlocal watcher
        watcher = asyncio.create_task(departure.watch())

    timer = loop.call_later(_PATIENCE, start)
    try:
        return await answer
    except asyncio.CancelledError:
        if departure.seen:
            task.uncancel()
            raise http.ClientGone from None
        raise
    finally:
        timer.cancel()
        if watcher:
            watcher.cancel()


def call_id(key: bytes | None) -> str:
    """The call's id: the client's key, or a new one, which nobody can guess."""
    if key is None:
        try:
            return _fresh.pop()
        except IndexError:
            digits = os.urandom(12 * 256).hex()  # one system call for many
            _fresh.extend(digits[at : at + 24] for at in range(24, len(digits), 24))
            return digits[:24]
    if not _KEY.fullmatch(key):
        raise MalformedRequest(reason="Idempotency-Key is 1 to 128 visible ASCII characters")
    return key.decode()


_fresh: list[str] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fresh.clear)  # no two processes give out the same


def _is_file(kind: bytes) -> bool:
    return kind.startswith((b"image/", b"audio/", b"video/")) or kind == b"application/octet-stream"
