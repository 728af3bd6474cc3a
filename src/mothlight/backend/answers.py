"""How a message comes to a method, and what becomes of what it gives back."""

from __future__ import annotations

import inspect
import logging
import sys
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


class Misfit(ValueError):
    """A method gave what it does not declare. The message says where the method stands, which no
    traceback would: it has returned."""

    def __init__(self, method: Method[Any, Any, Any], what: str) -> None:
        code = getattr(inspect.unwrap(method.func), "__code__", None)
        where = f"{code.co_filename}:{code.co_firstlineno}: " if code else ""
        super().__init__(f"{where}{method.qualname} gave what it does not declare: {what}")


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
            raise Misfit(method, f"{type(one).__name__} in place of a Step or an Error")
    return returned  # type: ignore[no-any-return]


def encode(method: Method[Any, Any, Any], value: Any, id: str) -> Result:
    """The result of one item: its payload, or the problem where it is or causes an error."""
    if isinstance(value, Error):
        return value.problem()
    try:
        return written(method, value)
    except Exception:
        return failure(method, [id])


def written(method: Method[Any, Any, Any], value: Any) -> Payload:
    """The payload of what a method gave. Raises Misfit, and what the value's own code raises."""
    try:
        return method.output.encode(value)
    except ValueError as error:
        raise Misfit(method, str(error)) from error


def failure(method: Method[Any, Any, Any], ids: Sequence[str]) -> dict[str, Any]:
    """Logs the exception that is being handled, and gives the problem that says nothing of it."""
    report(method, ids, sys.exc_info()[1])
    return Internal().problem()


def report(method: Method[Any, Any, Any], ids: Sequence[str], error: BaseException | None) -> None:
    """Logs why calls failed."""
    name, told = method.qualname, {"calls": ids, "method": method.qualname}
    if isinstance(error, Misfit):
        log.error("%s failed (call %s)\n%s", name, ", ".join(ids), error, extra=told)
    else:
        log.error("%s failed (call %s)", name, ", ".join(ids), exc_info=error, extra=told)


def declared(method: Method[Any, Any, Any], error: Error) -> dict[str, Any]:
    """The problem of an error that a method raised; its author is told to declare it."""
    known = (*method.raises, BadMedia)
    if type(error).__module__ != Error.__module__ and not isinstance(error, known):
        name = type(error).__name__
        log.warning("%s raised %s; declare it:   raises=[%s]", method.qualname, name, name)
    return error.problem()


def check_length(method: Method[Any, Any, Any], returned: Any, expected: int) -> None:
    """Misfit where a method does not give one answer for each message."""
    if not isinstance(returned, (list, tuple)):
        raise Misfit(method, f"{type(returned).__name__} in place of a list")
    if len(returned) != expected:
        what = f"{len(returned)} answers to {expected} messages; give one for each, in their order"
        raise Misfit(method, what)


def close(thing: Any) -> None:
    """Closes a generator or a state; an iterator and a plain state need not know how."""
    if closing := getattr(thing, "close", None):
        closing()
