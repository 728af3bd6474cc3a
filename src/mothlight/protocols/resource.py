"""A call as a resource: ``GET /calls/{id}`` gives its answer, its items or its status, and
``DELETE`` stops it.

Accept            a unary call                               a stream
the usual         its answer, as the call itself gave it;    its items after Last-Event-ID
                  202 and its status while it runs
application/vnd.mothlight.call+json, or JSON for a stream: its status
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ..calls.base import Calls, Status
from ..errors import Error, MethodNotAllowed, NotAcceptable
from ..settings import Settings
from . import http, status, streams
from .callers import Callers
from .exchange import Exchange
from .rest import LONGEST_WAIT, response

_VERBS = ["DELETE", "GET", "HEAD"]


class Resource:
    """The calls, by their ids."""

    def __init__(self, calls: Calls, settings: Settings, callers: Callers) -> None:
        self.calls, self.settings, self.callers = calls, settings, callers

    async def serve(
        self, scope: http.Scope, receive: http.Receive, send: http.Send, path: str
    ) -> None:
        """Serves a request for ``/calls/{id}``, as an ASGI application does."""
        headers, verb = http.head(scope), scope["method"]
        id = path.removeprefix(f"{status.CALLS}/")  # ASGI has decoded it
        answer: http.Answer | None
        try:
            owner = await self.callers.principal(scope.get("client"), headers, path)
            if verb not in _VERBS:
                raise MethodNotAllowed(path=path, allow=_VERBS)
            if verb == "DELETE":
                await self.calls.cancel(owner.name, id)
                answer = http.Answer(204, [(b"call-id", id.encode())])
            else:
                found = await self.calls.status(owner.name, id)
                answer = await self._get(found, scope, headers, receive, send)
        except http.ClientGone:
            return
        except asyncio.CancelledError:
            answer = http.problem(http.stopping())
        except Error as error:
            answer = http.problem(error)
        if answer:
            await http.respond(send, answer)

    async def _get(
        self,
        found: Status,
        scope: http.Scope,
        headers: dict[bytes, bytes],
        receive: http.Receive,
        send: http.Send,
    ) -> http.Answer | None:
        """The response; None where it was a stream, which is sent."""
        call = Exchange(found.method, scope.get("client"))
        call.id = found.id
        is_stream = found.method.cardinality.streams_out
        offers = [b"*/*", b"application/*"]  # of a unary call, its answer whatever that is
        if is_stream:
            offers = [*streams.offers(found.method), http.JSON]
        wanted = headers.get(b"accept", b"")
        chosen = http.accepted(wanted, [*offers, status.MEDIA_TYPE])
        if chosen is None and is_stream:
            raise NotAcceptable(supported=[offer.decode() for offer in offers])
        if chosen in (status.MEDIA_TYPE, http.JSON) or scope["method"] == "HEAD":
            return status.answer(found, call.mark)
        if is_stream:
            items = self.calls.items(found.owner, found.id, http.last_event(headers))
            await streams.serve(items, call, headers, receive, send, self.settings)
            return None
        return await self._answer(found, call, headers, scope, receive)

    async def _answer(
        self,
        found: Status,
        call: Exchange,
        headers: dict[bytes, bytes],
        scope: http.Scope,
        receive: http.Receive,
    ) -> http.Answer:
        wait = http.prefer(headers.get(b"prefer", b"")).wait or 0.0
        loop = asyncio.get_running_loop()
        if found.state.is_final or wait:
            future = self.calls.answer(found.owner, found.id)
            with suppress(TimeoutError):
                async with asyncio.timeout(min(wait, LONGEST_WAIT) if wait else None):
                    try:
                        return response(call, await http.watched(future, receive, loop))
                    except Error as error:
                        return http.problem(error, call.mark)
            found = await self.calls.status(found.owner, found.id)
        return status.accepted(found, call.mark, scope.get("root_path", ""))
