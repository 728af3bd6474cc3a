"""One constructed service, and how its methods are run; the same in a worker and in this process.

payloads ─decode, open files─> messages ─method─> results ─encode─> payloads
whatever fails for one item becomes that item's problem; the others go on
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator, Sequence
from typing import Any

from ..errors import BadMedia, Error, Internal
from ..media.file import Media
from ..schema import Payload
from ..service import Method, Service

log = logging.getLogger("mothlight")

Result = Payload | dict[str, Any]
"""What became of one call: its encoded answer, or its problem document."""

_NO_ITEM = object()


class Prepared:
    """A batch whose messages are decoded and whose files are open; ``results`` holds the problems
    of those that could not be."""

    __slots__ = ("ids", "messages", "method", "results")

    def __init__(
        self, method: Method[Any, Any, Any], payloads: Sequence[Payload], ids: Sequence[str]
    ) -> None:
        self.method = method
        self.results: list[Result | None] = [None] * len(payloads)
        self.messages: list[Any] = []
        self.ids: list[str] = []  # of the messages
        for index, (payload, id) in enumerate(zip(payloads, ids, strict=True)):
            try:
                self.messages.append(decode(method, payload))
                self.ids.append(id)
            except Error as error:
                self.results[index] = error.problem()
            except Exception:
                self.results[index] = failure(method, [id])


class Instance:
    """A service's object, with its model loaded."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.object = service.cls()

    def run(self, batch: Prepared) -> list[Result]:
        """Runs a synchronous unary method over a batch."""
        method, outcomes = batch.method, []
        if method.batching:
            if batch.messages:
                outcomes = self._run_together(batch)
        else:
            outcomes = [
                self._run_alone(method, m, i)
                for m, i in zip(batch.messages, batch.ids, strict=True)
            ]
        return _merge(batch, outcomes)

    def _run_together(self, batch: Prepared) -> list[Result]:
        method, messages = batch.method, batch.messages
        try:
            return _encode_all(method, method.func(self.object, messages), batch)
        except Error as error:
            return [_declared(method, error)] * len(messages)
        except Exception:
            return [failure(method, batch.ids)] * len(messages)

    def _run_alone(self, method: Method[Any, Any, Any], message: Any, id: str) -> Result:
        try:
            return encode(method, call(method, self.object, message), id)
        except Error as error:
            return _declared(method, error)
        except Exception:
            return failure(method, [id])

    async def run_async(self, batch: Prepared) -> list[Result]:
        """The same for an ``async def``."""
        method, outcomes = batch.method, []
        try:
            if method.batching:
                if batch.messages:
                    returned = await method.func(self.object, batch.messages)
                    outcomes = _encode_all(method, returned, batch)
            else:
                for message, id in zip(batch.messages, batch.ids, strict=True):
                    outcomes.append(encode(method, await call(method, self.object, message), id))
        except Error as error:
            outcomes = [_declared(method, error)] * len(batch.messages)
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            outcomes = [failure(method, batch.ids)] * len(batch.messages)
        except Exception:
            outcomes = [failure(method, batch.ids)] * len(batch.messages)
        return _merge(batch, outcomes)

    def stream(
        self, method: Method[Any, Any, Any], payload: Payload, id: str
    ) -> Generator[Payload, None, None]:
        """The items of a synchronous generator; raises Error where it fails."""
        with _as_error(method, id):
            iterator = call(method, self.object, decode(method, payload))
            try:
                for item in iterator:
                    yield method.output.encode(item)
            finally:
                _close(iterator)

    async def stream_async(
        self, method: Method[Any, Any, Any], payload: Payload, id: str
    ) -> AsyncGenerator[Payload, None]:
        """The items of an asynchronous generator; raises Error where it fails."""
        with _as_error(method, id):
            iterator = call(method, self.object, decode(method, payload))
            try:
                async for item in iterator:
                    yield method.output.encode(item)
            finally:
                await _aclose(iterator)

    def try_examples(self, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        """Calls every method that has an example once (of a stream, up to its first item), so that
        what cannot work fails before the first user comes. Raises what the method raises. ``run``
        runs a coroutine on the event loop that will serve: what a model opens there stays good."""
        for method in self.service.methods.values():
            if method.example is not None and not method.cardinality.streams_in:
                example = method.example() if callable(method.example) else method.example
                message = decode(method, method.input.encode(example))
                result = self._first(method, message, run)
                if isinstance(result, Error):
                    raise result
                if result is not _NO_ITEM:
                    method.output.encode(result)

    def _first(
        self,
        method: Method[Any, Any, Any],
        message: Any,
        run: Callable[[Coroutine[Any, Any, Any]], Any],
    ) -> Any:
        if not method.batching:
            result = call(method, self.object, message)
        else:
            result = method.func(self.object, [message])
        if method.cardinality.streams_out:
            if method.is_async:
                return run(_first_of(result))
            try:
                return next(iter(result), _NO_ITEM)
            finally:
                _close(result)
        if method.is_async:
            result = run(result)
        if method.batching:
            _check_length(method, result, 1)
            return result[0]
        return result


async def _first_of(stream: Any) -> Any:
    try:
        return await anext(aiter(stream), _NO_ITEM)
    finally:
        await _aclose(stream)


def _close(iterator: Any) -> None:
    if close := getattr(iterator, "close", None):  # a generator has it, an iterator need not
        close()


async def _aclose(iterator: Any) -> None:
    if close := getattr(iterator, "aclose", None):
        await close()


def is_cancelled() -> bool:
    """Whether it was this task that was cancelled, or only something that a method awaited."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # a thread without an event loop
        return False
    return task is not None and task.cancelling() > 0


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
    log.exception("%s failed (call %s)", method.qualname, ", ".join(ids))
    return Internal().problem()


def _declared(method: Method[Any, Any, Any], error: Error) -> dict[str, Any]:
    known = (*method.raises, BadMedia)
    if type(error).__module__ != Error.__module__ and not isinstance(error, known):
        name = type(error).__name__
        log.warning("%s raised %s; declare it:   raises=[%s]", method.qualname, name, name)
    return error.problem()


def _check_length(method: Method[Any, Any, Any], returned: Any, expected: int) -> None:
    if not isinstance(returned, (list, tuple)):
        raise TypeError(f"{method.qualname} returned a {type(returned).__name__}, not a list")
    if len(returned) != expected:
        raise ValueError(f"{method.qualname} got {expected} and returned {len(returned)}")


def _encode_all(method: Method[Any, Any, Any], returned: Any, batch: Prepared) -> list[Result]:
    _check_length(method, returned, len(batch.messages))
    return [encode(method, v, i) for v, i in zip(returned, batch.ids, strict=True)]


def _merge(batch: Prepared, outcomes: Sequence[Result]) -> list[Result]:
    if len(outcomes) == len(batch.results):
        return list(outcomes)
    rest = iter(outcomes)
    return [next(rest) if result is None else result for result in batch.results]


@contextlib.contextmanager
def _as_error(method: Method[Any, Any, Any], id: str) -> Iterator[None]:
    try:
        yield
    except Error as error:
        _declared(method, error)
        raise
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        failure(method, [id])
        raise Internal() from None
    except Exception:
        failure(method, [id])
        raise Internal() from None
