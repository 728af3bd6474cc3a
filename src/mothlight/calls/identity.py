"""Ids: which ones a stranger could guess, and what a log may say of them."""

from __future__ import annotations

import math
import re
from hashlib import sha256

BITS = 128
"""Bits that an id has to have where it is a secret."""

_DISTINCT = 8
"""Different characters in it: 32 random hexadecimal digits have fewer once in 20 million times."""

_PROSE = 1.5
"""Bits of a letter in a text of one case (Shannon, "Prediction and Entropy of Printed English")."""

_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_USUAL = re.compile(r"[0-9a-f]{32}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def is_secret(id: str) -> bool:
    """Whether an id, or what stands before or after a slash in it, looks like 128 random bits: 32
    hexadecimal digits, 22 characters of base64. A UUID counts by its digits (of a version 4, which
    most libraries make, 122 bits are random: RFC 9562, 5.4). What only looks random nobody can
    tell."""
    if _USUAL.fullmatch(id) and len(set(id)) >= _DISTINCT:  # what nearly all clients send
        return True
    return _bits(id) >= BITS or any(_bits(part) >= BITS for part in id.split("/"))


def _bits(text: str) -> float:
    if _UUID.fullmatch(text):
        text = text.replace("-", "")
    if len(set(text)) < _DISTINCT:
        return 0.0
    return len(text) * _width(text)


def _width(text: str) -> float:
    """Bits of one character, by the smallest usual alphabet that has them all."""
    if text.isdigit():
        return math.log2(10)
    if _HEX.fullmatch(text):
        return 4.0
    if text != text.lower() and text != text.upper():
        return 6.0  # base64
    digits = sum(map(str.isdigit, text))
    return math.log2(36) if 10 * digits >= len(text) else _PROSE


def public(id: str) -> str:
    """What logs, traces and models are told of a call that its client has named: the first 24
    digits of the SHA-256 of its id, from which nobody finds the id."""
    return sha256(id.encode()).hexdigest()[:24]
