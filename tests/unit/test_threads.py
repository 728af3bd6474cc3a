"""The threads of a worker: enough of them are free to serve, whatever streams take away."""

from __future__ import annotations

import threading

from mothlight.backend.threads import FREE, MOST_FREE, Reserve


class Started:
    """Counts what a Reserve starts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def elsewhere(reserve: Reserve) -> bool:
    """``come_back`` of a thread that may end."""
    said: list[bool] = []
    thread = threading.Thread(target=lambda: said.append(reserve.come_back()))
    thread.start()
    thread.join()
    return said[0]


def test_as_many_are_started_as_are_missing() -> None:
    reserve = Reserve(start := Started())
    reserve.come_back()  # the main thread
    reserve.fill()
    assert start.count == FREE - 1
    reserve.fill()
    assert start.count == FREE - 1
    for away in range(1, 65):  # streams
        reserve.leave()
        reserve.fill()
        assert start.count == FREE - 1 + away


def test_those_that_come_back_stay_while_they_are_few() -> None:
    reserve = Reserve(Started())
    reserve.fill()
    for _ in range(64):
        reserve.leave()
        reserve.fill()
    stayed = sum(elsewhere(reserve) for _ in range(64))
    assert stayed == MOST_FREE - FREE
    reserve.leave()
    assert elsewhere(reserve), "there is room for one again"


def test_the_main_thread_always_stays() -> None:
    reserve = Reserve(Started())
    for _ in range(2 * MOST_FREE):
        assert reserve.come_back()
