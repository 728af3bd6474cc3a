"""OpenAPI 3.2 out of the neutral tree and the methods; 3.1 for tools that do not know 3.2 yet.

The two differ in streams only: 3.2 describes each item (``itemSchema``), 3.1 calls them text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import from_json

from ..errors import Error
from ..schema import (
    Choice,
    Enum,
    ListOf,
    MapOf,
    MediaType,
    Message,
    Node,
    Nothing,
    Nullable,
    Ref,
    Types,
    present,
)
from ..services import Method, Service
from . import contract, resource
from .content import (
    JSON,
    MULTIPART,
    NDJSON,
    OCTETS,
    SSE,
    TEXT,
    content_types,
    raw_field,
    stream_types,
)
from .jsonschema import PREFIX, Schema, binary, definition, media_types, property_, schema
from .problems import PROBLEM, PROBLEM_NAME, errors, problem

VERSIONS = {"3.2": "3.2.0", "3.1": "3.1.1"}
"""The versions of OpenAPI that are served, by what ``?version=`` calls them."""


def build(
    services: Iterable[Service],
    *,
    version: str = "3.2",
    root: str = "",
    release: str = "",
    secured: bool = False,
) -> Schema:
    """The document of some services. ``version`` is one of ``VERSIONS`` (else ValueError), ``root``
    the path under which they are mounted, ``release`` the API's own version (by default the
    beginning of the contract's hash, which changes when it does); ``secured``: callers
    say who they are."""
    if version not in VERSIONS:
        raise ValueError(f"OpenAPI {version} is not made; {' and '.join(VERSIONS)} are")
    services = list(services)
    methods = [method for service in services for method in service.methods.values()]
    types: Types = {}
    for service in services:
        types.update(service.types)
    declared = {error.__name__: error for method in methods for error in errors(method)}
    declared |= {error.__name__: error for error in resource.ERRORS}
    problems = {name: problem(error, types) for name, error in sorted(declared.items())}
    schemas = {name: definition(types[name], types) for name in sorted(types)}
    schemas |= {_error_name(name, types): made for name, made in problems.items()}
    names = {name: re.sub(r"[^\w.-]", _escaped, name, flags=re.ASCII) for name in schemas}
    for own, made in ((PROBLEM_NAME, PROBLEM), (resource.CALL_NAME, resource.CALL)):
        schemas[own] = made
        names[own] = _free(own.rpartition(".")[2], schemas)
    names[resource.NOT_FOUND_NAME] = _error_name("CallNotFound", types)
    paths: Schema = {}
    for method in methods:
        if not method.cardinality.streams_in:
            described = _operation(method, types, items=version != "3.1")
            if secured:
                described["responses"]["401"] = {"description": "Nobody knows who calls."}
            paths.setdefault(method.path, {})[method.verb.lower()] = described
    tag = "calls" if "calls" not in {service.name for service in services} else "The calls"
    paths |= resource.paths(tag)
    _tell_apart(paths)
    components: Schema = {
        "schemas": schemas,
        "parameters": {**resource.PARAMETERS, **resource.LAST_EVENT},
        "headers": resource.HEADERS,
    }
    if secured:
        components["securitySchemes"] = resource.SECURITY
    document = {
        "openapi": VERSIONS[version],
        "info": {
            "title": ", ".join(service.name for service in services),
            "version": release or contract.build(services)["hash"][:19],
        },
        "servers": [{"url": root or "/"}],
        "tags": [*(_named(service.name, service.doc) for service in services), {"name": tag}],
        "paths": paths,
        "components": components,
        **({"security": [{"bearer": []}]} if secured else {}),
    }
    components["schemas"] = {names[name]: made for name, made in schemas.items()}
    renamed = {PREFIX + name: PREFIX + new for name, new in names.items() if name != new}
    return _renamed(document, renamed)  # type: ignore[no-any-return]


def _escaped(found: re.Match[str]) -> str:
    return f"_{ord(found[0]):x}_"


def _free(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _tell_apart(paths: Schema) -> None:
    """Gives each operation an id of its own: ``a_b`` of ``c`` and ``a`` of ``b_c`` have one."""
    taken: set[str] = set()
    for path in paths.values():
        for operation in path.values():
            operation["operationId"] = _free(operation["operationId"], taken)
            taken.add(operation["operationId"])


def _renamed(part: Any, names: Mapping[str, str]) -> Any:
    """A part of the document whose references follow the names that the schemas have got."""
    if isinstance(part, str):
        return names.get(part, part)
    if isinstance(part, list):
        return [_renamed(one, names) for one in part]
    if isinstance(part, dict):
        return {key: _renamed(value, names) for key, value in part.items()}
    return part


def _named(name: str, doc: str) -> Schema:
    return {"name": name, "description": doc} if doc else {"name": name}


def _operation(method: Method[Any, Any, Any], types: Types, *, items: bool) -> Schema:
    summary, _, description = method.doc.partition("\n\n")
    out: Schema = {
        "operationId": re.sub(r"\W", "_", f"{method.service.name}_{method.name}"),
        "tags": [method.service.name],
        "summary": " ".join(summary.split()) or f"{method.service.name}.{method.name}",
        "x-mothlight-cardinality": method.cardinality.value,
    }
    if description.strip():
        out["description"] = description.strip()
    if method.deprecated:
        out["deprecated"] = True
    in_query, streams = method.verb in ("GET", "DELETE"), method.cardinality.streams_out
    known = {**resource.PARAMETERS, **(resource.LAST_EVENT if streams else {})}
    headers = [resource.refer("parameters", name) for name in known]
    out["parameters"] = (_query(method, types) if in_query else []) + headers
    if not in_query and not isinstance(method.input.node, Nothing):
        out["requestBody"] = _body(method, types)
    out["responses"] = {
        **_success(method, items=items),
        "202": resource.accepted("It goes on in the background.", "Preference-Applied"),
        **_failures(method, types),
    }
    return out


# Requests


def _query(method: Method[Any, Any, Any], types: Types) -> list[Schema]:
    example = _example(method)
    found = []
    for name, node, required in method.fields:
        out: Schema = {"name": name, "in": "query", "required": required}
        whole = _property(method, name)
        if doc := whole.pop("description", ""):
            out["description"] = doc
        inner = present(node)
        whole = {**schema(inner), **{k: v for k, v in whole.items() if k == "default"}}
        if whole.get("default", ...) is None:
            del whole["default"]  # a query has no null; it leaves the name out
        if isinstance(inner, ListOf):
            out |= {"style": "form", "explode": True}
        if _mixed(inner, types):
            out["content"] = {JSON: {"schema": whole}}
        else:
            out["schema"] = whole
        given = example if method.is_bare else (example or {}).get(name)
        if given is not None:
            out["example"] = given
        found.append(out)
    return found


def _body(method: Method[Any, Any, Any], types: Types) -> Schema:
    example = _example(method)
    content: Schema = {}
    for name in content_types(method):
        if name == JSON:
            whole = schema(method.input.node)
            if (default := _default(method)) is not ...:
                whole["default"] = default
            content[name] = {"schema": whole}
            if example is not None:
                content[name]["example"] = example
        elif name == MULTIPART:
            content[name] = _form(method, types)
        else:
            media = method.media_fields[raw_field(method) or ""]
            content[name] = {"schema": binary(media)}
    optional = method.is_bare and method.has_default
    return {"required": not optional, "content": content}


def _form(method: Method[Any, Any, Any], types: Types) -> Schema:
    properties: Schema = {}
    encoding: Schema = {}
    for name, node, _ in method.fields:
        inner = present(node)
        if isinstance(inner, MediaType):
            properties[name] = binary(inner)
            if doc := _property(method, name).get("description"):
                properties[name]["description"] = doc
            encoding[name] = {"contentType": ", ".join(media_types(inner))}
        else:
            properties[name] = _property(method, name)
            if _is_json(inner, types):
                encoding[name] = {"contentType": JSON}
    whole: Schema = {"type": "object", "properties": properties}
    if required := [name for name, _, required in method.fields if required]:
        whole["required"] = required
    return {"schema": whole, "encoding": encoding}


def _property(method: Method[Any, Any, Any], name: str) -> Schema:
    node = method.input.node
    if isinstance(node, Ref) and isinstance(message := method.input.types[node.name], Message):
        return next(property_(field) for field in message.fields if field.wire == name)
    default = _default(method)
    return {**schema(node), **({} if default is ... else {"default": default})}


def _is_json(node: Node, types: Types) -> bool:
    """Whether a form's field of this type is JSON text: objects, and lists of what is."""
    if isinstance(node, ListOf):
        return isinstance(node.item, ListOf | Nullable) or _is_json(node.item, types)
    if isinstance(node, Ref):
        return not isinstance(types[node.name], Enum) or _mixed(node, types)
    return isinstance(node, MapOf) or _mixed(node, types)


