"""App: services as an ASGI application, and as typed calls from one's own code.

app = mothlight.App(Sentiment, workers=2)       mothlight serve module:app
await app.call(Sentiment.analyze, Review(text="fine"))
fastapi_app = FastAPI(lifespan=app.lifespan); fastapi_app.mount("/ml", app)
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TypeVar

from .backend import Backend, LocalBackend, Pool, Request
from .calls.base import Calls
from .calls.local import LocalCalls
from .calls.quota import Quota
from .contracts import build
from .errors import DefinitionError, Unavailable
from .keys import ApiKeys
from .principal import Authenticate, guarded
from .protocols.observer import Observer
from .schema import Payload
from .services import Method, ServerStream, Service, Unary
from .settings import Settings, read

if TYPE_CHECKING:
    from .protocols import http
    from .protocols.site import Site

log = logging.getLogger("mothlight")

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741


class App:
    """An ASGI application that serves the given ``@service`` classes.

    ``options`` are the fields of ``Settings``; what is not given comes from the environment and
    ``mothlight.toml``. ``backend`` runs the models elsewhere than in worker processes.
    ``authenticate`` finds out who calls, in every protocol; without it anybody may call, and the id
    of a call is its secret.
    """

    def __init__(
        self,
        *services: type,
        backend: Backend | None = None,
        authenticate: Authenticate | None = None,
        settings: Settings | None = None,
        **options: Any,
    ) -> None:
        if not services:
            raise DefinitionError("an App needs a service", "write   App(Sentiment)")
        settings = settings or read(**options)
        self.settings = settings
        self._classes, self._given, self._authenticate = services, backend, authenticate
        self.services = [Service.of(cls) for cls in services]
        self.contract = build(self.services)
        self.backend = backend or self._backend()
        _check_routes(self.services)
        self._observer = Observer.of(self.services, settings)
        self._hook = _hook(authenticate, settings)
        self.calls = self._calls(_limited(self.backend, self._hook, settings))
        self._started = 0
        self._turn = asyncio.Lock()  # of who starts or stops it
        self._has_begun = False
        self._end: float | None = None  # when the time to drain is over, once it has begun

    def with_settings(self, **options: Any) -> App:
        """The same services deployed otherwise: these settings go before the App's own."""
        if not options:
            return self
        given = {name: getattr(self.settings, name) for name in self.settings.model_fields_set}
        return App(
            *self._classes,
            backend=self._given,
            authenticate=self._authenticate,
            **{**given, **options},
        )

    def _backend(self) -> Backend:
        settings = self.settings
        if settings.workers == 0:
            return LocalBackend(self.services, settings)
        return Pool(self.services, settings)

    def _calls(self, backend: Backend) -> Calls:
        where = self.settings.calls
        if where == "memory":
            return LocalCalls(backend, self.settings)
        from .calls.shared import SharedCalls  # most servers have no use for it

        return SharedCalls(backend, self.settings, self.services, where)

    @cached_property
    def site(self) -> Site:
        """What is served at its paths."""
        # A worker imports the module of its App too, and has no use for protocols; a front imports
        # them while its workers start.
        from .protocols.site import Site

        return Site(
            self.services,
            self.contract,
            self.backend,
            self.calls,
            self.settings,
            observer=self._observer,
            authenticate=self._hook,
            is_open=self._given is not None,
        )

    # Its life

    def launch(self) -> None:
        """Starts the worker processes ahead of ``start``, which tells them what to load: they
        import Mothlight while this process imports its server. Raises OSError."""
        if isinstance(self.backend, Pool):
            self.backend.launch()

    async def start(self) -> None:
        """Starts the workers, and returns when every model is loaded. Raises StartupError, and
        DefinitionError where the file of API keys cannot be read."""
        self._has_begun = True
        async with self._turn:
            if self._started == 0:
                await self._start()
            self._started += 1

    async def _start(self) -> None:
        if isinstance(self._hook, ApiKeys):
            self._hook.load()
        async with AsyncExitStack() as begun:
            await self.backend.start()
            begun.push_async_callback(self.backend.stop, 0.0)
            await self.calls.start()
            begun.push_async_callback(self.calls.stop, 0.0)
            if self._observer:
                self._observer.start()
            begun.pop_all()
        self.site.open()
        self._end = None

    def drain(self) -> None:
        """Begins to stop: takes no new sockets, and the ``drain`` seconds count from here on."""
        self.site.drain()
        self._end = time.monotonic() + self.settings.drain

    async def stop(self) -> None:
        """Lets accepted calls end until ``drain`` seconds are over, then ends the workers; nothing
        where it was not started."""
        async with self._turn:
            if self._started == 0:
                return
            self._started -= 1
            if self._started == 0:
                end = time.monotonic() + self.settings.drain if self._end is None else self._end
                await self.calls.stop(max(0.0, end - time.monotonic()))
                await self.backend.stop(max(0.0, end - time.monotonic()))
                if self._observer:
                    await asyncio.to_thread(self._observer.stop)

    @asynccontextmanager
    async def lifespan(self, _: object = None) -> AsyncIterator[None]:
        """The lifespan of a host that mounts this app (a mounted app's own is not run)."""
        await self.start()
        try:
            yield
        finally:
            await self.stop()

    async def __aenter__(self) -> App:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # Its calls

    async def call(
        self,
        method: Unary[I, O, Any],
        message: I = None,  # type: ignore[assignment]
        *,
        timeout: float | None = None,
    ) -> O:
        """Calls a unary method with a message. Raises its errors; DeadlineExceeded after
        ``timeout`` seconds."""
        reply = await self.backend.unary(self._request(method, message, timeout))
        return method.output.decode(reply.payload)

    async def stream(
        self,
        method: ServerStream[I, O, Any],
        message: I = None,  # type: ignore[assignment]
        *,
        timeout: float | None = None,
    ) -> AsyncIterator[O]:
        """Calls a streaming method; its items. Leaving the loop early cancels the call."""
        items = self.backend.stream(self._request(method, message, timeout))
        try:
            async for payloads in items:
                for payload in payloads:
                    yield method.output.decode(payload)
        finally:
            await items.aclose()  # type: ignore[attr-defined]

    def _request(
        self, method: Method[Any, Any, Any], message: Any, timeout: float | None
    ) -> Request:
        if not self._has_begun and self._given is None:
            from .protocols.site import CLOSED, MEND

            log.error("%s was called before start(): %s", method.qualname, MEND)
            raise Unavailable(reason=CLOSED)
        if getattr(method, "service", None) not in self.services:
            raise DefinitionError(
                f"{method.qualname} is not served by this App",
                f"write   App({', '.join(s.name for s in self.services)}, "
                f"{method.qualname.split('.')[0]})",
            )
        if method.parameter:
            if message is None and method.is_bare and method.has_default:
                message = method.default
            payload = method.input.encode(message)
        else:
            payload = Payload(b"null")
        deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
        return Request(method, payload, token_hex(12), deadline)

    # ASGI

    async def __call__(self, scope: http.Scope, receive: http.Receive, send: http.Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self.site(scope, receive, send)

    async def _live(self, receive: http.Receive, send: http.Send) -> None:
        await receive()
        try:
            await self.start()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})


