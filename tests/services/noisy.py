"""A service that writes to the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from mothlight import batched, method, service

log = logging.getLogger("noisy")


@service
class Noisy:
    @batched(max_size=8)
    def say(self, texts: list[str]) -> list[str]:
        for text in texts:
            log.info("said %s", text, extra={"characters": len(text)})
        log.debug("debugged")
        return texts

    @method
    def fail(self, number: int) -> float:
        return number / 0

    @method(http="GET /noisy/count")
    def count(self, most: int) -> Iterator[int]:
        yield from range(most)
