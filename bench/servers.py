"""The contenders as processes: started, asked once for the right answer, driven, ended."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from .load import Request, drive
from .models import ROOT

START = 60.0
"""Seconds that a contender may take to start."""

_ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_SIZES = (1, 2, 4, 8, 16, 32)


class Server:
    """An HTTP server under load."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.port = process, port

    def ask(self, request: Request) -> list[dict[str, Any]]:
        """The objects of one answer, without a stream's end line."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START)
        with contextlib.closing(connection):
            headers = {"Content-Type": request.media_type} if request.body else {}
            if request.items:
                headers["Accept"] = "application/x-ndjson"
            connection.request(request.verb, request.path, request.body or None, headers)
            response = connection.getresponse()
            body = response.read()
        if response.status != 200:
            raise RuntimeError(f"{request.path}: {response.status} {body[:500]!r}")
        found = [json.loads(line) for line in body.splitlines()]
        return [entry for entry in found if entry != {"end": True}]

    def drive(self, request: Request, connections: int, seconds: float) -> dict[str, float]:
        """Puts load on it; see ``load.drive``."""
        return drive(self.port, request, connections, seconds)


class Loop:
    """The model alone, at the batch size that suits it best."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.sizes = {size: self._run(size, 0.3) for size in _SIZES}

    @property
    def best(self) -> int:
        """The best batch size up to that of the served method."""
        return max(self.sizes, key=lambda size: self.sizes[size])

    def drive(self, request: Request, connections: int, seconds: float) -> dict[str, float]:
        """Many connections: batches of the best size. One: the time of one item alone."""
        rate = self._run(self.best if connections > 1 else 1, seconds)
        return {"rate": rate, "p50": 1000 / rate}

    def _run(self, size: int, seconds: float) -> float:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(b"%d %f\n" % (size, seconds))
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


@contextlib.contextmanager
def serving(module: str, case: str) -> Iterator[Server]:
    """A server of ``bench.<module>`` that listens."""
    port = _free_port()
    process = _start(module, case, str(port))
    with _ended(process):
        until = time.monotonic() + START
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"bench.{module} {case} did not start")
            time.sleep(0.05)
        yield Server(process, port)


@contextlib.contextmanager
def looping(case: str) -> Iterator[Loop]:
    """The loop with its model loaded."""
    process = _start("loop", case)
    with _ended(process):
        assert process.stdout
        ready, _, _ = select.select([process.stdout], [], [], START)
        if not ready or process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"bench.loop {case} did not start")
        yield Loop(process)


def _start(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", f"bench.{module}", *arguments],
        cwd=ROOT,
        env=_ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
