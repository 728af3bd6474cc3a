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
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from . import ledger, processes
from .load import Request, drive
from .models import ROOT

START = 60.0
"""Seconds that a contender may take to start."""

_ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)  # a server compiles what it imports once
_SIZES = (1, 2, 4, 8, 16, 32)


class Server:
    """An HTTP server under load. ``started``: seconds until it listened."""

    def __init__(
        self, process: subprocess.Popen[bytes], port: int, started: float, notes: Path
    ) -> None:
        self.process, self.port, self.started = process, port, started
        self.ledger = ledger.Ledger(notes)

    def ask(self, request: Request, patience: float = 0.0) -> list[dict[str, Any]]:
        """The objects of one answer, without a stream's end. ``patience``: seconds that a server
        which already listens may still need. Raises RuntimeError when it is not 200."""
        until = time.monotonic() + patience
        while True:
            try:
                return self._ask(request)
            except (RuntimeError, OSError):
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def _ask(self, request: Request) -> list[dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START)
        with contextlib.closing(connection):
            connection.request(request.verb, request.path, request.body or None, request.headers)
            response = connection.getresponse()
            body = response.read()
        if response.status != 200:
            raise RuntimeError(f"{request.path}: {response.status} {body[:500]!r}")
        if not request.items:
            answer = json.loads(body)
            return answer if isinstance(answer, list) else [answer]
        lines = [line.removeprefix(b"data: ") for line in body.splitlines()]
        found = [json.loads(line) for line in lines if line.startswith(b"{")]
        return [entry for entry in found if entry != {"end": True}]

    def drive(self, request: Request, connections: int, seconds: float) -> dict[str, float]:
        """Puts load on it; see ``load.drive``."""
        return drive(self.port, request, connections, seconds)

    @property
    def processes(self) -> list[int]:
        return processes.tree(self.process.pid)


class Loop:
    """The model alone, in one process or several, at the batch size that suits it best."""

    def __init__(self, members: Sequence[subprocess.Popen[bytes]], started: float) -> None:
        self.members, self.started = members, started
        self._sizes: dict[int, float] = {}

    @property
    def best(self) -> int:
        """The best batch size up to that of the served method."""
        if not self._sizes:
            self._sizes = {size: self._run(size, 0.3) for size in _SIZES}
        return max(self._sizes, key=lambda size: self._sizes[size])

    def drive(self, request: Request, connections: int, seconds: float) -> dict[str, float]:
        """Many connections: batches of the best size. One: the time of one item alone."""
        rate = self._run(self.best if connections > 1 else 1, seconds)
        return {"rate": rate, "p50": 1000 / rate}

    @property
    def processes(self) -> list[int]:
        return [member.pid for member in self.members]

    def _run(self, size: int, seconds: float) -> float:
        """Items a second of all processes together, which run at the same time."""
        for member in self.members:
            assert member.stdin
            member.stdin.write(b"%d %f\n" % (size, seconds))
            member.stdin.flush()
        return sum(float(member.stdout.readline()) for member in self.members if member.stdout)


@contextlib.contextmanager
def serving(
    module: str, case: str, arguments: Sequence[str] = (), python: str = ""
) -> Iterator[Server]:
    """A server of ``bench.<module>`` that listens."""
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        notes = Path(folder) / "ledger"
        begin = time.monotonic()
        command = (python or sys.executable, module, case, str(port), *arguments)
        process = _start(*command, notes=notes)
        with _ended(process):
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > begin + START:
                    raise RuntimeError(f"bench.{module} {case} did not start")
                time.sleep(0.005)
            yield Server(process, port, time.monotonic() - begin, notes)


@contextlib.contextmanager
def looping(case: str, count: int = 1) -> Iterator[Loop]:
    """``count`` loops with their models loaded and tried."""
    with contextlib.ExitStack() as stack:
        begin = time.monotonic()
        members = [_start(sys.executable, "loop", case) for _ in range(count)]
        for member in members:
            stack.enter_context(_ended(member))
        for member in members:
            assert member.stdout
            ready, _, _ = select.select([member.stdout], [], [], START)
            if not ready or member.stdout.readline() != b"ready\n":
                raise RuntimeError(f"bench.loop {case} did not start")
        yield Loop(members, time.monotonic() - begin)


def _start(
    python: str, module: str, *arguments: str, notes: Path = Path(os.devnull)
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [python, "-m", f"bench.{module}", *arguments],
        cwd=ROOT,
        env={**_ENVIRONMENT, ledger.VARIABLE: str(notes)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE if module == "loop" else subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if python != sys.executable else None,  # strangers talk a lot
        start_new_session=True,
    )


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        members = processes.tree(process.pid)
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        # What it should have ended itself, itself included.
        processes.kill({*members, *processes.session(process.pid)})
        process.wait()
        for pipe in filter(None, (process.stdin, process.stdout)):
            pipe.close()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
