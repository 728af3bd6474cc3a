"""A RootModel is read as what it holds, wherever it stands."""

from __future__ import annotations

import math
from typing import Annotated, Any

import httpx
import pytest
from messages import Aliased, Other
from pydantic import BaseModel, Field, RootModel

from mothlight import method, service
from mothlight.errors import InvalidRequest
from mothlight.schema import Payload, Reader, Shape
from mothlight.testing import TestClient


class Vector(RootModel[list[float]]):
    pass


class Heat(RootModel[float | None]):
    pass


class Event(RootModel[Annotated[Aliased | Other, Field(discriminator="kind")]]):
    pass


class Embedding(BaseModel):
    vector: Vector
    heats: list[Heat] = []
    event: Event | None = None
    label: str | None = None


@service
class Embedder:
    @method
    def embed(self, embedding: Embedding) -> Embedding:
        return embedding


def shape_of(hint: Any) -> Shape[Any]:
    reader = Reader()
    return Shape(hint, reader.read(hint, "it"), reader.types)


def test_a_server_answers_with_one_beside_a_null_and_takes_a_large_number_in_one() -> None:
    body = {"vector": [1e100], "heats": [1.5, None], "event": {"type": "x", "size": 1e100}}
    with TestClient(Embedder) as client:
        answer = httpx.post(f"{client.url}/embedder/embed", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {**body, "label": None}


def test_a_number_in_one_that_is_not_finite_has_its_path() -> None:
    shape = shape_of(Embedding)
    with pytest.raises(InvalidRequest) as caught:
        shape.decode(Payload(b'{"vector": [1.0], "heats": [null, 1e999]}'))
    assert caught.value.errors[0]["path"] == "heats[1]"
    event = Event(Other(size=math.nan))
    with pytest.raises(ValueError, match=r"event\.size: nan is not a finite number"):
        shape.encode(Embedding(vector=Vector([]), event=event))
    with pytest.raises(ValueError, match=r"the value: nan is not a finite number"):
        shape_of(Heat).encode(Heat(math.nan))
