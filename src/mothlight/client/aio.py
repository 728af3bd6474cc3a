"""AsyncClient: calls that are awaited. It runs on asyncio."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from contextlib import aclosing, suppress
from types import SimpleNamespace
from typing import Any, Self, TypeVar, Unpack, overload

import httpx2

from ..errors import Error
from ..services import ClientStream, Duplex, ServerStream, Service, Unary
from .answer import Answer, Collector
from .body import ABSENT
from .contract import Contract
from .conversation import Conversation
from .exchange import CANCEL_TIME, Exchange, closed
from .items import Items
from .operation import AsyncOperation, begun
from .options import RETRIES, Changes, Options, Timeout, Token, address
from .page import CONTRACT, Page
from .stub import Stub, described
from .talk_aio import Messages, frames, talk

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
        retries: int = RETRIES,
        idle: float = 45.0,
        max_answer: int = 256 * 1024 * 1024,
        token: Token = None,
        **http: Any,
    ) -> None:
        self.url = address(url)
        self._options = Options(
            timeout, dict(headers or {}), None, retries, idle, max_answer, token
        )
        self._http, self._given = httpx2.AsyncClient(**http), http
        self._known: list[Contract] = []  # the contract, when it is read; shared with copies
        self._leaving: set[asyncio.Task[None]] = set()  # shared with copies too
        self._is_copy = False

    def with_options(self, **changes: Unpack[Changes]) -> Self:
        """A client with other options that shares this one's connections. ``headers`` are added to
        those there are. Closing is up to the first one."""
        changed = copy.copy(self)
        changed._options = self._options.changed(changes)
        changed._is_copy = True
        return changed

    async def aclose(self) -> None:
        """Closes the connections, once the calls that were left are cancelled (1.5 s at most)."""
        if not self._is_copy:
            await asyncio.gather(*self._leaving, return_exceptions=True)
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

    @overload
    async def call(self, method: Unary[I, O, Any], message: I = ...) -> O: ...
    @overload
    async def call(
        self, method: ClientStream[I, O, Any], message: AsyncIterable[I] | Iterable[I]
    ) -> O: ...
    async def call(self, method: Any, message: Any = ABSENT) -> Any:
        """Calls a method with one answer. The model runs once, however often the connection is
        lost. Cancelling the task ends the call on the server too. A method that takes a stream is
        given an iterable, asynchronous or not."""
        method = described(method)
        exchange: Exchange[Any] = Exchange(self.url, method, message, self._options)
        if method.cardinality.streams_in:
            async with aclosing(self._talk(exchange, message)) as items:
                return exchange.only([item async for item in items])
        return await self._unary(exchange)

    @overload
    def stream(self, method: ServerStream[I, O, Any], message: I = ...) -> AsyncGenerator[O]: ...
    @overload
    def stream(
        self, method: Duplex[I, O, Any], message: AsyncIterable[I] | Iterable[I]
    ) -> AsyncGenerator[O]: ...
    def stream(self, method: Any, message: Any = ABSENT) -> Any:
        """Calls a streaming method; its items as they come. The call is made with the first item;
        ``aclose()``, or ``contextlib.aclosing`` around the loop, ends it on the server too (so
        does leaving the loop, when the event loop comes to it). After a lost connection it goes on
        with the next item. A method that takes a stream, too, is given an iterable, asynchronous
        or not."""
        method = described(method)
        exchange: Exchange[Any] = Exchange(self.url, method, message, self._options)
        if method.cardinality.streams_in:
            return self._talk(exchange, message)
        return self._stream(exchange)

    async def begin(
        self, method: Unary[I, O, Any] | ServerStream[I, O, Any], message: I = ABSENT
    ) -> AsyncOperation[O]:
        """Begins a call in the background, which nobody need wait for. ``timeout`` is the time of
        the call itself; with "auto" the server says how long it may take."""
        method = described(method)
        exchange = Exchange(self.url, method, message, self._options, is_background=True)
        return AsyncOperation(self, method, begun(exchange, await self._exchange(exchange)))

    def operation(
        self, id: str, method: Unary[I, O, Any] | ServerStream[I, O, Any]
    ) -> AsyncOperation[O]:
        """A call of this method that was begun before, by the id that it had then."""
        return AsyncOperation(self, described(method), id)

    # What the server offers

    async def contract(self) -> dict[str, Any]:
        """The server's contract (``/contract``): services, types, errors and their hash."""
        self._known[:] = [Contract(await self._page(CONTRACT))]
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

    async def _page(self, page: Page) -> Any:
        return await self._unary(Exchange(self.url, page, None, self._options, is_page=True))

    async def _unary(self, exchange: Exchange[O]) -> O:
        return exchange.result(await self._exchange(exchange))

    async def _exchange(self, exchange: Exchange[Any]) -> Answer:
        """The answer of a call that has succeeded."""
        try:
            while True:
                try:
                    response = await self._send(exchange)
                    answer = await self._read(exchange, response)
                except httpx2.HTTPError as error:
                    pause = exchange.lost(error)
                else:
                    if exchange.is_answer(answer):
                        return answer
                    pause = exchange.refused(answer)
                await asyncio.sleep(pause)
        except BaseException:
            self._leave(exchange)
            raise

    async def _stream(self, exchange: Exchange[O]) -> AsyncGenerator[O]:
        items = Items(exchange)
        try:
            while not items.ended:
                try:
                    response = await self._send(exchange)
                    if response.is_success:
                        try:
                            items.open(response)
                            async with aclosing(response.aiter_bytes()) as chunks:
                                async for chunk in chunks:
                                    for item in items.feed(chunk):
                                        yield item
                        finally:
                            await response.aclose()
                        pause = items.lost()
                    else:
                        pause = exchange.refused(await self._read(exchange, response))
                except httpx2.HTTPError as error:
                    pause = items.lost(error)
                await asyncio.sleep(pause)
        except BaseException:
            self._leave(exchange)
            raise

    async def _talk(self, exchange: Exchange[O], messages: Messages) -> AsyncGenerator[O]:
        if self._http.is_closed:
            raise closed(exchange.url)
        conversation = Conversation(exchange, self._given)
        try:
            async with aclosing(talk(conversation, frames(conversation, messages))) as items:
                async for item in items:
                    yield item
        except BaseException:
            self._leave(exchange)
            raise

    async def _send(self, exchange: Exchange[Any]) -> httpx2.Response:
        if self._http.is_closed:
            raise closed(exchange.url)
        return await self._http.send(exchange.request(self._http), stream=True)

    async def _read(self, exchange: Exchange[Any], response: httpx2.Response) -> Answer:
        collector = Collector(response, exchange.options.max_answer)
        try:
            async with aclosing(response.aiter_bytes()) as chunks:
                async for chunk in chunks:
                    exchange.check()
                    if not collector.add(chunk):
                        break
        finally:
            await response.aclose()
        return collector.answer()

    def _leave(self, exchange: Exchange[Any]) -> None:
        """Tells the server that nobody waits for a call any more, beside whatever comes next."""
        if exchange.is_left and not self._http.is_closed:
            task = asyncio.get_running_loop().create_task(self._cancel(exchange))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _cancel(self, exchange: Exchange[Any]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(CANCEL_TIME):
                for pause in exchange.pauses:
                    await asyncio.sleep(pause)
                    try:
                        request = exchange.cancel(self._http, CANCEL_TIME)
                        if (await self._http.send(request)).status_code != 404:
                            return
                    except (httpx2.HTTPError, RuntimeError):  # RuntimeError: it was closed
                        pass
