"""The queue before the models: admission, order, batches. Free runners pull; nobody pushes.

    call ─ can it end in time? (503 at once) ─> FairQueue of its method
    a runner with room ─ pulls ─> as many calls of the method whose turn it is as fit a batch, and
    no more than end before the tightest deadline among them

What a batch costs is learnt (``Cost``); from it come the predicted wait, the refusal, its
``Retry-After`` and the size of a batch.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from .. import metrics, timeline
from ..errors import DeadlineExceeded, Overloaded, Unavailable
from ..methods import Method
from .base import Request
from .line import Line
from .queue import FairQueue, displaced, rank
from .ticket import Runner, Ticket

_SOON = 1.0
"""Seconds before its deadline that a call gets a timer of its own: most have ended by then, and a
timer for each would cost more than all the rest that is done for it here."""

_SETTLED = 32
"""Batches after which the first ones, which are slow, no longer count for much."""

_TICK = 1e-4
"""Seconds that are no wait: a timer may fire that much early."""

_CROWD, _CROWD_WAIT = 64, 0.15
"""Behind so many calls for each runner a call may wait so many seconds only: a longer queue would
make every answer later, and not one more a second."""


class Scheduler:
    """Hands the calls of one service to its runners; the holder of those that wait.

    ``max_queue`` calls and ``max_bytes`` of payload may wait, and none is accepted that is
    predicted to wait longer than ``max_delay`` seconds, or a fraction of that behind a crowd.
    """

    def __init__(
        self,
        runners: Callable[[], Sequence[Runner]],
        *,
        max_queue: int = 1024,
        max_bytes: int = 256 * 1024 * 1024,
        max_delay: float = 10.0,
        clock: Callable[[], float] = time.monotonic,  # the event loop's own may tick in ms
    ) -> None:
        self.runners, self.clock = runners, clock
        self.max_queue, self.max_bytes, self.max_delay = max_queue, max_bytes, max_delay
        self.loop: asyncio.AbstractEventLoop | None = None
        """Where it runs; to ask which loop does is a system call before Python 3.12."""
        self.waiting = 0
        self.bytes = 0
        self.live: set[Ticket] = set()
        """The calls that have been accepted and have not ended."""
        self.lines: dict[Method[Any, Any, Any], Line] = {}
        self._served: dict[str, float] = {}  # when each of those that wait had his last turn
        self._waker: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0
        self._sweeper: asyncio.TimerHandle | None = None

    def place(self, request: Request) -> Ticket:
        """Accepts a call. Raises Overloaded where it cannot be served in time."""
        loop = self.loop or asyncio.get_running_loop()
        now = self.clock()
        line = self.line(request.method)
        size = request.payload.size
        runner = None if self.waiting else self._idle(line, now)
        self._admit(request, line, size, now, is_next=runner is not None)
        ticket = Ticket(request, size, runner or self, self.live, now, loop)
        if request.timeline is not None:
            request.timeline.placed = now
        if request.deadline is not None:
            if request.deadline - now < 2 * _SOON:
                ticket.watch()
            elif self._sweeper is None:
                self._sweeper = loop.call_later(_SOON, self._sweep)
        if runner is not None:
            self._start(line, runner, [ticket], now)
            return ticket
        line.queue.put(ticket)
        self.waiting += 1
        self.bytes += size
        # Who waits already found no room; one more changes that only when it fills a batch.
        if (waiting := len(line.queue)) == 1 or waiting == line.size:
            self.dispatch()
        return ticket

    def line(self, method: Method[Any, Any, Any]) -> Line:
        """The waiting calls of a method."""
        line = self.lines.get(method)
        if line is None:
            line = self.lines[method] = Line(method)
            if not line.is_stream:
                metrics.watch_cost(
                    method.qualname,
                    sorted({1, line.size}),
                    line.cost.of,
                    lambda: self.predict_wait(line, len(line.queue), self.clock()),
                )
        return line

    # Admission

    def _admit(self, request: Request, line: Line, size: int, now: float, *, is_next: bool) -> None:
        ahead, wait = 0, 0.0
        if not is_next:

            def before(queue: FairQueue[Ticket]) -> int:
                return queue.ahead(request.urgency, request.principal)

            ahead = before(line.queue)
            wait = self.predict_wait(line, ahead, now, before)
        if request.deadline is not None and request.deadline <= now:
            raise DeadlineExceeded
        # What its own calls cost counts only where they have shown it of late, or are about to.
        cost = line.cost.of(1) if ahead or line.is_known(now) else 0.0
        if request.deadline is not None and now + wait + cost > request.deadline:
            metrics.call_refused(line.method.qualname, "deadline")
            raise Overloaded(retry_after=_retry(wait))
        longest = self.max_delay
        if self._is_crowd(line, ahead, now):
            longest = min(longest, _CROWD_WAIT)
        if ahead and wait > longest:
            metrics.call_refused(line.method.qualname, "delay")
            raise Overloaded(retry_after=_retry(wait))
        if self.waiting and (self.waiting >= self.max_queue or self.bytes + size > self.max_bytes):
            self._make_room(request, size, now, wait)

    def _make_room(self, request: Request, size: int, now: float, wait: float) -> None:
        """Fails the calls that have less claim to their places than a new one, where that is
        enough. Raises Overloaded, and fails none, where it is not."""
        gone = displaced(
            [line.queue for line in self.lines.values()],
            request.urgency,
            request.principal,
            size,
            calls_over=self.waiting + 1 - self.max_queue,
            # A call that is larger than the queue may wait alone.
            bytes_over=min(self.bytes, self.bytes + size - self.max_bytes),
        )
        if gone is None:
            metrics.call_refused(request.method.qualname, "full")
            raise Overloaded(retry_after=_retry(wait))
        for ticket in gone:
            self.drop(ticket)
        for ticket in gone:  # who is told of it may call again at once
            line = self.lines[ticket.request.method]
            metrics.call_refused(line.method.qualname, "full")
            wait = self.predict_wait(line, len(line.queue), now)
            ticket.fail(Overloaded(retry_after=_retry(wait)))

    def _is_crowd(self, line: Line, ahead: int, now: float) -> bool:
        """Whether more wait than will soon be served. That they do wait is seen, too, not only
        predicted: what is just starting would else refuse those that it can serve."""
        if ahead < _CROWD or line.batches < _SETTLED or ahead < _CROWD * len(self.runners()):
            return False
        head = line.queue.head()
        return head is not None and now - head.since > _CROWD_WAIT / 2

    def predict_wait(
        self,
        line: Line,
        ahead: int,
        now: float,
        before: Callable[[FairQueue[Ticket]], int] = len,
    ) -> float:
        """Seconds until a runner would take a call of ``line`` that has ``ahead`` before it there,
        and in the queues of other methods as many as ``before`` says."""
        if line.is_stream:
            return 0.0  # how long streams last nobody knows; their number is bounded
        work, runners, stuck = line.backlog(ahead), 0, math.inf
        for runner in self.runners():
            if runner.is_open:
                left = line.left(runner, now)
                if left < -self.max_delay:  # it may well take as long again
                    stuck = min(stuck, -left)
                    continue
                work += max(0.0, left)
                runners += 1
        if self.waiting > len(line.queue):
            for other in self.lines.values():
                if other is not line and other.kind == line.kind:
                    work += other.backlog(before(other.queue))
        if runners == 0 and stuck < math.inf:
            return work + stuck
        return work / max(1, runners)

    # Deadlines

    def _sweep(self) -> None:
        soon = self.clock() + 2 * _SOON
        watched = 0
        for ticket in self.live:
            if (deadline := ticket.request.deadline) is not None and ticket.timer is None:
                watched += 1
                if deadline < soon:
                    ticket.watch()
        loop = asyncio.get_running_loop()
        self._sweeper = loop.call_later(_SOON, self._sweep) if watched else None

    def drop(self, ticket: Ticket) -> None:
        """Takes a waiting call out."""
        self.lines[ticket.request.method].queue.remove(ticket)
        self._leave(ticket)

    def take_back(self, tickets: Sequence[Ticket]) -> None:
        """Lets calls wait again whose runner is gone before it began with them."""
        for ticket in tickets:
            if not ticket.done():
                ticket.wait_for(self)
                self.lines[ticket.request.method].queue.put(ticket)
                self.waiting += 1
                self.bytes += ticket.size
        self.dispatch()

    def _leave(self, ticket: Ticket) -> None:
        self.waiting -= 1
        self.bytes -= ticket.size

    # Dispatch

    def dispatch(self) -> None:
        """Gives work to whoever is free; called when a call comes and when a runner is free."""
        while self.waiting and self._dispatch_one():
            pass

    def _dispatch_one(self) -> bool:
        now = self.clock()
        blocked = set()
        # A method that waits for company holds no other up, nor does a full runner of one kind
        # hold up the others; but a younger call overtakes no older one of its kind.
        for line in self._in_order():
            if line.kind in blocked:
                continue
            if (pause := line.pause(now)) > _TICK:
                self._wake_at(now + pause)
                continue
            if runner := self._freest(line, len(line.queue), now):
                self._run(line, runner, now)
                return True
            blocked.add(line.kind)
        return False

    def _freest(self, line: Line, waiting: int, now: float) -> Runner | None:
        runner, room = None, 0
        for candidate in self.runners():
            free = candidate.room(line.method, waiting)
            if free > room or (
                free == room and runner and line.left(candidate, now) < line.left(runner, now)
            ):
                runner, room = candidate, free
        if runner and (left := line.left(runner, now)) > 0:
            # It would wait there: rather for another one that is as likely to be free before.
            for other in self.runners():
                if other.is_open and -left < line.left(other, now) < 0:
                    return None
        return runner

    def _idle(self, line: Line, now: float) -> Runner | None:
        """The runner that would take a call at once, if nobody waits: most calls need no queue."""
        if line.max_wait:
            return None
        runner = self._freest(line, 1, now)
        return runner if runner is not None and not line.left(runner, now) else None

    def _in_order(self) -> Sequence[Line]:
        waiting = [line for line in self.lines.values() if len(line.queue)]
        if len(waiting) > 1:
            waiting.sort(key=self._claim)
        return waiting

    def _claim(self, line: Line) -> tuple[int, float, int, float]:
        """The order of the queues' heads: first who has had no turn for longest."""
        head = line.queue.head()
        assert head
        served = self._served.get(head.principal, 0.0)
        return rank(head.urgency), served, head.urgency, head.since

    def _run(self, line: Line, runner: Runner, now: float) -> None:
        queue, cost = line.queue, line.cost
        most = line.size
        starts = now + max(0.0, line.left(runner, now))
        in_full = cost.of(most)
        taken: list[Ticket] = []
        while len(taken) < most and (ticket := queue.head()):
            deadline = ticket.request.deadline
            if deadline is not None and deadline - starts < in_full and not line.is_stream:
                # Its deadline bounds the batch; where it would make it smaller than it already is,
                # it waits for the next one.
                fits = cost.largest(most, deadline - starts)
                if fits <= len(taken) and taken:
                    break
                most = min(most, fits)
            queue.take()
            self._leave(ticket)
            ticket.queued = now - ticket.since
            ticket.holder = runner
            taken.append(ticket)
        if self.waiting > len(queue):
            self._note_turns(taken, now)
        self._start(line, runner, taken, now)

    def _note_turns(self, taken: Sequence[Ticket], now: float) -> None:
        """Lets whose calls were taken wait for their next turn in the queues of all methods."""
        for principal in {ticket.principal for ticket in taken}:
            self._served[principal] = now
            for line in self.lines.values():
                line.queue.pass_over(principal)
        if len(self._served) > 2 * self.max_queue:  # more than can wait
            waits = {ticket.principal for line in self.lines.values() for ticket in line.queue}
            self._served = {who: when for who, when in self._served.items() if who in waits}

    def _start(self, line: Line, runner: Runner, taken: Sequence[Ticket], now: float) -> None:
        if line.is_stream:
            metrics.stream_taken(line.method.qualname, taken[0].queued)
        else:
            metrics.batch_taken(line.method.qualname, taken)
        timeline.take(taken, now)
        runner.run(line.method, taken, line.cost.of(len(taken)))

    def _wake_at(self, when: float) -> None:
        if self._waker is not None and self._wakes_at <= when:
            return
        if self._waker is not None:
            self._waker.cancel()
        self._wakes_at = when
        self._waker = asyncio.get_running_loop().call_at(when, self._wake)

    def _wake(self) -> None:
        self._waker = None
        self.dispatch()

    def stop(self, error: Unavailable) -> None:
        """Ends every waiting call with ``error``, and leaves nothing to the event loop."""
        for timer in filter(None, (self._waker, self._sweeper)):
            timer.cancel()
        self._waker = self._sweeper = None
        for line in self.lines.values():
            for ticket in list(line.queue):
                ticket.fail(error)
                self.drop(ticket)


def _retry(wait: float) -> float:
    return round(max(wait, 0.1), 3)
