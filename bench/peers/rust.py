"""Mosec: ``python -m bench.peers.rust text PORT [BATCH]``; a batch of 1 is none."""

from __future__ import annotations

import os
import sys
from typing import Any

import mosec

from bench.peers import model

CASE = "BENCH_CASE"  # its workers are other processes


class Calls(mosec.Worker):
    def __init__(self) -> None:
        self.case = os.environ[CASE]
        self.predict = model.load(self.case)

    def deserialize(self, data: bytes) -> Any:
        return data if self.case == "image" else super().deserialize(data)["text"]

    def forward(self, data: Any) -> Any:
        return self.predict(data) if self.max_batch_size > 1 else self.predict([data])[0]


class Stream(mosec.SSEWorker):
    def forward(self, data: Any) -> Any:
        count = len(data) if self.max_batch_size > 1 else 1
        for line in model.lines():  # all streams of a batch in lockstep
            for index in range(count):
                self.send_stream_event(line.rstrip(), index)
        return data


if __name__ == "__main__":
    case, port, *size = sys.argv[1:]
    os.environ[CASE] = case
    sys.argv[1:] = ["--address", "127.0.0.1", "--port", port, "--log-level", "warning"]
    server = mosec.Server()
    server.append_worker(
        Stream if case == "stream" else Calls,
        max_batch_size=int(size[0]) if size else model.SIZE,
        max_wait_time=round(model.WAIT * 1000),
        timeout=60,
    )
    server.run()
