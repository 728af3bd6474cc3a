"""What a method may know of its call, and what it gives back step by step."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time

import pytest

from mothlight import Step, current_call, current_calls
from mothlight.call import Call, answering


def test_a_call_without_a_deadline_is_over_only_when_it_is_cancelled() -> None:
    call = Call("a", principal="ada")
    assert (call.id, call.principal, call.deadline, call.remaining) == ("a", "ada", None, None)
    assert not call.cancelled
    call.cancel()
    assert call.cancelled
    assert repr(call) == "Call('a')"


def test_a_call_is_over_when_its_deadline_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    call = Call("a", deadline=102.5)
    assert call.remaining == 2.5
    assert not call.cancelled
    now = 102.5
    assert call.remaining == 0.0
    assert call.cancelled
    now = 999.0
    assert call.remaining == 0.0


def test_outside_a_server_there_is_a_call_that_nobody_cancels() -> None:
    assert not current_call().cancelled
    assert current_call().remaining is None
    assert len(current_calls()) == 1


def test_the_calls_that_are_answered_are_the_current_ones_until_then() -> None:
    one, two = Call("one"), Call("two")
    with answering([one]):
        assert current_call() is one
        with answering([two, one]):
            assert list(current_calls()) == [two, one]
        with pytest.raises(KeyError), answering([two]):
            raise KeyError
        assert list(current_calls()) == [one]
    assert current_call().id == "direct"


def test_a_batch_is_in_vain_only_when_nobody_waits_for_any_of_it() -> None:
    calls = [Call("one"), Call("two"), Call("three")]
    with answering(calls):
        calls[0].cancel()
        assert current_call() is calls[1], "one that left must not stop the others' work"
        assert not current_call().cancelled
        calls[1].cancel()
        calls[2].cancel()
        assert current_call().cancelled


def test_threads_and_tasks_have_their_own_calls() -> None:
    seen: dict[str, str] = {}
    inside = threading.Barrier(2, timeout=10)

    def work(name: str) -> None:
        with answering([Call(name)]):
            inside.wait()
            seen[name] = current_call().id

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    with answering([Call("main")]):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert current_call().id == "main"
    assert seen == {"a": "a", "b": "b"}

    async def task(name: str, met: asyncio.Barrier) -> str:
        with answering([Call(name)]):
            await met.wait()
            return await asyncio.to_thread(lambda: current_call().id)

    async def main() -> list[str]:
        met = asyncio.Barrier(2)
        async with asyncio.timeout(10):
            return await asyncio.gather(task("a", met), task("b", met))

    assert asyncio.run(main()) == ["a", "b"]


def test_a_call_is_cancelled_from_another_thread() -> None:
    call, polled = Call("a"), threading.Event()

    def work() -> None:
        while not current_call().cancelled:
            polled.set()

    with answering([call]):
        context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work,))
    thread.start()
    assert polled.wait(10)
    assert thread.is_alive()
    call.cancel()
    thread.join(10)
    assert not thread.is_alive()


def test_steps() -> None:
    assert (Step().items, Step().done) == ((), False)
    assert (Step(1, 2, done=True).items, Step(1, 2, done=True).done) == ((1, 2), True)
    assert repr(Step("a", done=True)) == "Step('a', done=True)"
    assert repr(Step()) == "Step()"
    assert repr(Step(done=True)) == "Step(done=True)"
    assert Step(1) == Step(1) != Step(1, done=True)
    assert Step(1) != 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(Step(1))
