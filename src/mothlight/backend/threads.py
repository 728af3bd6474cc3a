"""What runs in a worker: threads whose failure is the process's, and tasks on one event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NoReturn

log = logging.getLogger("mothlight")


def start_thread(
    target: Callable[..., None],
    *arguments: Any,
    inside: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> None:
    """Runs ``target`` in a thread, ``inside`` a context; what escapes from it (a model's
    ``sys.exit()``, a broken socket) ends the process, for a call that is lost with its thread would
    be waited for in vain."""

    def run() -> None:
        try:
            with inside():
                target(*arguments)
        except BaseException as error:
            die(error)

    threading.Thread(target=run, daemon=True).start()


def die(error: BaseException) -> NoReturn:
    """Ends the process at once."""
    log.error("the worker ends", exc_info=error)
    os._exit(1)


class Tasks:
    """Tasks on an event loop that runs in another thread, each with a number."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def spawn(self, id: int, work: Coroutine[Any, Any, None]) -> None:
        def start() -> None:
            task = self._tasks[id] = self.loop.create_task(work)
            task.add_done_callback(ended)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.pop(id, None)
            if not task.cancelled() and (error := task.exception()):
                die(error)

        self.loop.call_soon_threadsafe(start)

    def cancel(self, id: int) -> None:
        """Cancels a task that has been started; of one that has not, its work has to see by itself
        that it is cancelled."""
        self.loop.call_soon_threadsafe(self._cancel, id)

    def _cancel(self, id: int) -> None:
        if task := self._tasks.get(id):
            # One turn later: a task that is cancelled before its first step never runs at all, and
            # so would not say that it has ended.
            self.loop.call_soon(task.cancel)
