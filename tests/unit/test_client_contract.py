"""The client by the server's contract alone, without its classes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from client_kitchen import (
    EVERYTHING,
    PICTURE,
    Kitchen,
    Mood,
    TextTooLong,
)

from mothlight import (
    Code,
    Error,
    File,
    InvalidRequest,
    PayloadTooLarge,
    RemoteError,
)
from mothlight.client import UnexpectedAnswer
from mothlight.client.contract import Contract
from mothlight.testing import TestClient


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(Kitchen) as client:
        yield client


def test_a_contract_carries_every_type(client: TestClient) -> None:
    kitchen, types = client.of("Kitchen"), client.types
    given = EVERYTHING.model_dump(by_alias=True)
    answer = kitchen.echo(given)
    assert isinstance(answer, types.Everything)
    shown = answer.model_dump(by_alias=True)
    assert shown.pop("mood") == "bad" and given.pop("mood") is Mood.BAD
    assert shown.pop("options") == {"copy": 1, "schema": "s"}
    assert shown == {k: v for k, v in given.items() if k != "options"}
    assert answer.mood is types.Mood.BAD
    assert answer.level is types.Level.HIGH
    assert isinstance(answer.shape, types.Square)
    assert isinstance(answer.tree.children[0], types.Tree)
    assert kitchen.echo(answer) == answer


def test_defaults_that_only_the_server_knows_are_its_own(client: TestClient) -> None:
    given = EVERYTHING.model_dump(exclude={"names", "options"})
    answer = client.of("Kitchen").echo(**given)
    assert answer.names == ["made", "here"]
    assert (answer.options.copy_, answer.options.schema_) == (1, "s")
    assert client.of("Kitchen").echo(**given, names=[]).names == []


def test_calls_by_name(client: TestClient) -> None:
    kitchen = client.of("Kitchen")
    assert kitchen.analyze(text="x").score == 0.5
    assert kitchen.analyze(client.types.Review(text="x")).text == "x"
    assert kitchen.double() == 42 and kitchen.double(2) == 4 and kitchen.double(number=3) == 6
    assert kitchen.ping() is None
    assert list(kitchen.spell(text="ab")) == ["a", "b"]
    assert kitchen.analyze.__doc__ is not None
    with pytest.raises(InvalidRequest, match="text: Field required"):
        kitchen.analyze(txt="x")


def test_errors_of_a_contract(client: TestClient) -> None:
    kitchen = client.of("Kitchen")
    with pytest.raises(client.errors.TextTooLong) as caught:
        kitchen.analyze(text="x" * 21)
    assert caught.value.length == 21
    assert str(caught.value) == "text has 21 characters, 20 are allowed"
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert issubclass(client.errors.TextTooLong, Error)
    assert client.errors.TextTooLong is not TextTooLong
    with pytest.raises(client.errors.TextTooLong):
        list(kitchen.spell(text="!"))


def test_files_of_a_contract(client: TestClient) -> None:
    kitchen = client.of("Kitchen")
    seen = kitchen.look(image=PICTURE.data, top_k=5, mood="bad")
    assert seen["seen"].startswith("(40, 20) image/jpeg") and seen["rest"] == "5 None bad 0 -"
    assert kitchen.mirror(PICTURE).size == (40, 20)
    with pytest.raises(PayloadTooLarge):
        kitchen.look(image=PICTURE.data + bytes(1_000_000))


def test_the_contract_is_there_as_a_document(client: TestClient) -> None:
    document = client.contract()
    assert document["hash"].startswith("sha256:") and "Review" in document["types"]
    assert document == client.app.contract


@pytest.mark.parametrize(
    "change",
    [
        {"mothlight": 99},
        {"types": {"A": {"kind": "message", "fields": [{"name": "x"}]}}},
        {"types": {"A": {"kind": "spell"}}},
        {"services": [{"name": "S", "methods": [{"name": "m"}]}]},
        {"services": None},
    ],
)
def test_a_contract_that_cannot_be_read(client: TestClient, change: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedAnswer, match="the contract cannot be read"):
        Contract({**client.contract(), **change})


def test_a_contract_sends_no_call_elsewhere(client: TestClient) -> None:
    document = json.loads(json.dumps(client.contract()))
    document["services"][0]["methods"][0]["http"]["path"] = "@elsewhere.example/"
    with pytest.raises(UnexpectedAnswer, match="no verb and path"):
        Contract(document)


def test_without_pillow_a_picture_is_a_file(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = client.contract()
    monkeypatch.setitem(sys.modules, "mothlight.media.image", None)
    mirror = Contract(document).service("Kitchen").methods["mirror"]
    picture = client.call(mirror, PICTURE.data)  # type: ignore[arg-type]
    assert type(picture) is File and picture.media_type == "image/png"


def test_a_newer_server_may_know_more_formats(client: TestClient) -> None:
    document = json.loads(json.dumps(client.contract()).replace('"webp"', '"jpeg9000", "webp"'))
    assert Contract(document).service("Kitchen")


def test_an_undeclared_error_keeps_its_code(client: TestClient) -> None:
    document = json.loads(json.dumps(client.contract()))
    methods = {m["name"]: m for m in document["services"][0]["methods"]}
    del methods["analyze"]["errors"]
    analyze = Contract(document).service("Kitchen").methods["analyze"]
    with pytest.raises(RemoteError, match="text has 21 characters") as caught:
        client.call(analyze, {"text": "x" * 21})  # type: ignore[arg-type]
    assert caught.value.code is Code.INVALID_ARGUMENT and caught.value.document["length"] == 21


def test_an_error_template_of_a_contract_only_names_fields(client: TestClient) -> None:
    document = json.loads(json.dumps(client.contract()))
    document["errors"]["TextTooLong"]["doc"] = "{length:>999999999} {limit.__class__}"
    error = Contract(document).errors.TextTooLong(length=1)
    assert str(error) == "{length:>999999999} {limit.__class__}"
