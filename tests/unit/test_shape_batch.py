"""A batch is read and written as one; whatever one of its members is, it is as if it were alone."""

from __future__ import annotations

import math
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages import Circle, Point, Sealed, Square, Upload
from pydantic import BaseModel, Field, ValidationInfo, field_validator

from mothlight.errors import InvalidRequest
from mothlight.schema import Payload, Reader, Shape


def shape_of(hint: Any) -> Shape[Any]:
    reader = Reader()
    node = reader.read(hint, "it")
    return Shape(hint, node, reader.types)


class Counted(BaseModel):
    count: int
    ratio: float | None = None

    @field_validator("count")
    @classmethod
    def _check(cls, count: int, info: ValidationInfo) -> int:
        if count == 13:
            raise RuntimeError("of the validator")
        return count


COUNTED = shape_of(Counted)
SHAPES = shape_of(Circle | Square)
_COUNTED = st.builds(
    Counted,
    count=st.integers(14),
    ratio=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)


def payloads(*texts: str) -> list[Payload]:
    return [Payload(text.encode()) for text in texts]


@given(st.lists(_COUNTED, min_size=2, max_size=40))
def test_together_is_as_alone(values: list[Counted]) -> None:
    alone = [COUNTED.encode(value) for value in values]
    assert COUNTED.encode_all(values) in (alone, None)
    assert COUNTED.decode_all(alone) in (values, None)


def test_a_batch_is_taken_together() -> None:
    values = [Counted(count=n) for n in range(3)]
    texts = payloads('{"count":0}', ' {"count": 1}\n', '{"count":2,"ratio":null}')
    assert COUNTED.decode_all(texts) == values
    shapes = [Circle(radius=1.0), Square(kind="box", side=2.0)]
    written = SHAPES.encode_all(shapes)
    assert written and SHAPES.decode_all(written) == shapes
    floats = shape_of(float)
    assert floats.encode_all([0.5, 1.5]) == payloads("0.5", "1.5")


@pytest.mark.parametrize(
    "odd",
    ['{"count":"x"}', '{"count":13}', '{"count":1,"ratio":1e999}', "1,2", "", '{"count":1', "[]"],
)
def test_an_odd_message_is_looked_at_by_itself(odd: str) -> None:
    assert COUNTED.decode_all(payloads('{"count":1}', odd)) is None
    with pytest.raises((InvalidRequest, RuntimeError)):
        COUNTED.decode(Payload(odd.encode()))


@pytest.mark.parametrize(
    "odd",
    [
        "text",
        Counted.model_construct(count="x"),
        Counted(count=1, ratio=math.nan),
    ],
)
def test_an_odd_answer_is_looked_at_by_itself(odd: Any) -> None:
    assert COUNTED.encode_all([Counted(count=1), odd]) is None
    with pytest.raises(ValueError):
        COUNTED.encode(odd)


@pytest.mark.parametrize("hint", [Upload, Sealed, Annotated[float, Field(allow_inf_nan=True)]])
def test_what_goes_the_long_way_goes_alone(hint: Any) -> None:
    shape = shape_of(hint)
    assert shape.decode_all(payloads("1", "2")) is None
    assert shape.encode_all([1.0, 2.0]) is None


def test_one_is_not_worth_a_list() -> None:
    assert shape_of(Point).decode_all(payloads('{"x":1}')) is None
