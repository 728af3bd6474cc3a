"""One noisy caller does not starve the others, and who is in a hurry goes first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from mothlight import method, service
from mothlight.testing import TestClient


@service
class Counter:
    def __init__(self) -> None:
        self.served = 0

    @method
    def take(self, place: int) -> int:
        """How many were served before."""
        time.sleep(0.01)
        self.served += 1
        return self.served


@pytest.fixture
def url() -> Iterator[str]:
    with TestClient(Counter) as client:
        yield client.url


def test_others_are_served_between_the_calls_of_a_noisy_one(url: str) -> None:
    def ask(headers: dict[str, str]) -> int:
        answer = client.post("/counter/take", json=1, headers=headers)
        assert answer.status_code == 200, answer.text
        served: int = answer.json()
        return served

    with httpx2.Client(base_url=url) as client, ThreadPoolExecutor(48) as pool:
        noisy = [pool.submit(ask, {"x-forwarded-for": "192.0.2.1"}) for _ in range(40)]
        while not sum(call.done() for call in noisy) > 2:
            time.sleep(0.002)
        begun = sum(call.done() for call in noisy)
        late = pool.submit(ask, {"x-forwarded-for": "192.0.2.1", "priority": "u=7"})
        quiet = [pool.submit(ask, {"x-forwarded-for": f"192.0.2.{n}"}) for n in (2, 3)]
        urgent = pool.submit(ask, {"x-forwarded-for": "192.0.2.1", "priority": "u=0"})
        places = [call.result() - begun for call in quiet]
        assert max(places) < 20, "not behind all the others"
        assert urgent.result() - begun < 20
        others = [call.result() for call in (*quiet, urgent)]
        assert late.result() > max(others), "who has time waits"
