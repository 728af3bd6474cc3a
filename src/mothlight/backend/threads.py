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

FREE, MOST_FREE = 3, 16
"""Threads that are free to serve: at least one that reads, one that prepares and one at the model;
at most some that would be needed again soon."""


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


class Reserve:
    """How many threads are free to serve. A stream takes the one that has read of it for as long as
    it lasts, for to start another takes longer than most first items. ``start`` starts one more."""

    def __init__(self, start: Callable[[], None]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._free = 0

    def fill(self) -> None:
        """Sees to it that ``FREE`` are."""
        while self._free < FREE:
            with self._lock:
                self._free += 1
            self._start()

    def leave(self) -> None:
        """Takes this thread away."""
        with self._lock:
            self._free -= 1

    def come_back(self) -> bool:
        """Makes it free again; False where that would be one too many, and it had better end."""
        with self._lock:
            if (
                self._free >= MOST_FREE
                and threading.current_thread() is not threading.main_thread()
            ):
                return False
            self._free += 1
            return True


def give_way() -> None:
    """Lets a process run that waits for our core. Where cores are few that is the front: we woke up
    there while it was still running, and what we send now does not wake who is awake (measured on
    two cores: a stream's first item after 0.72 ms instead of 1.04)."""
    if hasattr(os, "sched_yield"):
        os.sched_yield()


def die(error: BaseException) -> NoReturn:
    """Ends the process at once, with the status of a model's ``sys.exit(status)``."""
    log.error("the worker ends", exc_info=error)
    status = error.code if isinstance(error, SystemExit) else None
    os._exit(status & 0xFF if isinstance(status, int) else 1)


class Tasks:
    """Tasks on an event loop that runs in another thread, each with a number."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._tasks: dict[int, asyncio.Task[None]] = {}

    @property
    def is_idle(self) -> bool:
        """Whether none runs, of those that have begun."""
        return not self._tasks

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
