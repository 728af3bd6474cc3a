"""A server as a real process, and raw connections to it: what the suites attack."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx2

TESTS = Path(__file__).parent
MEBI = 1 << 20
_ADDRESS = re.compile(r"docs\s+http://127\.0\.0\.1:(\d+)/docs")


def wait_until(found: Callable[[], Any], what: str, seconds: float = 10.0) -> Any:
    """The first true value of ``found``, asked every 20 ms; AssertionError after ``seconds``."""
    pause = threading.Event()
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        pause.wait(0.02)
    return value


class Live:
    """``mothlight serve TARGET`` on a free port, with the log in a file. Options are settings."""

    def __init__(
        self,
        target: str,
        log: Path,
        *,
        command: tuple[str, ...] = ("-m", "mothlight", "serve"),
        environment: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        self.log = log
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        arguments = [target, "--port=0", *flags] if target else []
        self._output = log.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, *command, *arguments],
            stdout=self._output,
            stderr=subprocess.STDOUT,
            cwd=TESTS.parent,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
        )
        self.port = 0

    def wait(self, seconds: float = 60.0) -> Self:
        """Returns when the server is ready; fails with its log when it is not."""
        try:
            wait_until(self._listens, "the server listens", seconds)
            wait_until(self._is_ready, "/health/ready", seconds)
        except BaseException:
            self.stop()
            print(self.text())
            raise
        return self

    def _listens(self) -> bool:
        assert self.process.poll() is None, f"the server ended: {self.process.returncode}"
        found = _ADDRESS.search(self.text())
        self.port = int(found[1]) if found else 0
        return bool(found)

    def _is_ready(self) -> bool:
        with contextlib.suppress(httpx2.TransportError):
            return httpx2.get(f"{self.url}/health/ready", timeout=5).status_code == 200
        return False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def text(self) -> str:
        """The log so far."""
        return self.log.read_text(errors="replace")

    def client(self, **options: Any) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, **{"timeout": 30.0, **options})

    def connect(self, timeout: float = 20.0) -> Raw:
        """A raw connection."""
        return Raw(socket.create_connection(("127.0.0.1", self.port), timeout))

    def send(self, data: bytes, timeout: float = 20.0) -> Answer | None:
        """The answer to raw bytes on a new connection; None when it is closed without one."""
        with self.connect(timeout) as raw:
            raw.send(data)
            return raw.answer()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the values in /metrics that have this name and these labels."""
        page = httpx2.get(f"{self.url}/metrics", timeout=10).text
        lines = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", page, re.MULTILINE)
        wanted = [f'{name}="{value}"' for name, value in labels.items()]
        return sum(float(value) for has, value in lines if all(label in has for label in wanted))

    # Its processes

    def workers(self) -> list[int]:
        """The process ids of the workers."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def pids(self) -> list[int]:
        return [self.process.pid, *self.workers()]

    @contextlib.contextmanager
    def bounded(self, mebibytes: float) -> Iterator[None]:
        """Fails when the front process or a worker has grown by more than that at its peak."""
        before = {}
        for pid in self.pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak counts from now
            before[pid] = memory(pid)
        yield
        assert self.process.poll() is None, self.text()
        assert self.pids() == list(before), "a worker was replaced: " + self.text()[-2000:]
        for pid, start in before.items():
            grown = memory(pid, "VmHWM") - start
            who = "front" if pid == self.process.pid else "worker"
            assert grown <= mebibytes, f"the {who} grew by {grown:.0f} MiB"

    def stop(self) -> int:
        """Ends the server; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._output.close()
        return self.process.returncode

    def __enter__(self) -> Self:
        return self.wait()

    def __exit__(self, *_: object) -> None:
        self.stop()


def free_port() -> int:
    """A port that was free a moment ago, for a program that must be told one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def memory(pid: int, what: str = "VmRSS") -> float:
    """A process's resident memory in MiB: ``VmRSS`` now, ``VmHWM`` at its peak."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{what}:\s+(\d+) kB", status)[1]) / 1024  # type: ignore[index]


