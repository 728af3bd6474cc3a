"""The worker that the command line starts ahead of itself: it is the first one, or goes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mothlight import App, DefinitionError, method, serve, service
from mothlight.backend import launch

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no workers")

SOURCE = """
import os
import sys

os.environ["GIVEN_LATE"] = "1"
os.chdir({folder!r})

from mothlight import App
from first import Told

app = App(Told, port=0)
"""

FIRST = """
import os

from mothlight import method, service


@service
class Told:
    @method
    def told(self) -> list[str]:
        return [os.environ.get("GIVEN_LATE", ""), os.environ["OMP_NUM_THREADS"], os.getcwd()]

    @method
    def quit(self) -> None:
        os._exit(3)
"""

COUNTED = """
import contextlib
import subprocess
import sys

import mothlight.server
from mothlight import Unavailable, __main__
from mothlight.testing import TestClient

started = []
Popen = subprocess.Popen


class Counted(Popen):
    def __init__(self, *args, **named):
        super().__init__(*args, **named)
        started.append(self)


subprocess.Popen = Counted


def run(app):
    if app.settings.workers:
        with TestClient(app) as client:
            first = client.told()
            with contextlib.suppress(Unavailable):
                client.quit()
            again = client.told()  # of another worker
            print(len(started), again == first, *first)
    return 0


mothlight.server.run = run
sys.argv = ["mothlight", *sys.argv[1:]]
try:
    status = __main__.main()
except SystemExit:
    status = "exit"
print(status, len(started), all(process.poll() is not None for process in started))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "later").mkdir()
    (tmp_path / "first.py").write_text(FIRST)
    (tmp_path / "api.py").write_text(SOURCE.format(folder=str(tmp_path / "later")))
    (tmp_path / "counted.py").write_text(COUNTED)
    return tmp_path


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    yield
    launch.dismiss()


def told(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "counted.py", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_is_the_first_worker_with_all_that_was_said_meanwhile(folder: Path) -> None:
    found = told(folder, "serve", "api")
    later = folder / "later"
    # It, and the worker after it; both see what the module did before its App was made.
    assert found.stdout.splitlines() == [f"2 True 1 1 {later}", "0 2 True"], found.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "started"),
    [
        (["serve", "api", "--workers", "0"], "0", 1),
        (["serve", "nothing_here"], "2", 1),
        (["serve", "api", "--no-such-option"], "exit", 1),
        (["serve", "--help"], "exit", 0),
        (["contract", "api"], "0", 0),
    ],
)
def test_it_goes_where_nobody_takes_it(
    folder: Path, arguments: list[str], status: str, started: int
) -> None:
    found = told(folder, *arguments)
    assert found.stdout.splitlines()[-1] == f"{status} {started} True", found.stderr


def test_it_ends_with_who_started_it(folder: Path) -> None:
    script = (
        "import os, sys\n"
        "from mothlight.backend import launch\n"
        "launch.prepare()\n"
        "print(launch._spare[0].popen.pid, flush=True)\n"
        "os._exit(0)"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    pid = int(found.stdout)
    end = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists()


def test_nothing_heavy_is_imported_before_it() -> None:
    script = (
        "import sys\n"
        "from mothlight.backend import launch\n"
        "print(*sorted(name for name in sys.modules if name.startswith('mothlight')))\n"
        "print('pydantic' in sys.modules, 'asyncio' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines() == [
        "mothlight mothlight.backend mothlight.backend.launch mothlight.memory mothlight.parent",
        "False False",
    ]


def test_what_does_not_fit_into_the_socket_is_sent_later(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    for number in range(20):
        monkeypatch.setenv(f"LARGE_{number}", "x" * 100_000)
    found = told(folder, "serve", "api")
    assert found.stdout.splitlines()[-1] == "0 2 True", found.stderr


def test_a_service_that_no_worker_can_import_is_named(folder: Path) -> None:
    @service
    class Inside:
        @method
        def say(self, x: int) -> int:
            return x

    app = App(Inside, workers=1)
    with pytest.raises(
        DefinitionError, match=r"^Inside is defined inside a function(.|\n)*workers=0"
    ):
        app.launch()
    script = FIRST + "\nfrom mothlight import App, serve\nserve(App(Told, port=0))\n"
    found = subprocess.run(
        [sys.executable, "-"], input=script, capture_output=True, text=True, timeout=60, check=False
    )
    assert "Told is defined in a notebook, at a prompt or in what came through" in found.stderr


def test_serve_in_an_event_loop_is_told() -> None:
    async def main() -> None:
        serve(App(Outside, workers=1))

    with pytest.raises(DefinitionError, match="called in an event loop"):
        asyncio.run(main())


def test_a_file_of_a_package_may_import_from_it(folder: Path) -> None:
    package = folder / "outer" / "inner"
    package.mkdir(parents=True)
    for path in (package, package.parent):
        (path / "__init__.py").touch()
    (package / "names.py").write_text("NAME = 3\n")
    (package / "api.py").write_text("from .names import NAME\n" + FIRST)
    found = told(folder, "contract", str(package / "api.py"))
    assert found.stdout.splitlines()[-1] == "0 0 True", found.stderr


def test_an_address_that_is_not_ours_is_told_without_a_traceback(folder: Path) -> None:
    found = told(folder, "serve", "first", "--reload", "--host", "192.0.2.1", "--port", "0")
    assert "Cannot assign requested address" in found.stderr
    assert "Traceback" not in found.stderr
    assert found.stdout.splitlines()[-1] == "3 0 True"


@service
class Outside:
    @method
    def say(self, x: int) -> int:
        return x
