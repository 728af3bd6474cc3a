"""Answers: what came back over the network, before it is read as a message or an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx2
from pydantic_core import from_json

from .options import MEBI

MAX_PROBLEM = MEBI


class Answer(NamedTuple):
    """An answer that is whole. The headers' names are found in any case."""

    status: int
    headers: Mapping[str, str]
    content: bytes | bytearray = b""

    @property
    def kind(self) -> str:
        """Its media type, without parameters."""
        return media_type(self.headers)

    @property
    def problem(self) -> dict[str, Any] | None:
        """The problem document that it is; None where it is none."""
        return problem(self.content) if self.kind == "application/problem+json" else None

    @property
    def retry_after(self) -> float | None:
        """Seconds of its Retry-After header (RFC 9110, 10.2.3)."""
        wait = self.headers.get("retry-after", "")
        return float(wait[:9]) if wait.isdigit() and wait.isascii() else None


def media_type(headers: Mapping[str, str]) -> str:
    """The media type that some headers name, without parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def problem(content: bytes | bytearray | str) -> dict[str, Any] | None:
    """The object that JSON is; None where it is none."""
    try:
        found = from_json(content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


class Collector:
    """The bytes of an answer, bounded."""

    def __init__(self, response: httpx2.Response, max_answer: int) -> None:
        self.response = response
        self.limit = max_answer if response.is_success else MAX_PROBLEM
        self.content = bytearray()

    def add(self, chunk: bytes) -> bool:
        """Takes a piece; whether more is wanted. What an error page has to say stands at its
        beginning."""
        self.content += chunk
        return not self.is_too_long

    @property
    def is_too_long(self) -> bool:
        return len(self.content) > self.limit

    def answer(self) -> Answer:
        """What it is."""
        return Answer(self.response.status_code, self.response.headers, self.content)
