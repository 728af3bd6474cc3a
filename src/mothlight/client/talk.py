"""Talk: a conversation that blocks. Two threads help it, for the caller's own waits for items: one
takes the messages from where they come, one sends them."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR
from typing import Any, TypeVar

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from .conversation import Conversation

O = TypeVar("O")  # noqa: E741

LOST = (WebSocketException, OSError, EOFError)


def talk(conversation: Conversation[O], messages: Iterable[Any]) -> Generator[O, None, None]:
    """The items of a call that takes these messages. What taking them raises is raised here."""
    feeder = _Feeder(conversation, messages)
    try:
        while not conversation.ended:
            try:
                with connect(conversation.url, **conversation.connecting()) as socket:
                    first = socket.recv(conversation.seconds)
                    with feeder.on(socket, first):
                        while not conversation.ended:
                            frame = socket.recv(conversation.seconds)
                            with feeder.changed:
                                items = conversation.take(frame)
                                feeder.changed.notify_all()
                            yield from items
            except LOST as error:
                if conversation.ended:
                    return
                feeder.check()
                time.sleep(conversation.lost(error))
    finally:
        feeder.stop()


class _Feeder:
    """Takes the messages, and sends them on whatever connection there is."""

    def __init__(self, conversation: Conversation[Any], messages: Iterable[Any]) -> None:
        self.conversation, self.outbox = conversation, conversation.outbox
        self.changed = threading.Condition()
        self._messages = messages
        self._socket: ClientConnection | None = None
        self._failure: BaseException | None = None
        self._is_started = self._is_stopped = False

    def check(self) -> None:
        """Raises what taking a message has raised."""
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Ends both threads. One that waits for the next message ends when that comes."""
        with self.changed:
            self._is_stopped = True
            self.changed.notify_all()

    @contextmanager
    def on(self, socket: ClientConnection, greeting: str | bytes) -> Iterator[None]:
        """Sends on this connection as long as the context lasts."""
        with self.changed:
            self.conversation.greet(greeting)
            self.check()
            self._socket = socket
            self.changed.notify_all()  # the greeting may have made room
        if not self._is_started:
            self._is_started = True
            _start("mothlight-messages", self._feed)
        _start("mothlight-send", self._send, socket)
        try:
            yield
        finally:
            with self.changed:
                self._socket = None
                self.changed.notify_all()
            if not self.conversation.ended:
                _hang_up(socket)

    def _feed(self) -> None:
        try:
            for message in self._messages:
                frame = self.conversation.encode(message)
                with self.changed:
                    self.changed.wait_for(lambda: self._is_stopped or not self.outbox.is_full)
                    if self._is_stopped:
                        break
                    self.outbox.add(frame)
                    self.changed.notify_all()
            with self.changed:
                if not self._is_stopped:
                    self.outbox.end()
                self.changed.notify_all()
            if self._is_stopped and (close := getattr(self._messages, "close", None)):
                close()
        except BaseException as error:
            with self.changed:
                self._failure, socket = error, self._socket
            if socket is not None:
                _hang_up(socket)

    def _send(self, socket: ClientConnection) -> None:
        with suppress(*LOST):
            while (frame := self._next(socket)) is not None:
                socket.send(frame)

    def _next(self, socket: ClientConnection) -> str | bytes | None:
        with self.changed:
            while self._socket is socket and not self._is_stopped:
                if (frame := self.outbox.take()) is not None:
                    return frame
                self.changed.wait()
        return None


def _hang_up(socket: ClientConnection) -> None:
    """Closes it without a word, which would wait until all that was sent before it is read."""
    with suppress(OSError):  # it is closed
        socket.socket.shutdown(SHUT_RDWR)


def _start(name: str, work: Any, *given: Any) -> None:
    threading.Thread(target=work, args=given, name=name, daemon=True).start()
