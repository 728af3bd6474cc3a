"""Talk: a conversation on asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from .conversation import Conversation

O = TypeVar("O")  # noqa: E741

LOST = (WebSocketException, OSError, EOFError)
Messages = AsyncIterable[Any] | Iterable[Any]


async def talk(conversation: Conversation[O], messages: Messages) -> AsyncGenerator[O]:
    """The items of a call that takes these messages. What taking them raises is raised here."""
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

    def __init__(self, conversation: Conversation[Any], messages: Messages) -> None:
        self.conversation, self.outbox = conversation, conversation.outbox
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
            if isinstance(self._messages, AsyncIterable):
                async for message in self._messages:
                    await self._put(message)
            else:
                for message in self._messages:
                    await self._put(message)
            self.outbox.end()
            self._changed.set()
        except Exception as error:
            self._failure = error
            if self._socket is not None:
                self._socket.transport.abort()
        finally:
            if (close := getattr(self._messages, "aclose", None)) is not None:
                with suppress(RuntimeError):  # it is running elsewhere
                    await close()

    async def _put(self, message: Any) -> None:
        frame = self.conversation.encode(message)
        while self.outbox.is_full:
            self._room.clear()
            await self._room.wait()
        self.outbox.add(frame)
        self._changed.set()

    async def _send(self, socket: ClientConnection) -> None:
        with suppress(*LOST):
            while True:
                while (frame := self.outbox.take()) is not None:
                    await socket.send(frame)
                self._changed.clear()
                await self._changed.wait()