def _mixed(node: Node, types: Types) -> bool:
    """Whether these literals need quotes to be told apart: ``Literal["1", 1]``."""
    values: Iterable[Any] = ()
    if isinstance(node, Choice):
        values = node.values
    elif isinstance(node, Ref) and isinstance(named := types[node.name], Enum):
        values = named.members.values()
    return 0 < sum(isinstance(value, str) for value in values) < len(list(values))


def _default(method: Method[Any, Any, Any]) -> Any:
    """The default of a bare message as JSON; ``...`` where it has none, or is a file."""
    if not method.is_bare or not method.has_default:
        return ...
    payload = method.input.encode(method.default)
    return ... if payload.media else from_json(payload.json)


def _example(method: Method[Any, Any, Any]) -> Any:
    """The method's example as JSON; None where it has none, or one with files in it."""
    if method.example is None or callable(method.example) or method.cardinality.streams_in:
        return None
    payload = method.input.encode(method.example)
    return None if payload.media else from_json(payload.json)


# Responses


def _success(method: Method[Any, Any, Any], *, items: bool) -> Schema:
    node = method.output.node
    headers = {"Call-Id": resource.refer("headers", "CallId")}
    if method.cardinality.streams_out:
        content: Schema = {name: _stream(name, node, items) for name in stream_types(method)}
        return {"200": {"description": "The items.", "headers": headers, "content": content}}
    headers["Server-Timing"] = resource.refer("headers", "ServerTiming")
    if isinstance(node, Nothing):
        return {"204": {"description": "Done.", "headers": headers}}
    if isinstance(node, MediaType):
        whole = {"type": "string", "format": "binary"}
        content = {name: {"schema": whole} for name in _answered(node)}
    else:
        content = {JSON: {"schema": schema(node)}}
    return {"200": {"description": "The result.", "headers": headers, "content": content}}


