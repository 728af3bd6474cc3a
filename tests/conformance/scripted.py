"""A server that answers as a client vector says, and notes what came otherwise."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from conformance.frames import Socket
from conformance.vectors import Mismatch, Names, check_parts, has, pieces

Headers = dict[str, str]
_REASON = "As Told"
_NO_CONTRACT = b"HTTP/1.1 404 None\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
"""A client may ask for the contract when an answer does not fit."""


class Scripted:
    """Answers the requests of one vector, in a thread of its own. ``faults``: what was not as the
    vector says; ``cancels``: how often it was told that a call is not wanted any more."""

    def __init__(self, exchanges: list[Mapping[str, Any]]) -> None:
        self.names = Names()
        self.faults: list[str] = []
        self.cancels = self.served = 0
        self._exchanges = list(exchanges)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._accept, "127.0.0.1", 0), self._loop
        ).result(10)
        self._server = server
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        if self.served < len(self._exchanges):
            self.faults.append(f"{self.served} requests of {len(self._exchanges)} came")

    async def _stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self._serve(reader, writer)
        except Mismatch as error:
            self.faults.append(str(error))
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client left
        except asyncio.CancelledError:
            pass
        finally:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head[:-4].split("\r\n")
        verb, target, _ = first.split(" ")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await _body(reader, headers)
        if verb == "GET" and target == "/contract":
            writer.write(_NO_CONTRACT)
            await _close(writer)
            return
        if self.served < len(self._exchanges):
            exchange = self._exchanges[self.served]
        elif verb == "DELETE":
            exchange = {}
        else:
            raise Mismatch(f"one request too many: {verb} {target}")
        asked = exchange.get("request", {})
        if verb == "DELETE" and asked.get("verb") != "DELETE":
            self.cancels += 1
            writer.write(b"HTTP/1.1 204 Done\r\nconnection: close\r\n\r\n")
            await writer.drain()
            return
        self.served += 1
        if "socket" in exchange:
            self._head("GET", exchange["socket"], verb, target, headers)
            if "script" in exchange:
                await Socket(reader, writer, self.names).follow(headers, exchange["script"])
                await _close(writer)
                return
        else:
            self._head(asked["verb"], asked, verb, target, headers)
            self._compare(asked, headers, body)
        await self._answer(exchange["response"], reader, writer)

    # What is asked

    def _head(
        self, verb: str, asked: Mapping[str, Any], came: str, target: str, headers: Headers
    ) -> None:
        url = urlsplit(target)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        if came != verb:
            raise Mismatch(f"{came} {target} came where {verb} {asked['path']} was due")
        self.names.match(asked["path"], url.path, "the path")
        expected = asked.get("query", {})
        if query != expected:
            raise Mismatch(f"the query is {query}, expected is {expected}")
        self.names.headers(asked.get("headers", {}), headers)

    def _compare(self, asked: Mapping[str, Any], headers: Headers, body: bytes) -> None:
        kind = headers.get("content-type", "")
        if "json" in asked:
            if not kind.startswith("application/json"):
                raise Mismatch(f"the body is {kind!r}")
            has(asked["json"], json.loads(body))
        if "parts" in asked:
            check_parts(asked["parts"], asked.get("absent", []), kind, body)

    # What is answered

    async def _answer(
        self, told: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if told is None:
            return
        if "status" in told:
            chunks = list(pieces(self.names.fill(told["chunks"])))
            length = sum(len(piece) for piece in chunks if isinstance(piece, bytes))
            framing = told.get("framing", "chunked")
            if told["status"] == 204:
                framing = "close"
            headers = {"connection": "close", **self.names.fill(told["headers"])}
            if framing == "chunked":
                headers["transfer-encoding"] = "chunked"
            elif framing == "length":
                headers["content-length"] = str(told.get("length", length))
            lines = [f"HTTP/1.1 {told['status']} {_REASON}"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            writer.write("\r\n".join([*lines, "", ""]).encode())
            await writer.drain()
            for piece in chunks:
                if isinstance(piece, float):
                    await asyncio.sleep(piece)
                    continue
                await asyncio.sleep(0.0005)  # so that it comes as a chunk of its own
                writer.write(
                    b"%x\r\n%s\r\n" % (len(piece), piece) if framing == "chunked" else piece
                )
                await writer.drain()
            if framing == "chunked" and not (told.get("cut") or told.get("stay")):
                writer.write(b"0\r\n\r\n")
        if told.get("stay"):
            await reader.read(1)  # until the client goes
            return
        await writer.drain()
        await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    """Ends a connection; what was sent arrives."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _body(reader: asyncio.StreamReader, headers: Headers) -> bytes:
    if "chunked" in headers.get("transfer-encoding", ""):
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
        return body
    return await reader.readexactly(int(headers.get("content-length", "0")))
