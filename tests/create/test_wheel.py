"""The wheel: it has the Dart runtime and the templates; its commands work without a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "dart" / "mothlight"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=60,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "installed")
    return folder / "installed"


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> Run:
    """Runs Python with the wheel before the checkout."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(installed)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_runtime_is_inside_without_its_tests(installed: Path) -> None:
    packed = files(installed / "mothlight" / "dart" / "runtime")
    library = {f"lib/{name}": content for name, content in files(RUNTIME / "lib").items()}
    around = {n: (RUNTIME / n).read_bytes() for n in ("pubspec.yaml", "analysis_options.yaml")}
    assert packed == library | around


def test_every_file_of_the_package_is_inside(installed: Path) -> None:
    package = files(ROOT / "src" / "mothlight")
    packed = files(installed / "mothlight")
    assert package == {n: c for n, c in packed.items() if not n.startswith("dart/runtime/")}


def test_its_commands_work_without_a_checkout(run: Run, installed: Path, tmp_path: Path) -> None:
    where = run("-c", "import mothlight; print(mothlight.__file__)")
    assert Path(where.stdout.strip()).is_relative_to(installed)
    created = run("-m", "mothlight", "create", "tea_shop")
    assert created.returncode == 0, created.stderr
    project = tmp_path / "tea_shop"
    assert files(project / "packages/mothlight/lib") == files(RUNTIME / "lib")
    assert run("-m", "mothlight", "doctor", "tea_shop/app").returncode == 0
    made = ("tea_shop/service.py:Models", "-o", "tea_shop/packages/tea_shop_api")
    again = run("-m", "mothlight", "generate", "dart", *made, "--check")
    assert again.returncode == 0, again.stdout
