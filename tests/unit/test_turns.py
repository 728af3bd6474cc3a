"""Who may go on: in order, and nobody waits for one that overruns."""

from __future__ import annotations

import threading
import time

import pytest

from mothlight.backend.turns import OVERRUN, QUICK, InOrder, Lead, Turn, Turns


def test_turns_are_given_in_order_and_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mothlight.backend.turns.QUICK", 60.0)  # no turn is overrun
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


def test_who_renounces_waits_no_longer_and_holds_up_nobody() -> None:
    turns, leaver, stayer = Turns(), Turn(), Turn()
    first = turns.take()
    threads = []
    for number, turn in enumerate((leaver, stayer)):
        threads.append(threading.Thread(target=turns.take, args=(turn,)))
        turns._since = time.perf_counter() + 60  # it is held all the while
        threads[-1].start()
        while len(turns._waiting) <= number:
            time.sleep(0)
    turns.renounce(leaver)
    threads[0].join(5)
    assert not threads[0].is_alive()
    assert turns._holder is first
    turns.give(leaver)  # it never had one
    assert turns._holder is first
    turns.give(first)
    threads[1].join(5)
    assert turns._holder is stayer
    assert turns.take(leaver) is leaver, "nor does it wait later"
    assert turns._holder is stayer


def test_a_lock_goes_to_who_asked_first_and_not_back_to_who_gave_it() -> None:
    lock, order = InOrder(), []

    def work(name: str) -> None:
        with lock:
            order.append(name)

    threads = []
    with lock:
        assert not lock.is_free
        for number in range(5):
            threads.append(threading.Thread(target=work, args=(str(number),)))
            threads[-1].start()
            while len(lock._waiting) <= number:
                time.sleep(0)
    work("me again")
    for thread in threads:
        thread.join(5)
    assert order == ["0", "1", "2", "3", "4", "me again"]
    assert lock.is_free


def test_a_lock_is_given_back_when_its_holder_fails() -> None:
    lock = InOrder()
    try:
        with lock:
            raise ValueError
    except ValueError:
        pass
    assert lock.is_free


def test_who_works_quickly_keeps_the_lead() -> None:
    lead = Lead()
    lead.take()
    for _ in range(100):
        lead.begin()
        assert lead.end()
    lead.give()


def test_who_overruns_loses_the_lead() -> None:
    lead = Lead()
    lead.take()
    begin = time.perf_counter()
    lead.begin()
    lead.take()  # another thread's; given by the one that watches
    assert time.perf_counter() - begin >= OVERRUN
    assert not lead.end()
    lead.begin()
    assert lead.end(), "and the next one has it as the first had"
    lead.give()
