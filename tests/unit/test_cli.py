"""The command line, as processes."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mothlight
from live import Live, wait_until
from mothlight.cli import main

SERVICES = Path(__file__).parent.parent / "services"
DESK = f"{Path(__file__).parent / 'desk.py'}:Desk"


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mothlight", *arguments],
        capture_output=True, text=True, timeout=60, cwd=cwd, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (
            "no_such_module",
            ["there is no module 'no_such_module' here", "mothlight serve my_module"],
        ),
        ("no/such/file.py:X", ["there is no file no/such/file.py"]),
        ("trade:Nothing", ["trade has no 'Nothing'; its services are Trade, Second"]),
        ("trade:Order", ["Order is not a service", "mark the class:   @service"]),
        ("empty", ["empty defines no service", "mark a class with @service"]),
    ],
)
def test_what_cannot_be_found(
    target: str, expected: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (tmp_path / "empty.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["serve", target]) == 2
    message = capsys.readouterr().err
    assert message.startswith("mothlight: ")
    assert "Traceback" not in message
    for text in expected:
        assert text in message


def test_a_wrong_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "trade:Trade", "--port", "70000", "--workers=x"]) == 2
    message = capsys.readouterr().err
    assert "these settings do not fit (options, MOTHLIGHT_… variables, mothlight.toml):" in message
    assert "port: Input should be less than or equal to 65535" in message
    assert "workers: " in message
    with pytest.raises(SystemExit):
        main(["serve", "trade:Trade", "--colour=red"])


def test_a_module_that_misses_another_shows_its_own_traceback(tmp_path: Path) -> None:
    (tmp_path / "half.py").write_text("import no_such_package\n")
    done = run("serve", "half", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("mothlight: half cannot be imported\n")
    assert "No module named 'no_such_package'" in done.stderr
    assert "there is no module 'half'" not in done.stderr


@pytest.mark.parametrize(
    ("text", "last"), [("x = 1 / 0\n", "ZeroDivisionError"), ("x = = 1\n", "SyntaxError")]
)
def test_the_traceback_of_a_module_begins_with_its_own_line(
    text: str, last: str, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text(text)
    done = run("serve", "broken", cwd=tmp_path)
    lines = done.stderr.splitlines()
    assert done.returncode == 2
    assert lines[0] == "mothlight: broken cannot be imported"
    assert lines[-1].startswith(last)
    assert [line for line in lines if "File" in line and "broken.py" not in line] == []


@pytest.mark.parametrize("option", [[], ["--reload"]])
def test_a_port_that_is_in_use_is_said_before_anything_loads(option: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run("serve", DESK, "--host=127.0.0.1", f"--port={port}", *option)
    assert done.returncode == 3
    assert f"port {port} is in use" in done.stderr
    assert "loading" not in done.stderr
    assert "Traceback" not in done.stderr


def test_documents(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contract", DESK]) == 0
    contract = json.loads(capsys.readouterr().out)
    assert contract["hash"].startswith("sha256:")
    for version, shown in (("3.2", "3.2.0"), ("3.1", "3.1.1")):
        assert main(["openapi", DESK, "--openapi-version", version]) == 0
        assert json.loads(capsys.readouterr().out)["openapi"] == shown


def test_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    assert "smollm2" in capsys.readouterr().out.lower()
    assert main(["models", "get", "no-such-model"]) == 2
    assert "no-such-model" in capsys.readouterr().err


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert mothlight.__version__ in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    text = capsys.readouterr().out
    for name in mothlight.Settings.model_fields:
        assert f"--{name.replace('_', '-')}" in text
    for shown in ("--grace SECONDS ", "--max-body BYTES ", "--keys FILE ", "is 32 MiB)", "(auto)"):
        assert shown in text


def test_a_service_that_cannot_start_ends_with_status_3() -> None:
    done = run("serve", f"{SERVICES / 'broken.py'}:NoWeights", "--port=0")
    assert done.returncode == 3
    assert "FileNotFoundError: weights.safetensors is not here" in done.stderr


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_stop_drains_a_slow_call(
    serve: Callable[..., Live], tmp_path: Path, stop: signal.Signals
) -> None:
    server = serve(f"{SERVICES / 'trade.py'}:Trade", drain=15)
    path = str(tmp_path / "held")
    answers: list[Any] = []

    def call() -> None:
        with server.client() as client:
            answers.append(client.post("/trade/hold", json=path))

    caller = threading.Thread(target=call)
    caller.start()
    wait_until(Path(f"{path}.began").exists, "the call began")
    server.process.send_signal(stop)
    wait_until(lambda: _refuses(server), "the port is closed")
    assert server.process.poll() is None
    Path(f"{path}.go").touch()
    caller.join(20)
    assert answers[0].status_code == 200
    assert isinstance(answers[0].json(), int)
    server.process.wait(20)
    assert server.process.returncode in (0, -stop, 128 + stop)
    assert "Traceback" not in server.text()


def _refuses(server: Live) -> bool:
    try:
        with server.connect(1):
            return False
    except OSError:
        return True
