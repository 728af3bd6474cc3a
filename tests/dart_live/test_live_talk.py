"""Calls that take a stream of messages, from the Dart runtime to a live server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dart_live.conftest import Program
from live import TESTS, Live


@pytest.mark.timeout(240)
def test_talking(program: Program, show: Callable[[str], None], tmp_path: Path) -> None:
    server = Live(f"{TESTS / 'services/booth.py'}:Booth", tmp_path / "log", drain=1).wait()
    try:
        show(program.run("talk_test.dart", server.url, at_least=20, seconds=220))
    finally:
        server.stop()
