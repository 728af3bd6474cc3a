"""What the document says is what the server does: schemathesis asks a real server, by the 3.2 form.

Each operation is called with data that its schema allows and with data that it does not; the
answer's status, content type, headers and body, each event of a stream included, must be described.
"""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import APIOperation, Case, GenerationMode, Response
from schemathesis.checks import CHECKS, load_all_checks

from mothlight.contracts import openapi
from mothlight.service import Method, Service
from mothlight.testing import TestClient
from services.kitchen import Kitchen

SERVICE = Service.of(Kitchen)
METHODS = {f"{method.verb} {method.path}": method for method in SERVICE.methods.values()}
SCHEMA = schemathesis.openapi.from_dict(openapi.build([SERVICE]))
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
    assert set(OPERATIONS) == set(METHODS)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("label", OPERATIONS)
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
