"""BentoML: ``python -m bench.peers.bento text PORT``.

A batched endpoint takes a list, so each caller sends a list of one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import bentoml

from bench.peers import model

CASE = "BENCH_CASE"  # its workers are other processes
_BATCHED = {"batchable": True, "max_batch_size": model.SIZE, "max_latency_ms": 10_000}


@bentoml.service(workers=1, traffic={"timeout": 60})
class Text:
    def __init__(self) -> None:
        self.predict = model.load(os.environ[CASE])

    @bentoml.api(route="/predict", **_BATCHED)
    def score(self, texts: list[str]) -> list[dict[str, Any]]:
        return self.predict(texts)


@bentoml.service(workers=1, traffic={"timeout": 60})
class Image:
    def __init__(self) -> None:
        self.predict = model.load("image")

    @bentoml.api(route="/predict", **_BATCHED)
    def classify(self, photos: list[Path]) -> list[dict[str, Any]]:
        return self.predict([photo.read_bytes() for photo in photos])


@bentoml.service(workers=1, traffic={"timeout": 60})
class Stream:
    @bentoml.api(route="/predict")
    async def tokens(self) -> AsyncGenerator[str, None]:
        for line in model.lines():
            yield line


if __name__ == "__main__":
    case, port = sys.argv[1:]
    name = {"image": "Image", "stream": "Stream"}.get(case, "Text")
    os.environ.update({CASE: case, "BENTOML_DO_NOT_TRACK": "True"})
    command = ["bentoml", "serve", f"bench.peers.bento:{name}", "--host", "127.0.0.1"]
    os.execv(sys.executable, [sys.executable, "-m", *command, "--port", port, "-q"])
