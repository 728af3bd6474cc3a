"""Site: what stands at the paths of an App.

a method's path ─> rest        /calls/{id} ─> resource        a socket ─> upgrades
anything else   ─> pages
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from starlette.middleware.cors import CORSMiddleware

from ..backend.base import Backend
from ..calls.base import Calls
from ..errors import Unavailable
from ..principal import Authenticate
from ..services import Service
from ..settings import Settings
from . import http
from .observer import Observer
from .pages import Pages
from .resource import Resource
from .rest import Rest
from .status import CALLS
from .upgrades import Upgrades

log = logging.getLogger("mothlight")

EXPOSED = (
    "Call-Id",
    "Server-Timing",
    "Retry-After",
    "Location",
    "ETag",
    "Preference-Applied",
    "WWW-Authenticate",
)

CLOSED = "the server has not started"
MEND = "a mounted app needs its host's lifespan:   FastAPI(lifespan=app.lifespan)"


class Site:
    """An ASGI application for requests and sockets. ``is_open``: whether methods are served; the
    pages always are."""

    def __init__(
        self,
        services: list[Service],
        contract: dict[str, Any],
        backend: Backend,
        calls: Calls,
        settings: Settings,
        *,
        observer: Observer | None,
        authenticate: Authenticate | None,
        is_open: bool,
    ) -> None:
        self.is_open = is_open
        self.rest = Rest(services, calls, settings, observer, authenticate)
        self.upgrades = Upgrades(self.rest)
        self._resource = Resource(calls, settings, self.rest.callers)
        secured = authenticate is not None
        self._pages = Pages(
            services, contract, backend, settings, self.rest.routes, secured=secured
        )
        self._requests: Any = self._serve
        if settings.cors:
            self._requests = _crossing(self._serve, settings.cors)

    def open(self) -> None:
        """Serves methods from now on."""
        self.is_open = True
        self.upgrades.start()
        self._pages.is_draining = False

    def drain(self) -> None:
        """Takes no new sockets, lets those that are open end, and is not ready any more."""
        self.upgrades.drain()
        self._pages.is_draining = True

    async def __call__(self, scope: http.Scope, receive: http.Receive, send: http.Send) -> None:
        if scope["type"] == "http":
            await self._requests(scope, receive, send)
        elif scope["type"] == "websocket":
            out_of_service = "" if self.is_open else CLOSED
            await self.upgrades.serve(scope, receive, send, _path(scope), out_of_service)

    async def _serve(self, scope: http.Scope, receive: http.Receive, send: http.Send) -> None:
        path = _path(scope)
        protocol: Rest | Resource | None = None
        if path in self.rest.routes:
            protocol = self.rest
        elif path.startswith(f"{CALLS}/"):
            protocol = self._resource
        if not protocol:
            await self._pages(scope, receive, send)
        elif self.is_open:
            await protocol.serve(scope, receive, send, path)
        else:
            # A path of /calls ends with an id, which may be a secret.
            shown = f"{CALLS}/…" if protocol is self._resource else path
            log.error("%s was called before start(): %s", shown, MEND)
            await http.respond(send, http.problem(Unavailable(reason=CLOSED)))


def _crossing(app: Any, origins: Sequence[str]) -> CORSMiddleware:
    """The same for pages of these origins."""
    return CORSMiddleware(
        app,
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["*"],
        expose_headers=list(EXPOSED),
        max_age=86_400,
    )


def _path(scope: http.Scope) -> str:
    path, root = scope["path"], scope.get("root_path", "")
    if root and path.startswith(f"{root}/"):  # a proxy may have cut its prefix off already
        path = path[len(root) :]
    return str(path)
