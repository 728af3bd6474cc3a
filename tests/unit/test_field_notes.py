"""What users met in the field: each of these was silent, misleading or wrong once."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import sys
import time
from pathlib import Path
from secrets import token_hex

import httpx2
import pytest

from mothlight import App, DefinitionError, Unavailable, method, service
from mothlight.protocols.http import merged
from mothlight.settings import Settings
from mothlight.target import Refused, find_app
from mothlight.testing import TestClient


@service
class Notes:
    @method
    def echo(self, text: str = "nothing") -> str:
        return text

    @method
    def fail(self) -> str:
        raise RuntimeError


MODULE = """
from mothlight import App, method, service

@service
class Kept:
    @method
    def get(self) -> int:
        return 1

app = App(Kept, workers=0, max_body=100)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_modules_own_app_is_served(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "kept_app.py").write_text(MODULE)
    assert find_app("kept_app", {}).settings.max_body == 100
    (folder / "kept_two.py").write_text(MODULE + "other = App(Kept, workers=0)\nsame = other\n")
    with pytest.raises(Refused, match="kept_two:app or kept_two:other"):
        find_app("kept_two", {})
    with caplog.at_level(logging.WARNING, "mothlight"):
        assert find_app("kept_app:Kept", {"workers": 0}).settings.max_body > 100
    assert "serve kept_app:app" in caplog.text


@pytest.mark.parametrize("text", ["port = = 3", "host = '\xff'"])
def test_a_broken_settings_file_is_named(folder: Path, text: str) -> None:
    (folder / "mothlight.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(DefinitionError, match=r"mothlight\.toml cannot be read"):
        Settings()  # type: ignore[call-arg]


def test_an_unknown_setting_is_named(folder: Path) -> None:
    (folder / "mothlight.toml").write_text("prot = 1\n")
    (folder / "kept_set.py").write_text(MODULE.replace("app =", "def app(): return"))
    with pytest.raises(DefinitionError, match="prot: there is no such setting; is it port"):
        find_app("kept_set:Kept", {})
    (folder / "mothlight.toml").write_text('device = "gpu"\n')
    with pytest.raises(DefinitionError, match="'gpu' is no device"):
        find_app("kept_set:Kept", {})
    with pytest.raises(Refused, match="names no module"):
        find_app(":Kept", {})


def test_what_is_no_service_is_told_apart() -> None:
    with pytest.raises(DefinitionError, match="its class is wanted"):
        App(Notes())  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="side by side"):
        App([Notes])  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="cannot be made without 'path'"):

        @service
        class Needy:
            def __init__(self, path: str) -> None:
                self.path = path

            @method
            def get(self) -> str:
                return self.path


def test_lines_of_a_list_are_one_list() -> None:
    lines = [(b"accept", b"a"), (b"x-forwarded-for", b"1"), (b"accept", b"b"), (b"host", b"h")]
    lines += [(b"x-forwarded-for", b"2"), (b"host", b"i")]
    assert merged(lines) == {b"accept": b"a, b", b"x-forwarded-for": b"1, 2", b"host": b"i"}


def test_over_http() -> None:
    with TestClient(App(Notes, workers=0)) as client:
        form = httpx2.post(f"{client.url}/notes/echo", data={"text": "x"})
        assert form.json() == "x"
        curl = {"content-type": "application/x-www-form-urlencoded"}
        answer = httpx2.post(f"{client.url}/notes/echo", content=b'{"text": "x"}', headers=curl)
        assert answer.status_code == 415
        assert "Content-Type: application/json" in answer.json()["detail"]
        assert httpx2.get(f"{client.url}/docs/").status_code == 404  # and leads nowhere
        begun = httpx2.post(
            f"{client.url}/notes/fail",
            headers={"prefer": "respond-async", "idempotency-key": token_hex(16)},
        )
        assert begun.status_code == 202
        wanted = 'mothlight_background_total{code="INTERNAL",method="Notes.fail"} 1.0'
        end = time.monotonic() + 5
        while wanted.lower() not in httpx2.get(f"{client.url}/metrics").text.lower():
            assert time.monotonic() < end, httpx2.get(f"{client.url}/metrics").text
            time.sleep(0.02)


def test_an_app_that_has_not_started_says_so() -> None:
    async def main() -> None:
        app = App(Notes, workers=0)
        with pytest.raises(Unavailable, match="has not started"):
            await app.call(Notes.echo, "x")
        await app.stop()
        await app.start()
        assert await app.call(Notes.echo, "x") == "x"
        app.drain()
        answer = await httpx2.AsyncClient(transport=httpx2.ASGITransport(app)).get(
            "http://a/health/ready"
        )
        assert (answer.status_code, answer.json()["status"]) == (503, "stopping")
        await app.stop()

    asyncio.run(main())


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals")
@pytest.mark.parametrize("options", [(), ("--reload",)])
def test_a_server_ends_with_its_terminal(folder: Path, options: tuple[str, ...]) -> None:
    import os
    import pty

    (folder / "kept_tty.py").write_text(MODULE)
    command = [sys.executable, "-m", "mothlight", "serve", "kept_tty:app", "--port", "0", *options]
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup
        os.execv(command[0], command)
    told = b""
    while b"/docs" not in told:
        told += os.read(terminal, 4096)
    children = Path(f"/proc/{pid}/task/{pid}/children")
    below = children.read_text().split() if children.exists() else []
    os.close(terminal)
    end = time.monotonic() + 15
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        assert time.monotonic() < end, "it serves on"
        time.sleep(0.05)
    while any(Path(f"/proc/{child}").exists() for child in below):
        assert time.monotonic() < end, "its server serves on"
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="it is Linux that knows how")
def test_a_server_ends_with_its_supervisor(folder: Path) -> None:
    (folder / "kept_sup.py").write_text(MODULE)
    command = [sys.executable, "-m", "mothlight", "serve", "kept_sup:app", "--port", "0"]
    supervisor = subprocess.Popen([*command, "--reload"], stderr=subprocess.PIPE)
    assert supervisor.stderr
    while b"/docs" not in supervisor.stderr.readline():
        pass
    pid = supervisor.pid
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert below
    supervisor.kill()
    supervisor.wait()
    end = time.monotonic() + 15
    while any(Path(f"/proc/{child}").exists() for child in below):
        assert time.monotonic() < end, "its server serves on"
        time.sleep(0.05)
    supervisor.stderr.close()