def _hook(given: Authenticate | None, settings: Settings) -> Authenticate | None:
    if given is None:
        return ApiKeys(settings.keys) if settings.keys else None
    return given if isinstance(given, ApiKeys) else guarded(given)


def _limited(backend: Backend, hook: Authenticate | None, settings: Settings) -> Backend:
    if hook is None and settings.rate is None and settings.concurrency is None:
        return backend
    return Quota(backend, settings.rate, settings.concurrency)


def _check_routes(services: list[Service]) -> None:
    taken: dict[tuple[str, str], Method[Any, Any, Any]] = {}
    streams: dict[str, Method[Any, Any, Any]] = {}
    names: dict[str, Service] = {}
    for service in services:
        if (other := names.setdefault(service.name, service)) is not service:
            raise DefinitionError(
                f"two services are called {service.name}: {other.address} and {service.address}",
                'give one another name:   @service(name="...")',
                at=service.cls,
            )
        for method in service.methods.values():
            first = taken.setdefault((method.verb, method.path), method)
            if first is not method:
                raise DefinitionError(
                    f"{first.qualname} and {method.qualname} are both {method.verb} {method.path}",
                    'give one another path:   @method(http="POST /...")',
                    at=method.func,
                )
            if method.cardinality.streams and streams.setdefault(method.path, method) is not method:
                raise DefinitionError(
                    f"{streams[method.path].qualname} and {method.qualname} both stream at "
                    f"{method.path}, and a WebSocket has no verb to tell them apart",
                    f'give one another path:   @method(http="{method.verb} '
                    f'{method.path}/{method.name}")',
                    at=method.func,
                )
