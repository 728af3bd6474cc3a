"""One constructed service, and how its methods are run; the same in a worker and in this process.

payloads ─decode, open files─> messages ─method─> results ─encode─> payloads
whatever fails for one item becomes that item's problem; the others go on
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from typing import Any

from ..call import Call, answering
from ..errors import Error, Internal
from ..schema import Payload
from ..services import Method, Service
from .answers import (
    Result,
    begin,
    call,
    check_length,
    close,
    declared,
    decode,
    encode,
    failure,
    log,
    step,
    written,
)
from .batch import Calls, Parts, Prepared
from .intake import Intake
from .turns import InOrder

__all__ = ["Calls", "Instance", "Prepared", "Result", "decode", "encode", "failure", "log"]

_NO_ITEM = object()


class Instance:
    """A service's object, with its model loaded. Who runs a synchronous method (but a generator)
    holds ``model`` meanwhile; ``run`` and ``stream`` do so themselves."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.object = service.cls()
        self.model = InOrder()

    def run(self, batch: Prepared) -> list[Result] | bytes:
        """Runs a synchronous unary method over a batch."""
        method = batch.method
        parts = Parts(batch)
        if not batch.messages:
            return parts.finish()
        with self.model:
            start = time.perf_counter()
            for part in parts:
                try:
                    with answering(part.calls):
                        if method.is_batched:
                            returned = method.func(self.object, part.messages)
                        else:
                            returned = [call(method, self.object, part.messages[0])]
                    parts.answer(part, returned)
                except Exception as error:
                    parts.fail(part, error)
                batch.seconds = time.perf_counter() - start
        return parts.finish()

    async def run_async(self, batch: Prepared) -> list[Result] | bytes:
        """The same for an ``async def``; such run side by side."""
        method = batch.method
        parts = Parts(batch)
        start = time.perf_counter()
        for part in parts:
            try:
                with answering(part.calls):
                    if method.is_batched:
                        returned = await method.func(self.object, part.messages)
                    else:
                        returned = [await call(method, self.object, part.messages[0])]
                parts.answer(part, returned)
            except asyncio.CancelledError as error:
                if is_cancelled():
                    raise
                parts.fail(part, error)
            except Exception as error:
                parts.fail(part, error)
            batch.seconds = time.perf_counter() - start
        return parts.finish()

    def stream(
        self,
        method: Method[Any, Any, Any],
        payload: Payload,
        of: Call,
        intake: Intake | None = None,
    ) -> Generator[Payload, None, None]:
        """The items of a synchronous generator, or of one stream of a stepped method that steps
        alone, or the one answer of a method that takes a stream; ``intake`` has its messages.
        Raises Error where it fails."""
        # Each item may be made in another thread; the generator is to see one context.
        context, current = contextvars.copy_context(), contextlib.ExitStack()
        context.run(current.enter_context, answering((of,)))
        try:
            with _as_error(method, of.id):
                message = decode(method, payload) if intake is None else intake
                iterator: Any
                if method.start:
                    iterator = self._step_alone(method, message, of)
                elif method.cardinality.streams_out:
                    iterator = context.run(call, method, self.object, message)
                else:
                    iterator = _answer(method, self.object, message)
                try:
                    iterator = iter(iterator)
                    while (item := context.run(next, iterator, _NO_ITEM)) is not _NO_ITEM:
                        yield _encoded(method, item)
                finally:
                    context.run(close, iterator)
        finally:
            context.run(current.close)

    def _step_alone(self, method: Method[Any, Any, Any], message: Any, of: Call) -> Iterator[Any]:
        with self.model:
            state = begin(method, self.object, message)
        try:
            while not of.cancelled:
                with self.model:
                    (one,) = step(method, self.object, [state])
                if isinstance(one, Error):
                    raise one
                for item in one.items:
                    if isinstance(item, Error):
                        raise item
                    yield item
                if one.done:
                    return
        finally:
            with self.model:
                close(state)

    async def stream_async(
        self,
        method: Method[Any, Any, Any],
        payload: Payload,
        of: Call,
        intake: Intake | None = None,
    ) -> AsyncGenerator[Payload, None]:
        """The same for an asynchronous generator, or an ``async def`` that takes a stream."""
        calls = (of,)
        with _as_error(method, of.id):
            message: Any = intake
            if intake is None and method.input.has_media:
                message = await asyncio.to_thread(decode, method, payload)
            elif intake is None:
                message = decode(method, payload)
            iterator: Any
            if method.cardinality.streams_out:
                with answering(calls):
                    iterator = call(method, self.object, message)
            else:
                iterator = _answer_async(method, self.object, message)
            try:
                iterator = aiter(iterator)
                while True:
                    with answering(calls):
                        item = await anext(iterator, _NO_ITEM)
                    if item is _NO_ITEM:
                        return
                    yield _encoded(method, item)
            finally:
                with answering(calls):
                    await _aclose(iterator)

    # Examples

    def try_examples(self, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> dict[str, float]:
        """Calls every method that has an example (of a stream, up to its first item), so that what
        cannot work fails before the first user comes; what is computed only the first time is
        computed now. Raises what the method raises. ``run`` runs a coroutine on the event loop that
        will serve: what a model opens there stays good. The example of a method that takes a stream
        is a list of messages, or a single one.

        Gives the seconds that one call takes when it is warm, of unary methods that may be run
        twice.
        """
        seconds: dict[str, float] = {}
        for method in self.service.methods.values():
            if method.example is None:
                continue
            example = method.example() if callable(method.example) else method.example
            if method.cardinality.streams_in:
                self._try(method, _streamed(method, example), run)
                continue
            payload = method.input.encode(example)
            self._try(method, decode(method, payload), run)
            if method.idempotent and not method.cardinality.streams:
                message = decode(method, payload)
                start = time.perf_counter()
                self._try(method, message, run)
                seconds[method.name] = time.perf_counter() - start
        return seconds

    def _try(
        self,
        method: Method[Any, Any, Any],
        message: Any,
        run: Callable[[Coroutine[Any, Any, Any]], Any],
    ) -> None:
        result = self._first(method, message, run)
        if isinstance(result, Error):
            raise result
        if result is not _NO_ITEM:
            written(method, result)

    def _first(
        self,
        method: Method[Any, Any, Any],
        message: Any,
        run: Callable[[Coroutine[Any, Any, Any]], Any],
    ) -> Any:
        if method.start:
            result: Any = self._step_alone(method, message, Call("example"))
        elif method.is_batched:
            result = method.func(self.object, [message])
        else:
            result = call(method, self.object, message)
        if method.cardinality.streams_out:
            if method.is_async:
                return run(_first_of(result))
            try:
                return next(iter(result), _NO_ITEM)
            finally:
                close(result)
        if method.is_async:
            result = run(result)
        if method.is_batched:
            check_length(method, result, 1)
            return result[0]
        return result


def _answer(method: Method[Any, Any, Any], obj: object, messages: Any) -> Iterator[Any]:
    yield call(method, obj, messages)


async def _answer_async(
    method: Method[Any, Any, Any], obj: object, messages: Any
) -> AsyncGenerator[Any, None]:
    yield await call(method, obj, messages)


def _encoded(method: Method[Any, Any, Any], item: Any) -> Payload:
    if isinstance(item, Error):
        raise item
    return written(method, item)


def _streamed(method: Method[Any, Any, Any], example: Any) -> Any:
    """An example of a method that takes a stream, as it comes to it."""
    each = example if isinstance(example, list) else [example]
    messages = [decode(method, method.input.encode(one)) for one in each]
    return _asynchronous(messages) if method.is_async else iter(messages)


async def _asynchronous(messages: list[Any]) -> AsyncGenerator[Any, None]:
    for message in messages:
        yield message


async def _first_of(stream: Any) -> Any:
    try:
        return await anext(aiter(stream), _NO_ITEM)
    finally:
        await _aclose(stream)


async def _aclose(iterator: Any) -> None:
    if closing := getattr(iterator, "aclose", None):
        await closing()


def is_cancelled() -> bool:
    """Whether it was this task that was cancelled, or only something that a method awaited."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # a thread without an event loop
        return False
    return task is not None and task.cancelling() > 0


@contextlib.contextmanager
def _as_error(method: Method[Any, Any, Any], id: str) -> Iterator[None]:
    try:
        yield
    except Error as error:
        declared(method, error)
        raise
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        failure(method, [id])
        raise Internal() from None
    except Exception:
        failure(method, [id])
        raise Internal() from None
