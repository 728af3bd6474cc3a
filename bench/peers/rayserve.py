"""Ray Serve: ``python -m bench.peers.rayserve text PORT``."""

from __future__ import annotations

import logging
import signal
import sys
from typing import Any

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import StreamingResponse

from bench.peers import model

_ONGOING = 256  # requests that a replica takes at a time; by default fewer than our connections


@serve.deployment(max_ongoing_requests=_ONGOING)
class Calls:
    def __init__(self, case: str) -> None:
        self.case = case
        self.model = model.load(case)

    @serve.batch(max_batch_size=model.SIZE, batch_wait_timeout_s=model.WAIT)
    async def predict(self, inputs: list[Any]) -> list[dict[str, Any]]:
        return self.model(inputs)

    async def __call__(self, request: Request) -> dict[str, Any]:
        body = await request.body()
        found: dict[str, Any] = await self.predict(
            body if self.case == "image" else (await request.json())["text"]
        )
        return found


@serve.deployment(max_ongoing_requests=_ONGOING)
class Stream:
    def __call__(self, request: Request) -> StreamingResponse:
        return StreamingResponse(model.lines(), media_type="application/x-ndjson")


def main(case: str, port: int) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    ray.init(address="local", include_dashboard=False, **quiet)
    serve.start(http_options={"host": "127.0.0.1", "port": port, "request_timeout_s": 60})
    app = Stream.bind() if case == "stream" else Calls.bind(case)
    serve.run(app, route_prefix="/")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
