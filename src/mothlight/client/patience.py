"""Patience: when a call is tried again, and until when."""

from __future__ import annotations

import random
import time
from typing import Any

from ..errors import DeadlineExceeded
from .options import Options

SLACK = 0.5
"""Seconds that we wait beyond the deadline, so that the server's own word on it can arrive."""
CONNECT_TIMEOUT = 10.0
LONGEST_PAUSE = 30.0
LONGEST_HOLD = 20.0
KEPT = 30.0
"""Seconds for which a server keeps a call whose connection is lost, unless its own ``grace`` is
another."""
_FIRST, _MOST = 0.1, 5.0
"""Seconds: the bound of the first pause, which doubles, and of any."""


class Patience:
    """The time and the tries of one call. ``failures``: those since something came of it."""

    def __init__(self, options: Options, is_stream: bool) -> None:
        self._retries, self._idle = options.retries, options.idle
        seconds = options.seconds(is_stream)
        self.deadline = None if seconds is None else time.monotonic() + seconds
        self.failures = 0
        self._away_since = 0.0  # of the first failure in a row

    def left(self) -> float | None:
        """Seconds until the deadline; None without one."""
        return None if self.deadline is None else self.deadline - time.monotonic()

    def check(self, slack: float = SLACK) -> None:
        """Raises DeadlineExceeded when the deadline is over, and the slack with it."""
        if (left := self.left()) is not None and left + slack <= 0:
            raise DeadlineExceeded

    def progress(self) -> None:
        """Something has come of it: the tries begin anew."""
        self.failures = 0

    def pause(self, at_least: float = 0.0, *, is_kept: bool = False) -> float | None:
        """Seconds until another try; None where there is none. At random from half of a bound that
        doubles, so that the clients of a server that comes back do not come all at once.

        ``is_kept``: the server has the call, and keeps it for a while. Then the time must be used
        up too: a network is often away for seconds.
        """
        if not self._has_more(is_kept) or at_least > LONGEST_PAUSE:
            return None
        if self.failures == 0:
            self._away_since = time.monotonic()
        bound = min(_MOST, _FIRST * 2.0 ** min(self.failures, 10))
        seconds = random.uniform(bound / 2, bound)
        if at_least:
            seconds = at_least + random.uniform(0.0, max(bound, at_least / 4))
        left = self.left()
        if left is not None and at_least == 0.0:
            seconds = min(seconds, left / 2)
        if left is not None and (seconds >= left or left <= 0):
            return None
        self.failures += 1
        return seconds

    def _has_more(self, is_kept: bool) -> bool:
        if self.failures < self._retries:
            return True
        return is_kept and self._retries > 0 and time.monotonic() - self._away_since < KEPT

    def bound(self, phase: str, hold: float = 0.0) -> float | None:
        """Seconds that a phase of a request ("connect", "write", "read", "pool") may last."""
        left = self.left()
        bounds = [] if left is None else [max(0.001, left + SLACK)]
        if phase == "connect":
            bounds.append(CONNECT_TIMEOUT)
        elif phase != "pool":
            bounds.append(self._idle + hold)
        return min(bounds, default=None)

    @property
    def hold(self) -> int:
        """Whole seconds for which the server may hold an answer back until there is one."""
        left = self.left()
        most = min(LONGEST_HOLD, self._idle / 2)
        return max(1, int(most if left is None else min(most, left + SLACK)))


class Phases(dict[str, float | None]):
    """The timeouts of a request, read by the transport when each phase begins: what is left then
    of the call's time."""

    def __init__(self, patience: Patience, hold: float = 0.0) -> None:
        super().__init__()
        self._patience, self._hold = patience, hold

    def get(self, phase: str, default: Any = None) -> Any:
        return self._patience.bound(phase, self._hold)
