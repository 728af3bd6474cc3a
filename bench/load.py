"""Load on a server: wrk where it is installed, else, and for streams, ``bench.client``.

Every contender of a measurement is driven by the same one.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

_WRK = shutil.which("wrk")
_SCRIPT = Path(__file__).parent / "wrk.lua"


@dataclass(frozen=True)
class Request:
    """What is sent again and again. ``items``: how many a stream answers with; 0 for a call."""

    verb: str
    path: str
    media_type: str = ""
    body: bytes = b""
    items: int = 0

    def encode(self, port: int) -> bytes:
        """The request as HTTP/1.1."""
        head = f"{self.verb} {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        if self.body:
            head += f"Content-Type: {self.media_type}\r\nContent-Length: {len(self.body)}\r\n"
        if self.items:
            head += "Accept: application/x-ndjson\r\n"
        return head.encode() + b"\r\n" + self.body


def generator(request: Request) -> str:
    """What drives this request here."""
    return "wrk" if _WRK and not request.items else "bench.client"


def drive(port: int, request: Request, connections: int, seconds: float) -> dict[str, float]:
    """``rate`` (calls or items a second), ``p50`` and, for streams, ``first`` (milliseconds).
    Raises RuntimeError when an answer was not 200 or not whole."""
    run = _wrk if generator(request) == "wrk" else _client
    found = run(port, request, connections, seconds)
    if found["errors"]:
        raise RuntimeError(f"{found['errors']:g} answers of port {port} were errors")
    return found


def _wrk(port: int, request: Request, connections: int, seconds: float) -> dict[str, float]:
    with tempfile.NamedTemporaryFile() as body:
        body.write(request.body)
        body.flush()
        environment = {
            "BENCH_BODY": body.name,
            "BENCH_VERB": request.verb,
            "BENCH_TYPE": request.media_type,
        }
        url = f"http://127.0.0.1:{port}{request.path}"
        # wrk counts whole seconds only.
        command = [_WRK or "wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
        out = subprocess.run(
            [*command, "--timeout", "30s", "-s", str(_SCRIPT), url],
            env={**os.environ, **environment},
            check=True,
            capture_output=True,
            text=True,
            timeout=seconds + 60,
        ).stdout
    found: dict[str, float] = json.loads(out.rpartition("RESULT ")[2])
    return found


def _client(port: int, request: Request, connections: int, seconds: float) -> dict[str, float]:
    run = {
        "port": port,
        "request": base64.b64encode(request.encode(port)).decode(),
        "connections": connections,
        "seconds": seconds,
        "expected": request.items,
    }
    # The request may be longer than an argument may be.
    out = subprocess.run(
        [sys.executable, "-m", "bench.client"],
        input=json.dumps(run),
        check=True,
        capture_output=True,
        text=True,
        timeout=seconds + 60,
    ).stdout
    found: dict[str, float] = json.loads(out)
    return found
