"""The order of waiting calls."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mothlight.backend.queue import FairQueue


@dataclass(eq=False)
class Call:
    name: str
    principal: str = ""
    urgency: int = 3


def queue_of(*calls: Call) -> FairQueue[Call]:
    queue: FairQueue[Call] = FairQueue()
    for call in calls:
        queue.put(call)
    return queue


def drain(queue: FairQueue[Call]) -> str:
    return "".join(queue.take().name for _ in range(len(queue)))


def test_first_come_first_served() -> None:
    assert drain(queue_of(*map(Call, "abcdef"))) == "abcdef"


def test_the_urgent_go_first() -> None:
    queue = queue_of(Call("a"), Call("b", urgency=7), Call("c", urgency=0), Call("d"))
    assert drain(queue) == "cadb"


def test_principals_take_turns() -> None:
    noisy = [Call(name, "noisy") for name in "abcdef"]
    queue = queue_of(*noisy, Call("x", "quiet"), Call("y", "quiet"), Call("z", "third"))
    assert drain(queue) == "axzbycdef"


def test_how_many_are_ahead() -> None:
    queue = queue_of(*[Call(name, "noisy") for name in "abcdef"], Call("u", "noisy", 0))
    assert queue.ahead(3, "noisy") == 7
    assert queue.ahead(3, "quiet") == 2, "the urgent one and one of the noisy ones"
    assert queue.ahead(0, "quiet") == 1
    assert queue.ahead(7, "quiet") == 7


def test_who_has_least_claim() -> None:
    noisy = [Call(name, "noisy") for name in "abc"]
    queue = queue_of(*noisy, Call("x", "quiet"))
    assert queue.last(3, "noisy") is None
    assert queue.last(3, "quiet") is noisy[-1]
    assert queue.last(5, "quiet") is None, "a less urgent call displaces nobody"
    assert queue.last(2, "noisy") is noisy[-1]


def test_who_leaves() -> None:
    calls = [Call(name, name) for name in "abc"]
    queue = queue_of(*calls)
    queue.remove(calls[1])
    with pytest.raises(ValueError, match="not in"):
        queue.remove(calls[1])
    assert drain(queue) == "ac"
    assert queue.head() is None
    with pytest.raises(IndexError):
        queue.take()


@given(
    st.lists(
        st.tuples(st.sampled_from("pqr"), st.integers(0, 7), st.booleans(), st.booleans()),
        max_size=60,
    )
)
def test_nothing_is_lost_and_everyone_is_where_it_was_said_to_be(
    steps: list[tuple[str, int, bool, bool]],
) -> None:
    queue: FairQueue[Call] = FairQueue()
    held: list[Call] = []
    for number, (principal, urgency, takes, leaves) in enumerate(steps):
        ahead = queue.ahead(urgency, principal)
        assert 0 <= ahead <= len(queue)
        held.append(Call(str(number), principal, urgency))
        queue.put(held[-1])
        if takes:
            taken = queue.head()
            assert taken and taken.urgency == min(call.urgency for call in held)
            assert queue.take() is taken
            held.remove(taken)
        if leaves and held:
            queue.remove(held.pop(len(held) // 2))
        assert len(queue) == len(held)
        assert set(map(id, queue)) == set(map(id, held))
