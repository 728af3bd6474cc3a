"""Generated packages on a Dart VM against the services that they are made of: the demo with its
real models, and forms with files."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from dart_program import write_package, write_packages
from golden_cases import Case

from dart_live.conftest import SUITE, TESTS, passed
from live import Live

pytestmark = pytest.mark.timeout(300)
Suite = Callable[..., str]


@pytest.fixture
def suite(dart: Path, tmp_path: Path) -> Suite:
    """Runs a program of `suite/` with the package of a module's services."""

    def run(module: str, program: str, *arguments: str, at_least: int) -> str:
        case = Case(program.removesuffix("_test.dart"), module)
        package = write_package(tmp_path / case.package, case.generate())
        packages = write_packages(tmp_path, {case.package: package})
        done = subprocess.run(
            [dart, "--enable-asserts", f"--packages={packages}", SUITE / program, *arguments],
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        return passed(done.stdout + done.stderr, done.returncode, at_least)

    return run


@pytest.mark.demo
@pytest.mark.slow
def test_the_demo(suite: Suite, demo: Live, show: Callable[[str], None]) -> None:
    examples = str(TESTS.parent / "examples")
    show(suite("mothlight.demo.app", "demo_test.dart", demo.url, examples, at_least=9))


def test_forms_with_files(
    suite: Suite, serve: Callable[..., Live], show: Callable[[str], None]
) -> None:
    server = serve(f"{TESTS / 'services/mailroom.py'}:Mailroom")
    show(suite("mailroom", "mailroom_test.dart", server.url, at_least=7))
