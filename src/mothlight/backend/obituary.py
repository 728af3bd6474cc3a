"""What is said of a worker's death: its cause, the calls that it held, why it may be no chance."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from ..methods import Method

_SHOWN = 8
"""Ids of one method's calls in a line."""

_LOOP = 3
"""Deaths in a row that are no accident."""


def cause(status: int | None) -> str:
    """What a process died of, by its exit status (below 0: the signal's number)."""
    if status is None:
        return ""
    if status >= 0:
        return f" with exit status {status}"
    name = ""
    with contextlib.suppress(ValueError):
        name = f" ({signal.Signals(-status).name})"
    return f" of signal {-status}{name}"


def hint(cause: str) -> str:
    """What the log adds to a cause."""
    return ", which the system sends when memory runs out," if "SIGKILL" in cause else ""


def lost(calls: Sequence[tuple[Method[Any, Any, Any], str]]) -> str:
    """The calls that died with it, by method."""
    names = sorted((method.qualname, id) for method, id in calls)
    parts = []
    for name, group in groupby(names, lambda pair: pair[0]):
        ids = [id for _, id in group]
        more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
        parts.append(f"{name} (call {', '.join(ids[:_SHOWN])}{more})")
    return f"; it held {', '.join(parts)}" if parts else "; it held no call"


def loop(deaths: Sequence[set[str]]) -> str:
    """What is said when workers die young again and again: ``deaths`` are the methods that ran."""
    if len(deaths) < _LOOP:
        return ""
    said = f"\nthat is {len(deaths)} deaths in a row"
    always = set.intersection(*deaths[-_LOOP:])
    if not always:
        return said
    return f"{said}; in the last {_LOOP} {' and '.join(sorted(always))} ran: look there first"
