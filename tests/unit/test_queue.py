"""The order of waiting calls."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mothlight.backend.queue import FairQueue, displaced, rank


@dataclass(eq=False)
class Call:
    name: str
    principal: str = ""
    urgency: int = 3
    since: float = 0.0
    size: int = 1


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


def test_who_is_in_a_hurry_goes_before_his_own_only() -> None:
    hasty = [
        Call(name, "hasty", urgency) for name, urgency in zip("abcde", (3, 0, 1, 0, 3), strict=True)
    ]
    assert drain(queue_of(Call("x", "quiet"), *hasty, Call("y", "quiet"))) == "xbydcae"


def test_who_has_time_steps_back_behind_all() -> None:
    patient = [
        Call(name, "patient", urgency) for name, urgency in zip("abc", (7, 4, 3), strict=True)
    ]
    assert drain(queue_of(*patient, Call("x", "quiet"), Call("y", "quiet"))) == "cxyba"


def test_how_many_are_ahead() -> None:
    queue = queue_of(*[Call(name, "noisy") for name in "abcdef"], Call("u", "noisy", 0))
    assert queue.ahead(3, "noisy") == 7
    assert queue.ahead(0, "noisy") == 1
    assert queue.ahead(3, "quiet") == queue.ahead(0, "quiet") == 1, "one of the noisy ones"
    assert queue.ahead(7, "quiet") == 7


def gone(
    *queues: FairQueue[Call], urgency: int = 3, size: int = 1, calls: int = 0, bytes: int = 0
) -> str | None:
    """Who has to go for a call of the quiet one's."""
    found = displaced(queues, urgency, "quiet", size, calls_over=calls, bytes_over=bytes)
    return None if found is None else "".join(call.name for call in found)


def test_who_has_least_claim() -> None:
    noisy = [Call(name, "noisy") for name in "abc"]
    queue = queue_of(*noisy, Call("x", "quiet"))
    assert gone(queue, calls=1) == "c"
    assert gone(queue, calls=2) is None, "he would be left with less"
    assert gone(queue, calls=1, urgency=5) is None, "a less urgent call displaces nobody"
    assert gone(queue, calls=2, urgency=2) == "cx", "his own, which is less urgent"
    assert gone(queue, calls=3, urgency=2) == "cxb"
    assert gone(queue, calls=4, urgency=2) is None
    assert gone(queue_of(*[Call(name, "quiet") for name in "abc"]), calls=1) is None, "his own"
    assert gone(queue) == ""


def test_the_least_urgent_go_first_whoever_has_them() -> None:
    queue = queue_of(*map(Call, "abc"), Call("x", "quiet", 7), Call("y", "third", 5))
    assert gone(queue, calls=3) == "xyc"


def test_who_has_most_has_it_in_all_queues() -> None:
    one = queue_of(Call("a", "noisy", since=5), Call("b", "third"), Call("c", "third", since=9))
    other = queue_of(Call("d", "noisy", since=4), Call("e", "noisy", since=6))
    assert gone(one, other, calls=1) == "e"
    assert gone(one, other, calls=3) == "eac"
    assert gone(one, other, calls=4) is None, "each has one"


def test_where_bytes_are_short_who_has_most_of_them_makes_room() -> None:
    light = [Call(name, "light") for name in "abcdef"]
    heavy = [Call(name, "heavy", size=30) for name in "xyz"]
    queues = queue_of(*light), queue_of(*heavy)
    assert gone(*queues, bytes=2, size=8) == "z"
    assert gone(*queues, bytes=35, size=8) == "zy"
    assert gone(*queues, bytes=2, size=61) is None, "he has as much as the heavy one would"
    assert gone(queue_of(heavy[0]), bytes=1) is None, "nobody loses his only call"


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
            assert taken and rank(taken.urgency) == min(rank(call.urgency) for call in held)
            own = [call for call in held if call.principal == taken.principal]
            assert taken is min(own, key=lambda call: call.urgency), "the oldest of the most urgent"
            assert queue.take() is taken
            held.remove(taken)
        if leaves and held:
            queue.remove(held.pop(len(held) // 2))
        assert len(queue) == len(held)
        assert set(map(id, queue)) == set(map(id, held))
