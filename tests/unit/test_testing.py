"""TestClient: a real server in a thread, which starts and ends cleanly."""

from __future__ import annotations

import errno
import gc
import os
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import BaseModel

from mothlight import App, Client, StartupError, method, service
from mothlight.client import ConnectionFailed
from mothlight.testing import TestClient


class Name(BaseModel):
    name: str


@service
class Greeter:
    made = 0
    left = threading.Event()

    def __init__(self) -> None:
        type(self).made += 1

    @method
    def greet(self, name: Name) -> str:
        return f"hello {name.name}"

    @method
    def process(self) -> int:
        return os.getpid()

    @method
    async def forever(self) -> AsyncIterator[int]:
        try:
            for number in range(1_000_000):
                yield number
        finally:
            self.left.set()


@service
class Other:
    @method
    def add(self, number: int) -> int:
        return number + 1


def test_a_stop_asks_for_no_file_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket has none on Windows."""

    def fail(descriptor: int) -> int:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(os, "dup", fail)
    with TestClient(Other) as client:
        assert client.add(1) == 2
    assert client._thread._failure is None


@service
class Broken:
    def __init__(self) -> None:
        raise FileNotFoundError("weights.bin")

    @method
    def never(self, number: int) -> int:
        return number


def ours() -> set[str]:
    """The names of Mothlight's threads that live."""
    return {thread.name for thread in threading.enumerate() if "mothlight" in thread.name}


def wait_until_gone() -> None:
    """Threads of an executor end on their own, once they are told to."""
    for thread in threading.enumerate():
        if "mothlight" in thread.name:
            thread.join(10)
    assert ours() == set()


def sockets() -> int:
    """Open sockets of this process."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("needs /proc")
    found = 0
    for entry in list(folder.iterdir()):
        try:
            found += os.readlink(entry).startswith("socket:")
        except OSError:
            continue
    return found


def test_it_starts_with_the_first_call() -> None:
    before = Greeter.made
    client = TestClient(Greeter)
    assert Greeter.made == before and ours() == set()
    with closing(client):
        assert client.of(Greeter).greet(Name(name="moth")) == "hello moth"
        assert client.call(Greeter.greet, Name(name="moth")) == "hello moth"
        assert Greeter.made == before + 1 and client.url.startswith("http://127.0.0.1:")
        assert client.call(Greeter.process) == os.getpid()
    wait_until_gone()


def test_the_methods_of_a_single_service_are_its_own() -> None:
    with TestClient(Greeter) as client:
        assert client.greet(Name(name="moth")) == "hello moth"
        assert client.greet(name="moth") == "hello moth"
        assert not hasattr(client, "missing") and not hasattr(client, "_missing")
    with TestClient(Greeter, Other) as client:
        assert client.of(Other).add(1) == 2
        assert not hasattr(client, "add")


def test_one_expression_leaves_nothing_behind() -> None:
    before = sockets()
    assert TestClient(Greeter).greet(name="moth") == "hello moth"
    assert TestClient(Greeter).of(Greeter).greet(Name(name="moth")) == "hello moth"
    assert next(TestClient(Greeter).forever()) == 0
    gc.collect()
    wait_until_gone()
    assert sockets() == before


def test_it_closes_cleanly() -> None:
    before = sockets()
    with TestClient(Greeter) as client:
        client.greet(name="moth")
        url = client.url
        client.close()
    with pytest.raises(ConnectionFailed, match="closed"):
        client.greet(name="moth")
    with Client(url, retries=0, trust_env=False) as other, pytest.raises(ConnectionFailed):
        other.call(Greeter.greet, Name(name="moth"))
    wait_until_gone()
    assert sockets() == before


def test_an_open_stream_does_not_hold_it_up() -> None:
    Greeter.left.clear()
    start = time.monotonic()
    with TestClient(Greeter) as client:
        numbers = client.stream(Greeter.forever)
        assert next(numbers) == 0
    assert Greeter.left.wait(10)
    assert time.monotonic() - start < 5
    numbers.close()
    wait_until_gone()


def test_copies_share_the_server() -> None:
    with TestClient(Greeter) as client:
        with client.with_options(timeout=10) as copy:
            assert copy.url == client.url and copy.greet(name="moth") == "hello moth"
        assert client.greet(name="moth") == "hello moth"


def test_threads_start_it_once() -> None:
    before = Greeter.made
    with closing(TestClient(Greeter)) as client:
        threads = [threading.Thread(target=client.greet, args=(Name(name="x"),)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert Greeter.made == before + 1


def test_an_app_runs_as_it_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        # Its own port is taken: a test's server has one of its own.
        app = App(Greeter, workers=0, port=taken.getsockname()[1], max_string=4)
        with TestClient(app) as client:
            assert client.app is app
            assert client.greet(name="moth") == "hello moth"
    with pytest.raises(TypeError, match="alone"):
        TestClient(app, workers=1)
    with TestClient(app) as again:
        assert again.greet(name="moth") == "hello moth"
    wait_until_gone()


def test_a_service_that_cannot_start_says_why() -> None:
    client = TestClient(Broken)
    for _ in range(2):
        with pytest.raises(StartupError, match=r"weights\.bin"):
            client.call(Broken.never, 1)
    with pytest.raises(StartupError, match=r"weights\.bin"), TestClient(Broken):
        pass
    wait_until_gone()


@pytest.mark.slow
def test_worker_processes() -> None:
    with TestClient(Greeter, workers=1) as client:
        assert client.greet(name="moth") == "hello moth"
        assert client.process() != os.getpid()
    wait_until_gone()


def test_a_proxy_is_not_asked_for_the_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with TestClient(Greeter) as client:
        assert client.greet(name="moth") == "hello moth"


def test_pytest_does_not_take_it_for_a_suite() -> None:
    assert TestClient.__test__ is False
