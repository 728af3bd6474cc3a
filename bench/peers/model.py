"""What every peer serves: a function over a batch, made once in the process that runs it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bench import models

SIZE, WAIT = 32, 0.005
"""Members of a batch, and seconds that a call waits for company."""

Batch = Callable[[Sequence[Any]], list[dict[str, Any]]]


def load(case: str) -> Batch:
    """The model of a case: texts, or JPEGs as bytes, to answers."""
    if case == "noop":
        return lambda texts: [{"score": score} for score in models.noop(list(texts))]
    if case == "text":
        mlp = models.Mlp()
        return lambda texts: [{"score": score} for score in mlp.predict(list(texts))]
    network = models.vision()

    def classify(photos: Sequence[bytes]) -> list[dict[str, Any]]:
        found = models.classify(network, [models.open_photo(photo) for photo in photos])
        return [{"predicted_class": c, "probability": p} for c, p in found]

    return classify


def items() -> Iterator[dict[str, Any]]:
    """The items of a stream."""
    for index, text in models.tokens(models.ITEMS):
        yield {"index": index, "text": text}


def lines() -> Iterator[str]:
    """The same, each as a line of JSON."""
    for item in items():
        yield json.dumps(item) + "\n"
