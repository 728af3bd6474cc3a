"""The Dart runtime and a generated client on a Dart VM, against live servers: the wire vectors,
and everything that calls are for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conformance.vectors import FOLDER
from dart_live.conftest import Program, new_key

pytestmark = pytest.mark.timeout(180)


def test_the_wire_vectors(program: Program, show: Callable[[str], None]) -> None:
    show(program.run("vectors_test.dart", FOLDER / "client", at_least=136))


def test_a_live_server(
    program: Program,
    telegraph: Callable[..., Any],
    show: Callable[[str], None],
    tmp_path: Path,
) -> None:
    server = telegraph()
    keys, key = new_key(tmp_path)
    secured = telegraph(keys=keys)
    arguments = (server.url, secured.url, key, server.ledger)
    show(program.run("live_test.dart", *arguments, at_least=45))
