"""The Dart runtime through a network that tears, and against servers that mean ill."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from chaos.proxy import Proxy
from dart_live.conftest import Program, passed

pytestmark = pytest.mark.timeout(180)

TEARS = 1000


def test_a_thousand_tears(
    program: Program, telegraph: Callable[..., Any], show: Callable[[str], None]
) -> None:
    """Nothing is lost, nothing comes twice, and the model runs each call once."""
    server, seed = telegraph(max_delay=60), random.randrange(2**31)
    print(f"seed {seed}")

    async def main() -> tuple[Proxy, str, int]:
        async with Proxy(server.port, seed, tears=0.9) as proxy:
            url = f"http://127.0.0.1:{proxy.port}"
            process = await asyncio.to_thread(program.start, "torn_test.dart", url, seed)
            try:
                async with asyncio.timeout(150):
                    while proxy.count < TEARS and process.poll() is None:
                        await asyncio.sleep(0.02)
                    shown, _ = await asyncio.to_thread(process.communicate, "enough\n")
            finally:
                process.kill()
            return proxy, shown, process.returncode

    proxy, shown, status = asyncio.run(main())
    passed(shown, status, 1)
    assert proxy.count >= TEARS
    runs = Counter(server.ledger.read_text().split("\n")[:-1])
    assert set(runs.values()) == {1}, f"it ran more than once: {runs.most_common(5)}"
    show(f"seed {seed}: {proxy}; {len(runs)} calls, each ran once")


def test_servers_that_mean_ill(program: Program, show: Callable[[str], None]) -> None:
    show(program.run("hostile_test.dart", at_least=83, seconds=150))
