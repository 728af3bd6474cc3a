"""Talk: a conversation on asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing, suppress
from typing import Any, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from .conversation import Conversation
from .outbox import Frame

O = TypeVar("O")  # noqa: E741

LOST = (WebSocketException, OSError, EOFError)
Messages = AsyncIterable[Any] | Iterable[Any]


async def frames(conversation: Conversation[Any], messages: Messages) -> AsyncGenerator[Frame]:
    """The frames of messages."""
    try:
        if isinstance(messages, AsyncIterable):
            async for message in messages:
                yield conversation.encode(message)
        else:
            for message in messages:
                yield conversation.encode(message)
    finally:
        if (close := getattr(messages, "aclose", None)) is not None:
            with suppress(RuntimeError):  # it is running elsewhere
                await close()


async def talk(conversation: Conversation[O], messages: AsyncGenerator[Frame]) -> AsyncGenerator[O]:
    """The items of a call that takes messages of these frames. What taking them raises is raised
    here."""
    feeder = _Feeder(conversation, messages)
    try:
        while not conversation.ended:
            try:
                async with connect(conversation.url, **conversation.connecting()) as socket:
                    try:
                        conversation.greet(await _frame(socket, conversation))
                        feeder.start(socket)
                        while not conversation.ended:
                            items = conversation.take(await _frame(socket, conversation))
                            feeder.wake()
                            for item in items:
                                yield item
                    finally:
                        if not conversation.ended:  # a word would wait behind all that was sent
                            socket.transport.abort()
            except LOST as error:
                if conversation.ended:
                    return
                feeder.check()
                await asyncio.sleep(conversation.lost(error))
    finally:
        await feeder.stop()


async def _frame(socket: ClientConnection, conversation: Conversation[Any]) -> str | bytes:
    async with asyncio.timeout(conversation.seconds):
        return await socket.recv()


class _Feeder:
    """Takes the messages, and sends them on whatever connection there is."""

    def __init__(self, conversation: Conversation[Any], messages: AsyncGenerator[Frame]) -> None:
        self.outbox = conversation.outbox
        self._messages = messages
        self._changed = asyncio.Event()  # something may be sent, or taken
        self._room = asyncio.Event()
        self._failure: BaseException | None = None
        self._feeding: asyncio.Task[None] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._socket: ClientConnection | None = None

    def check(self) -> None:
        """Raises what taking a message has raised."""
        if self._failure is not None:
            raise self._failure

    def start(self, socket: ClientConnection) -> None:
        """Sends on this connection from now on."""
        self.check()
        loop = asyncio.get_running_loop()
        if self._sending is not None:
            self._sending.cancel()
        self._socket, self._sending = socket, loop.create_task(self._send(socket))
        self.wake()  # the greeting may have made room
        if self._feeding is None:
            self._feeding = loop.create_task(self._feed())

    def wake(self) -> None:
        """The server may have taken some."""
        self._room.set()

    async def stop(self) -> None:
        """Ends both tasks."""
        tasks = [task for task in (self._feeding, self._sending) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _feed(self) -> None:
        try:
            async with aclosing(self._messages):
                async for frame in self._messages:
                    while self.outbox.is_full:
                        self._room.clear()
                        await self._room.wait()
                    self.outbox.add(frame)
                    self._changed.set()
            self.outbox.end()
            self._changed.set()
        except BaseException as error:  # raised to who waits for the items
            self._failure = error
            if self._socket is not None:
                self._socket.transport.abort()

    async def _send(self, socket: ClientConnection) -> None:
        with suppress(*LOST):
            while True:
                while (frame := self.outbox.take()) is not None:
                    await socket.send(frame)
                self._changed.clear()
                await self._changed.wait()
