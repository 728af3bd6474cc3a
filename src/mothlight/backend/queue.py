"""The order in which waiting calls are taken: by urgency, fairly between principals, oldest first.

urgency 0 … 7 (RFC 9218, 0 first; 3 unless the client says) ─ principals in turn ─ first come
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Generic, Protocol, TypeVar

URGENCIES = 8


class Waiting(Protocol):
    """What the queue orders."""

    @property
    def urgency(self) -> int:
        """0 (first) to 7."""
        ...

    @property
    def principal(self) -> str:
        """Whose call it is."""
        ...

    @property
    def since(self) -> float:
        """When it came."""
        ...

    @property
    def size(self) -> int:
        """Its bytes."""
        ...


W = TypeVar("W", bound=Waiting)


class FairQueue(Generic[W]):
    """The waiting calls of one method.

    Within an urgency the principals take turns, so that one who sends a thousand calls delays
    another's single call by one place, not by a thousand.
    """

    def __init__(self) -> None:
        self._levels: list[OrderedDict[str, deque[W]]] = [OrderedDict() for _ in range(URGENCIES)]
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[W]:
        for level in self._levels:
            for queue in level.values():
                yield from queue

    def put(self, ticket: W) -> None:
        """Adds a call, behind its principal's others."""
        level = self._levels[ticket.urgency]
        queue = level.get(ticket.principal)
        if queue is None:
            queue = level[ticket.principal] = deque()
        queue.append(ticket)
        self._size += 1

    def ahead(self, urgency: int, principal: str) -> int:
        """How many calls would be taken before one that came now."""
        if not self._size:
            return 0
        before = sum(len(q) for level in self._levels[:urgency] for q in level.values())
        level = self._levels[urgency]
        own = len(level[principal]) if principal in level else 0
        # Each of the others gets at most as many turns as this principal's calls wait for.
        others = sum(min(len(q), own + 1) for p, q in level.items() if p != principal)
        return before + own + others

    def at(self, urgency: int) -> Mapping[str, Collection[W]]:
        """The calls of an urgency by their principals, each one's oldest first."""
        return self._levels[urgency]

    def remove(self, ticket: W) -> None:
        """Takes a call out, wherever it stands. Raises ValueError where it does not."""
        level = self._levels[ticket.urgency]
        queue = level.get(ticket.principal, deque())
        queue.remove(ticket)
        self._size -= 1
        if not queue:
            del level[ticket.principal]

    def head(self) -> W | None:
        """The call that is next; None when there is none."""
        for level in self._levels:
            for queue in level.values():
                return queue[0]
        return None

    def take(self) -> W:
        """Takes the call that is next; its principal then waits for its next turn. Raises
        IndexError when there is none."""
        for level in self._levels:
            for principal, queue in level.items():
                ticket = queue.popleft()
                self._size -= 1
                if not queue:
                    del level[principal]
                elif len(level) > 1:
                    level.move_to_end(principal)
                return ticket
        raise IndexError("no call waits")


def displaced(
    queues: Collection[FairQueue[W]],
    urgency: int,
    principal: str,
    size: int,
    *,
    calls_over: int,
    bytes_over: int,
) -> list[W] | None:
    """The waiting calls that have to go for a new one, where with it there are so many calls or
    bytes too many; None where they have as good a claim to their places.

    Each is the newest of whoever has most, of calls or of bytes, at the lowest urgency. At the new
    call's own urgency he has to keep as much as its principal then has.
    """
    gone: list[W] = []
    for level in range(URGENCIES - 1, urgency - 1, -1):
        held: defaultdict[str, list[W]] = defaultdict(list)
        for queue in queues:
            for owner, waiting in queue.at(level).items():
                held[owner] += waiting
        while held and max(calls_over, bytes_over) > 0:
            weigh: Callable[[list[W]], int] = len if bytes_over <= 0 else _bytes
            most = max(held, key=lambda owner: weigh(held[owner]))
            if level == urgency and most == principal:
                return None
            calls = held[most]
            calls.sort(key=attrgetter("since"))  # they come from several queues
            last = calls.pop()
            new = 1 if bytes_over <= 0 else size
            if level == urgency and weigh(calls) < weigh(held.get(principal, [])) + new:
                return None
            gone.append(last)
            calls_over -= 1
            bytes_over -= last.size
            if not calls:
                del held[most]
    return gone if max(calls_over, bytes_over) <= 0 else None


def _bytes(calls: Sequence[Waiting]) -> int:
    return sum(call.size for call in calls)
