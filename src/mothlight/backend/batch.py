"""A batch on its way through the model: whose calls it holds, and how it is run in parts.

A batch that fails as a whole is run again in halves, and those that fail in halves again, until
the guilty stand alone: one of n costs 2·log₂ n runs, where one run for each member would cost n
(and for a batch that was too large for the memory, halves are what fits); all n guilty cost 2n - 1.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any, overload

from ..call import Call
from ..errors import Cancelled, DeadlineExceeded, Error, Internal
from ..schema import Payload, split
from ..services import Method
from .answers import Result, check_length, declared, decode, encode, failure, log, report
from .placement import forget


class Calls(Sequence[Call]):
    """The calls of a batch. A ``Call`` is made when it is asked for: most methods never do."""

    __slots__ = ("_made", "deadlines", "dropped", "ids", "principals", "soonest")

    def __init__(
        self,
        ids: Sequence[str],
        deadlines: Sequence[float | None] = (),
        principals: Sequence[str] | None = None,
    ) -> None:
        self.ids, self.deadlines, self.principals = ids, deadlines, principals
        known = [d for d in deadlines if d is not None]
        self.soonest = min(known) if known else math.inf
        self.dropped: set[int] = set()
        self._made: dict[int, Call] = {}

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> Call: ...
    @overload
    def __getitem__(self, index: slice) -> list[Call]: ...
    def __getitem__(self, index: int | slice) -> Call | list[Call]:
        places = range(len(self.ids))[index]
        return self._call(places) if isinstance(places, int) else [self._call(i) for i in places]

    def _call(self, index: int) -> Call:
        made = self._made.get(index)
        if made is None:
            deadline = self.deadlines[index] if self.deadlines else None
            principal = self.principals[index] if self.principals else ""
            made = self._made.setdefault(index, Call(self.ids[index], deadline, principal))
            if index in self.dropped:  # looked at after it was listed, as drop() does it before
                made.cancel()
        return made

    def drop(self, index: int) -> None:
        """Notes that nobody waits for a call any more; any thread may."""
        self.dropped.add(index)
        if made := self._made.get(index):
            made.cancel()

    @property
    def all_dropped(self) -> bool:
        return len(self.dropped) == len(self.ids)

    @property
    def latest(self) -> float | None:
        """When nobody waits any more; None while it depends on them."""
        if not self.deadlines or None in self.deadlines:
            return None
        return max(d for d in self.deadlines if d is not None)

    def some_gone(self, now: float) -> bool:
        """Whether for any of them nobody waits; cheap, for all batches ask it."""
        return now >= self.soonest or bool(self.dropped)

    def gone(self, index: int, now: float) -> dict[str, Any] | None:
        """The problem of a call that nobody waits for; None for the others."""
        if index in self.dropped:
            return Cancelled().problem()
        deadline = self.deadlines[index] if self.deadlines else None
        if deadline is not None and now >= deadline:
            return DeadlineExceeded().problem()
        return None


class Prepared:
    """A batch whose messages are decoded and whose files are open. ``members`` are the places of
    ``messages`` in the batch; ``results`` holds the problems of the others. ``answers``: those of
    all of them, joined, where all could be. ``seconds`` is how long the model had it."""

    __slots__ = ("answers", "calls", "members", "messages", "method", "results", "seconds")

    def __init__(
        self,
        method: Method[Any, Any, Any],
        payloads: Sequence[Payload] | bytes,
        calls: Calls,
    ) -> None:
        self.method, self.calls = method, calls
        self.results: list[Result | None] = [None] * len(calls)
        self.answers: bytes | None = None
        self.members: Sequence[int] = range(len(calls))
        self.messages: list[Any] = []
        self.seconds = 0.0
        takes_long = method.input.has_media
        some_gone = calls.some_gone(time.monotonic())
        if isinstance(payloads, bytes):
            together = None if some_gone else method.input.decode_all(payloads, len(calls))
            if together is not None:
                self.messages = together
                return
            payloads = split(payloads)
        self.members = members = []
        for member, payload in zip(range(len(calls)), payloads, strict=True):
            if some_gone or takes_long:
                self.results[member] = calls.gone(member, time.monotonic())
                if self.results[member]:
                    continue
            try:
                self.messages.append(decode(method, payload))
                members.append(member)
            except Error as error:
                self.results[member] = error.problem()
            except Exception:
                self.results[member] = failure(method, [calls.ids[member]])

    def give_up(self, error: Error) -> list[Result]:
        """The results, where those that are not known are ``error``."""
        problem = error.problem()
        return [problem if result is None else result for result in self.results]


class Part:
    """Members of a batch that run together."""

    __slots__ = ("batch", "members", "messages")

    def __init__(self, batch: Prepared, members: Sequence[int], messages: list[Any]) -> None:
        self.batch, self.members, self.messages = batch, members, messages

    @property
    def calls(self) -> Sequence[Call]:
        calls = self.batch.calls
        if len(self.members) == len(calls):
            return calls
        return [calls[member] for member in self.members]

    @property
    def ids(self) -> list[str]:
        return [self.batch.calls.ids[member] for member in self.members]

    def leave_out_gone(self) -> None:
        """Ends the members that nobody waits for any more."""
        now, calls = time.monotonic(), self.batch.calls
        if not calls.some_gone(now):
            return
        members, messages = self.members, self.messages
        self.members = left = []
        self.messages = []
        for member, message in zip(members, messages, strict=True):
            problem = self.batch.results[member] = calls.gone(member, now)
            if problem is None:
                left.append(member)
                self.messages.append(message)

    def split(self, size: int) -> list[Part]:
        """Parts of so many members at most, the last ones first."""
        starts = reversed(range(0, len(self.members), size))
        return [
            Part(self.batch, self.members[i : i + size], self.messages[i : i + size])
            for i in starts
        ]


class Parts:
    """What of a batch is still to be run. Iterating gives the parts; each is to be answered or
    failed before the next is asked for."""

    def __init__(self, batch: Prepared) -> None:
        self.batch = batch
        whole = Part(batch, batch.members, batch.messages)
        self._rest = [whole] if batch.method.is_batched else whole.split(1)
        self._guilty: list[str] = []
        self._error: BaseException | None = None  # of the guilty, or else of the whole

    def __iter__(self) -> Iterator[Part]:
        while self._rest:
            part = self._rest.pop()
            part.leave_out_gone()
            if part.members:
                yield part

    def answer(self, part: Part, returned: Any) -> None:
        """Takes what the model gave for a part. Raises Misfit where it does not have one answer for
        each member."""
        batch = self.batch
        check_length(batch.method, returned, len(part.members))
        if len(part.members) == len(batch.results) > 1:
            batch.answers = batch.method.output.encode_all(returned)
            if batch.answers is not None:
                return
        for member, value in zip(part.members, returned, strict=True):
            batch.results[member] = encode(batch.method, value, batch.calls.ids[member])

    def fail(self, part: Part, error: BaseException) -> None:
        """Takes what the model raised for a part."""
        forget(error)
        method, size = self.batch.method, len(part.members)
        if size > 1 and method.idempotent:
            self._rest += part.split((size + 1) // 2)
            self._error = self._error or error
            return
        if isinstance(error, Error):
            problem = declared(method, error)
        else:
            problem = Internal().problem()
            self._error = error if not self._guilty else self._error
            self._guilty += part.ids
        calls, now = self.batch.calls, time.monotonic()
        for member in part.members:  # a method that saw nobody waiting may say so by Cancelled
            gone = calls.gone(member, now) if isinstance(error, Cancelled) else None
            self.batch.results[member] = gone or problem

    def finish(self) -> list[Result] | bytes:
        """The results of the whole batch, joined where all are answers that can be; what failed in
        it is logged once."""
        if self.batch.answers is not None:
            return self.batch.answers
        method = self.batch.method
        if self._guilty:
            report(method, self._guilty, self._error)
        elif self._error and not isinstance(self._error, Error):
            log.warning(
                "%s failed for several calls together, and for none alone (call %s)",
                method.qualname,
                ", ".join(self.batch.calls.ids),
                exc_info=self._error,
                extra={"calls": self.batch.calls.ids, "method": method.qualname},
            )
        return self.batch.results  # type: ignore[return-value]  # none is None any more
