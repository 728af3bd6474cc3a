"""How byte-level vocabularies (GPT-2's, SmolLM2's, Whisper's) spell their tokens."""

from __future__ import annotations

from collections.abc import Iterable


def spell(vocabulary: Iterable[str]) -> list[bytes]:
    """The bytes of each token: the vocabulary writes every byte as one printable character. A
    token with another character in it is a control token and spells nothing."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    codes = {chr(byte): byte for byte in plain}
    codes |= {chr(256 + place): byte for place, byte in enumerate(others)}
    return [
        bytes(codes[character] for character in token) if codes.keys() >= set(token) else b""
        for token in vocabulary
    ]
