"""Operations: calls in the background, which their caller asks for when he likes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote

from ..errors import Error
from ..services import Method
from .answer import Answer
from .errors import UnexpectedAnswer
from .exchange import Exchange
from .options import Options
from .page import Page

if TYPE_CHECKING:
    from .aio import AsyncClient
    from .sync import Client

O = TypeVar("O")  # noqa: E741

STATUS = "application/vnd.mothlight.call+json"
_FINAL = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Status:
    """What is known of a call. ``state``: queued, running, done, failed or cancelled; ``items``:
    how many a stream has made; ``error``: what it has failed with."""

    id: str
    state: str
    created: datetime
    ended: datetime | None = None
    items: int = 0
    error: Error | None = None

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.state in _FINAL


class _Known(Generic[O]):
    """A call that was begun before, by its id; without I/O."""

    def __init__(self, method: Method[Any, O, Any], id: str) -> None:
        self.method, self.id = method, id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method.qualname} {self.id[:6]}…>"

    def _exchange(self, url: str, options: Options, timeout: float | None) -> Exchange[O]:
        if self.method.cardinality.streams_in:
            raise TypeError(f"{self.method.qualname} takes a stream: no operation can be one")
        changed = replace(options, timeout=timeout)
        return Exchange(url, self.method, None, changed, known=self.id)

    def _answered(self) -> None:
        if self.method.cardinality.streams_out:
            raise TypeError(f"{self.method.qualname} is a stream: iterate over   .stream()")

    def _streamed(self) -> None:
        if not self.method.cardinality.streams_out:
            raise TypeError(f"{self.method.qualname} has one answer: ask for   .result()")

    @property
    def _path(self) -> str:
        return f"/calls/{quote(self.id, safe='')}"

    def _status(self, found: Mapping[str, Any]) -> Status:
        try:
            ended, problem = found.get("ended"), found.get("problem")
            return Status(
                id=str(found["id"]),
                state=str(found["state"]),
                created=datetime.fromisoformat(found["created"]),
                ended=datetime.fromisoformat(ended) if ended else None,
                items=int(found.get("items", 0)),
                error=Error.from_problem(problem, self.method.raises) if problem else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UnexpectedAnswer(
                reason=f"this is not the status of a call: {error}",
                answered=200,
                media_type=STATUS,
                start=str(found)[:200],
            ) from error


class Operation(_Known[O]):
    """A call that goes on without its caller; ``id`` finds it again (``client.operation``), also
    after a restart of the app. Who does not want it any more must ``cancel`` it."""

    def __init__(self, client: Client, method: Method[Any, O, Any], id: str) -> None:
        super().__init__(method, id)
        self._client = client

    def status(self) -> Status:
        """What is known of it. Raises CallNotFound where the server does not have it any more."""
        accepting = self._client.with_options(headers={"Accept": STATUS})
        return self._status(accepting._page(Page(self._path)))

    def result(self, timeout: float | None = None) -> O:
        """Its answer; the errors of a call. DeadlineExceeded after ``timeout`` seconds: it goes
        on then, and may be asked again."""
        self._answered()
        client = self._client
        return client._unary(self._exchange(client.url, client._options, timeout))

    def stream(self) -> Generator[O, None, None]:
        """All its items, as they come. Leaving the loop does not end it."""
        self._streamed()
        client = self._client
        return client._stream(self._exchange(client.url, client._options, None))

    def cancel(self) -> None:
        """Stops it; one that has ended stays as it is. Raises CallNotFound."""
        self._client._page(Page(self._path, "DELETE"))


class AsyncOperation(_Known[O]):
    """An ``Operation`` whose functions are awaited."""

    def __init__(self, client: AsyncClient, method: Method[Any, O, Any], id: str) -> None:
        super().__init__(method, id)
        self._client = client

    async def status(self) -> Status:
        """What is known of it. Raises CallNotFound where the server does not have it any more."""
        accepting = self._client.with_options(headers={"Accept": STATUS})
        return self._status(await accepting._page(Page(self._path)))

    async def result(self, timeout: float | None = None) -> O:
        """Its answer; the errors of a call. DeadlineExceeded after ``timeout`` seconds: it goes
        on then, and may be asked again."""
        self._answered()
        client = self._client
        return await client._unary(self._exchange(client.url, client._options, timeout))

    def stream(self) -> AsyncGenerator[O]:
        """All its items, as they come. Leaving the loop does not end it."""
        self._streamed()
        client = self._client
        return client._stream(self._exchange(client.url, client._options, None))

    async def cancel(self) -> None:
        """Stops it; one that has ended stays as it is. Raises CallNotFound."""
        await self._client._page(Page(self._path, "DELETE"))


def begun(exchange: Exchange[Any], answer: Answer) -> str:
    """The id of a call that was begun in the background. Raises UnexpectedAnswer."""
    exchange.over()
    if answer.status != 202 or not (id := answer.headers.get("call-id", "")):
        raise exchange.unexpected("the server does not take calls in the background", answer)
    return id
