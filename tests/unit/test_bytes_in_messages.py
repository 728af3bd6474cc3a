"""Bytes are found wherever a message has them: in unions, and under both names of a field."""

from __future__ import annotations

from typing import Any, Literal

import httpx
import pytest
from pydantic import BaseModel, ConfigDict, Field

from mothlight import method, service
from mothlight.errors import DefinitionError, InvalidRequest
from mothlight.schema import Payload, Reader, Shape
from mothlight.testing import TestClient


class Sound(BaseModel):
    kind: Literal["sound"] = "sound"
    data: bytes = b""


class Picture(BaseModel):
    kind: Literal["picture"] = "picture"
    pixels: bytes = b""


class Named(BaseModel):
    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    kind: Literal["named"] = Field("named", alias="is")
    data: bytes = Field(b"", alias="payload")


class NamedToo(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    kind: Literal["too"] = Field("too", alias="is")
    data: str = ""


class Holder(BaseModel):
    it: Sound | Picture


@service
class Echo:
    @method
    def hold(self, holder: Holder) -> Holder:
        return holder


def decode(hint: Any, json: bytes) -> Any:
    reader = Reader()
    return Shape(hint, reader.read(hint, "it"), reader.types).decode(Payload(json))


def test_bytes_in_a_union_without_its_tag_are_refused_and_not_passed_as_text() -> None:
    with TestClient(Echo) as client:
        url = f"{client.url}/echo/hold"
        right = httpx.post(url, json={"it": {"kind": "picture", "pixels": "aGk="}})
        assert right.json() == {"it": {"kind": "picture", "pixels": "aGk="}}
        for it in ({"pixels": "aGk="}, {"kind": "film", "pixels": "aGk="}, {"kind": ["sound"]}):
            wrong = httpx.post(url, json={"it": it})
            assert wrong.status_code == 422
            errors = [{"path": "it.kind", "message": "is one of 'sound', 'picture'"}]
            assert wrong.json()["errors"] == errors
        assert httpx.post(url, json={"it": "aGk="}).status_code == 422


def test_bytes_are_found_by_both_names_of_a_field() -> None:
    for key in (b"payload", b"data"):
        assert decode(Named, b'{"%b": "aGk="}' % key) == Named(data=b"hi")
    for tag in (b"is", b"kind"):
        found = decode(Named | NamedToo, b'{"%b": "named", "data": "aGk="}' % tag)
        assert found == Named(data=b"hi")
        assert decode(Named | NamedToo, b'{"%b": "too", "data": "aGk="}' % tag).data == "aGk="
    with pytest.raises(InvalidRequest) as caught:
        decode(Named, b'{"data": "?"}')
    assert caught.value.errors[0]["path"] == "data"


class Respelled(BaseModel):
    kind: Literal["a"] = Field("a", alias="type")


class Film(BaseModel):
    mode: Literal["fast", "slow"] = Field("fast", alias="speed")
    kind: Literal["film"] = "film"


class Show(BaseModel):
    mode: Literal["late"] = "late"
    kind: Literal["show"] = "show"


class Ambiguous(BaseModel):
    kind: Literal["sound", "noise"]
    data: str


def test_a_tag_has_one_name_and_each_value_one_message() -> None:
    with pytest.raises(DefinitionError, match="'type' in Respelled and 'kind' in Sound") as caught:
        Reader().read(Respelled | Sound, "it", at=Respelled)
    assert 'kind: Literal[...] = Field(alias="type")' in caught.value.mend
    assert caught.value.location.startswith(f"{__file__}:")
    reader = Reader()
    reader.read(Film | Show, "it")
    assert reader.types["FilmOrShow"].tag == "kind"  # type: ignore[union-attr]
    with pytest.raises(DefinitionError, match="no field tells which"):
        Reader().read(Sound | Ambiguous, "it")
