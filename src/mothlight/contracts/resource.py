"""What OpenAPI documents say of a call as a resource: its headers, and ``/calls/{id}``."""

from __future__ import annotations

from typing import Any

from ..errors import CallNotFound, Error
from .content import JSON, NDJSON, SSE
from .jsonschema import PREFIX, Schema
from .problems import PROBLEM_NAME

STATUS = "application/vnd.mothlight.call+json"
_PROBLEM = "application/problem+json"

ERRORS: tuple[type[Error], ...] = (CallNotFound,)
"""What ``/calls/{id}`` answers and no method does."""

_TEXT: Schema = {"type": "string"}


def _header(name: str, description: str, schema: Schema) -> Schema:
    return {"name": name, "in": "header", "description": description, "schema": schema}


PARAMETERS: Schema = {
    "IdempotencyKey": _header(
        "Idempotency-Key",
        "The caller's own id for this call: sent again it finds the same call, which does not run "
        "twice and outlives its connection. Where callers are anonymous it is a secret of 128 "
        "random bits: 32 hexadecimal digits, or a UUID.",
        {"type": "string", "pattern": r"^[\x21-\x7e]{1,128}$"},
    ),
    "SupersedeKey": _header(
        "Supersede-Key",
        "A newer call of the same caller with this key takes the place of the older one.",
        {"type": "string", "pattern": r"^[\x21-\x7e]{1,128}$"},
    ),
    "Prefer": _header(
        "Prefer",
        "`respond-async`: answer 202 and go on in the background; `wait=5`: after so many seconds "
        "(RFC 7240).",
        _TEXT,
    ),
    "Priority": _header(
        "Priority",
        "`u=0` (the first of the caller's own) to `u=7` (behind everybody's; RFC 9218).",
        _TEXT,
    ),
    "RequestTimeout": _header(
        "Request-Timeout",
        "Seconds after which the work is dropped and the answer is 504.",
        {"type": "number", "minimum": 0, "exclusiveMaximum": 86_400 * 365},
    ),
}

LAST_EVENT: Schema = {
    "LastEventID": _header(
        "Last-Event-ID",
        "The number of the last item that the caller has: the stream goes on after it.",
        {"type": "string", "pattern": "^[0-9]{0,15}$"},
    )
}

HEADERS: Schema = {
    "CallId": {"description": "The call's id, for `/calls/{id}`.", "schema": _TEXT},
    "ServerTiming": {
        "description": "Milliseconds in the queue and in the model; how many calls ran together.",
        "schema": _TEXT,
        "example": 'queue;dur=0.40, batch;desc="8", compute;dur=12.10',
    },
    "RetryAfter": {
        "description": "Seconds after which another try makes sense.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "Location": {"description": "Where to ask for the call.", "schema": _TEXT},
    "PreferenceApplied": {"description": "`respond-async`", "schema": _TEXT},
}

CALL_NAME, NOT_FOUND_NAME = "Mothlight.Call", "Mothlight.CallNotFound"

CALL: Schema = {
    "type": "object",
    "description": "Where a call is.",
    "properties": {
        "id": _TEXT,
        "method": _TEXT,
        "state": {"type": "string", "enum": ["queued", "running", "done", "failed", "cancelled"]},
        "created": {"type": "string", "format": "date-time"},
        "ended": {"type": "string", "format": "date-time"},
        "items": {"type": "integer", "description": "how many items a stream has made"},
        "problem": {"$ref": f"{PREFIX}{PROBLEM_NAME}"},
    },
    "required": ["id", "method", "state", "created"],
}

SECURITY: Schema = {"bearer": {"type": "http", "scheme": "bearer"}}


def refer(kind: str, name: str) -> Schema:
    """A reference to one of the components."""
    return {"$ref": f"#/components/{kind}/{name}"}


def accepted(description: str, *more: str) -> Schema:
    """The answer of a call that goes on; ``more``: headers beside those that it always has."""
    headers = ("Call-Id", "Location", *more)
    return {
        "description": description,
        "headers": {header: refer("headers", header.replace("-", "")) for header in headers},
        "content": {STATUS: {"schema": {"$ref": f"{PREFIX}{CALL_NAME}"}}},
    }


def paths(tag: str) -> Schema:
    """``/calls/{id}``. What the answer of a call looks like stands at its method."""
    id = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    problem = {
        "description": "An error of the call, or of asking for it.",
        "content": {_PROBLEM: {"schema": {"$ref": f"{PREFIX}{PROBLEM_NAME}"}}},
    }
    missing = {
        "description": "CallNotFound",
        "content": {_PROBLEM: {"schema": {"$ref": f"{PREFIX}{NOT_FOUND_NAME}"}}},
    }
    call = {"schema": {"$ref": f"{PREFIX}{CALL_NAME}"}}
    found: Schema = {STATUS: call, JSON: {}, SSE: {"schema": _TEXT}, NDJSON: {"schema": _TEXT}}
    marks = {"Call-Id": refer("headers", "CallId")}
    get: dict[str, Any] = {
        "operationId": "call_get",
        "tags": [tag],
        "summary": "The answer of a call, its items after Last-Event-ID, or its status.",
        "parameters": [id, refer("parameters", "Prefer"), refer("parameters", "LastEventID")],
        "responses": {
            "200": {"description": "What there is.", "headers": marks, "content": found},
            "202": accepted("It still runs."),
            "204": {"description": "It is done, and has no answer.", "headers": marks},
            "404": missing,
            "default": problem,
        },
    }
    delete: dict[str, Any] = {
        "operationId": "call_cancel",
        "tags": [tag],
        "summary": "Stop a call. One that has ended stays as it is.",
        "parameters": [id],
        "responses": {
            "204": {"description": "It is stopped."},
            "404": missing,
            "default": problem,
        },
    }
    return {"/calls/{id}": {"get": get, "delete": delete}}
