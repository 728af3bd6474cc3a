"""What a batch costs: a line through the times of past batches, learnt while serving.

seconds(n) ≈ a + b·n        least squares over past batches, older ones weighing less
"""

from __future__ import annotations

_FADED = 0.3
"""How much all that was seen weighs when it is known to hold no longer."""

_MEMORY = 0.97
"""How much an observation weighs after the next one: a model of about the last 30 batches."""


class Cost:
    """The cost of one method's batches, in seconds by their size."""

    __slots__ = ("_n", "_nn", "_nt", "_t", "_w")

    def __init__(self) -> None:
        self._w = self._n = self._nn = self._t = self._nt = 0.0

    def observe(self, size: int, seconds: float) -> None:
        """Learns from a batch of ``size`` calls that took ``seconds``."""
        self._w = self._w * _MEMORY + 1.0
        self._n = self._n * _MEMORY + size
        self._nn = self._nn * _MEMORY + size * size
        self._t = self._t * _MEMORY + seconds
        self._nt = self._nt * _MEMORY + size * seconds

    def fade(self) -> None:
        """Believes what comes next more than what was."""
        self._w, self._n, self._nn = self._w * _FADED, self._n * _FADED, self._nn * _FADED
        self._t, self._nt = self._t * _FADED, self._nt * _FADED

    @property
    def is_known(self) -> bool:
        """Whether any batch has been seen."""
        return self._w > 0

    def of(self, size: int) -> float:
        """Predicted seconds of a batch; 0.0 while nothing is known."""
        if not self._w:
            return 0.0
        mean_n, mean_t = self._n / self._w, self._t / self._w
        spread = self._nn / self._w - mean_n * mean_n
        if spread < 0.02 * mean_n * mean_n:
            # All batches were of one size: nothing tells a from b, so a larger one is taken to
            # cost in proportion and a smaller one as much as they did.
            return mean_t * max(1.0, size / mean_n)
        slope = (self._nt / self._w - mean_n * mean_t) / spread
        slope = min(max(slope, 0.0), mean_t / mean_n)  # more work takes longer; a is not below 0
        return mean_t + slope * (size - mean_n)

    def backlog(self, waiting: int, max_size: int) -> float:
        """Predicted seconds of one worker for ``waiting`` calls in batches of ``max_size``."""
        full, rest = divmod(waiting, max_size)
        return full * self.of(max_size) + (self.of(rest) if rest else 0.0)

    def largest(self, most: int, seconds: float) -> int:
        """The largest batch of at most ``most`` that is predicted to end within ``seconds``; at
        least 1, for a prediction is no reason to refuse what is already next."""
        if self.of(most) <= seconds:
            return most
        small = self.of(1)
        slope = (self.of(most) - small) / max(1, most - 1)
        if slope <= 0.0 or small >= seconds:
            return 1
        return max(1, min(most, 1 + int((seconds - small) / slope)))
