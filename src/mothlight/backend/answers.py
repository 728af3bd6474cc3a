"""How a message comes to a method, and what becomes of what it gives back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from ..call import Step
from ..errors import BadMedia, Error, Internal
from ..media.file import Media
from ..schema import Payload
from ..services import Method

log = logging.getLogger("mothlight")

Result = Payload | dict[str, Any]
"""What became of one call: its encoded answer, or its problem document."""


def decode(method: Method[Any, Any, Any], payload: Payload) -> Any:
    """The message with its files opened (BadMedia where one cannot be)."""
    if not method.parameter:
        return None
    if not method.input.has_media:
        return method.input.decode(payload)
    files: list[Media] = []
    message = method.input.decode(payload, files)
    for file in files:
        file.open_in_worker()
    return message


def call(method: Method[Any, Any, Any], obj: object, message: Any) -> Any:
    """Calls a method that is not batched."""
    return method.func(obj, message) if method.parameter else method.func(obj)


def begin(method: Method[Any, Any, Any], obj: object, message: Any) -> Any:
    """The state of a stream of a stepped method."""
    assert method.start
    return method.start(obj, message) if method.parameter else method.start(obj)


def step(
    method: Method[Any, Any, Any], obj: object, states: list[Any]
) -> Sequence[Step[Any] | Error]:
    """One step of every state."""
    returned = method.func(obj, states)
    check_length(method, returned, len(states))
    for one in returned:
        if not isinstance(one, (Step, Error)):
            raise TypeError(f"{method.qualname} returned a {type(one).__name__}, not a Step")
    return returned  # type: ignore[no-any-return]


def encode(method: Method[Any, Any, Any], value: Any, id: str) -> Result:
    """The result of one item: its payload, or the problem where it is or causes an error."""
    if isinstance(value, Error):
        return value.problem()
    try:
        return method.output.encode(value)
    except Exception:
        return failure(method, [id])


def failure(method: Method[Any, Any, Any], ids: Sequence[str]) -> dict[str, Any]:
    """Logs the exception that is being handled, and gives the problem that says nothing of it."""
    told = {"calls": ids, "method": method.qualname}
    log.exception("%s failed (call %s)", method.qualname, ", ".join(ids), extra=told)
    return Internal().problem()


def declared(method: Method[Any, Any, Any], error: Error) -> dict[str, Any]:
    """The problem of an error that a method raised; its author is told to declare it."""
    known = (*method.raises, BadMedia)
    if type(error).__module__ != Error.__module__ and not isinstance(error, known):
        name = type(error).__name__
        log.warning("%s raised %s; declare it:   raises=[%s]", method.qualname, name, name)
    return error.problem()


def check_length(method: Method[Any, Any, Any], returned: Any, expected: int) -> None:
    """TypeError or ValueError where a method does not give one answer for each message."""
    if not isinstance(returned, (list, tuple)):
        raise TypeError(f"{method.qualname} returned a {type(returned).__name__}, not a list")
    if len(returned) != expected:
        raise ValueError(f"{method.qualname} got {expected} and returned {len(returned)}")


def close(thing: Any) -> None:
    """Closes a generator or a state; an iterator and a plain state need not know how."""
    if closing := getattr(thing, "close", None):
        closing()
