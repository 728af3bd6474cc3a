"""Running: where a service's methods are executed. Protocols know ``Backend`` and nothing below it.

Backend.unary / Backend.stream ─ Scheduler: a free runner pulls what waits
    LocalBackend   a thread of this process (tests, notebooks)
    Pool           worker processes, one model each: one frame per batch each way
"""

from .base import Backend, Reply, Request, StartupError
from .local import LocalBackend
from .pool import Pool

__all__ = ["Backend", "LocalBackend", "Pool", "Reply", "Request", "StartupError"]
