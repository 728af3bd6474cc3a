"""`mothlight generate dart` as a process: over a live server, and while files are edited."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from live import Live, free_port, wait_until

SHOP = '''
from mothlight import method, service
from pydantic import BaseModel


class Order(BaseModel):
    tea: str


@service
class Shop:
    """Sells tea."""

    @method
    def sell(self, order: Order) -> str:
        """Sells."""
        return order.tea
'''
# A shell that runs us in the background has SIGINT ignored, by us and our children.
COMMAND = ["env", "--default-signal=INT", sys.executable, "-m", "mothlight", "generate", "dart"]
WITH_ERROR = (
    SHOP.replace("method, service", "Error, method, service")
    .replace(
        "@service",
        'class SoldOut(Error):\n    """There is no {tea}."""\n\n    tea: str\n\n\n@service',
    )
    .replace("@method", "@method(raises=[SoldOut])")
)


class Generator:
    """`mothlight generate dart TARGET -o shop_api …` in a folder, its output in a file."""

    def __init__(self, folder: Path, target: str, *more: str) -> None:
        self.package, self.log = folder / "shop_api", folder / "generate.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [*COMMAND, target, "-o", "shop_api", *more],
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            )

    def until(self, found: Callable[[], object], what: str) -> None:
        try:
            wait_until(found, what, 30)
        except AssertionError:
            print(self.log.read_text())
            raise

    def until_has(self, file: str, text: str) -> None:
        path = self.package / "lib" / "src" / file
        self.until(lambda: path.exists() and text in path.read_text(), f"{text} in {file}")

    def until_said(self, text: str) -> None:
        self.until(lambda: text in self.log.read_text(), f"it says {text}")


@pytest.fixture
def generator(tmp_path: Path) -> Iterator[Callable[..., Generator]]:
    started: list[Generator] = []

    def start(target: str, *more: str) -> Generator:
        started.append(Generator(tmp_path, target, *more))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait(10)


def test_edits_of_a_module_are_followed(
    tmp_path: Path, generator: Callable[..., Generator]
) -> None:
    shop = tmp_path / "shop.py"
    shop.write_text(SHOP)
    watching = generator("shop:Shop", "--watch")
    watching.until_has("services.dart", "Future<String> sell(Order order")
    shop.write_text(SHOP.replace("tea: str", "tea: str\n    sugar: int = 2"))
    watching.until_has("models.dart", "this.sugar = 2")
    shop.write_text(SHOP.replace("def sell(", "def ("))
    watching.until_said("SyntaxError")
    assert "this.sugar = 2" in (watching.package / "lib/src/models.dart").read_text()
    shop.write_text(WITH_ERROR)
    watching.until_has("errors.dart", "final class SoldOut extends ApiException")
    shop.write_text(SHOP)
    errors = watching.package / "lib/src/errors.dart"
    watching.until(lambda: not errors.exists(), "errors.dart is gone")
    watching.process.send_signal(signal.SIGINT)
    assert watching.process.wait(10) == 130


def test_a_contract_in_a_file_is_followed(
    tmp_path: Path, generator: Callable[..., Generator]
) -> None:
    shop, document = tmp_path / "shop.py", tmp_path / "shop.json"
    shop.write_text(SHOP)
    document.write_bytes(contract(shop))
    watching = generator("shop.json", "--watch")
    watching.until_has("services.dart", "Future<String> sell(Order order")
    shop.write_text(WITH_ERROR)
    document.write_bytes(contract(shop))
    watching.until_has("errors.dart", "SoldOut")


def contract(module: Path) -> bytes:
    return subprocess.run(
        [sys.executable, "-B", "-m", "mothlight", "contract", f"{module}:Shop"],
        check=True,
        capture_output=True,
        timeout=30,
    ).stdout


def test_a_server_is_followed_while_it_is_edited_and_away(
    tmp_path: Path, generator: Callable[..., Generator], serve: Callable[..., Live]
) -> None:
    shop, port = tmp_path / "shop.py", free_port()
    shop.write_text(SHOP)
    watching = generator(f"http://127.0.0.1:{port}", "--watch")
    watching.until_said("trying on")
    serve(f"{shop}:Shop", command=("-B", "-m", "mothlight", "serve", "--reload"), port=port)
    watching.until_has("services.dart", "Future<String> sell(Order order")
    shop.write_text(SHOP.replace('"""Sells."""', '"""Sells one."""'))
    watching.until_has("services.dart", "/// Sells one.")
    shop.write_text(WITH_ERROR)
    watching.until_has("errors.dart", "SoldOut")
    watching.process.send_signal(signal.SIGINT)
    assert watching.process.wait(10) == 130


def test_a_server_is_asked_once_and_checked(
    tmp_path: Path, generator: Callable[..., Generator], serve: Callable[..., Live]
) -> None:
    shop = tmp_path / "shop.py"
    shop.write_text(SHOP)
    url = f"http://127.0.0.1:{serve(f'{shop}:Shop').port}"

    def status(*more: str) -> int:
        return generator(*more).process.wait(30)

    assert status(url, "--check") == 1
    assert status(url) == 0
    pubspec = (tmp_path / "shop_api/pubspec.yaml").read_text()
    assert f"#   mothlight generate dart {url} -o shop_api\n" in pubspec
    assert status(url, "--check") == 0
    assert status("shop.py:Shop", "--check") == 0
    shop.write_text(WITH_ERROR)
    assert status("shop.py:Shop", "--check") == 1
    assert status(f"{url}/elsewhere") == 2
    assert status("http://127.0.0.1:1") == 2
