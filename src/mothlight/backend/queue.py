"""The order in which waiting calls are taken: fairly between principals, the urgent first, in turn.

who steps back (urgency 4 … 7) waits ─ principals in turn ─ each one's urgent first ─ first come

Urgency (RFC 9218: 0 first … 7, and 3 unless the client says) is what a client says of itself. It
may put its calls behind everybody's, but only its own ahead of each other: else who says 0 would
starve the rest.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Generic, Protocol, TypeVar

_USUAL, _LAST = 3, 7
"""Of the urgencies."""


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

_urgency = attrgetter("urgency")
_order = attrgetter("urgency", "since")


def rank(urgency: int) -> int:
    """How far a call of this urgency steps back behind those of others: 0, not at all, to 4."""
    return max(0, urgency - _USUAL)


RANKS = rank(_LAST) + 1


class FairQueue(Generic[W]):
    """The waiting calls of one method.

    The principals take turns, so that one who sends a thousand calls delays another's single call
    by one place, not by a thousand.
    """

    def __init__(self) -> None:
        self._ranks: list[OrderedDict[str, deque[W]]] = [OrderedDict() for _ in range(RANKS)]
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[W]:
        for ranked in self._ranks:
            for queue in ranked.values():
                yield from queue

    def put(self, ticket: W) -> None:
        """Adds a call, behind the older ones of its principal that are as urgent."""
        ranked = self._ranks[rank(ticket.urgency)]
        queue = ranked.get(ticket.principal)
        if queue is None:
            queue = ranked[ticket.principal] = deque()
        if queue and (queue[-1].urgency > ticket.urgency or queue[-1].since > ticket.since):
            insort(queue, ticket, key=_order)
        else:
            queue.append(ticket)
        self._size += 1

    def ahead(self, urgency: int, principal: str) -> int:
        """How many calls would be taken before one that came now."""
        if not self._size:
            return 0
        place = rank(urgency)
        before = 0
        if place:
            before = sum(len(q) for ranked in self._ranks[:place] for q in ranked.values())
        ranked = self._ranks[place]
        queue = ranked.get(principal)
        if queue is None:
            own = 0
        elif urgency >= queue[-1].urgency:
            own = len(queue)
        else:
            own = bisect_right(queue, urgency, key=_urgency)
        if len(ranked) > (queue is not None):
            # Each of the others gets at most as many turns as this principal's calls wait for.
            before += sum(min(len(q), own + 1) for p, q in ranked.items() if p != principal)
        return before + own

    def at(self, place: int) -> Mapping[str, Collection[W]]:
        """The calls of a rank by their principals, each one's next first."""
        return self._ranks[place]

    def remove(self, ticket: W) -> None:
        """Takes a call out, wherever it stands. Raises ValueError where it does not."""
        ranked = self._ranks[rank(ticket.urgency)]
        queue = ranked.get(ticket.principal, deque())
        queue.remove(ticket)
        self._size -= 1
        if not queue:
            del ranked[ticket.principal]

    def head(self) -> W | None:
        """The call that is next; None when there is none."""
        for ranked in self._ranks:
            for queue in ranked.values():
                return queue[0]
        return None

    def take(self) -> W:
        """Takes the call that is next; its principal then waits for its next turn. Raises
        IndexError when there is none."""
        for ranked in self._ranks:
            for principal, queue in ranked.items():
                ticket = queue.popleft()
                self._size -= 1
                if not queue:
                    del ranked[principal]
                elif len(ranked) > 1:
                    ranked.move_to_end(principal)
                return ticket
        raise IndexError("no call waits")

    def pass_over(self, principal: str) -> None:
        """Lets a principal wait for its next turn: it has had one in another queue."""
        for ranked in self._ranks:
            if principal in ranked:
                ranked.move_to_end(principal)


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

    Each is the last of whoever has most, of calls or of bytes, among those that step back furthest.
    At the new call's own rank he has to keep as much as its principal then has; where none has so
    much, its principal's own calls go that are less urgent.
    """
    gone: list[W] = []
    own = rank(urgency)
    for place in range(RANKS - 1, own - 1, -1):
        held: defaultdict[str, list[W]] = defaultdict(list)
        for queue in queues:
            for owner, waiting in queue.at(place).items():
                held[owner] += waiting
        for calls in held.values():
            calls.sort(key=_order)  # they come from several queues
        while held and max(calls_over, bytes_over) > 0:
            weigh: Callable[[list[W]], int] = len if bytes_over <= 0 else _bytes
            most = max(held, key=lambda owner: weigh(held[owner]))
            new = 1 if bytes_over <= 0 else size
            if place == own and (
                most == principal or weigh(held[most][:-1]) < weigh(held.get(principal, [])) + new
            ):
                most = principal
                if not held.get(principal) or held[principal][-1].urgency <= urgency:
                    return None
            last = held[most].pop()
            gone.append(last)
            calls_over -= 1
            bytes_over -= last.size
            if not held[most]:
                del held[most]
    return gone if max(calls_over, bytes_over) <= 0 else None


def _bytes(calls: Sequence[Waiting]) -> int:
    return sum(call.size for call in calls)
