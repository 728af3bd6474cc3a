"""Newest: "the latest wins" on this side. To the server that call is the newest whose request comes
last; another try of an older call would be that, and end the newer one."""

from __future__ import annotations

import threading
from secrets import token_hex
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from .exchange import Exchange


class Newest:
    """Which call is the newest with its supersede key, of a client and its copies. ``secret``
    stands before their keys: who knows one could end the calls."""

    def __init__(self) -> None:
        self.secret = token_hex(16)
        self._exchanges: WeakValueDictionary[str, Exchange[Any]] = WeakValueDictionary()
        self._lock = threading.Lock()  # two that begin at once: one supersedes the other

    def begin(self, exchange: Exchange[Any]) -> None:
        """It supersedes the one before."""
        key = exchange.options.supersede
        with self._lock:
            older, self._exchanges[key] = self._exchanges.get(key), exchange
        if older is not None:
            older.is_superseded = True
