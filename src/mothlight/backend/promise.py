"""Promise: a future that tells somebody of its end at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
Listener = Callable[["asyncio.Future[T]"], object]


class Promise(asyncio.Future[T]):
    """A future with one listener, which is called when it ends, in the same turn of the event loop.
    The callbacks of a plain future come in the next one: that costs a handle for each, and the way
    around the loop where there is nothing else to do."""

    __slots__ = ("listener",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.listener: Listener[T] | None = None

    def set_result(self, result: T, /) -> None:
        super().set_result(result)
        self._tell()

    def set_exception(self, exception: type | BaseException, /) -> None:
        super().set_exception(exception)
        self._tell()

    def cancel(self, msg: Any | None = None) -> bool:
        """Ends it; whether it had not ended before."""
        if not super().cancel(msg):
            return False
        self._tell()
        return True

    def _tell(self) -> None:
        if self.listener is None:
            return
        try:
            self.listener(self)
        except Exception as error:  # whoever ends it has others to see to
            told = {"message": "a listener failed", "exception": error, "future": self}
            self.get_loop().call_exception_handler(told)


def listen(future: asyncio.Future[T], listener: Listener[T]) -> None:
    """Calls ``listener`` when a future ends: at once where it can, in the next turn where not."""
    if isinstance(future, Promise) and future.listener is None and not future.done():
        future.listener = listener
    else:
        future.add_done_callback(listener)
