"""Services that cannot be started, each in its own way."""

from __future__ import annotations

import os
import time

from mothlight import method, service


@service
class NoWeights:
    def __init__(self) -> None:
        raise FileNotFoundError("weights.safetensors is not here")

    @method
    def say(self, x: int) -> int:
        return x


@service
class BadExample:
    @method(example=0)
    def say(self, x: int) -> int:
        return 1 // x


@service
class DiesAtStart:
    def __init__(self) -> None:
        os._exit(7)

    @method
    def say(self, x: int) -> int:
        return x


@service
class Slow:
    def __init__(self) -> None:
        time.sleep(60)

    @method
    def say(self, x: int) -> int:
        return x
