"""Client: calls that block."""

from __future__ import annotations

import copy
import time
import weakref
from collections.abc import Generator, Mapping
from types import SimpleNamespace
from typing import Any, Self, TypeVar, Unpack, overload

import httpx2

from ..service import ServerStream, Service, Unary
from .body import ABSENT
from .contract import CONTRACT, Contract
from .exchange import Changes, Collector, Exchange, Items, Options, Timeout, address, closed
from .stub import Stub

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741
S = TypeVar("S")


class Client:
    """Calls the services at ``url``. Safe to share between threads; close it, or use ``with``.

    ``timeout``, ``headers``, ``retries``, ``idle`` and ``max_answer`` are those of ``Options``;
    ``http`` goes to ``httpx2.Client`` (verify, proxy, auth, …). Everything a call raises is a
    ``mothlight.Error``: those that the method declares, those that any server may answer, and
    ConnectionFailed, StreamCut and UnexpectedAnswer.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: Timeout = "auto",
        headers: Mapping[str, str] | None = None,
        retries: int = 2,
        idle: float = 45.0,
        max_answer: int = 256 * 1024 * 1024,
        **http: Any,
    ) -> None:
        self._url = address(url)
        self._options = Options(timeout, dict(headers or {}), None, retries, idle, max_answer)
        self._http = httpx2.Client(**http)
        self._known: list[Contract] = []  # the contract, when it is read; shared with copies
        self._parent: Client | None = None
        self._close = weakref.finalize(self, self._http.close)

    @property
    def url(self) -> str:
        """Where the services are."""
        return self._url

    def with_options(self, **changes: Unpack[Changes]) -> Self:
        """A client with other options that shares this one's connections. ``headers`` are added to
        those there are. Closing is up to the first one."""
        changed = copy.copy(self)
        changed._options = self._options.changed(changes)
        changed._parent = self  # the connections live as long as someone uses them
        return changed

    def close(self) -> None:
        """Closes the connections."""
        if self._parent is None:
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    # Calls

    @overload
    def of(self, service: type[S], /) -> type[S]: ...
    @overload
    def of(self, service: str, /) -> Any: ...
    def of(self, service: Any, /) -> Any:
        """A service whose methods are called on the server: by its class, typed; or by its name,
        made of the server's contract.

        The type is the class itself: what a checker finds there by a method's name is the method's
        description, which is typed as a call from message to answer.
        """
        found = self._contract().service(service) if isinstance(service, str) else None
        return Stub(self, found or Service.of(service))

    def call(self, method: Unary[I, O, Any], message: I = ABSENT) -> O:
        """Calls a unary method."""
        exchange = Exchange(self.url, method, message, self._options)
        response = self._open(exchange)
        return exchange.result(response, self._read(exchange, response))

    def stream(
        self, method: ServerStream[I, O, Any], message: I = ABSENT
    ) -> Generator[O, None, None]:
        """Calls a streaming method; its items as they come. The call is made with the first
        ``next``; leaving the loop, or ``close()``, ends it on the server too."""
        return self._stream(Exchange(self.url, method, message, self._options))

    # What the server offers

    def contract(self) -> dict[str, Any]:
        """The server's contract (``/contract``): services, types, errors and their hash."""
        self._known[:] = [Contract(self.call(CONTRACT))]
        return self._known[0].document

    @property
    def errors(self) -> SimpleNamespace:
        """The declared errors by name, made of the contract: ``except client.errors.TextTooLong``.
        Calls through ``of("Sentiment")`` raise them."""
        return self._contract().errors

    @property
    def types(self) -> SimpleNamespace:
        """The messages and enums by name, made of the contract: ``client.types.Review(...)``."""
        return self._contract().types

    def _contract(self) -> Contract:
        if not self._known:
            self.contract()
        return self._known[0]

    # I/O

    def _open(self, exchange: Exchange[Any]) -> httpx2.Response:
        while True:
            if self._http.is_closed:
                raise closed(exchange.url)
            try:
                response = self._http.send(exchange.request(self._http), stream=True)
            except httpx2.HTTPError as error:
                pause = exchange.lost(error)
            else:
                if response.is_success:
                    return response
                pause = exchange.refused(response, self._read(exchange, response))
            time.sleep(pause)

    def _read(self, exchange: Exchange[Any], response: httpx2.Response) -> bytes:
        collector = Collector(exchange, response)
        try:
            for chunk in response.iter_bytes():
                if not collector.add(chunk):
                    break
        except httpx2.HTTPError as error:
            raise exchange.failure(error) from error
        finally:
            response.close()
        return bytes(collector.content)

    def _stream(self, exchange: Exchange[O]) -> Generator[O, None, None]:
        response = self._open(exchange)
        try:
            items = Items(exchange, response)
            try:
                for chunk in response.iter_bytes():
                    yield from items.feed(chunk)
            except httpx2.HTTPError as error:
                items.broken(error)
            items.end()
        finally:
            response.close()
