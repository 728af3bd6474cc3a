"""A service whose starts a test decides: by files in the folder that FRAIL names."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from mothlight import method, service

FOLDER = "FRAIL"


@service
class Frail:
    def __init__(self) -> None:
        folder = Path(os.environ[FOLDER])
        with (folder / "starts").open("a") as starts:
            starts.write(f"{os.getpid()}\n")
        end = time.monotonic() + 20
        while (folder / "wait").exists() and time.monotonic() < end:
            time.sleep(0.005)
        if (folder / "fail").exists():
            raise RuntimeError("no weights today")
        if (folder / "die").exists():
            threading.Timer(0.02, os._exit, (9,)).start()

    @method
    def pid(self) -> int:
        return os.getpid()

    @method
    def sleep(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    @method
    def hold_the_interpreter(self, length: int) -> None:
        re.match("(a+)+$", "a" * length + "b")

    @method
    def tick(self, seconds: float) -> Iterator[int]:
        for number in range(1_000_000):
            yield number
            time.sleep(seconds)
