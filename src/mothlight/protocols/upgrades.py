"""Upgrades: who asks for a WebSocket, and which one he gets."""

from __future__ import annotations

from typing import Any

from ..errors import MethodNotAllowed, RouteNotFound, Unavailable
from ..services import Method
from . import http
from .multiplex import Multiplex
from .rest import Rest
from .sockets import Gone, Opening, Socket, accept, conclude, opening_headers, refuse
from .status import CALLS
from .websocket import Stream


class Upgrades:
    """The sockets of an App."""

    def __init__(self, rest: Rest) -> None:
        self.rest = rest
        self.methods: dict[str, Method[Any, Any, Any]] = {}
        for path, verbs in rest.routes.items():
            for method in verbs.values():
                if method.cardinality.streams:
                    self.methods[path] = method  # no other one: an App refuses that
        self._multiplexes: set[Multiplex] = set()
        self._is_draining = False

    async def serve(
        self,
        scope: http.Scope,
        receive: http.Receive,
        send: http.Send,
        path: str,
        out_of_service: str = "",
    ) -> None:
        """Serves a socket, as an ASGI application does; none where it is told why not."""
        await receive()
        session: Stream | Multiplex
        try:
            if out_of_service:
                raise Unavailable(reason=out_of_service)
            session = await self._session(scope, path)
        except Exception as error:
            await refuse(scope, send, error)
            return
        try:
            await accept(scope, send)
        except Gone:
            if isinstance(session, Stream):
                session.call.end("cancelled")
            return
        socket = Socket(receive, send)
        if isinstance(session, Stream):
            await conclude(socket, session.run(socket))
            return
        self._multiplexes.add(session)
        try:
            await conclude(socket, session.run(socket))
        finally:
            self._multiplexes.discard(session)

    async def _session(self, scope: http.Scope, path: str) -> Stream | Multiplex:
        """Raises Error, and what else the authentication raises."""
        if self._is_draining:
            raise Unavailable(reason="the server is stopping")
        method = self.methods.get(path)
        if method is None and path != CALLS:
            verbs = sorted(self.rest.routes.get(path, ()))
            raise MethodNotAllowed(path=path, allow=verbs) if verbs else RouteNotFound(path=path)
        headers = opening_headers(scope, self.rest.settings)
        client = scope.get("client")
        owner = await self.rest.callers.principal(client, headers, path)
        opening = Opening(headers, client, owner)
        return (
            Multiplex(self.rest, opening) if method is None else Stream(self.rest, method, opening)
        )

    def start(self) -> None:
        """Takes sockets, once more where it was drained."""
        self._is_draining = False

    def drain(self) -> None:
        """Takes no new sockets, and closes those of many calls when they have none. Those of one
        call end with it."""
        self._is_draining = True
        for multiplex in list(self._multiplexes):
            multiplex.drain()
