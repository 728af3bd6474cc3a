"""Errors: codes, messages, problem documents, and the way back."""

from __future__ import annotations

import copy
import inspect
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import get_type_hints

import pytest

from mothlight import errors
from mothlight.definition import locate
from mothlight.errors import (
    BUILT_IN,
    Code,
    DefinitionError,
    Error,
    MethodNotAllowed,
    RemoteError,
)


class TextTooLong(Error):
    "text has {length} characters, {limit} are allowed"

    code = Code.INVALID_ARGUMENT
    length: int
    limit: int = 10


class Quiet(Error):
    code = Code.NOT_FOUND


class Hot(Error):
    "the oven is at {celsius:.1f} °C"

    celsius: float


def test_every_code_has_its_http_status_and_grpc_number() -> None:
    assert sorted(code.grpc for code in Code) == list(range(1, 17))
    assert all(400 <= code.http <= 599 for code in Code)
    assert (Code.NOT_FOUND.http, Code.NOT_FOUND.grpc) == (404, 5)
    assert (Code.DEADLINE_EXCEEDED.http, Code.UNAVAILABLE.http) == (504, 503)


def test_the_docstring_is_the_message() -> None:
    error = TextTooLong(length=12)
    assert str(error) == error.detail == "text has 12 characters, 10 are allowed"
    assert repr(error) == "TextTooLong(length=12, limit=10)"
    assert str(Quiet()) == "Quiet"


def test_an_error_is_a_problem_document() -> None:
    assert TextTooLong(length=12).problem() == {
        "type": "TextTooLong",
        "code": "invalid_argument",
        "status": 400,
        "detail": "text has 12 characters, 10 are allowed",
        "length": 12,
        "limit": 10,
    }


def test_fields_are_keyword_only_and_required() -> None:
    with pytest.raises(TypeError, match="length"):
        TextTooLong()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        TextTooLong(12, 10)  # type: ignore[misc]


@pytest.mark.parametrize("again", [copy.copy, lambda e: pickle.loads(pickle.dumps(e))])
def test_an_error_can_be_copied(again: object) -> None:
    error = again(TextTooLong(length=3, limit=2))  # type: ignore[operator]
    assert type(error) is TextTooLong
    assert error.fields() == {"length": 3, "limit": 2}


def test_a_message_that_does_not_fit_its_fields_still_tells() -> None:
    assert str(Hot(celsius="warm")) == "the oven is at {celsius:.1f} °C"  # type: ignore[arg-type]
    assert Hot(celsius=math.inf).problem()["celsius"] == "Infinity"


def test_what_json_cannot_say_is_still_a_problem() -> None:
    problem = TextTooLong(length="\ud800").problem()  # type: ignore[arg-type]
    assert problem["length"] == r"'\ud800'"
    assert problem["detail"] == r"text has \ud800 characters, 10 are allowed"
    assert TextTooLong(length=b"\xff").problem()["length"] == "_w=="  # type: ignore[arg-type]
    assert RemoteError(document={"of": [10**30, {"n": -(2**63)}]}).problem() == {
        "of": [str(10**30), {"n": -(2**63)}]  # MessagePack has integers of 64 bits
    }


def test_a_list_is_shown_as_a_person_would_write_it() -> None:
    assert MethodNotAllowed(path="/x", allow=["GET", "PUT"]).detail == "/x answers GET, PUT"


def test_a_bare_error_shows_its_text_and_not_our_documentation() -> None:
    assert str(Error("no oil")) == "no oil"
    assert str(Error()) == "the call failed"


def test_a_problem_becomes_the_error_again() -> None:
    back = Error.from_problem(TextTooLong(length=12).problem(), [TextTooLong])
    assert type(back) is TextTooLong
    assert (back.length, back.limit) == (12, 10)


@pytest.mark.parametrize("error", BUILT_IN, ids=lambda e: e.__name__)
def test_every_built_in_error_makes_the_round_trip(error: type[Error]) -> None:
    values = {
        "reason": "why", "errors": [{"path": "x", "message": "m"}], "supported": ["a"],
        "what": "it", "limit": 3, "seconds": 1.5, "path": "/x", "allow": ["GET"],
        "retry_after": 2.0, "after": 7, "first": 8, "last": 9,
    }  # fmt: skip
    hints = inspect.signature(error).parameters
    made = error(**{name: values[name] for name in hints})
    problem = made.problem()
    back = Error.from_problem(problem)
    assert type(back) is error
    assert back.problem() == problem
    assert problem["detail"] and "{" not in problem["detail"]