def _answered(media: MediaType) -> list[str]:
    """The media types of a returned file: those of its limits where the type says them."""
    if media.limits != type(media.limits)():
        return media_types(media)
    return [OCTETS, "*/*"] if media.kind == "file" else [f"{media.kind}/*"]


def _stream(name: str, node: Node, items: bool) -> Schema:
    if name == TEXT:
        return {"schema": {"type": "string", "description": "one item a line"}}
    if not items:
        return {"schema": {"type": "string", "description": _ENDS[name]}}
    if name == NDJSON:
        end: Schema = {
            "type": "object",
            "properties": {"end": {"const": True}},
            "required": ["end"],
        }
        failure: Schema = {
            "type": "object",
            "properties": {"error": {"$ref": PREFIX + PROBLEM_NAME}},
            "required": ["error"],
        }
        return {"itemSchema": {"anyOf": [schema(node), end, failure]}}
    variants = [
        _event("message", schema(node)),
        _event("end", {"type": "object"}),
        _event("error", {"$ref": PREFIX + PROBLEM_NAME}),
    ]
    return {"itemSchema": {"oneOf": variants}}


_ENDS = {
    SSE: "events with JSON data; the last is `end` or `error`",
    NDJSON: 'items as JSON, one a line; the last line is {"end": true} or {"error": {…}}',
}


def _event(name: str, data: Schema) -> Schema:
    """A server-sent event; one without a name is a ``message`` (WHATWG HTML, 9.2)."""
    content = {"type": "string", "contentMediaType": JSON, "contentSchema": data}
    properties: Schema = {"event": {"const": name}, "data": content}
    if name == "message":
        properties["id"] = {"type": "string", "pattern": "^[0-9]+$"}
    required = ["id", "data"] if name == "message" else ["event", "data"]
    return {"type": "object", "title": name, "properties": properties, "required": required}


def _failures(method: Method[Any, Any, Any], types: Types) -> Schema:
    by_status: dict[int, dict[str, type[Error]]] = {}
    for error in errors(method):
        by_status.setdefault(error.status, {})[error.__name__] = error
    out: Schema = {}
    for status, found in sorted(by_status.items()):
        refs = [{"$ref": PREFIX + _error_name(name, types)} for name in found]
        headers = {"Call-Id": resource.refer("headers", "CallId")}
        if any("retry_after" in getattr(e, "__annotations__", {}) for e in found.values()):
            headers["Retry-After"] = resource.refer("headers", "RetryAfter")
        out[str(status)] = {
            "description": "; ".join(found),
            "headers": headers,
            "content": {
                "application/problem+json": {
                    "schema": refs[0] if len(refs) == 1 else {"oneOf": refs}
                }
            },
        }
    return out


def _error_name(name: str, types: Types) -> str:
    return f"{name}Error" if name in types else name
