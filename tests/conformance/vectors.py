"""The wire vectors as Python reads them (conformance/README.md says what they mean)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "conformance"
Json = Any


def load(sort: str) -> list[Any]:
    """The vectors of a sort ("client", "server"), each with the name of its file before its own."""
    found = []
    for path in sorted((FOLDER / sort).glob("*.json")):
        for vector in json.loads(path.read_text())["vectors"]:
            found.append({**vector, "name": f"{path.stem}/{vector['name']}"})
    return found


def data(piece: Json) -> bytes:
    """The bytes that a piece of a body stands for."""
    match piece:
        case str():
            return piece.encode()
        case {"json": value}:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        case {"base64": text}:
            return base64.b64decode(text)
        case {"repeat": [piece, count]}:
            return data(piece) * int(count)
    raise ValueError(f"{piece!r} is no piece of a body")


def pieces(chunks: list[Json]) -> Iterator[bytes | float]:
    """The chunks of a body, one by one, and the pauses between them (seconds)."""
    for chunk in chunks:
        match chunk:
            case {"pause": seconds}:
                yield float(seconds)
            case {"bytes": inner}:
                yield from (bytes([byte]) for byte in data(inner))
            case _:
                yield data(chunk)


class Mismatch(AssertionError):
    """What came is not what the vector says."""


class Names:
    """The values that ``$name`` stands for: whatever comes first where it is looked for."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def fill(self, value: Json) -> Json:
        """The value with the names replaced."""
        match value:
            case str():
                return re.sub(r"\$(\w+)", lambda m: self.values.get(m[1], m[0]), value)
            case list():
                return [self.fill(item) for item in value]
            case dict():
                return {name: self.fill(item) for name, item in value.items()}
        return value

    def match(self, expected: Json, found: str | None, what: str) -> None:
        """Compares a header, or a path, with what the vector has for it."""
        if isinstance(expected, Mapping):
            good = found is not None and re.search(expected["matches"], found)
        elif isinstance(expected, str) and re.fullmatch(r"\$\w+", expected) and found:
            good = self.values.setdefault(expected[1:], found) == found
        else:
            good = found == self.fill(expected)
        if not good:
            raise Mismatch(f"{what} is {found!r}, expected is {expected!r} ({self.values})")

    def headers(self, expected: Mapping[str, Json], found: Mapping[str, str]) -> None:
        for name, value in expected.items():
            self.match(value, found.get(name), f"the header {name}")


def has(expected: Json, found: Json, where: str = "") -> None:
    """Fails unless all members of what is expected are there; more may be."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name, value in expected.items():
            if name not in found:
                raise Mismatch(f"{where}.{name} is missing in {found!r}")
            has(value, found[name], f"{where}.{name}")
    elif expected != found or isinstance(expected, bool) != isinstance(found, bool):
        raise Mismatch(f"{where or 'the value'} is {found!r}, expected is {expected!r}")


def parts(kind: str, body: bytes) -> list[tuple[str, str | None, str | None, bytes]]:
    """(name, file name, type, contents) of the parts of a form."""
    boundary = re.fullmatch(r'multipart/form-data; *boundary="?([^";]{1,70})"?', kind)
    if not boundary:
        raise Mismatch(f"this is no form: {kind}")
    mark = b"--" + boundary[1].encode()
    if not body.startswith(mark + b"\r\n") or not body.endswith(b"\r\n" + mark + b"--\r\n"):
        raise Mismatch("the form does not begin and end with its boundary")
    found = []
    for piece in body[len(mark) + 2 : -len(mark) - 6].split(b"\r\n" + mark + b"\r\n"):
        head, _, contents = piece.partition(b"\r\n\r\n")
        name = file_name = kind_ = None
        for line in head.decode().split("\r\n"):
            field, _, value = line.partition(":")
            if field.lower() == "content-disposition":
                name = _quoted("name", value)
                file_name = _quoted("filename", value)
            elif field.lower() == "content-type":
                kind_ = value.strip()
            else:
                raise Mismatch(f"a part has the header {line!r}")
        found.append((name or "", file_name, kind_, contents))
    return found


def _quoted(name: str, disposition: str) -> str | None:
    found = re.search(rf'; *{name}="([^"]*)"', disposition)
    return found[1] if found else None


def check_parts(expected: list[Json], absent: list[str], kind: str, body: bytes) -> None:
    """Fails unless the parts of the form are there, in any order but that of a name's own."""
    left = parts(kind, body)
    for part in expected:
        found = next((one for one in left if one[0] == part["name"]), None)
        if found is None:
            raise Mismatch(f"there is no part {part['name']}")
        left.remove(found)
        _, file_name, type_, contents = found
        if "json" in part:
            has(part["json"], json.loads(contents), part["name"])
        elif contents != data(part["text"] if "text" in part else {"base64": part["base64"]}):
            raise Mismatch(f"the part {part['name']} holds {contents[:200]!r}")
        if part.get("filename", file_name) != file_name or part.get("type", type_) != type_:
            raise Mismatch(f"the part {part['name']} is called {file_name!r}, {type_!r}")
    if there := {one[0] for one in left} & set(absent):
        raise Mismatch(f"the parts {there} should be left out")