@dataclass
class Answer:
    """A response as it came over the socket."""

    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool
    "Whether the body ended as its framing says, and not with the connection."

    @property
    def type(self) -> str:
        return self.headers.get("content-type", "")

    def json(self) -> Any:
        return json.loads(self.body)

    def problem(self) -> dict[str, Any]:
        """The problem document; fails where the answer is none."""
        return problem_of(self.status, self.type, self.body)


def problem_of(status: int, media_type: str, body: bytes) -> dict[str, Any]:
    """A problem document (RFC 9457) with all that ours must have."""
    assert media_type == "application/problem+json", (status, media_type, body[:300])
    document: dict[str, Any] = json.loads(body)
    assert {"type", "code", "status", "detail"} <= set(document), document
    assert document["status"] == status, (status, document)
    assert document["detail"] and isinstance(document["detail"], str), document
    assert "Traceback" not in body.decode(), document
    return document


class Raw:
    """A connection on which anything can be said."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> bool:
        """Whether the peer took it all."""
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def read(self) -> bytes:
        """What is there next; b"" when the connection is closed."""
        if self.rest:
            data, self.rest = self.rest, b""
            return data
        try:
            return self.sock.recv(1 << 16)
        except ConnectionResetError:
            return b""

    def until(self, mark: bytes, limit: int = 64 * MEBI) -> bytes:
        """All up to and with ``mark``; less when the connection is closed before."""
        data = bytearray()
        while mark not in data and len(data) < limit:
            piece = self.read()
            if not piece:
                return bytes(data)
            data += piece
        head, found, rest = bytes(data).partition(mark)
        self.rest = rest + self.rest
        return head + found

    def closed(self) -> bool:
        """Whether the peer closes without another byte, within the socket's timeout."""
        return self.read() == b""

    def answer(self) -> Answer | None:
        """The next response; None when the connection is closed without one."""
        head = self.until(b"\r\n\r\n")
        if not head.endswith(b"\r\n\r\n"):
            assert not head, f"half a head: {head!r}"
            return None
        first, *lines = head[:-4].decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        if status == 100:
            return self.answer()
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        body, complete = self._body(status, headers)
        return Answer(status, headers, body, complete)

    def _body(self, status: int, headers: dict[str, str]) -> tuple[bytes, bool]:
        if status in (204, 304):
            return b"", True
        body = bytearray()
        if headers.get("transfer-encoding") == "chunked":
            while True:
                line = self.until(b"\r\n")
                if not line.endswith(b"\r\n"):
                    return bytes(body), False
                size = int(line, 16)
                chunk = self._exactly(size + 2)
                if len(chunk) < size + 2:
                    return bytes(body + chunk), False
                if size == 0:
                    return bytes(body), True
                body += chunk[:-2]
        size = int(headers.get("content-length", "0"))
        body += self._exactly(size)
        return bytes(body), len(body) == size

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = self.read()
            if not piece:
                break
            data += piece
        self.rest = bytes(data[size:]) + self.rest
        return bytes(data[:size])


def request(
    verb: str, path: str, body: bytes = b"", *, type: str = "application/json", **headers: str
) -> bytes:
    """A whole request as bytes; header names take _ for -."""
    lines = [f"{verb} {path} HTTP/1.1", "host: test"]
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if body or verb == "POST":
        given = {"content-type": type, "content-length": str(len(body)), **given}
    lines += [f"{name}: {value}" for name, value in given.items() if value]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def multipart(*parts: tuple[str, bytes], boundary: bytes = b"b0undary") -> tuple[bytes, str]:
    """(body, content type) of a form; each part is (header lines, data)."""
    body = b"".join(
        b"--%s\r\n%s\r\n\r\n%s\r\n" % (boundary, head.encode(), data) for head, data in parts
    )
    return body + b"--%s--\r\n" % boundary, f"multipart/form-data; boundary={boundary.decode()}"
