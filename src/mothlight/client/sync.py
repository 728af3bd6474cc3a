"""Client: calls that block."""

from __future__ import annotations

import copy
import time
import weakref
from collections.abc import Generator, Iterable, Mapping
from types import SimpleNamespace
from typing import Any, Self, TypeVar, Unpack, overload

import httpx2

from ..services import ClientStream, Duplex, ServerStream, Service, Unary
from .answer import Answer, Collector
from .body import ABSENT
from .contract import Contract
from .conversation import Conversation
from .exchange import CANCEL_TIME, Exchange, closed
from .items import Items
from .operation import Operation, begun
from .options import RETRIES, Changes, Options, Timeout, Token, address
from .page import CONTRACT, Page
from .stub import Stub, described
from .talk import talk

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741
S = TypeVar("S")


class Client:
    """Calls the services at ``url``. Safe to share between threads; close it, or use ``with``.

    ``timeout``, ``headers``, ``retries``, ``idle``, ``max_answer`` and ``token`` are those of
    ``Options``; ``http`` goes to ``httpx2.Client`` (verify, proxy, auth, …). Everything a call
    raises is a ``mothlight.Error``: those that the method declares, those that any server may
    answer, and ConnectionFailed, StreamCut and UnexpectedAnswer.
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
        self._url = address(url)
        self._options = Options(
            timeout, dict(headers or {}), None, retries, idle, max_answer, token
        )
        self._http, self._given = httpx2.Client(**http), http
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

    @overload
    def call(self, method: Unary[I, O, Any], message: I = ...) -> O: ...
    @overload
    def call(self, method: ClientStream[I, O, Any], message: Iterable[I]) -> O: ...
    def call(self, method: Any, message: Any = ABSENT) -> Any:
        """Calls a method with one answer. The model runs once, however often the connection is
        lost. One that takes a stream is given an iterable; it is read in a thread of its own."""
        method = described(method)
        exchange: Exchange[Any] = Exchange(self.url, method, message, self._options)
        if method.cardinality.streams_in:
            return exchange.only(list(self._talk(exchange, message)))
        return self._unary(exchange)

    @overload
    def stream(
        self, method: ServerStream[I, O, Any], message: I = ...
    ) -> Generator[O, None, None]: ...
    @overload
    def stream(
        self, method: Duplex[I, O, Any], message: Iterable[I]
    ) -> Generator[O, None, None]: ...
    def stream(self, method: Any, message: Any = ABSENT) -> Any:
        """Calls a streaming method; its items as they come. The call is made with the first
        ``next``; leaving the loop, or ``close()``, ends it on the server too. After a lost
        connection it goes on with the next item. One that takes a stream, too, is given an
        iterable; it is read in a thread of its own."""
        method = described(method)
        exchange: Exchange[Any] = Exchange(self.url, method, message, self._options)
        if method.cardinality.streams_in:
            return self._talk(exchange, message)
        return self._stream(exchange)

    def begin(
        self, method: Unary[I, O, Any] | ServerStream[I, O, Any], message: I = ABSENT
    ) -> Operation[O]:
        """Begins a call in the background, which nobody need wait for. ``timeout`` is the time of
        the call itself; with "auto" the server says how long it may take."""
        method = described(method)
        exchange = Exchange(self.url, method, message, self._options, is_background=True)
        return Operation(self, method, begun(exchange, self._exchange(exchange)))

    def operation(
        self, id: str, method: Unary[I, O, Any] | ServerStream[I, O, Any]
    ) -> Operation[O]:
        """A call of this method that was begun before, by the id that it had then."""
        return Operation(self, described(method), id)

    # What the server offers

    def contract(self) -> dict[str, Any]:
        """The server's contract (``/contract``): services, types, errors and their hash."""
        self._known[:] = [Contract(self._page(CONTRACT))]
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

    def _page(self, page: Page) -> Any:
        return self._unary(Exchange(self.url, page, None, self._options, is_page=True))

    def _unary(self, exchange: Exchange[O]) -> O:
        return exchange.result(self._exchange(exchange))

    def _exchange(self, exchange: Exchange[Any]) -> Answer:
        """The answer of a call that has succeeded."""
        try:
            while True:
                try:
                    response = self._send(exchange)
                    answer = self._read(exchange, response)
                except httpx2.HTTPError as error:
                    pause = exchange.lost(error)
                else:
                    if exchange.is_answer(answer):
                        return answer
                    pause = exchange.refused(answer)
                time.sleep(pause)
        except BaseException:
            self._leave(exchange)
            raise

    def _stream(self, exchange: Exchange[O]) -> Generator[O, None, None]:
        items = Items(exchange)
        try:
            while not items.ended:
                try:
                    response = self._send(exchange)
                    if response.is_success:
                        try:
                            items.open(response)
                            for chunk in response.iter_bytes():
                                yield from items.feed(chunk)
                        finally:
                            response.close()
                        pause = items.lost()
                    else:
                        pause = exchange.refused(self._read(exchange, response))
                except httpx2.HTTPError as error:
                    pause = items.lost(error)
                time.sleep(pause)
        except BaseException:
            self._leave(exchange)
            raise

    def _talk(self, exchange: Exchange[O], messages: Iterable[Any]) -> Generator[O, None, None]:
        if self._http.is_closed:
            raise closed(exchange.url)
        try:
            yield from talk(Conversation(exchange, self._given), messages)
        except BaseException:
            self._leave(exchange)
            raise

    def _send(self, exchange: Exchange[Any]) -> httpx2.Response:
        if self._http.is_closed:
            raise closed(exchange.url)
        return self._http.send(exchange.request(self._http), stream=True)

    def _read(self, exchange: Exchange[Any], response: httpx2.Response) -> Answer:
        collector = Collector(response, exchange.options.max_answer)
        try:
            for chunk in response.iter_bytes():
                exchange.check()
                if not collector.add(chunk):
                    break
        finally:
            response.close()
        return collector.answer()

    def _leave(self, exchange: Exchange[Any]) -> None:
        """Tells the server that nobody waits for a call any more, as well as it can be done in a
        short time."""
        until = time.monotonic() + CANCEL_TIME
        if not exchange.is_left or self._http.is_closed:
            return
        for pause in exchange.pauses:
            time.sleep(pause)
            try:
                request = exchange.cancel(self._http, until - time.monotonic())
                if self._http.send(request).status_code != 404:
                    return
            except (httpx2.HTTPError, RuntimeError):  # RuntimeError: the client was closed
                pass
            if time.monotonic() > until:
                return
