"""What a call can end with that no server said: no connection, a cut stream, a foreign answer."""

from __future__ import annotations

from ..errors import Code, Error


class ConnectionFailed(Error):
    "{url} cannot be reached: {reason}; {hint}"

    code = Code.UNAVAILABLE
    url: str
    reason: str
    hint: str


class StreamCut(Error):
    "the stream ended before its end, after {received} items: {reason}"

    code = Code.UNAVAILABLE
    received: int
    reason: str


class UnexpectedAnswer(Error):
    "{reason} (HTTP {answered}, {media_type}): {start}"

    reason: str
    answered: int
    media_type: str
    start: str

    def __post_init__(self) -> None:
        # A proxy's error page has no code of ours; its status says as much.
        found = _CODES.get(self.answered, Code.UNKNOWN)
        self.__dict__.update(code=found, status=found.http)


class UnknownName(Error, AttributeError):
    "{owner} has no {missing}; it has {known}"

    code = Code.NOT_FOUND
    owner: str
    missing: str
    known: str


def hint(reason: str) -> str:
    """What to do about a connection that failed for this reason."""
    return next((hint for word, hint in _HINTS if word in reason), _HINT)


_HINT = "look whether the server is up and the address is right"
_START = "start the server (mothlight serve module:Service), or check host and port"
_HINTS = (
    ("refused", _START),
    ("All connection attempts", _START),
    ("Name or service", "check the host's name"),
    ("SSL", "check whether the server speaks https or http"),
    ("disconnected", "the server closed the connection while it worked; its log has the reason"),
)

_CODES = {
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    413: Code.OUT_OF_RANGE,
    429: Code.RESOURCE_EXHAUSTED,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.UNAVAILABLE,
}
