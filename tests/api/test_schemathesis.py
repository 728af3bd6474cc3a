"""What the document says is what the server does: schemathesis asks a real server, by the 3.2 form.

Each operation is called with data that its schema allows and with data that it does not; the
answer's status, content type, headers and body, each event of a stream included, must be described.
"""

from __future__ import annotations

from collections.abc import Iterator
from secrets import token_hex

import httpx2
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import APIOperation, Case, GenerationMode, Response
from schemathesis.checks import CHECKS, load_all_checks

from mothlight.contracts import openapi
from mothlight.services import Method, Service
from mothlight.testing import TestClient
from services.kitchen import Kitchen

SERVICE = Service.of(Kitchen)
METHODS = {f"{method.verb} {method.path}": method for method in SERVICE.methods.values()}
SCHEMA = schemathesis.openapi.from_dict(openapi.build([SERVICE]))
CALLS = ("GET /calls/{id}", "DELETE /calls/{id}")
KEYS = ("Idempotency-Key", "Supersede-Key")
OPERATIONS = {result.ok().label: result.ok() for result in SCHEMA.get_all_operations()}

load_all_checks()
DESCRIBED = CHECKS.get_by_names(
    [
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    ]
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with TestClient(Kitchen) as client:
        yield client.url


def test_every_method_is_asked() -> None:
    assert set(OPERATIONS) == {*METHODS, *CALLS}


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("label", METHODS)
def test_answers_are_described(label: str, mode: GenerationMode, url: str) -> None:
    operation: APIOperation = OPERATIONS[label]
    method = METHODS[label]

    @settings(
        max_examples=12,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode))
    def ask(case: Case) -> None:
        if mode is GenerationMode.POSITIVE:
            for name in KEYS:  # no schema can say that it has been drawn from chance
                if name in case.headers:
                    case.headers[name] = token_hex(16)
            case.headers.pop("Last-Event-ID", None)  # a new call has no items behind any
        response = case.call(base_url=url, session=session, timeout=10)
        case.validate_response(response, checks=DESCRIBED)
        if response.status_code >= 500:
            # 503 where it could be foreseen that the deadline will pass
            assert response.status_code in (503, 504), response.text
            assert "Request-Timeout" in case.headers, "a deadline passed that nobody set"
        if mode is GenerationMode.POSITIVE:
            assert response.status_code in welcome(method), explain(case, response)

    with requests.Session() as session:
        ask()


@pytest.mark.parametrize("label", CALLS)
def test_a_call_answers_as_described(label: str, url: str) -> None:
    verb = label.partition(" ")[0]
    operation: APIOperation = OPERATIONS[label]
    for key in (token_hex(16), "%00/a b", "x" * 400):
        case = operation.Case(path_parameters={"id": key})
        response = case.call(base_url=url, timeout=10)
        assert response.status_code == 404
        case.validate_response(response, checks=DESCRIBED)
    key = token_hex(16)
    asked = httpx2.post(
        f"{url}/kitchen/counts",
        json={},
        headers={"Idempotency-Key": key, "Prefer": "respond-async"},
    )
    assert asked.status_code == 202
    case = operation.Case(path_parameters={"id": key})
    response = case.call(base_url=url, timeout=10)
    assert response.status_code in ((200, 202) if verb == "GET" else (204,))
    case.validate_response(response, checks=DESCRIBED)


def welcome(method: Method[object, object, object]) -> set[int]:
    """What the answer to a valid request may be: the result, a declared error, a deadline that
    passed or would have; bytes that are no picture are valid by any schema, and yet are none."""
    files = {415, 422} if method.input.has_media else set()
    return {200, 204, 503, 504, *(error.status for error in method.raises)} | files


def explain(case: Case, response: Response) -> str:
    return f"{response.status_code} {response.text}\n{case.as_curl_command()}"


@pytest.mark.parametrize("path", sorted({method.path for method in METHODS.values()}))
def test_other_verbs_are_refused_as_described(path: str, url: str) -> None:
    known = {method.verb for method in METHODS.values() if method.path == path}
    for verb in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - known:
        response = httpx2.request(verb, url + path)
        assert response.status_code == 405
        assert response.headers["allow"] == ", ".join(sorted(known))
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["type"] == "MethodNotAllowed"
