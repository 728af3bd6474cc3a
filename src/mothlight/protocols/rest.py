"""REST: one path for each method; JSON, forms, multipart, raw files and queries in, JSON, files and
streams out, problem documents for everything else.

    request ─ find the Method ─ read the body ─ Payload ─ validate (422 here, before any queue)
          ─ Backend.unary ─> JSON or file
          ─ Backend.stream ─> streams.py
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from contextlib import suppress
from inspect import iscoroutinefunction
from typing import Any

from ..backend.base import Reply, Request
from ..backend.inbox import Inbox
from ..calls.base import Calls
from ..codec import form, multipart
from ..codec.json import inline
from ..contracts.content import content_types
from ..errors import (
    Error,
    Internal,
    MethodNotAllowed,
    PayloadTooLarge,
    RequestTimeout,
    UnsupportedMedia,
    UpgradeRequired,
)
from ..principal import Authenticate
from ..schema import MediaType, Nothing, Payload
from ..services import Method, Service
from ..settings import Settings
from . import http, streams
from .callers import Callers
from .exchange import Exchange
from .message import BODILESS, from_file, from_json, validated
from .observer import Observer
from .priority import urgency
from .status import accepted

log = logging.getLogger("mothlight")

LONGEST_WAIT = 60.0
"""Seconds that ``Prefer: wait`` may hold a request up."""

OCTETS = "application/octet-stream"


class Rest:
    """The methods of some services, by path and verb."""

    def __init__(
        self,
        services: list[Service],
        calls: Calls,
        settings: Settings,
        observer: Observer | None = None,
        authenticate: Authenticate | None = None,
    ) -> None:
        self.calls, self.settings, self.observer = calls, settings, observer
        self.callers = Callers(authenticate, settings.proxies)
        self.routes: dict[str, dict[str, Method[Any, Any, Any]]] = {}
        for service in services:
            for method in service.methods.values():
                self.routes.setdefault(method.path, {})[method.verb] = method
        self._longest = {  # seconds
            method: None if method.cardinality.streams else settings.timeout
            for service in services
            for method in service.methods.values()
        }
        # What has a body and one answer may go the short way: by path and verb as they are sent.
        self.short: dict[bytes, dict[bytes, Method[Any, Any, Any]]] = {}
        for path, verbs in self.routes.items():
            for verb, method in verbs.items():
                if (
                    verb not in BODILESS
                    and not method.cardinality.streams
                    and not iscoroutinefunction(authenticate)
                ):
                    self.short.setdefault(path.encode(), {})[verb.encode()] = method

    async def serve(
        self, scope: http.Scope, receive: http.Receive, send: http.Send, path: str
    ) -> None:
        """Serves a request for one of ``routes``, as an ASGI application does."""
        verbs = self.routes[path]
        method = verbs.get(scope["method"])
        if method is None or method.cardinality.streams_in:
            await http.respond(send, _misdirected(verbs, path))
            return
        call = Exchange(method, scope.get("client"))
        answer: http.Answer | None = None
        try:
            headers = http.head(scope)
            await self._admit(call, headers, path)
            body = await self._body(method, scope, headers, receive)
            request = self._request(call, headers, body)
            if call.terms and call.prefer.is_async:
                answer = await self._in_background(call, request, scope)
            elif method.cardinality.streams_out:
                assert call.terms
                items = self.calls.stream(request, call.terms, http.last_event(headers))
                code = await streams.serve(items, call, headers, receive, send, self.settings)
                call.end(code, 200)
            else:
                future = self.calls.unary(request, call.terms)
                reply = await http.watched(future, receive, asyncio.get_running_loop())
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
            answer = self.refuse(call, http.stopping())
        except Exception as error:
            answer = self.refuse(call, error)
        if answer:
            await http.respond(send, answer)

    async def _in_background(
        self, call: Exchange, request: Request, scope: http.Scope
    ) -> http.Answer:
        """Begins a call that its client will ask for later: 202, or its answer where that is there
        within the seconds that it would wait."""
        assert call.terms
        status = await self.calls.begin(request, call.terms)
        if not call.method.cardinality.streams_out and (wait := call.prefer.wait):
            with suppress(TimeoutError):
                async with asyncio.timeout(min(wait, LONGEST_WAIT)):
                    return self.answer(call, await self.calls.answer(status.owner, status.id))
        call.end("ok", 202)
        applied = (b"preference-applied", b"respond-async")
        return accepted(status, [applied, *call.mark], scope.get("root_path", ""))

    # What the short way (``connection.py``) does too

    def submit(
        self, call: Exchange, headers: dict[bytes, bytes], body: bytes
    ) -> asyncio.Future[Reply]:
        """Hands a unary call, whose body is all there, to the backend; cancelling the future
        cancels the call. Raises Error."""
        if self.callers.authenticate is not None:
            found = self.callers.ask(call.client, headers, call.method.path)
            assert not isinstance(found, Awaitable)  # those of such hooks go the long way
            call.principal = found
        self.begin(call, headers)
        return self.calls.unary(self._request(call, headers, body), call.terms)

    def answer(self, call: Exchange, reply: Reply) -> http.Answer:
        """The response of a unary call that has ended well."""
        answer = response(call, reply)
        call.end("ok", answer.status)
        return answer

    def refuse(self, call: Exchange, error: BaseException) -> http.Answer:
        """The response of a call that has ended with an error."""
        if not isinstance(error, Error):
            method, name = call.method.qualname, call.name
            told = {"calls": [name], "method": method}
            log.error(
                "%s failed outside its worker (call %s)", method, name, exc_info=error, extra=told
            )
            error = Internal()
        answer = http.problem(error, call.mark)
        call.end(error.code.value, answer.status, error)
        return answer

    def begin(self, call: Exchange, headers: dict[bytes, bytes]) -> None:
        """Names a call, and lets it be observed."""
        if self.observer is not None:
            call.observer = self.observer
            call.timeline = self.observer.begin(call.method, headers, call.start)
        call.identify(headers)

    def _request(self, call: Exchange, headers: dict[bytes, bytes], body: bytes) -> Request:
        """What a backend is asked; ``body`` is the query where the verb has no body."""
        return self.request(call, headers, self._payload(call.method, headers, body))

    def request(
        self,
        call: Exchange,
        headers: dict[bytes, bytes],
        payload: Payload,
        inbox: Inbox | None = None,
    ) -> Request:
        """What a backend is asked to do with a message, on the terms of its headers."""
        method, settings = call.method, self.settings
        seconds = settings.background if call.prefer.is_async else self._longest[method]
        if (sent := headers.get(b"request-timeout")) is not None:
            asked = http.timeout(sent)
            seconds = asked if seconds is None else min(asked, seconds)
        deadline = None if seconds is None else call.start + seconds
        first = urgency(headers.get(b"priority"))
        whose = call.principal.name or self.callers.network(call.client, headers)
        return Request(
            method, payload, call.name, deadline, first, whose, call.timeline, call.principal, inbox
        )

    async def _admit(self, call: Exchange, headers: dict[bytes, bytes], path: str) -> None:
        """Finds out who calls, and names the call, before anything of a large body is read."""
        try:
            call.principal = await self.callers.principal(call.client, headers, path)
            self.begin(call, headers)
        except Error as error:
            if http.is_upload(headers):
                raise http.BodyUnread(error) from None
            raise

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
        return validated(method, payload)

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
            if body[:1] in (b"{", b"["):  # what curl calls everything
                raise UnsupportedMedia(
                    reason="this is JSON, sent as a form; say   Content-Type: application/json",
                    supported=["application/json"],
                )
            return form.payload(method, form.parse_query(body, settings), settings)
        if _is_file(kind):
            payload = from_file(method, body, kind.decode("latin-1"), settings)
            if payload is not None:
                return payload
        if kind in (http.JSON, b"") or kind.endswith(b"+json"):
            return from_json(method, body, settings)
        supported = content_types(method)
        raise UnsupportedMedia(
            reason=f"{kind.decode('latin-1')} is not taken; {' or '.join(supported)} is",
            supported=supported,
        )


def response(call: Exchange, reply: Reply) -> http.Answer:
    """The response that the answer of a unary call is."""
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
        return http.answer(200, known.encode(), data, headers)
    if isinstance(node, Nothing):
        return http.Answer(204, headers)
    return http.answer(200, http.JSON, inline(payload), headers)


def _misdirected(verbs: dict[str, Method[Any, Any, Any]], path: str) -> http.Answer:
    allow = [verb for verb, method in verbs.items() if not method.cardinality.streams_in]
    if allow:
        return http.problem(MethodNotAllowed(path=path, allow=sorted(allow)))
    upgrade = [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]  # RFC 9110, 7.8: both
    return http.problem(UpgradeRequired(path=path), upgrade)


def _is_file(kind: bytes) -> bool:
    return kind.startswith((b"image/", b"audio/", b"video/")) or kind == b"application/octet-stream"
