"""A batch is read and written as one; whatever one of its members is, it is as if it were alone."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages import Circle, Point, Sealed, Square, Upload
from pydantic import BaseModel, Field, ValidationInfo, field_validator

from mothlight import Code, Error
from mothlight.codec.json import check
from mothlight.errors import InvalidRequest, MalformedRequest
from mothlight.schema import Payload, Reader, Shape, split
from mothlight.settings import Settings


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


class Refused(Error):
    "{count} is refused"

    code = Code.ABORTED
    count: int


COUNTED = shape_of(Counted)
SHAPES = shape_of(Circle | Square)
_COUNTED = st.builds(
    Counted,
    count=st.integers(14),
    ratio=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)


def payloads(*texts: str) -> list[Payload]:
    return [Payload(text.encode()) for text in texts]


def joined(shape: Shape[Any], *texts: str) -> bytes:
    array = shape.join(payloads(*texts))
    assert isinstance(array, bytes)
    return array


def parted(array: bytes | None) -> list[Payload] | None:
    return None if array is None else split(array)


@given(st.lists(_COUNTED, min_size=2, max_size=40))
def test_together_is_as_alone(values: list[Counted]) -> None:
    alone = [COUNTED.encode(value) for value in values]
    assert parted(COUNTED.encode_all(values)) in (alone, None)
    array = COUNTED.join(alone)
    assert isinstance(array, bytes) and COUNTED.decode_all(array, len(values)) in (values, None)


@given(st.lists(st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)))
def test_what_was_joined_comes_apart(values: list[Any]) -> None:
    texts = [json.dumps({"a": [value]}, ensure_ascii=bool(i % 2)) for i, value in enumerate(values)]
    texts += [" 1\n", '"\\u0000"', "-0.0E+9999", "1" * 400, "[" * 60 + "]" * 60, '""', "null"]
    for text in texts:
        check(text.encode(), Settings(max_depth=100))
    assert split(joined(COUNTED, *texts)) == payloads(*(text.strip(" \n") for text in texts))


@given(st.binary(max_size=8) | st.text('[]{}",:0123456789.eE+-\\untrflas \t\x00\x7f'))
def test_what_no_codec_lets_in_is_not_relied_on(odd: bytes | str) -> None:
    """Both parsers call the same things JSON."""
    body = odd if isinstance(odd, bytes) else odd.encode()
    try:
        check(body, Settings())
    except (InvalidRequest, MalformedRequest):
        return
    assert split(b"[1,%b,1]" % body) == payloads("1", body.strip(b" \t\n\r").decode(), "1")


def test_a_batch_is_taken_together() -> None:
    values = [Counted(count=n) for n in range(3)]
    array = joined(COUNTED, '{"count":0}', ' {"count": 1}\n', '{"count":2,"ratio":null}')
    assert COUNTED.decode_all(array, 3) == values
    shapes = [Circle(radius=1.0), Square(kind="box", side=2.0)]
    written = SHAPES.encode_all(shapes)
    assert written and SHAPES.decode_all(written, 2) == shapes
    floats = shape_of(float)
    assert parted(floats.encode_all([0.5, 1.5])) == payloads("0.5", "1.5")


@pytest.mark.parametrize(
    "odd",
    ['{"count":"x"}', '{"count":13}', '{"count":1,"ratio":1e999}', "1,2", "", '{"count":1', "[]"],
)
def test_an_odd_message_is_looked_at_by_itself(odd: str) -> None:
    assert COUNTED.decode_all(joined(COUNTED, '{"count":1}', odd), 2) is None
    with pytest.raises((InvalidRequest, RuntimeError)):
        COUNTED.decode(Payload(odd.encode()))


@pytest.mark.parametrize(
    "odd",
    [
        "text",
        None,
        Refused(count=1),
        Point(x=1),
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
    assert shape.join(payloads("1", "2")) == payloads("1", "2")
    assert shape.encode_all([1.0, 2.0]) is None


def test_one_is_not_worth_a_list() -> None:
    assert shape_of(Point).join(payloads('{"x":1}')) == payloads('{"x":1}')


def test_halves_of_a_message_are_no_messages() -> None:
    assert COUNTED.decode_all(joined(COUNTED, '{"count":1', '"ratio":2}'), 2) is None
