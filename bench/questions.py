"""The requests of the works."""

from __future__ import annotations

import json
from dataclasses import replace

from . import models
from .load import FRESH, Request


def review(path: str = "/score") -> Request:
    """A short text to score."""
    body = json.dumps({"text": models.TEXT}).encode()
    return Request("POST", path, "application/json", body)


def numbered(header: str) -> Request:
    """The same with a header whose value is another one each time."""
    return replace(review(), more=((header, FRESH),))


def photo(path: str = "/classify", part: str = "file") -> Request:
    """A JPEG of 100 kB to classify, in a form."""
    mark = "bench-1f0c2a"
    head = (
        f"--{mark}\r\nContent-Disposition: form-data; name=\"{part}\"; filename=\"photo.jpg\"\r\n"
        "Content-Type: image/jpeg\r\n\r\n"
    )  # fmt: skip
    body = head.encode() + models.photo() + f"\r\n--{mark}--\r\n".encode()
    return Request("POST", path, f"multipart/form-data; boundary={mark}", body)


def tokens() -> Request:
    """A stream of 200 items."""
    return Request("GET", "/tokens", items=models.ITEMS)
