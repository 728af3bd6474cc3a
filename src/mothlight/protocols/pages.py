"""The pages beside the methods: documents, health, metrics, and the 404 of all else."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import lru_cache
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..backend.base import Backend
from ..contracts import openapi
from ..errors import Error, MalformedRequest, MethodNotAllowed, RouteNotFound
from ..services import Service
from ..settings import Settings
from . import exposition, http


class Pages:
    """An ASGI application with the service pages."""

    def __init__(
        self,
        services: list[Service],
        contract: dict[str, Any],
        backend: Backend,
        settings: Settings,
        methods: dict[str, Any],
        *,
        secured: bool = False,
    ) -> None:
        self.services, self.contract, self.backend = services, contract, backend
        self._secured = secured
        self.is_draining = False
        routes = [
            Route("/health/live", self._live),
            Route("/health/ready", self._ready),
            Route("/metrics", self._metrics),
        ]
        if settings.docs:
            routes += [
                Route("/contract", self._contract),
                Route("/openapi.json", self._openapi),
                Route("/docs", self._docs),
            ]
        self._paths = [route.path for route in routes]
        # A document takes milliseconds to make; its root comes from the host that mounts us.
        self._document = lru_cache(maxsize=8)(self._render)
        handlers: Any = {404: _not_found, 405: _not_allowed}
        self._app = Starlette(routes=routes, exception_handlers=handlers)
        self._app.router.redirect_slashes = False  # behind TLS it would lead to http://

    async def __call__(self, scope: http.Scope, receive: http.Receive, send: http.Send) -> None:
        await self._app(scope, receive, send)

    async def _live(self, request: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def _ready(self, request: Request) -> Response:
        ready = self.backend.is_ready and not self.is_draining
        body = {
            "status": "ready" if ready else "stopping" if self.is_draining else "unready",
            "services": dict(self.backend.states),
            "queued": self.backend.queued,
        }
        return JSONResponse(body, 200 if ready else 503, {"cache-control": "no-store"})

    async def _metrics(self, request: Request) -> Response:
        return Response(exposition.render(), headers={"content-type": exposition.CONTENT_TYPE})

    async def _contract(self, request: Request) -> Response:
        etag = f'"{self.contract["hash"]}"'
        if _is_known(etag, request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers={"etag": etag})
        return JSONResponse(self.contract, headers={"etag": etag})

    async def _openapi(self, request: Request) -> Response:
        version = request.query_params.get("version", "3.2")
        if version not in openapi.VERSIONS:
            known = " and ".join(openapi.VERSIONS)
            return _problem(MalformedRequest(reason=f"the versions of OpenAPI here are {known}"))
        body = self._document(version, request.scope.get("root_path", ""))
        return Response(body, media_type="application/json")

    def _render(self, version: str, root: str) -> bytes:
        document = openapi.build(self.services, version=version, root=root, secured=self._secured)
        return json.dumps(document).encode()

    async def _docs(self, request: Request) -> Response:
        return Response(
            _PAGE,
            media_type="text/html",
            headers={"content-security-policy": _POLICY, "x-content-type-options": "nosniff"},
        )


def _is_known(etag: str, none_match: str) -> bool:
    """Whether an ``If-None-Match`` names it (RFC 9110, 13.1.2): a weak one is as good."""
    named = (tag.strip().removeprefix("W/") for tag in none_match.split(","))
    return any(tag in ("*", etag) for tag in named)


def _hashes(page: str, tag: str) -> str:
    """The CSP sources of a page's inline scripts or styles: nothing else on it may run."""
    inline = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()) for text in inline)
    return " ".join(f"'sha256-{digest.decode()}'" for digest in digests)


_PAGE = files("mothlight.protocols").joinpath("docs.html").read_text("utf-8")
_POLICY = (
    f"default-src 'none'; script-src {_hashes(_PAGE, 'script')}; "
    f"style-src {_hashes(_PAGE, 'style')}; img-src data: blob:; media-src blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def _not_found(request: Request, _: Exception) -> Response:
    return _problem(RouteNotFound(path=request.scope["path"]))


async def _not_allowed(request: Request, _: Exception) -> Response:
    return _problem(MethodNotAllowed(path=request.scope["path"], allow=["GET", "HEAD"]))


def _problem(error: Error) -> Response:
    headers = {"allow": ", ".join(error.allow)} if isinstance(error, MethodNotAllowed) else {}
    return JSONResponse(
        error.problem(), error.status, headers, media_type="application/problem+json"
    )
