"""Quotas: what one caller may begin in a second, and have at once; and what costs nothing of it."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import desk
import pytest
from asgi import ask
from desk import Desk
from hypothesis import given
from hypothesis import strategies as st

from mothlight import App, Principal, QuotaExceeded
from mothlight.backend.base import Reply, Request
from mothlight.calls.quota import _SWEEP, Bucket, Quota
from mothlight.errors import Overloaded
from mothlight.protocols import exposition
from mothlight.schema import Payload
from mothlight.services import Service

Run = Callable[[Coroutine[Any, Any, Any]], Any]

SERVICE = Service.of(Desk)
ECHO, NUMBERS = SERVICE.methods["echo"], SERVICE.methods["numbers"]
PAYLOAD = Payload(b"null")


class Held:
    """The calls that a backend would run, in the test's hand."""

    def __init__(self) -> None:
        self.calls: list[asyncio.Future[Reply]] = []
        self.streams = self.closed = 0
        self.is_full = False

    def unary(self, request: Request) -> asyncio.Future[Reply]:
        if self.is_full:
            raise Overloaded(retry_after=1.0)
        self.calls.append(asyncio.get_running_loop().create_future())
        return self.calls[-1]

    async def stream(self, request: Request) -> AsyncIterator[Sequence[Payload]]:
        self.streams += 1
        try:
            for _ in range(3):
                yield (PAYLOAD,)
            if self.is_full:
                raise Overloaded(retry_after=1.0)
        finally:
            self.closed += 1


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def limited(**limits: Any) -> tuple[Quota, Held, Clock]:
    held, clock = Held(), Clock()
    return Quota(held, **limits, clock=clock), held, clock  # type: ignore[arg-type]


def by(name: str, address: str = "192.0.2.1", method: Any = ECHO, **limits: Any) -> Request:
    whose = name or address
    return Request(method, PAYLOAD, "id", principal=whose, quota=Principal(name, **limits))


def refused(quota: Quota, request: Request) -> QuotaExceeded:
    with pytest.raises(QuotaExceeded) as caught:
        quota.unary(request)
    return caught.value


# Rate


def test_trap_29_a_caller_over_its_rate_is_told_when_to_come_back(run: Run) -> None:
    async def main() -> None:
        quota, held, clock = limited(rate=2.0)
        for _ in range(2):  # as many at once as may come in a second
            quota.unary(by("phone"))
        error = refused(quota, by("phone"))
        assert (error.status, error.what, error.retry_after) == (429, "rate", 0.5)
        quota.unary(by("desk"))  # another caller's is another's
        assert len(held.calls) == 3, "what is refused reaches nobody"
        clock.now += 0.25
        assert refused(quota, by("phone")).retry_after == 0.25, "a refusal costs nothing"
        clock.now += 0.25
        quota.unary(by("phone"))
        clock.now += 3600
        for _ in range(2):  # who was away has no more than a bucket
            quota.unary(by("phone"))
        refused(quota, by("phone"))

    run(main())


def test_a_rate_below_one_lets_one_call_begin(run: Run) -> None:
    async def main() -> None:
        quota, _, clock = limited(rate=0.1)
        quota.unary(by("phone"))
        assert refused(quota, by("phone")).retry_after == 10.0
        clock.now += 10.0
        quota.unary(by("phone"))

    run(main())


@given(
    rate=st.floats(0.05, 50),
    steps=st.lists(st.tuples(st.floats(0, 5), st.integers(1, 10)), min_size=1, max_size=40),
)
def test_nobody_begins_more_than_the_rate_allows(
    rate: float, steps: list[tuple[float, int]]
) -> None:
    bucket = Bucket(rate, None, 0.0)
    now, begun = 0.0, []
    for pause, calls in steps:
        now += pause
        for _ in range(calls):
            if (over := bucket.check(now)) is None:
                bucket.begin(None)  # type: ignore[arg-type]
                begun.append(now)
            else:
                assert over[1] >= 0
                # who comes back when he was told is let in (rounded to a millisecond)
                later = Bucket(rate, None, now)
                later.tokens = bucket.tokens
                assert later.check(now + over[1] + 0.001) is None
    for first, start in enumerate(begun):  # in every window
        for count, end in enumerate(begun[first:], 1):
            assert count <= max(1.0, rate) + rate * (end - start) + 1e-6


def test_what_the_backend_refuses_costs_nothing(run: Run) -> None:
    async def main() -> None:
        quota, held, _ = limited(rate=1.0, concurrency=1)
        held.is_full = True
        for _ in range(5):
            with pytest.raises(Overloaded):
                quota.unary(by("phone"))
        held.is_full = False
        quota.unary(by("phone"))

    run(main())


# Concurrency


