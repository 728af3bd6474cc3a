"""Who may go on: turns of generators, the model in order of asking, the right to read frames.

Sixty threads that all want the interpreter spend most of their time handing it to each other. A
generator that yields at once is better off waiting for its turn and then making some items; one
that computes or sleeps between two items is not waited for.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Generic, TypeVar

QUICK = 0.001
"""Seconds that a turn may last; a generator whose step takes longer needs none."""

OVERRUN = 0.005
"""Seconds after which a batch that was expected to be quick is seen not to be."""

J = TypeVar("J")


class Turn:
    """A generator's turns, one after the other."""

    __slots__ = ("gate", "is_wanted")

    def __init__(self) -> None:
        self.is_wanted = True
        self.gate = threading.Lock()  # locked but for the moment in which the turn is handed over
        self.gate.acquire()


class Turns:
    """The turns of the generators in one process, given in the order in which they are asked for.

    A thread that waits sleeps until it is handed the turn; only one more thread looks at the clock,
    and hands on the turn of a generator that overruns it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Turn] = deque()
        self._holder: Turn | None = None
        self._since = 0.0
        self._contended = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def take(self, turn: Turn | None = None) -> Turn:
        """Waits for a turn, which is given back to ``give``; not for one that was renounced."""
        turn = turn or Turn()
        with self._lock:
            if not turn.is_wanted:
                return turn
            if self._holder is None:
                self._holder, self._since = turn, time.perf_counter()
                return turn
            self._waiting.append(turn)
            self._contended.set()
        turn.gate.acquire()
        return turn

    def give(self, turn: Turn) -> None:
        """Ends a turn, unless it was handed on already."""
        with self._lock:
            if self._holder is turn:
                self._hand_on()

    def renounce(self, turn: Turn) -> None:
        """Sees to it that nobody waits for this turn, now or later; any thread may."""
        with self._lock:
            turn.is_wanted = False
            if turn in self._waiting:
                self._waiting.remove(turn)
                turn.gate.release()

    def _hand_on(self) -> None:
        self._holder = self._waiting.popleft() if self._waiting else None
        if self._holder:
            self._since = time.perf_counter()
            self._holder.gate.release()

    def _watch(self) -> None:
        while True:
            self._contended.wait()
            time.sleep(QUICK)
            with self._lock:
                if self._waiting and time.perf_counter() - self._since > 2 * QUICK:
                    self._hand_on()
                if not self._waiting:
                    self._contended.clear()


class InOrder:
    """A lock that is given in the order in which it was asked for. (A plain one would go again and
    again to a thread that gives it back and asks at once, as a stepper does.)"""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self.is_free = True

    def __enter__(self) -> None:
        with self._lock:
            if self.is_free:
                self.is_free = False
                return
            gate = threading.Lock()
            gate.acquire()
            self._waiting.append(gate)
        gate.acquire()

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self.is_free = True


class Relay(Generic[J]):
    """Lets one thread stay at the model: its core has the weights at hand, and another would first
    have to be woken. Who comes with a job meanwhile leaves it to that thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_taken = False
        self._waiting: deque[J] = deque()

    def bring(self, job: J) -> bool:
        """Whether to do it, and then what ``next`` gives; else another thread will."""
        with self._lock:
            if self._is_taken:
                self._waiting.append(job)
                return False
            self._is_taken = True
            return True

    def next(self) -> J | None:
        """The job that is to be done next; None where there is none."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._is_taken = False
            return None


class Lead:
    """The right to read frames: one thread's at a time.

    Who has it may work meanwhile, if that is quick: no other thread has to be woken. A thread of
    its own watches the clock, and takes the right from who overruns, so that others can read.
    """

    def __init__(self) -> None:
        self._right = threading.Lock()
        self._lock = threading.Lock()
        self._since: float | None = None  # when who has the right began to work
        self._working = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def take(self) -> None:
        self._right.acquire()

    def give(self) -> None:
        self._right.release()

    def begin(self) -> None:
        """Begins to work, and keeps the right as long as that is quick."""
        with self._lock:
            self._since = time.perf_counter()
        if not self._working.is_set():
            self._working.set()

    def end(self) -> bool:
        """Ends the work; says whether the right was kept."""
        with self._lock:
            kept, self._since = self._since is not None, None
            return kept

    def _watch(self) -> None:
        while True:
            self._working.wait()
            time.sleep(OVERRUN)
            with self._lock:
                if self._since is None:
                    self._working.clear()
                elif time.perf_counter() - self._since > OVERRUN:
                    self._since = None
                    self._working.clear()
                    self._right.release()
