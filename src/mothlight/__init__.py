"""Mothlight: PyTorch models behind Flutter apps.

from mothlight import App, batched, method, service
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import App
    from .backend import LocalBackend, Pool, StartupError
    from .call import Call, Step, current_call, current_calls
    from .client import AsyncClient, Client, ConnectionFailed, StreamCut
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
    from .keys import ApiKeys
    from .media import Audio, AudioLimits, File, FileLimits, Image, ImageLimits
    from .principal import Credentials, Principal
    from .services import batched, method, service, stepped
    from .serving import serve
    from .settings import Settings

__version__ = "0.1.0.dev0"

# All is imported when it is first used: a worker has no use for HTTP and the client, a server
# without images needs no Pillow, and the command line has a worker import beside itself.
_LATER = {
    "ApiKeys": ".keys",
    "App": ".app",
    "AsyncClient": ".client",
    "Audio": ".media",
    "AudioLimits": ".media",
    "BadMedia": ".errors",
    "Call": ".call",
    "Cancelled": ".errors",
    "Client": ".client",
    "Code": ".errors",
    "ConnectionFailed": ".client",
    "Credentials": ".principal",
    "DeadlineExceeded": ".errors",
    "DefinitionError": ".errors",
    "Error": ".errors",
    "File": ".media",
    "FileLimits": ".media",
    "Image": ".media",
    "ImageLimits": ".media",
    "Internal": ".errors",
    "InvalidRequest": ".errors",
    "LocalBackend": ".backend",
    "MalformedRequest": ".errors",
    "Overloaded": ".errors",
    "PayloadTooLarge": ".errors",
    "Pool": ".backend",
    "Principal": ".principal",
    "QuotaExceeded": ".errors",
    "RemoteError": ".errors",
    "Settings": ".settings",
    "StartupError": ".backend",
    "Step": ".call",
    "StreamCut": ".client",
    "Unauthenticated": ".errors",
    "Unavailable": ".errors",
    "UnsupportedMedia": ".errors",
    "batched": ".services",
    "current_call": ".call",
    "current_calls": ".call",
    "device": ".devices",
    "method": ".services",
    "serve": ".serving",
    "service": ".services",
    "stepped": ".services",
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


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
