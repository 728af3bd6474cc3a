"""Turns: one quick generator at a time, in order; nobody waits for one that overruns its turn."""

from __future__ import annotations

import threading
import time

from mothlight.backend.turns import QUICK, Turns


def test_turns_are_given_in_order_and_one_at_a_time() -> None:
    turns, order, inside = Turns(), [], []
    first = turns.take()

    def run(number: int) -> None:
        turn = turns.take()
        inside.append(number)
        order.append(number)
        assert len(inside) == 1
        inside.remove(number)
        turns.give(turn)

    threads = []
    for number in range(20):
        threads.append(threading.Thread(target=run, args=(number,)))
        # The first turn is held all the while, and renewed, so that they all come to wait.
        turns._since = time.perf_counter() + 60
        threads[-1].start()
        while len(turns._waiting) <= number:
            time.sleep(0)
    turns.give(first)
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert order == list(range(20))
    assert turns._holder is None


def test_a_turn_that_is_overrun_is_handed_on() -> None:
    turns = Turns()
    slow = turns.take()
    begin = time.perf_counter()
    quick = turns.take()  # no give() has been called
    assert time.perf_counter() - begin >= QUICK
    turns.give(slow)  # too late to end the other's turn
    assert turns._holder is quick
    turns.give(quick)
    assert turns._holder is None


def test_a_turn_given_twice_ends_once() -> None:
    turns = Turns()
    turn = turns.take()
    turns.give(turn)
    other = turns.take()
    turns.give(turn)
    assert turns._holder is other
    turns.give(other)
