"""Dataclasses as messages: pydantic's with all that Field() says, the standard ones without."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import httpx
import pytest
from pydantic import AliasChoices, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass

from mothlight import method, service
from mothlight.errors import DefinitionError
from mothlight.schema import Field as TreeField
from mothlight.schema import Message, Reader, Scalar
from mothlight.testing import TestClient


@dataclass
class Order:
    count: int = Field(gt=0)
    size: int = Field(default=3, le=5, description="in metres", deprecated="use count")
    note: str = Field("", alias="remark")
    later: list[Later] = Field(default_factory=list)
    colour: str = dataclasses.field(default="red", metadata={"doc": "of all"})
    number: int = Field(init=False, default=7)


@dataclass
class Later:
    word: str


@service
class Shop:
    @method
    def order(self, order: Order) -> Order:
        return order


def test_what_field_says_in_a_dataclass_of_pydantic_counts() -> None:
    reader = Reader()
    reader.read(Order, "it")
    order = reader.types["Order"]
    assert isinstance(order, Message) and isinstance(reader.types["Later"], Message)
    *fields, later, colour = order.fields
    assert fields[0] == TreeField("count", "count", Scalar("int", {"gt": 0}), required=True)
    assert fields[1] == TreeField(
        "size", "size", Scalar("int", {"le": 5}), False, 3, "in metres", "use count"
    )
    assert fields[2] == TreeField("note", "remark", Scalar("str"), False, "")
    assert (later.name, later.default, later.required) == ("later", ..., False)
    assert (colour.name, colour.default, colour.doc) == ("colour", "red", "of all")


def test_a_dataclass_of_pydantic_is_served_as_its_contract_says() -> None:
    with TestClient(Shop) as client:
        order = client.app.contract["types"]["Order"]
        assert [f["name"] for f in order["fields"] if f["required"]] == ["count"]
        found = client.of(Shop).order(Order(count=2, remark="x", later=[Later("y")]))  # type: ignore[call-arg]
        assert (found.count, found.note, found.later) == (2, "x", [Later("y")])
        url = f"{client.url}/shop/order"
        assert httpx.post(url, json={"count": 1, "remark": "r"}).json()["remark"] == "r"
        assert httpx.post(url, json={"count": 0}).status_code == 422
        assert httpx.post(url, json={}).status_code == 422


@dataclasses.dataclass
class Aliased:
    count: Annotated[int, Field(alias="n")]


@dataclasses.dataclass
class Chosen:
    count: Annotated[int, Field(gt=0), Field(validation_alias=AliasChoices("n", "m"))]


@dataclasses.dataclass
class Misled:
    count: int = Field(gt=0)


@dataclasses.dataclass
class Generated:
    __pydantic_config__ = ConfigDict(alias_generator=to_camel)
    row_count: int


@pytest.mark.parametrize("hint", [Aliased, Chosen, Misled, Generated])
def test_a_field_that_a_standard_dataclass_does_not_heed_is_refused(hint: Any) -> None:
    with pytest.raises(DefinitionError, match="alone heeds") as caught:
        Reader().read(hint, "it")
    assert "from pydantic.dataclasses import dataclass" in caught.value.mend
    assert caught.value.location.startswith(f"{__file__}:")
