"""AsyncClient: calls that are awaited. It runs on asyncio."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any, Self, TypeVar, Unpack

import httpx2

from ..errors import Error
from ..service import ServerStream, Service, Unary
from .body import ABSENT
from .contract import CONTRACT, Contract
from .exchange import Changes, Collector, Exchange, Items, Options, Timeout, address, closed
from .stub import Stub

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741


class ContractMissing(Error):
    "the contract is not read yet:   await client.contract()"


class AsyncClient:
    """The asynchronous ``Client``: the same options, calls and errors.

    ``await client.call(Sentiment.analyze, Review(...))`` and ``client.stream(Writer.write, ...)``
    are typed; what ``of`` gives is not, see there.
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
        self.url = address(url)
        self._options = Options(timeout, dict(headers or {}), None, retries, idle, max_answer)
        self._http = httpx2.AsyncClient(**http)
        self._known: list[Contract] = []  # the contract, when it is read; shared with copies
        self._is_copy = False

    def with_options(self, **changes: Unpack[Changes]) -> Self:
        """A client with other options that shares this one's connections. ``headers`` are added to
        those there are. Closing is up to the first one."""
        changed = copy.copy(self)
        changed._options = self._options.changed(changes)
        changed._is_copy = True
        return changed

    async def aclose(self) -> None:
        """Closes the connections."""
        if not self._is_copy:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    # Calls

    def of(self, service: type | str, /) -> Any:
        """A service whose methods are awaited, or iterated with ``async for``: by its class, or by
        its name once ``await client.contract()`` has read the contract.

        Not typed: its methods give awaitables of what the class's descriptions give, and Python's
        types cannot say "this class with every result awaited". ``call`` and ``stream`` can.
        """
        found = self._contract().service(service) if isinstance(service, str) else None
        return Stub(self, found or Service.of(service))

    async def call(self, method: Unary[I, O, Any], message: I = ABSENT) -> O:
        """Calls a unary method. Cancelling the task ends the call on the server too."""
        exchange = Exchange(self.url, method, message, self._options)
        response = await self._open(exchange)
        return exchange.result(response, await self._read(exchange, response))

    def stream(self, method: ServerStream[I, O, Any], message: I = ABSENT) -> AsyncGenerator[O]:
        """Calls a streaming method; its items as they come. The call is made with the first item;
        ``aclose()``, or ``contextlib.aclosing`` around the loop, ends it on the server too (so
        does leaving the loop, when the event loop comes to it)."""
        return self._stream(Exchange(self.url, method, message, self._options))

    # What the server offers

    async def contract(self) -> dict[str, Any]:
        """The server's contract (``/contract``): services, types, errors and their hash."""
        self._known[:] = [Contract(await self.call(CONTRACT))]
        return self._known[0].document

    @property
    def errors(self) -> SimpleNamespace:
        """The declared errors by name, once ``await client.contract()`` has read them."""
        return self._contract().errors

    @property
    def types(self) -> SimpleNamespace:
        """The messages and enums by name, once ``await client.contract()`` has read them."""
        return self._contract().types

    def _contract(self) -> Contract:
        if not self._known:
            raise ContractMissing
        return self._known[0]

    # I/O

    async def _open(self, exchange: Exchange[Any]) -> httpx2.Response:
        while True:
            if self._http.is_closed:
                raise closed(exchange.url)
            try:
                response = await self._http.send(exchange.request(self._http), stream=True)
            except httpx2.HTTPError as error:
                pause = exchange.lost(error)
            else:
                if response.is_success:
                    return response
                pause = exchange.refused(response, await self._read(exchange, response))
            await asyncio.sleep(pause)

    async def _read(self, exchange: Exchange[Any], response: httpx2.Response) -> bytes:
        collector = Collector(exchange, response)
        try:
            async with aclosing(response.aiter_bytes()) as chunks:
                async for chunk in chunks:
                    if not collector.add(chunk):
                        break
        except httpx2.HTTPError as error:
            raise exchange.failure(error) from error
        finally:
            await response.aclose()
        return bytes(collector.content)

    async def _stream(self, exchange: Exchange[O]) -> AsyncGenerator[O]:
        response = await self._open(exchange)
        try:
            items = Items(exchange, response)
            try:
                async with aclosing(response.aiter_bytes()) as chunks:
                    async for chunk in chunks:
                        for item in items.feed(chunk):
                            yield item
            except httpx2.HTTPError as error:
                items.broken(error)
            items.end()
        finally:
            await response.aclose()
