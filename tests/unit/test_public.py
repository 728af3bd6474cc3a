"""The public names, and what importing them costs."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import mothlight

HEAVY = (
    *("PIL", "numpy", "torch", "soundfile"),
    *("httpx2", "uvicorn", "starlette", "fastapi", "prometheus_client"),
)


@pytest.mark.parametrize("name", mothlight.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(mothlight, name) is not None
    exec(f"from mothlight import {name}", {})


def test_all_is_sorted_and_complete() -> None:
    assert mothlight.__all__ == sorted(mothlight.__all__)
    later = set(mothlight._LATER)
    assert later <= set(mothlight.__all__)
    here = {
        name
        for name, value in vars(mothlight).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("mothlight")
    }
    assert here | later == set(mothlight.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'mothlight' has no attribute 'Imago'"):
        _ = mothlight.Imago  # type: ignore[attr-defined]


def loaded(program: str) -> set[str]:
    """Which heavy packages a program loads."""
    text = f"import sys\n{program}\nprint(*[n for n in {HEAVY} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


SERVICE = """
import mothlight
@mothlight.service
class Small:
    @mothlight.method
    def say(self, x: int) -> int: return x
"""


def test_importing_is_light() -> None:
    assert loaded("import mothlight") == set()
    assert loaded(SERVICE) == set()
    assert loaded("import mothlight.backend.worker") == set()
    assert loaded("from mothlight import File") == set()


def test_an_app_needs_no_extra_and_no_server() -> None:
    """A worker imports the App's module, too."""
    assert loaded(f"{SERVICE}\nmothlight.App(Small)") == set()


def test_a_missing_extra_is_named() -> None:
    program = (
        "import sys; sys.modules['PIL'] = sys.modules['httpx2'] = sys.modules['soundfile'] = None\n"
        "import mothlight\n"
        "for name in ('Image', 'Audio'):\n"
        "    try: getattr(mothlight, name)\n"
        "    except ImportError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    image, audio = done.stdout.splitlines()
    assert re.fullmatch(r'Image needs PIL\S*:   pip install "mothlight\[image\]"', image)
    assert re.fullmatch(r'Audio needs soundfile:   pip install "mothlight\[audio\]"', audio)
