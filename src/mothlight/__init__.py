"""Mothlight: PyTorch models behind Flutter apps.

from mothlight import App, batched, method, service
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .call import Call, Step, current_call, current_calls
from .devices import device
from .errors import (
    BadMedia,
    Cancelled,
    Code,
    DeadlineExceeded,
    DefinitionError,
    Error,
    Internal,
    InvalidRequest,
    MalformedRequest,
    Overloaded,
    PayloadTooLarge,
    QuotaExceeded,
    RemoteError,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
)
from .principal import Credentials, Principal
from .services import batched, method, service, stepped

if TYPE_CHECKING:
    from .app import App
    from .backend import LocalBackend, Pool, StartupError
    from .client import AsyncClient, Client, ConnectionFailed, StreamCut
    from .keys import ApiKeys
    from .media import Audio, AudioLimits, File, FileLimits, Image, ImageLimits
    from .serving import serve
    from .settings import Settings

__version__ = "0.1.0.dev0"

# What a worker does not need (HTTP, the client) and what needs an extra (Pillow, numpy, httpx2) is
# imported when it is first used: a worker starts faster, and a server without images needs no PIL.
_LATER = {
    "ApiKeys": ".keys",
    "App": ".app",
    "AsyncClient": ".client",
    "Audio": ".media",
    "AudioLimits": ".media",
    "Client": ".client",
    "ConnectionFailed": ".client",
    "File": ".media",
    "FileLimits": ".media",
    "Image": ".media",
    "ImageLimits": ".media",
    "LocalBackend": ".backend",
    "Pool": ".backend",
    "Settings": ".settings",
    "StartupError": ".backend",
    "StreamCut": ".client",
    "serve": ".serving",
}

__all__ = [
    "ApiKeys",
    "App",
    "AsyncClient",
    "Audio",
    "AudioLimits",
    "BadMedia",
    "Call",
    "Cancelled",
    "Client",
    "Code",
    "ConnectionFailed",
    "Credentials",
    "DeadlineExceeded",
    "DefinitionError",
    "Error",
    "File",
    "FileLimits",
    "Image",
    "ImageLimits",
    "Internal",
    "InvalidRequest",
    "LocalBackend",
    "MalformedRequest",
    "Overloaded",
    "PayloadTooLarge",
    "Pool",
    "Principal",
    "QuotaExceeded",
    "RemoteError",
    "Settings",
    "StartupError",
    "Step",
    "StreamCut",
    "Unauthenticated",
    "Unavailable",
    "UnsupportedMedia",
    "batched",
    "current_call",
    "current_calls",
    "device",
    "method",
    "serve",
    "service",
    "stepped",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
