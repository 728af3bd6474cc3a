"""Serving: an App over HTTP, from the start of its workers to the end of the process."""

from __future__ import annotations

import asyncio
import contextlib
import os

from . import logs
from .app import App
from .backend.launch import dismiss
from .errors import DefinitionError
from .parent import FRONT


def serve(app: App) -> int:
    """Serves until it is told to stop; the exit status (3 when a service could not be started)."""
    if os.environ.get(FRONT):
        raise DefinitionError(
            "serve() was reached while a worker imported this module",
            'guard it:   if __name__ == "__main__": mothlight.serve(app)',
        )
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        raise DefinitionError(
            "serve() was called in an event loop, which it would hold up",
            "call it from ordinary code:   mothlight.serve(app)   or give the app to the server of "
            "this loop, as it is an ASGI application",
        )
    logs.set_up(app.settings.log, app.settings.log_level)
    app.launch()
    dismiss()  # what was started ahead for a worker, where there is none
    from .server import run  # 0.2 s, in which the workers import what they need

    return run(app)