def test_the_fields_of_a_class_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []

    def hints(cls: type, **options: object) -> dict[str, object]:
        looked.append(cls)
        return get_type_hints(cls, **options)  # type: ignore[arg-type]

    class Torn(Error):
        "torn at {place}"

        place: int

    monkeypatch.setattr(errors, "get_type_hints", hints)
    for place in (1, 2):
        back = Error.from_problem(Torn(place=place).problem(), [Torn])
        assert isinstance(back, Torn) and back.place == place
    assert looked == [Torn]


@pytest.mark.parametrize(
    "problem",
    [
        {"type": "Unheard", "code": "not_found", "status": 404, "detail": "no", "x": 1},
        {"type": "TextTooLong", "detail": "newer server", "length": "many"},
        {"type": "TextTooLong", "detail": "older server"},
        {"detail": "not ours at all"},
    ],
)
def test_an_unknown_problem_is_shown_as_it_came(problem: dict[str, object]) -> None:
    back = Error.from_problem(problem, [TextTooLong])
    assert type(back) is RemoteError
    assert back.problem() == problem
    assert back.detail == problem["detail"]


def test_invalid_request_shows_the_first_three() -> None:
    entries = [{"path": f"a[{i}]", "message": "bad"} for i in range(5)]
    assert errors.InvalidRequest(errors=entries).detail == (
        "a[0]: bad; a[1]: bad; a[2]: bad; and 2 more"
    )
    assert errors.InvalidRequest(errors=[{"path": "", "message": "bad"}]).detail == "body: bad"


def _line(needle: str) -> str:
    lines = Path(__file__).read_text("utf-8").splitlines()
    return f"{__file__}:{next(i for i, line in enumerate(lines, 1) if line.endswith(needle))}"


def test_a_field_may_not_have_a_reserved_name() -> None:
    with pytest.raises(DefinitionError) as caught:

        class Odd(Error):  # line of Odd
            status_: int
            detail: str  # type: ignore[assignment]

    assert caught.value.location == _line("# line of Odd")
    assert "'detail', which every error already has" in str(caught.value)
    assert caught.value.mend == "give the field another name"


@pytest.mark.parametrize("name", ["args", "fields", "problem", "call_id", "add_note"])
def test_a_field_may_not_hide_what_every_error_has(name: str) -> None:
    with pytest.raises(DefinitionError, match=f"'{name}', which every error already has"):
        type("Bad", (Error,), {"__annotations__": {name: str}})


@pytest.mark.parametrize("status", [999, 204, 200, "404", None])
def test_the_status_is_that_of_an_error(status: object) -> None:
    with pytest.raises(DefinitionError, match=f"status of Bad is {status!r}"):
        type("Bad", (Error,), {"status": status})


def test_the_code_is_a_code() -> None:
    with pytest.raises(DefinitionError, match="the code of Bad is 'not_found', which is no Code"):
        type("Bad", (Error,), {"code": "not_found"})


@pytest.mark.parametrize(
    ("doc", "what", "mend"),
    [
        ("has {lenght}", "uses {lenght}, which is not a field", "add the field:   lenght: str"),
        ("has {}", "uses {}, which is not a field", "add the field:   name: str"),
        ("has {length", "a brace too many or too few", "{{ }}"),
        ("has length}", "a brace too many or too few", "{{ }}"),
    ],
)
def test_a_message_must_fit_its_fields(doc: str, what: str, mend: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        type("Bad", (Error,), {"__doc__": doc, "__annotations__": {"length": int}})
    assert what in caught.value.what
    assert mend in caught.value.mend


def test_a_definition_error_names_line_and_mend() -> None:
    error = DefinitionError(
        "it cannot work", "write x", at=test_fields_are_keyword_only_and_required
    )
    assert str(error) == (
        f"{_line('def test_fields_are_keyword_only_and_required() -> None:')}: it cannot work"
        "\n  write x"
    )
    assert str(DefinitionError("it cannot work")) == "it cannot work"


def test_locate_gives_up_quietly() -> None:
    assert locate(None) == locate(3) == locate(int) == ""
    assert locate(type("Made", (), {})) == ""


@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_a_plain_error_keeps_its_message(again: Callable[[Error], Error]) -> None:
    assert str(again(Error("no such luck"))) == "no such luck"
