"""What pydantic writes otherwise than the annotation says is refused."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Annotated, Any

import httpx
import pytest
from pydantic import (
    Base64Bytes,
    Base64Str,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    PlainSerializer,
    RootModel,
    WrapSerializer,
    field_serializer,
    model_serializer,
)
from pydantic.dataclasses import dataclass

from mothlight import method, service
from mothlight.errors import DefinitionError
from mothlight.schema import Message, Nullable, Reader, Scalar
from mothlight.testing import TestClient

Moment = Annotated[
    datetime.datetime, PlainSerializer(lambda moment: moment.timestamp(), return_type=float)
]


def text_of(value: Any) -> str:
    return str(value)


class Excluded(BaseModel):
    must: str = Field(exclude=True)


@dataclass
class ExcludedToo:
    must: str = Field(exclude=True)


@dataclasses.dataclass
class ExcludedHere:
    must: Annotated[str, Field(exclude=True)]


@dataclass
class Passing:
    must: dataclasses.InitVar[str]


class ByName(BaseModel):
    model_config = ConfigDict(validate_by_alias=False, validate_by_name=True)

    must: str = Field(alias="is-must")


class Stamped(BaseModel):
    at: Moment


class Counted(BaseModel):
    count: int

    @field_serializer("count")
    def _count(self, value: int) -> str:
        return str(value)


class Silent(BaseModel):
    counts: list[int]

    @field_serializer("*")
    def _any(self, value):  # type: ignore[no-untyped-def]
        return value


class Whole(BaseModel):
    count: int

    @model_serializer
    def _whole(self) -> dict[str, int]:
        return {"n": self.count}


class Root(RootModel[int]):
    @model_serializer
    def _root(self) -> str:
        return str(self.root)


class RootField(RootModel[int]):
    @field_serializer("root")
    def _root(self, value: int) -> str:
        return str(value)


class Seconds(BaseModel):
    model_config = ConfigDict(ser_json_timedelta="float")

    took: datetime.timedelta


@dataclass(config=ConfigDict(ser_json_timedelta="float"))
class SecondsToo:
    took: datetime.timedelta


with pytest.warns(DeprecationWarning):

    class Encoders(BaseModel):
        model_config = ConfigDict(json_encoders={int: str})

        count: int


class Holds(BaseModel):
    ids: Json[list[int]]


class Seal(BaseModel):
    seal: Base64Bytes | None


@pytest.mark.parametrize(
    ("hint", "what", "mend"),
    [
        (Excluded, "Excluded.must is read, but left out", "PrivateAttr()"),
        (ExcludedToo, "ExcludedToo.must is read, but left out", "PrivateAttr()"),
        (ExcludedHere, "ExcludedHere.must has a Field()", "pydantic.dataclasses"),
        (Passing, "Passing.must is read, but left out", "PrivateAttr()"),
        (ByName, "is read as 'must' and written as 'is-must'", "Field(alias="),
        (Stamped, "Stamped.at has a serializer", "the type that is on the wire"),
        (Moment, "it has a serializer", "the type that is on the wire"),
        (list[Moment], "an item of it has a serializer", "the type that is on the wire"),
        (Annotated[int, PlainSerializer(str)], "it has a serializer", "-> float"),
        (Annotated[int, PlainSerializer(text_of)], "it has a serializer", "-> float"),
        (Counted, "Counted.count has a serializer", "-> float"),
        (Silent, "Silent.counts has a serializer", "-> float"),
        (Whole, "Whole._whole writes the whole of Whole", "write a model whose fields"),
        (Root, "Root._root writes the whole of Root", "write a model whose fields"),
        (RootField, "it has a serializer", "-> float"),
        (Seconds, "Seconds has ser_json_timedelta='float'", "took: float"),
        (SecondsToo, "SecondsToo has ser_json_timedelta='float'", "took: float"),
        (Encoders, "Encoders has json_encoders", "convert them in the method"),
        (Holds, "Holds.ids is Json[...]", "write the type alone"),
        (Seal, "Seal.seal is encoded by Base64Encoder", "write   bytes"),
        (Base64Str, "it is encoded by Base64Encoder", "write   bytes"),
    ],
)
def test_another_form_than_the_annotation_is_refused(hint: Any, what: str, mend: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Reader().read(hint, "it", at=Excluded)
    assert what in caught.value.what
    assert mend in caught.value.mend
    assert caught.value.location.startswith(f"{__file__}:")


def rounded(value: float, handler: Any) -> float:
    return round(float(handler(value)), 2)


class Rounded(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64")

    one: Annotated[float, Field(ge=0), WrapSerializer(rounded)]
    two: Annotated[float | None, PlainSerializer(lambda _: None, return_type=float | None)] = None
    three: list[Annotated[float, Field(ge=0)]] = []
    secret: str | None = None

    @field_serializer("three")
    def _three(self, value: list[float]) -> list[float]:
        return [round(each, 1) for each in value]

    @field_serializer("secret")
    def _secret(self, value: str | None) -> str | None:
        return value and "…"


@service
class Meter:
    @method
    def measure(self, rounded: Rounded) -> Rounded:
        return rounded


def test_a_serializer_that_keeps_the_type_is_served() -> None:
    reader = Reader()
    reader.read(Rounded, "it")
    message = reader.types["Rounded"]
    assert isinstance(message, Message)
    assert message.fields[0].type == Scalar("float", {"ge": 0})
    assert message.fields[1].type == Nullable(Scalar("float"))
    body = {"one": 1.239, "two": 2.0, "three": [0.123], "secret": "word"}
    with TestClient(Meter) as client:
        answer = httpx.post(f"{client.url}/meter/measure", json=body).json()
    assert answer == {"one": 1.24, "two": None, "three": [0.1], "secret": "…"}
