"""Load on a server: wrk where it is installed, else, and for streams, ``bench.client``.

Every contender of a measurement is driven by the same one.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import client
from .models import ROOT

FRESH = client.FRESH.decode()
"""Stands in a header's value for 32 hexadecimal digits, others in each request that is sent."""

_WRK = shutil.which("wrk")
_SCRIPT = Path(__file__).parent / "wrk.lua"


@dataclass(frozen=True)
class Request:
    """What is sent again and again. ``items``: how many a stream answers with; 0 for a call.
    ``more``: further headers."""

    verb: str
    path: str
    media_type: str = ""
    body: bytes = b""
    items: int = 0
    more: tuple[tuple[str, str], ...] = ()

    @property
    def headers(self) -> dict[str, str]:
        """Those that say something of the request; not its length."""
        headers = dict(self.more)
        if self.body:
            headers["Content-Type"] = self.media_type
        if self.items:
            headers["Accept"] = "application/x-ndjson"
        return headers

    def encode(self, port: int) -> bytes:
        """The request as HTTP/1.1."""
        head = f"{self.verb} {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        if self.body:
            head += f"Content-Length: {len(self.body)}\r\n"
        return head.encode() + b"\r\n" + self.body

    def as_text(self, port: int) -> str:
        """The same for JSON."""
        return base64.b64encode(self.encode(port)).decode()


def generator(request: Request) -> str:
    """What drives this request here."""
    return "wrk" if _WRK and not request.items else "bench.client"


def drive(port: int, request: Request, connections: int, seconds: float) -> dict[str, float]:
    """``rate`` (calls or items a second), ``p50``, ``p99`` and, for streams, ``first``
    (milliseconds). Raises RuntimeError when an answer was not 200 or not whole."""
    if generator(request) == "wrk":
        found = _wrk(port, request, connections, seconds)
    else:
        run = _run(port, request, connections, seconds)
        found = ask("client", run, seconds + 60)
    return _whole(port, found)


def waves(port: int, request: Request, connections: int, seconds: float) -> float:
    """Streams that all begin at the same time, wave after wave: the latest first item ÷ the median
    one, the median over the waves. Raises RuntimeError when an answer was not whole."""
    run = {**_run(port, request, connections, seconds), "waves": True}
    latest: float = _whole(port, ask("client", run))["latest"]
    return latest


def ask(module: str, run: dict[str, Any], seconds: float = 60.0) -> Any:
    """What ``bench.<module>`` answers to ``run``, in JSON: a request may be longer than an argument
    of a command may be. Raises RuntimeError when it fails; it says why on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{module}"],
        cwd=ROOT,
        check=False,
        input=json.dumps(run),
        stdout=subprocess.PIPE,
        text=True,
        timeout=seconds + 60,
    )
    if done.returncode:
        raise RuntimeError(f"bench.{module} failed")
    return json.loads(done.stdout)


class Readers:
    """Streams that are read, as a process of their own; see ``bench.readers``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def count(self, seconds: float) -> float:
        """Items a second over the next ``seconds``."""
        return self._tell(f"count {seconds}")

    def leave(self) -> float:
        """Closes all connections; the monotonic time before the first was closed."""
        return self._tell("leave")

    def _tell(self, command: str) -> float:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


@contextlib.contextmanager
def readers(
    port: int, streams: Sequence[tuple[Request, int]], may_end: bool = False
) -> Iterator[Readers]:
    """So many clients of each stream, when every one has had an item. They leave at the end."""
    run = [{"request": request.as_text(port), "count": count} for request, count in streams]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.readers"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin and process.stdout
        told = {"port": port, "streams": run, "may_end": may_end}
        process.stdin.write(json.dumps(told) + "\n")
        process.stdin.flush()
        if process.stdout.readline() != "flowing\n":
            raise RuntimeError(f"the streams of port {port} do not flow")
        yield Readers(process)
    finally:
        process.kill()
        process.communicate()


def _whole(port: int, found: dict[str, float]) -> dict[str, float]:
    """What was found, if no answer was an error."""
    if found["errors"]:
        raise RuntimeError(f"{found['errors']:g} answers of port {port} were errors")
    return found


def _run(port: int, request: Request, connections: int, seconds: float) -> dict[str, Any]:
    return {
        "port": port,
        "request": request.as_text(port),
        "connections": connections,
        "seconds": seconds,
        "expected": request.items,
    }


def _wrk(port: int, request: Request, connections: int, seconds: float) -> dict[str, float]:
    with tempfile.NamedTemporaryFile() as body:
        body.write(request.body)
        body.flush()
        environment = {
            "BENCH_BODY": body.name,
            "BENCH_VERB": request.verb,
            "BENCH_TYPE": request.media_type,
            "BENCH_SEED": str(secrets.randbits(48)),
        }
        headers = []
        for name, value in request.more:
            if value == FRESH:
                environment["BENCH_FRESH"] = name
            else:
                headers += ["-H", f"{name}: {value}"]
        url = f"http://127.0.0.1:{port}{request.path}"
        # wrk counts whole seconds only.
        command = [_WRK or "wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
        out = subprocess.run(
            [*command, *headers, "--timeout", "30s", "-s", str(_SCRIPT), url],
            env={**os.environ, **environment},
            check=True,
            capture_output=True,
            text=True,
            timeout=seconds + 60,
        ).stdout
    found: dict[str, float] = json.loads(out.rpartition("RESULT ")[2])
    return found
