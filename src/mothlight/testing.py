"""TestClient: services, or an App, on a real server in a thread of this process.

    with TestClient(Sentiment) as client:
        assert client.of(Sentiment).analyze(Review(text="fine")).score > 0.5

Real HTTP and real streams on a free port of the loopback; the models run in this process, so that
a debugger and ``monkeypatch`` reach them.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import weakref
from typing import Any, Self

from .app import App
from .client import Client
from .client.stub import bind
from .server import Server

__all__ = ["TestClient"]


class TestClient(Client):
    """A ``Client`` of its own server, which starts with ``with``, or with the first call.

    Give it ``@service`` classes, with the fields of ``Settings`` as options (``workers=1`` runs
    them in a worker process), or an App, which runs as it is but for its address. The methods of a
    single service are the client's own too: ``TestClient(Sentiment).analyze(Review(...))``.

    Raises StartupError where a service cannot be started.
    """

    __test__ = False  # pytest takes any Test… for a suite

    def __init__(self, *services: type | App, **settings: Any) -> None:
        first, *more = services or (None,)
        if isinstance(first, App):
            if more or settings:
                raise TypeError("TestClient takes an App alone: it has its services and settings")
            app = first
        else:
            app = App(*services, **{"workers": 0, "drain": 1.0, **settings})  # type: ignore[arg-type]
        # trust_env: a proxy that the environment names would be asked for the loopback, too.
        super().__init__("http://127.0.0.1", trust_env=False)
        self._thread = _Thread(app)
        weakref.finalize(self, self._thread.stop)

    @property
    def app(self) -> App:
        """The application that is served."""
        return self._thread.app

    @property
    def url(self) -> str:
        return self._thread.start()

    def close(self) -> None:
        """Closes the connections, and stops the server."""
        super().close()
        if self._parent is None:
            self._thread.stop()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __repr__(self) -> str:
        return f"TestClient({', '.join(service.name for service in self.app.services)})"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or len(self.app.services) != 1:
            raise AttributeError(f"TestClient has no {name}")
        return bind(self, self.app.services[0], name)


class _Thread:
    """The server and its thread. It starts once, and stops for good."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._server: _Server | None = None
        self._socket: socket.socket | None = None
        self._failure: BaseException | None = None
        self._url = ""

    def start(self) -> str:
        """Starts it where it does not run; its address."""
        with self._lock:
            if self._thread is None:
                self._socket = socket.create_server(("127.0.0.1", 0), backlog=2048)
                self._url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
                self._server = _Server(self.app)
                self._thread = threading.Thread(
                    target=self._run, name="mothlight-test", daemon=True
                )
                self._thread.start()
                self._server.ready.wait()
        if self._failure:
            raise self._failure
        return self._url

    def _run(self) -> None:
        assert self._server
        try:
            with asyncio.Runner(loop_factory=self._server.config.get_loop_factory()) as runner:
                runner.run(self._serve(self._server))
        except BaseException as error:
            self._failure = error
        finally:
            self._server.ready.set()

    async def _serve(self, server: _Server) -> None:
        assert self._socket
        with self._socket:
            async with self.app:  # uvicorn would make a failed start a log line and an exit
                await server.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Stops it, and waits until it has stopped."""
        if self._thread and self._server and self._thread is not threading.current_thread():
            self._server.should_exit = True
            self._thread.join()


class _Server(Server):
    def __init__(self, app: App) -> None:
        super().__init__(app)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()
