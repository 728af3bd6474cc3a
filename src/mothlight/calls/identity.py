"""Ids: which ones a stranger could guess, and what a log may say of them."""

from __future__ import annotations

import math
from functools import lru_cache
from hashlib import sha256

BITS = 128
"""Bits that an id has to have where it is a secret."""

_DISTINCT = 8
"""Different characters in it: 32 random hexadecimal digits have fewer once in 20 million times."""


def is_secret(id: str) -> bool:
    """Whether an id is long enough to be a secret of 128 bits, if its characters are random: 32
    hexadecimal digits, 22 letters and digits of both cases. A UUID counts by its digits (of a
    version 4, which most libraries make, 122 bits are random: RFC 9562, 5.4)."""
    digits = id.replace("-", "").lower() if _looks_like_uuid(id) else id
    return len(digits) * _width(digits) >= BITS and len(set(digits)) >= _DISTINCT


def _looks_like_uuid(id: str) -> bool:
    return len(id) == 36 and [len(part) for part in id.split("-")] == [8, 4, 4, 4, 12]


def _width(digits: str) -> float:
    """Bits of one character, by the smallest usual alphabet that has them all."""
    if digits.isdigit():
        return math.log2(10)
    if all(c in "0123456789abcdef" for c in digits):
        return 4.0
    if digits.isalnum() and (digits.islower() or digits.isupper()):
        return math.log2(36)
    return math.log2(62)


@lru_cache(maxsize=4096)
def public(owner: str, id: str) -> str:
    """What logs, traces and models are told of a call that its client has named: the start of the
    SHA-256 of its id, from which nobody finds the id."""
    return sha256(f"{owner}\n{id}".encode() if owner else id.encode()).hexdigest()[:24]
