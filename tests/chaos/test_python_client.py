"""The same torn connections, and our own client, which retries and resumes by itself."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from chaos.proxy import Proxy
from chaos.python import KINDS, ask
from mothlight import AsyncClient
from mothlight.client import patience

TEARS = 1000


@pytest.mark.timeout(300)
def test_the_python_client(
    ledger: Callable[..., Any], show: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "_FIRST", 0.005)  # seconds: a thousand pauses are to be waited
    monkeypatch.setattr(patience, "_MOST", 0.05)
    server, seed = ledger(), random.randrange(2**32)
    print(f"seed {seed}")
    calls: Counter[str] = Counter()

    async def main() -> Proxy:
        # Some connections are kept for further calls, and all come to the bytes where they tear.
        limits = httpx2.Limits(max_keepalive_connections=4)
        async with Proxy(server.port, seed, tears=1.0) as proxy:
            rnd, numbers = random.Random(seed), itertools.count(1000, 1000)
            url = f"http://127.0.0.1:{proxy.port}"
            async with AsyncClient(url, retries=60, limits=limits, trust_env=False) as client:

                async def work() -> None:
                    while proxy.count < TEARS:
                        kind = rnd.choice(KINDS)
                        await ask(client, kind, next(numbers))
                        calls[kind] += 1

                await asyncio.gather(*(work() for _ in range(24)))
            return proxy

    proxy = asyncio.run(main())
    runs = server.runs()
    assert set(runs.values()) == {1}, f"it ran more than once: {runs.most_common(5)}"
    assert len(runs) == calls.total()
    show(f"seed {seed}: {proxy}; {calls.total()} calls, each ran once, 0 typed errors")
