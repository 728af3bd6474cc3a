"""multipart/form-data (RFC 7578) out of a body that is already bounded in bytes."""

from __future__ import annotations

from typing import Any

from python_multipart.exceptions import FormParserError, MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from ..errors import MalformedRequest, PayloadTooLarge
from ..settings import Settings
from .form import Value


class _Parts:
    """Collects what the parser finds; its methods are the parser's callbacks."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.found: list[tuple[str, Value]] = []
        self.ended = False
        self._headers: dict[str, str] = {}
        self._name, self._value, self._data = bytearray(), bytearray(), bytearray()

    def on_part_begin(self) -> None:
        if len(self.found) >= self.settings.max_parts:
            raise PayloadTooLarge(what="the number of parts", limit=self.settings.max_parts)
        self._headers, self._data = {}, bytearray()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        name, value = bytes(self._name), bytes(self._value)
        # The parser of options takes latin-1 apart and gives bytes back: names may be UTF-8.
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")
        self._name, self._value = bytearray(), bytearray()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]

    def on_part_end(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", ""))
        if b"name" not in options:
            raise MalformedRequest(reason="a part of the form has no name")
        name = options[b"name"].decode("utf-8", "replace")
        kind = self._headers.get("content-type")
        if b"filename" in options or (kind and not kind.startswith(("text/", "application/json"))):
            file_name = options.get(b"filename", b"").decode("utf-8", "replace")
            file_name = file_name.replace("%22", '"')  # as browsers and our clients write it
            self.found.append((name, (bytes(self._data), kind, file_name[-255:] or None)))
            return
        try:
            self.found.append((name, self._data.decode()))
        except UnicodeDecodeError:
            raise MalformedRequest(reason=f"the part {name!r} is not UTF-8") from None

    def on_end(self) -> None:
        self.ended = True


def parse(body: bytes, content_type: bytes, settings: Settings) -> list[tuple[str, Value]]:
    """The parts of a form, in order: (name, text), or (name, (bytes, media type, file name)).
    Raises MalformedRequest, and PayloadTooLarge over ``max_parts``."""
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise MalformedRequest(reason="the multipart content type names no boundary")
    parts = _Parts(settings)
    callbacks: Any = {name: getattr(parts, name) for name in dir(parts) if name.startswith("on_")}
    try:
        parser = MultipartParser(boundary, callbacks)
        parser.write(body)
        parser.finalize()
    except (FormParserError, MultipartParseError) as error:
        raise MalformedRequest(reason=f"the form cannot be read: {error}") from None
    if not parts.ended:
        raise MalformedRequest(reason="the form ends in the middle")
    return parts.found
