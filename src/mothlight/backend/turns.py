"""Turns: quick generators run one after the other, slow ones side by side.

Sixty threads that all want the interpreter spend most of their time handing it to each other. A
generator that yields at once is better off waiting for its turn and then making some items; one
that computes or sleeps between two items is not waited for.
"""

from __future__ import annotations

import threading
import time
from collections import deque

QUICK = 0.001
"""Seconds that a turn may last; a generator whose step takes longer needs none."""


class Turns:
    """The turns of the generators in one process, given in the order in which they are asked for.

    A thread that waits sleeps until it is handed the turn; only one more thread looks at the clock,
    and hands on the turn of a generator that overruns it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._holder: threading.Lock | None = None
        self._since = 0.0
        self._contended = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def take(self) -> threading.Lock:
        """Waits for a turn; what it gives is given back to ``give``."""
        gate = threading.Lock()
        with self._lock:
            if self._holder is None:
                self._holder, self._since = gate, time.perf_counter()
                return gate
            gate.acquire()
            self._waiting.append(gate)
            self._contended.set()
        gate.acquire()
        return gate

    def give(self, gate: threading.Lock) -> None:
        """Ends a turn, unless it was handed on already."""
        with self._lock:
            if self._holder is gate:
                self._hand_on()

    def _hand_on(self) -> None:
        self._holder = self._waiting.popleft() if self._waiting else None
        if self._holder:
            self._since = time.perf_counter()
            self._holder.release()

    def _watch(self) -> None:
        while True:
            self._contended.wait()
            time.sleep(QUICK)
            with self._lock:
                if self._waiting and time.perf_counter() - self._since > 2 * QUICK:
                    self._hand_on()
                if not self._waiting:
                    self._contended.clear()
