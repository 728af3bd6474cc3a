"""Workers that are killed under torn connections: a call ends with its result or with a typed
error, never in silence and never twice; the server serves on."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from chaos.driver import KINDS, MESSAGES, Driver, Outcome, undisturbed
from chaos.proxy import Proxy
from chaos.python import KINDS as TYPED
from chaos.python import ask
from mothlight import AsyncClient
from mothlight.errors import Error, Unavailable

KILLS = 6
NONE_KEPT = httpx2.Limits(max_keepalive_connections=0)


@pytest.mark.timeout(300)
def test_killed_workers(ledger: Callable[..., Any], show: Callable[[str], None]) -> None:
    server, seed = ledger(workers=2), random.randrange(2**32)
    print(f"seed {seed}")
    rnd = random.Random(seed)

    async def main() -> tuple[list[Outcome], Proxy]:
        expected = await undisturbed(server.port)
        outcomes: list[Outcome] = []
        is_over = False
        async with Proxy(server.port, seed, tears=0.3) as proxy:
            driver = Driver(proxy.port, seed)

            async def client() -> None:
                while not is_over:
                    kind, message = rnd.choice(KINDS), rnd.randrange(MESSAGES)
                    outcomes.append(await driver.call(kind, message, uuid4().hex))

            clients = [asyncio.ensure_future(client()) for _ in range(12)]
            for _ in range(KILLS):
                await server.kill(rnd)
            is_over = True
            await asyncio.gather(*clients)
        runs = server.runs()
        direct = Driver(server.port)
        for outcome in outcomes:
            whole = expected[outcome.kind, outcome.message]
            if outcome.problem is None:
                assert outcome.result == whole, outcome
                assert runs[outcome.name] == 1, outcome
            else:
                assert outcome.problem["type"] == "Unavailable", outcome
                assert outcome.result == whole[: len(outcome.result)], outcome
                assert runs[outcome.name] <= 1, outcome
                again = await direct.call(outcome.kind, outcome.message, outcome.key)
                assert again.problem == outcome.problem, "its end is not remembered"
        assert server.runs() == runs, "a call that had ended ran again"
        assert await undisturbed(server.port) == expected
        return outcomes, proxy

    outcomes, proxy = asyncio.run(main())
    failed = [outcome for outcome in outcomes if outcome.problem]
    assert failed, "the kills met no call"
    assert len(failed) < len(outcomes) / 4
    show(f"seed {seed}: {KILLS} kills, {proxy}; {len(outcomes)} calls, {len(failed)} typed errors")


@pytest.mark.timeout(300)
def test_killed_workers_and_the_python_client(
    ledger: Callable[..., Any], show: Callable[[str], None]
) -> None:
    server, seed = ledger(workers=2), random.randrange(2**32)
    print(f"seed {seed}")
    rnd, numbers = random.Random(seed), itertools.count(1000, 1000)
    done: list[Error | None] = []

    async def main() -> Proxy:
        is_over = False
        async with Proxy(server.port, seed, tears=0.5) as proxy:
            url = f"http://127.0.0.1:{proxy.port}"
            async with AsyncClient(url, retries=60, limits=NONE_KEPT, trust_env=False) as client:

                async def work() -> None:
                    while not is_over:
                        try:
                            await ask(client, rnd.choice(TYPED), next(numbers))
                            done.append(None)
                        except Error as error:
                            assert isinstance(error, Unavailable), error
                            done.append(error)

                clients = [asyncio.ensure_future(work()) for _ in range(12)]
                for _ in range(KILLS // 2):
                    await server.kill(rnd)
                is_over = True
                await asyncio.gather(*clients)
                for kind in TYPED:
                    await ask(client, kind, next(numbers))
            return proxy

    proxy = asyncio.run(main())
    runs, good = server.runs(), done.count(None) + len(TYPED)
    failed = len(done) + len(TYPED) - good
    assert set(runs.values()) == {1}, f"it ran more than once: {runs.most_common(5)}"
    assert failed and good <= len(runs) <= good + failed
    show(f"seed {seed}: {KILLS // 2} kills, {proxy}; {good} calls, {failed} typed errors")
