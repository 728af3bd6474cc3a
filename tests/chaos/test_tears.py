"""A thousand torn connections: every call ends with the bytes of an undisturbed run, nothing is
lost or doubled, and the model ran once for each key."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from chaos.driver import KINDS, MESSAGES, Driver, Outcome, undisturbed
from chaos.proxy import Proxy

TEARS = 1000


@pytest.mark.timeout(300)
def test_a_client_that_keeps_to_the_protocol(
    ledger: Callable[..., Any], show: Callable[[str], None]
) -> None:
    server, seed = ledger(), random.randrange(2**32)
    print(f"seed {seed}")

    async def main() -> tuple[list[Outcome], Proxy]:
        expected = await undisturbed(server.port)
        outcomes: list[Outcome] = []
        async with Proxy(server.port, seed) as proxy:
            driver, rnd = Driver(proxy.port, seed), random.Random(seed)

            async def client() -> None:
                while proxy.count < TEARS:
                    kind, message = rnd.choice(KINDS), rnd.randrange(MESSAGES)
                    outcomes.append(await driver.call(kind, message, uuid4().hex))

            await asyncio.gather(*(client() for _ in range(24)))
        for outcome in outcomes:
            assert outcome.problem is None, outcome
            assert outcome.result == expected[outcome.kind, outcome.message], outcome
        return outcomes, proxy

    outcomes, proxy = asyncio.run(main())
    runs = server.runs()
    wrong = {outcome.name: runs[outcome.name] for outcome in outcomes if runs[outcome.name] != 1}
    assert not wrong, f"the model did not run once: {wrong}"
    assert len(runs) == len(outcomes) + len(KINDS) * MESSAGES
    show(
        f"seed {seed}: {proxy}; {len(outcomes)} calls, each ran once, "
        f"{sum(o.tries - 1 for o in outcomes)} further tries, 0 typed errors"
    )
