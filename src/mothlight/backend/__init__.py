"""Running: where a service's methods are executed. Protocols know ``Backend`` and nothing below it.

Backend.unary / Backend.stream ─ Scheduler: a free runner pulls what waits
    LocalBackend   a thread of this process (tests, notebooks)
    Pool           worker processes, one model each: one frame per batch each way
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base import Backend, Reply, Request, StartupError
    from .local import LocalBackend
    from .pool import Pool

__all__ = ["Backend", "LocalBackend", "Pool", "Reply", "Request", "StartupError"]

_LATER = {
    "Backend": ".base",
    "LocalBackend": ".local",
    "Pool": ".pool",
    "Reply": ".base",
    "Request": ".base",
    "StartupError": ".base",
}
"""A worker needs few of them, and would start a third later; ``launch`` needs none."""


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
