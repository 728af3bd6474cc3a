"""REST: one path for each method; JSON, forms, multipart, raw files and queries in, JSON, files and
streams out, problem documents for everything else.

    scope ─ find the Method ─ read the body ─ Payload ─ validate (422 here, before any queue)
          ─ Backend.unary ─> JSON or file
          ─ Backend.stream ─> streams.py
"""

from __future__ import annotations

import asyncio
import logging
import re
from secrets import token_hex
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
from . import http, streams

log = logging.getLogger("mothlight")

_KEY = re.compile(rb"[\x21-\x7e]{1,128}")
_PATIENCE = 0.05
"""Seconds after which a call is worth watching for its client to leave."""


class Rest:
    """The methods of some services, by path and verb."""

    def __init__(self, services: list[Service], backend: Backend, settings: Settings) -> None:
        self.backend, self.settings = backend, settings
        self.routes: dict[str, dict[str, Method[Any, Any, Any]]] = {}
        for service in services:
            for method in service.methods.values():
                self.routes.setdefault(method.path, {})[method.verb] = method

    async def serve(
        self, scope: http.Scope, receive: http.Receive, send: http.Send, path: str
    ) -> None:
        """Serves a request for one of ``routes``."""
        verbs = self.routes[path]
        method = verbs.get(scope["method"])
        if method is None:
            error = MethodNotAllowed(path=path, allow=sorted(verbs))
            await http.respond_problem(send, error)
            return
        loop = asyncio.get_running_loop()
        start = loop.time()
        call = ""
        code = "ok"
        try:
            headers = http.head(scope)
            call = call_id(headers.get(b"idempotency-key"))
            payload = await self._payload(method, scope, headers, receive)
            request = Request(method, payload, call, self._deadline(method, headers, start))
            if method.cardinality.streams_out:
                code = await streams.serve(
                    self.backend.stream(request), request, headers, receive, send, self.settings
                )
            else:
                reply = await _watched(self.backend.unary(request), receive, loop)
                await self._respond(send, method, reply, call)
        except Error as error:
            code = error.problem()["code"]
            await http.respond_problem(send, error, [(b"call-id", call.encode())] if call else ())
        except http.BodyUnread as unread:
            code = unread.error.code.value
            mark = [(b"call-id", call.encode())]
            await http.respond_unread(send, receive, unread.error, self.settings, mark)
        except http.ClientGone:
            code = "cancelled"
        except streams.BrokenOff as error:
            code = error.code
            raise
        except asyncio.CancelledError:
            code = "cancelled"
            raise
        except Exception:
            code = "internal"
            log.exception("%s failed outside its worker (call %s)", method.qualname, call)
            await http.respond_problem(send, Internal(), [(b"call-id", call.encode())])
        finally:
            metrics.call_ended(method.qualname, code, loop.time() - start)

    def _deadline(
        self, method: Method[Any, Any, Any], headers: dict[bytes, bytes], start: float
    ) -> float | None:
        asked = http.timeout(headers.get(b"request-timeout"))
        longest = None if method.cardinality.streams_out else self.settings.timeout
        if asked is None or longest is None:
            seconds = longest if asked is None else asked
        else:
            seconds = min(asked, longest)
        return None if seconds is None else start + seconds

    async def _payload(
        self,
        method: Method[Any, Any, Any],
        scope: http.Scope,
        headers: dict[bytes, bytes],
        receive: http.Receive,
    ) -> Payload:
        """The validated payload of a request."""
        if isinstance(method.input.node, Nothing):
            return Payload(b"null")
        if method.verb in ("GET", "DELETE"):
            items = form.parse_query(scope["query_string"], self.settings)
            payload = form.payload(method, items, self.settings)
        else:
            try:
                body = await http.read_body(headers, receive, self.settings)
            except (PayloadTooLarge, RequestTimeout) as error:
                raise http.BodyUnread(error) from None
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

    async def _respond(
        self, send: http.Send, method: Method[Any, Any, Any], reply: Reply, call: str
    ) -> None:
        headers = [
            (b"call-id", call.encode()),
            (
                b"server-timing",
                b'queue;dur=%.2f, batch;desc="%d", compute;dur=%.2f'
                % (reply.queued * 1000, reply.batch, reply.computed * 1000),
            ),
        ]
        payload = reply.payload
        if isinstance(method.output.node, MediaType):
            data, kind, _ = payload.media[0]
            headers.append((b"x-content-type-options", b"nosniff"))
            await http.respond(
                send, 200, (kind or "application/octet-stream").encode(), data, headers
            )
        elif isinstance(method.output.node, Nothing):
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body"})
        else:
            await http.respond(send, 200, http.JSON, inline(payload), headers)


async def _watched(answer: Any, receive: http.Receive, loop: asyncio.AbstractEventLoop) -> Reply:
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
        reply: Reply = await answer
        return reply
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
    """The call's id: the client's key, or a new one."""
    if key is None:
        return token_hex(12)
    if not _KEY.fullmatch(key):
        raise MalformedRequest(reason="Idempotency-Key is 1 to 128 visible ASCII characters")
    return key.decode()


def _is_file(kind: bytes) -> bool:
    return kind.startswith((b"image/", b"audio/", b"video/")) or kind == b"application/octet-stream"
