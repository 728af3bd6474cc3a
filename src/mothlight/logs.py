"""The log: lines for people or JSON lines for machines, with the ids of the calls that they are of.

text    13:05:11 INFO Sentiment[4711] loaded 3 labels (call 8f14e45fceea167a5a36dedd)
json    {"time":"2026-01-31T13:05:11.023817Z","level":"info","logger":"…","message":"…","call":"…"}

A record is one line of JSON, or one line of text with what belongs to it indented below, whatever
clients send: no text from outside can pass for a record of its own. Our own lines hold no headers,
queries or bodies; what looks like a credential is left out of everybody's.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import Any

from .call import answered_calls

ACCESS = logging.getLogger("mothlight.access")

MAX_LENGTH = 64 * 1024
"""Characters of a text in a record; a model may log its input."""

MAX_ENTRIES = 256
"""Entries of a list or mapping that is logged with ``extra``."""

_SHOWN = 8
"""Ids of calls in a line for people."""

_QUIET = ("uvicorn", "httpx2", "opentelemetry")
"""Libraries whose informative lines only ``debug`` lets through."""

# Control characters, those that break lines in some viewers or turn the reading direction, and
# halves of surrogate pairs, which no encoding has.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_CREDENTIAL = re.compile(r"\b(bearer|basic|digest)\s+[\w.~+/=:-]{8,}", re.IGNORECASE)
_API_KEY = re.compile(r"\bmoth_[0-9a-f]{8}_[\w-]{43}")
_SECRET = re.compile(
    r"authorization|cookie|passw|secret|credential|api_?key|(access|refresh|auth|id)_?token",
    re.IGNORECASE,
)
_HIDDEN = "[hidden]"

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "calls"}


def set_up(form: str, level: str, *, service: str = "") -> None:
    """Lets this process write its log to stderr; ``form`` and ``level`` are the settings ``log``
    and ``log_level``, ``service`` is whose worker this is. It may be asked again; a program that
    has set up its log otherwise keeps it."""
    root = logging.getLogger()
    ours = next((h for h in root.handlers if isinstance(h, Handler)), None)
    if ours is None:
        if root.handlers:
            return
        ours = Handler()
        root.addHandler(ours)
    ours.setFormatter(Json(service) if form == "json" else Text(service))
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel("NOTSET" if level == "debug" else "WARNING")
    logging.raiseExceptions = False  # a line that cannot be written (a full disk) is lost
    logging.captureWarnings(True)


class Handler(logging.StreamHandler[Any]):
    """Writes records to stderr, and adds to each the calls in which it was logged."""

    def __init__(self, stream: Any = None) -> None:
        super().__init__(stream)
        self.addFilter(_add_calls)


def _add_calls(record: logging.LogRecord) -> bool:
    if not hasattr(record, "calls"):
        record.calls = [call.id for call in answered_calls()]
    return True


class Text(logging.Formatter):
    """For people. Lines below the first are indented, so that none passes for a record."""

    def __init__(self, service: str = "") -> None:
        super().__init__(datefmt="%H:%M:%S")
        self._who = f" {service}[{os.getpid()}]" if service else ""

    def format(self, record: logging.LogRecord) -> str:
        text = _message(record)
        calls: Sequence[str] = getattr(record, "calls", ())
        if calls and f"(call {calls[0]}" not in text:  # as our own lines have it
            more = f" and {len(calls) - _SHOWN} more" if len(calls) > _SHOWN else ""
            text += f" (call {', '.join(calls[:_SHOWN])}{more})"
        if exception := _exception(self, record):
            text += f"\n{exception}"
        text = _clean(text).replace("\n", "\n  ")
        return f"{self.formatTime(record, self.datefmt)} {record.levelname}{self._who} {text}"


class Json(logging.Formatter):
    """For machines. Beside what every record has it holds what was logged with ``extra``."""

    def __init__(self, service: str = "") -> None:
        super().__init__()
        self._who = {"service": service} if service else {}

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        line: dict[str, Any] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _clean(_message(record)),
            "pid": record.process,
            **self._who,
        }
        calls: Sequence[str] = getattr(record, "calls", ())
        if len(calls) == 1:
            line["call"] = calls[0]
        elif calls:
            line["calls"] = list(calls)
        for name, value in vars(record).items():
            if name not in _STANDARD and name not in line:
                line[_clean(name)] = _HIDDEN if _is_secret(name) else _value(value)
        if exception := _exception(self, record):
            line["exception"] = _clean(exception)
        return _encode(line)  # in ASCII: no encoding of stderr can spoil it


_encode = json.JSONEncoder(separators=(",", ":")).encode


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # arguments that do not fit the format: better shown than lost
        return f"{record.msg} {record.args!r}"


def _exception(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    text = formatter.formatException(record.exc_info) if record.exc_info else record.exc_text or ""
    return f"{text}\n{record.stack_info}" if record.stack_info else text


def _clean(text: str) -> str:
    if len(text) > MAX_LENGTH:
        text = f"{text[:MAX_LENGTH]} … ({len(text) - MAX_LENGTH} characters more)"
    if not (text.isascii() and text.isprintable()):
        text = _UNSEEN.sub(_escape, text)
    if "moth_" in text:
        text = _API_KEY.sub(_HIDDEN, text)
    return _CREDENTIAL.sub(rf"\1 {_HIDDEN}", text) if " " in text else text


@lru_cache(maxsize=256)
def _is_secret(name: str) -> bool:
    return bool(_SECRET.search(name))


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def _value(value: object, depth: int = 4) -> Any:
    """A value of ``extra`` as JSON has it, to so many levels."""
    if value is None or (isinstance(value, int) and value.bit_length() < 64):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    try:
        if isinstance(value, Mapping) and depth:
            pairs = [(_clean(str(k)), v) for k, v in islice(value.items(), MAX_ENTRIES)]
            return {k: _HIDDEN if _is_secret(k) else _value(v, depth - 1) for k, v in pairs}
        if isinstance(value, list | tuple) and depth:
            return [_value(one, depth - 1) for one in value[:MAX_ENTRIES]]
        return _clean(str(value))
    except Exception:  # a model's object that cannot be shown
        return f"<{type(value).__name__}>"


def access(
    call: str, service: str, method: str, code: str, seconds: float, **more: float | str
) -> None:
    """Writes the line of a call that has ended: ``code`` is ``ok`` or one of the codes; ``more``
    (``queued`` and ``computed`` in seconds, ``batch``, ``items``, ``trace``) is what is known."""
    if not ACCESS.isEnabledFor(logging.INFO):
        return
    parts = [f"{method} {code} {seconds * 1000:.1f} ms"]
    extra: dict[str, Any] = {"calls": [call], "service": service, "method": method, "code": code}
    for name, value in {"seconds": seconds, **more}.items():
        extra[name] = round(value, 6) if isinstance(value, float) else value
        if name != "seconds":
            parts.append(f"{name} {_shown(value)}")
    ACCESS.info("%s", ", ".join(parts), extra=extra)


def _shown(value: float | str) -> str:
    return f"{value * 1000:.1f} ms" if isinstance(value, float) else str(value)