def test_calls_count_from_their_admission_to_their_end(run: Run) -> None:
    async def main() -> None:
        quota, held, _ = limited(concurrency=2)
        futures = [quota.unary(by("phone")) for _ in range(2)]
        error = refused(quota, by("phone"))
        assert (error.status, error.what) == (429, "number of calls at once")
        assert error.retry_after > 0
        held.calls[0].set_result(Reply(PAYLOAD, 0, 0, 1))
        await futures[0]
        futures.append(quota.unary(by("phone")))
        refused(quota, by("phone"))
        held.calls[1].set_exception(Overloaded(retry_after=1.0))
        with pytest.raises(Overloaded):
            await futures[1]
        futures.append(quota.unary(by("phone")))
        refused(quota, by("phone"))
        futures[-1].cancel()  # and at once, without a turn of the loop, another: "latest wins"
        quota.unary(by("phone"))
        refused(quota, by("phone"))

    run(main())


async def count(items: AsyncIterator[Sequence[Payload]]) -> int:
    return sum([len(payloads) async for payloads in items])


def test_streams_count_until_they_are_closed(run: Run) -> None:
    async def main() -> None:
        quota, held, _ = limited(concurrency=2)
        one, two, three = (quota.stream(by("phone", method=NUMBERS)) for _ in range(3))
        await anext(one)
        await anext(two)
        with pytest.raises(QuotaExceeded):
            await anext(three)
        refused(quota, by("phone"))
        assert held.streams == 2
        assert await count(one) == 2  # it has ended
        four = quota.stream(by("phone", method=NUMBERS))
        await anext(four)
        await two.aclose()  # type: ignore[attr-defined]
        held.is_full = True
        with pytest.raises(Overloaded):  # it fails
            await count(four)
        held.is_full = False
        assert held.closed == held.streams == 3, "closing one closes the backend's"
        assert not quota.buckets["phone", ""].running
        unbegun = quota.stream(by("phone", method=NUMBERS))
        await unbegun.aclose()  # type: ignore[attr-defined]
        assert not quota.buckets["phone", ""].running

    run(main())


# Whose limits


def test_a_principals_own_limits_go_before_the_settings(run: Run) -> None:
    async def main() -> None:
        quota, _, _ = limited(rate=1.0, concurrency=1)
        for _ in range(5):
            quota.unary(by("big", rate=5.0, concurrency=5))
        assert refused(quota, by("big", rate=5.0, concurrency=5)).what == "rate"
        for _ in range(100):
            quota.unary(by("free", rate=math.inf, concurrency=1000))
        quota.unary(by("small"))
        refused(quota, by("small"))

    run(main())


def test_nothing_is_kept_for_who_has_no_limits(run: Run) -> None:
    async def main() -> None:
        quota, held, _ = limited()
        assert quota.unary(by("phone")) is held.calls[0]
        assert quota.unary(Request(ECHO, PAYLOAD, "id")) is held.calls[1]
        assert await count(quota.stream(by("phone", method=NUMBERS))) == 3
        assert not quota.buckets

    run(main())


def test_two_keys_of_a_name_share_a_bucket(run: Run) -> None:
    async def main() -> None:
        quota, held, _ = limited()
        begun = 0
        for turn in range(40):  # to change the limits does not fill it
            try:
                quota.unary(by("phone", rate=3.0 + turn % 2))
                begun += 1
            except QuotaExceeded:
                pass
        assert begun <= 4 and len(held.calls) == begun

    run(main())


def test_who_has_no_name_is_told_apart_by_his_address(run: Run) -> None:
    async def main() -> None:
        quota, _, _ = limited(rate=1.0)
        quota.unary(by("", "192.0.2.1"))
        refused(quota, by("", "192.0.2.1"))
        quota.unary(by("", "192.0.2.2"))
        quota.unary(by("192.0.2.1"))  # a principal who is called so is another

    run(main())


