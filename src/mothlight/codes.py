"""The 16 codes of calls that fail, and what they are in HTTP and gRPC."""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """The 16 canonical codes of gRPC (grpc/doc/statuscodes.md), spelled as the wire has them."""

    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    INVALID_ARGUMENT = "invalid_argument"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    PERMISSION_DENIED = "permission_denied"
    RESOURCE_EXHAUSTED = "resource_exhausted"
    FAILED_PRECONDITION = "failed_precondition"
    ABORTED = "aborted"
    OUT_OF_RANGE = "out_of_range"
    UNIMPLEMENTED = "unimplemented"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    DATA_LOSS = "data_loss"
    UNAUTHENTICATED = "unauthenticated"

    @property
    def http(self) -> int:
        """The HTTP status (google/rpc/code.proto's mapping)."""
        return _TABLE[self][0]

    @property
    def grpc(self) -> int:
        """The gRPC status number."""
        return _TABLE[self][1]


_TABLE: dict[Code, tuple[int, int]] = {
    Code.CANCELLED: (499, 1),
    Code.UNKNOWN: (500, 2),
    Code.INVALID_ARGUMENT: (400, 3),
    Code.DEADLINE_EXCEEDED: (504, 4),
    Code.NOT_FOUND: (404, 5),
    Code.ALREADY_EXISTS: (409, 6),
    Code.PERMISSION_DENIED: (403, 7),
    Code.RESOURCE_EXHAUSTED: (429, 8),
    Code.FAILED_PRECONDITION: (400, 9),
    Code.ABORTED: (409, 10),
    Code.OUT_OF_RANGE: (400, 11),
    Code.UNIMPLEMENTED: (501, 12),
    Code.INTERNAL: (500, 13),
    Code.UNAVAILABLE: (503, 14),
    Code.DATA_LOSS: (500, 15),
    Code.UNAUTHENTICATED: (401, 16),
}
