"""A load that knows what it asked: every call carries a number of its own, and is answered with it
or with a problem document; a connection that ends without an answer is a fault of the server."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

from live import problem_of, request, wait_until


class Call(NamedTuple):
    """A call that has ended: ``ok``, or the code of its problem."""

    path: str
    number: int
    sent: float
    ended: float
    code: str


class Traffic:
    """Keeps ``calls`` connections busy with calls and ``streams`` with streams, and opens a new
    connection for each call of ``visits`` more, from a thread of its own, until it is left; then it
    fails if anything but its own answer came to anybody."""

    def __init__(
        self,
        port: int,
        *,
        calls: int = 24,
        streams: int = 4,
        visits: int = 0,
        pause: float = 0.002,
        paths: Sequence[str] = ("echo",),
    ) -> None:
        self.port, self.calls, self.streams, self.visits = port, calls, streams, visits
        self.pause = pause  # seconds between an answer and the next call
        self.paths = itertools.cycle(f"/faulty/{name}" for name in paths)
        self.ended: list[Call] = []
        self.wrong: list[str] = []
        self.ends_when_refused = False
        "Whether a connection that is refused means that the server has gone, as it should."
        self._numbers = itertools.count(1_000_000)
        self._stopped = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    # What is found

    def codes(self, since: float = 0.0) -> Counter[str]:
        """How the calls ended that have ended since."""
        return Counter(call.code for call in list(self.ended) if call.ended >= since)

    def back(self, since: float, path: str = "", seconds: float = 30.0) -> float:
        """Seconds until a call that was sent after ``since`` was answered well."""

        def found() -> float | None:
            ends = [
                call.ended
                for call in list(self.ended)
                if call.sent >= since and call.code == "ok" and call.path.endswith(path)
            ]
            return min(ends, default=None)

        end: float = wait_until(found, "calls are answered again", seconds)
        return end - since

    def gap(self, since: float) -> float:
        """The longest time without a good answer since then."""
        ends = [since, *sorted(c.ended for c in self.ended if c.code == "ok" and c.ended >= since)]
        return max((b - a for a, b in itertools.pairwise(ends)), default=0.0)

    def more(self, count: int = 200) -> None:
        """Waits until so many more calls have been answered well."""
        goal = self.codes()["ok"] + count
        wait_until(lambda: self.codes()["ok"] >= goal, f"{count} more calls", 30)

    # Its life

    def __enter__(self) -> Self:
        self._thread.start()
        self.more()
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        self.stop()
        if kind is None:
            assert not self.wrong, self.wrong[:10]

    def wait(self) -> None:
        """Waits until every connection has been refused."""
        self._thread.join(30)
        assert not self._thread.is_alive(), "calls never ended"

    def stop(self) -> None:
        """Lets the calls that run end."""
        self._stopped = True
        self.wait()

    async def _run(self) -> None:
        await asyncio.gather(
            *(self._repeat(self._call) for _ in range(self.calls)),
            *(self._repeat(self._stream) for _ in range(self.streams)),
            *(self._repeat(self._visit) for _ in range(self.visits)),
        )

    async def _repeat(self, work: Callable[[Connection], Any]) -> None:
        connection = Connection(self.port)
        while not self._stopped:
            try:
                await work(connection)
            except ConnectionRefusedError:
                if not self.ends_when_refused:
                    self.wrong.append("a connection was refused")
                return
            except (ConnectionError, asyncio.IncompleteReadError, TimeoutError) as error:
                seen = f"{work.__name__} after {connection.answers} answers"
                self.wrong.append(f"{time.monotonic():.3f} {seen}: {error!r}")
                connection.close()
        connection.close()

    async def _call(self, connection: Connection) -> None:
        path, number = next(self.paths), next(self._numbers)
        sent = time.monotonic()
        await connection.send(request("POST", path, b"%d" % number))
        status, headers, body = await connection.answer()
        if status == 200:
            code = "ok"
            if json.loads(body) not in (number, -number):
                self.wrong.append(f"{path} was asked {number} and answered {body!r}")
        else:
            code = problem_of(status, headers["content-type"], body)["code"]
        self.ended.append(Call(path, number, sent, time.monotonic(), code))
        await asyncio.sleep(self.pause if code == "ok" else 0.02)

    async def _visit(self, connection: Connection) -> None:
        await self._call(connection)
        connection.close()

    async def _stream(self, connection: Connection) -> None:
        start, count = next(self._numbers), 50
        body = json.dumps({"start": start, "count": count, "delay": 0.001}).encode()
        sent = time.monotonic()
        await connection.send(request("POST", "/faulty/count", body, accept="application/x-ndjson"))
        status, headers, body = await connection.answer()
        if status == 200:
            *items, last = [json.loads(line) for line in body.splitlines()]
            if items != list(range(start, start + len(items))):
                self.wrong.append(f"the stream from {start} had {items}")
            code = "ok" if last == {"end": True} else last["error"]["code"]
            if code == "ok" and len(items) != count:
                self.wrong.append(f"a stream of {count} ended well after {len(items)}")
        else:
            code = problem_of(status, headers["content-type"], body)["code"]
        self.ended.append(Call("/faulty/count", start, sent, time.monotonic(), code))
        await asyncio.sleep(self.pause if code == "ok" else 0.02)


class Connection:
    """A keep-alive connection, opened when it is needed."""

    def __init__(self, port: int) -> None:
        self.port, self.answers = port, 0
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, data: bytes) -> None:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        self._streams[1].write(data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body) of the next response. Raises IncompleteReadError where the
        connection ends before it does."""
        assert self._streams
        reader, _ = self._streams
        async with asyncio.timeout(60):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head[:-4].split("\r\n")
            pairs = (line.partition(":") for line in lines)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            if headers.get("transfer-encoding") == "chunked":
                body = b""
                while size := int(await reader.readuntil(b"\r\n"), 16):
                    body += (await reader.readexactly(size + 2))[:-2]
                await reader.readexactly(2)
            else:
                body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.answers += 1
        if headers.get("connection") == "close":
            self.close()
        return int(first.split(" ")[1]), headers, body

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
            self._streams = None