def test_callers_who_are_away_are_forgotten(run: Run) -> None:
    async def main() -> None:
        quota, held, clock = limited(rate=10.0, concurrency=5)
        quota.unary(by("stays"))
        for number in range(20 * _SWEEP):
            quota.unary(by("", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"))
            held.calls.pop().cancel()
            clock.now += 0.01
            if number % 64 == 0:
                await asyncio.sleep(0)
            assert len(quota.buckets) <= 2 * _SWEEP
        assert len(quota.buckets["stays", ""].running) == 1, "a call that runs is not forgotten"

    run(main())


def test_refusals_are_counted() -> None:
    async def main() -> None:
        quota, _, _ = limited(rate=1.0, concurrency=2)
        before = exposition.render().decode()
        quota.unary(by("phone"))
        refused(quota, by("phone"))
        quota, _, _ = limited(concurrency=1)
        quota.unary(by("phone"))
        refused(quota, by("phone"))
        after = exposition.render().decode()
        for reason in ("rate", "concurrency"):
            line = f'mothlight_refused_total{{method="Desk.echo",reason="{reason}"}} '
            assert _value(after, line) == _value(before, line) + 1

    asyncio.run(main())


def _value(page: str, line: str) -> float:
    return next((float(row[len(line) :]) for row in page.splitlines() if row.startswith(line)), 0)


# Over HTTP


KEY = {"idempotency-key": "0123456789abcdef0123456789abcdef"}


def test_a_quota_over_http(run: Run) -> None:
    async def main() -> None:
        async with App(Desk, workers=0, rate=2.0) as app:
            note = {"text": "hi"}
            assert (await ask(app, "POST", "/desk/echo", note, headers=KEY)).status == 200
            for _ in range(5):  # a known call costs nothing, however it is asked for
                assert (await ask(app, "POST", "/desk/echo", note, headers=KEY)).status == 200
                id = KEY["idempotency-key"]
                assert (await ask(app, "GET", f"/calls/{id}")).status == 200
                assert (await ask(app, "DELETE", f"/calls/{id}")).status == 204
            bad = await ask(app, "POST", "/desk/echo", {"count": 0})
            assert bad.status == 422, "nor does what is refused before it is a call"
            assert (await ask(app, "POST", "/desk/echo", note)).status == 200
            new = {"idempotency-key": "fedcba9876543210fedcba9876543210"}
            for headers in ({}, new, {"prefer": "respond-async"}):
                over = await ask(app, "POST", "/desk/echo", note, headers=headers)
                assert over.status == 429
                assert over.headers["retry-after"] == "1"
                assert over.problem["code"] == "resource_exhausted"
                assert 0 < over.problem["retry_after"] <= 0.5
                stream = await ask(app, "POST", "/desk/words", note, headers=headers)
                assert (stream.status, stream.problem["type"]) == (429, "QuotaExceeded")
            missing = await ask(app, "GET", f"/calls/{new['idempotency-key']}")
            assert missing.status == 404, "a refused call may be sent again with its key"

    run(main())


def test_a_call_without_a_connection_still_counts(run: Run) -> None:
    async def main() -> None:
        desk.hold.go.clear()
        async with App(Desk, workers=0, concurrency=1) as app:
            headers = {**KEY, "prefer": "respond-async"}
            assert (await ask(app, "POST", "/desk/wait", b"1", headers=headers)).status == 202
            assert (await ask(app, "POST", "/desk/echo", {"text": "hi"})).status == 429
            assert (await ask(app, "POST", "/desk/wait", b"1", headers=headers)).status == 202
            assert (await ask(app, "DELETE", f"/calls/{KEY['idempotency-key']}")).status == 204
            await asyncio.sleep(0)
            assert (await ask(app, "POST", "/desk/echo", {"text": "hi"})).status == 200

    run(main())


@pytest.mark.parametrize("path", ["/desk/wait", "/desk/slow"])
def test_the_newest_takes_the_place_of_the_one_that_it_ends(run: Run, path: str) -> None:
    async def main() -> None:
        desk.hold.go.clear()
        async with App(Desk, workers=0, concurrency=1, drain=0.1) as app:
            latest = {"supersede-key": "0123456789abcdef0123456789abcdef/box"}
            for number in range(5):
                answer = await ask(
                    app, "POST", path, json.dumps(number + 1).encode(),
                    headers={**latest, "prefer": "respond-async"},
                )  # fmt: skip
                assert answer.status == 202, (number, answer.body)

    run(main())


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("path", ["/desk/wait", "/desk/slow", "/desk/linger"])
def test_the_newest_takes_the_place_while_its_client_waits(run: Run, path: str, kept: bool) -> None:
    async def main() -> None:
        desk.hold.go.clear()
        async with App(Desk, workers=0, concurrency=1) as app:
            asked = []
            for number in range(1, 6):
                desk.hold.began.clear()
                headers = {"supersede-key": "0123456789abcdef0123456789abcdef/box"}
                if kept:
                    headers["idempotency-key"] = f"0123456789abcdef0123456789abcde{number}"
                call = ask(app, "POST", path, json.dumps(number).encode(), headers=headers)
                asked.append(asyncio.ensure_future(call))
                while not (desk.hold.began.is_set() or asked[-1].done()):
                    await asyncio.sleep(0.001)
                assert not asked[-1].done(), (number, asked[-1].result().body)
            desk.hold.go.set()
            answers = await asyncio.gather(*asked)
            assert [answer.status for answer in answers] == [409, 409, 409, 409, 200]

    run(main())


def test_the_settings_without_limits_put_nothing_in_the_way() -> None:
    app = App(Desk, workers=0)
    assert app.calls.backend is app.backend
    assert isinstance(App(Desk, workers=0, rate=1.0).calls.backend, Quota)
    assert isinstance(App(Desk, workers=0, concurrency=1).calls.backend, Quota)
    limited = App(Desk, workers=0, authenticate=lambda _: Principal("a"))
    assert isinstance(limited.calls.backend, Quota)
