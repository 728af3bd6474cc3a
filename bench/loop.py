"""The model alone, in a plain loop in one process, the limit of one worker.

``python -m bench.loop text``: a line ``N SECONDS`` on stdin runs batches of N for so long; the
answer is a line of items a second.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from bench import models


def text() -> Callable[[int], object]:
    model = models.Mlp()
    return lambda size: model.predict([models.TEXT] * size)


def image() -> Callable[[int], object]:
    model = models.vision()
    data = models.photo()
    return lambda size: models.classify(model, [models.open_photo(data) for _ in range(size)])


def main(case: str) -> None:
    predict = {"text": text, "image": image}[case]()
    predict(1)
    print("ready", flush=True)
    for line in sys.stdin:
        size, seconds = int(line.split()[0]), float(line.split()[1])
        count, start = 0, time.perf_counter()
        while (now := time.perf_counter()) < start + seconds or not count:
            predict(size)
            count += size
        print(count / (now - start), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
