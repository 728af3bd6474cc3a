"""Messages to the wire and back."""

from __future__ import annotations

import base64
import datetime
import decimal
import enum
import json
import math
import uuid
import warnings
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import Aliased, Circle, Color, Level, Other, Point, Rich, Sealed, Square, Upload
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from mothlight import File
from mothlight.errors import InvalidRequest, PayloadTooLarge
from mothlight.schema import (
    Payload,
    Reader,
    Shape,
    leaves,
)


def shape_of(hint: Any) -> Shape[Any]:
    reader = Reader()
    node = reader.read(hint, "it")
    return Shape(hint, node, reader.types)


_TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
_REAL = st.floats(allow_nan=False, allow_infinity=False)
_SHAPES = st.one_of(
    st.builds(Circle, radius=_REAL),
    st.builds(Square, kind=st.sampled_from(["square", "box"]), side=st.none() | _REAL),
)
_ZONES = st.sampled_from([None, datetime.UTC, datetime.timezone(datetime.timedelta(hours=2))])


def _fields(children: Any) -> dict[str, Any]:
    return {
        "text": _TEXT,
        "number": st.integers(-(2**63), 2**63),
        "real": _REAL,
        "flag": st.booleans(),
        "maybe": st.none() | _TEXT,
        "color": st.sampled_from(Color),
        "level": st.sampled_from(Level),
        "choice": st.sampled_from(["a", "b"]),
        "moment": st.datetimes(timezones=_ZONES),
        "day": st.dates(),
        "clock": st.times(),
        "span": st.timedeltas(datetime.timedelta(-9999), datetime.timedelta(9999)),
        "id": st.uuids(),
        "price": st.decimals(allow_nan=False, allow_infinity=False, places=4),
        "names": st.lists(_TEXT, max_size=3),
        "unique": st.sets(st.integers(-9, 9), max_size=3),
        "scores": st.dictionaries(_TEXT, _REAL, max_size=2),
        "shape": _SHAPES,
        "point": st.builds(Point, x=_REAL, y=_REAL, tags=st.lists(_TEXT, max_size=2)),
        "children": st.just([]) if children is None else st.lists(children, max_size=2),
        "is-public": st.booleans(),
    }


_LEAF = st.builds(Rich, **_fields(None))
_RICH = st.builds(Rich, **_fields(_LEAF))
_SEALED = st.builds(
    Sealed,
    **_fields(None),
    seal=st.binary(max_size=8),
    seals=st.dictionaries(_TEXT, st.binary(max_size=4), max_size=2),
    ph=st.floats(allow_nan=False),
)
RICH, SEALED = shape_of(Rich), shape_of(Sealed)


@settings(max_examples=60, deadline=None)
@given(_RICH)
def test_a_message_comes_back_as_it_was(message: Rich) -> None:
    payload = RICH.encode(message)
    assert RICH.decode(payload) == message
    assert payload.json == TypeAdapter(Rich).dump_json(message, by_alias=True)


@settings(max_examples=40, deadline=None)
@given(_SEALED)
def test_bytes_and_infinities_come_back_as_they_were(message: Sealed) -> None:
    payload = SEALED.encode(message)
    assert SEALED.decode(payload) == message
    document = json.loads(payload.json)
    assert base64.b64decode(document["seal"]) == message.seal
    if math.isinf(message.ph):
        assert document["ph"] in ("Infinity", "-Infinity")
    ours = {k: v for k, v in document.items() if k not in ("seal", "seals", "ph")}
    theirs = TypeAdapter(Rich).dump_python(message, mode="json", by_alias=True, warnings=False)
    theirs["unique"] = ours["unique"]  # a set has no order
    assert ours == {name: theirs[name] for name in ours}


def test_nan_passes_where_it_has_leave() -> None:
    shape = shape_of(Annotated[float, Field(allow_inf_nan=True)])
    assert shape.encode(math.nan).json == b'"NaN"'
    assert math.isnan(shape.decode(Payload(b'"NaN"')))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_answer_that_is_not_finite_is_refused_by_name(value: float) -> None:
    with pytest.raises(ValueError, match=r"scores\.a: \S+ is not a finite number; fix the model"):
        RICH.encode(Rich.model_construct(**{**_PLAIN, "scores": {"a": value}}))
    with pytest.raises(ValueError, match="the value: "):
        shape_of(float).encode(value)


_PLAIN: dict[str, Any] = {
    **{f: None for f in ("maybe",)}, "text": "", "number": 1, "real": 1.0, "flag": True,
    "color": Color.RED, "level": Level.LOW, "choice": "a",
    "moment": datetime.datetime(2026, 1, 1), "day": datetime.date(2026, 1, 1),
    "clock": datetime.time(), "span": datetime.timedelta(), "id": uuid.UUID(int=0),
    "price": decimal.Decimal(1), "names": [], "unique": set(), "scores": {},
    "shape": Circle(radius=1), "point": Point(1), "children": [], "public": False,
}  # fmt: skip


@pytest.mark.parametrize(
    "text", ["1e400", "-1e999", "1" + "0" * 400, '"NaN"', '"inf"', '"-Infinity"']
)
def test_a_request_that_is_not_finite_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        shape_of(dict[str, float]).decode(Payload(b'{"a": %s}' % text.encode()))
    assert caught.value.errors[0]["path"] == "a"
    assert "not a finite number" in caught.value.errors[0]["message"]


def test_violations_have_paths() -> None:
    with pytest.raises(InvalidRequest) as caught:
        shape_of(list[Point]).decode(Payload(b'[{"x": 1}, {"x": "a", "tags": [1]}]'))
    assert [e["path"] for e in caught.value.errors] == ["[1].x", "[1].tags[0]"]
    many = shape_of(list[int])
    with pytest.raises(InvalidRequest) as caught:
        many.decode(Payload(json.dumps(["x"] * 99).encode()))
    assert len(caught.value.errors) == 50


@pytest.mark.parametrize(("text", "path"), [('{"a": "!"}', "a"), ('{"a": "a"}', "a")])
def test_wrong_base64_has_a_path(text: str, path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        shape_of(dict[str, bytes]).decode(Payload(text.encode()))
    assert caught.value.errors[0]["path"] == path
    assert "base64" in caught.value.errors[0]["message"]


def test_base64_is_read_in_both_alphabets() -> None:
    shape = shape_of(bytes)
    assert shape.decode(Payload(b'"-_8="')) == shape.decode(Payload(b'"+/8="')) == b"\xfb\xff"


def test_a_wrong_result_is_named() -> None:
    with pytest.raises(ValueError, match=r"valid integer.* and it is a str"):
        shape_of(int).encode("x")


@pytest.mark.parametrize("hint", [Point, int, str, list[int], Circle | Square, bytes, Upload])
def test_a_method_that_forgot_its_return_is_told(hint: Any) -> None:
    with pytest.raises(ValueError, match="and it is a NoneType"):
        shape_of(hint).encode(None)


def test_a_dict_is_no_model() -> None:
    told = "the value: Input should be an? .*Point.*, and it is a dict"
    with pytest.raises(ValueError, match=told):
        shape_of(Point).encode({"x": 1, "y": 2})


def test_one_model_is_not_as_good_as_another() -> None:
    with pytest.raises(ValueError, match="instance of Circle, and it is a Square"):
        shape_of(Circle).encode(Square(kind="box", side=1.0))
    assert shape_of(Circle | None).encode(None).json == b"null"


def test_a_tag_may_have_an_alias() -> None:
    shape = shape_of(Aliased | Other)
    value = Other(size=None)
    payload = shape.encode(value)
    assert json.loads(payload.json) == {"type": "y", "size": None}
    assert shape.decode(payload) == value
    with pytest.raises(ValueError, match="size: nan is not a finite number"):
        shape.encode(Other(size=math.nan))


def test_leaves_of_a_message() -> None:
    value = Rich.model_construct(**{**_PLAIN, "scores": {"a": 2.0}})
    paths = {path: leaf for _, leaf, path in leaves(RICH.node, value, RICH.types)}
    assert paths["scores.a"] == 2.0
    assert paths["shape.radius"] == 1
    assert paths["point.y"] == 0.5
    assert paths["is-public"] is False
    assert "maybe" not in paths


# Files


UPLOAD = shape_of(Upload)


def test_files_travel_beside_the_json() -> None:
    message = Upload(file=File(b"%PDF-1", name="a.pdf"), more=[File(b"x", media_type="text/plain")])
    payload = UPLOAD.encode(message)
    assert json.loads(payload.json)["file"] == {"$media": 0}
    assert payload.media == ((b"%PDF-1", "application/pdf", "a.pdf"), (b"x", "text/plain", None))
    seen: list[Any] = []
    back = UPLOAD.decode(payload, seen)
    assert back == message
    assert seen == [back.file, back.more[0]]
    assert UPLOAD.has_media and not UPLOAD.has_floats


def test_files_may_stand_in_the_json_as_base64() -> None:
    assert UPLOAD.decode(Payload(b'{"file": "eHk="}')).file.data == b"xy"
    with pytest.raises(InvalidRequest, match="base64"):
        UPLOAD.decode(Payload(b'{"file": "?"}'))


def test_a_file_over_its_limit_is_refused() -> None:
    with pytest.raises(PayloadTooLarge, match="file: the file is over the limit of 8"):
        UPLOAD.decode(Payload(b'{"file": {"$media": 0}}', ((b"123456789", None, None),)))


@pytest.mark.parametrize(
    "index", ["0", "-1", "1", '"0"', "null", "[]", "1.5", "99999999999999999999"]
)
@pytest.mark.parametrize("media", [(), ((b"a", None, None),)])
def test_a_stranger_cannot_point_at_a_file_that_is_not_there(index: str, media: Any) -> None:
    if media and index == "0":
        return
    with pytest.raises(InvalidRequest):
        UPLOAD.decode(Payload(b'{"file": {"$media": %s}}' % index.encode(), media))


def test_a_value_that_does_not_fit_is_an_error_whatever_a_model_does_to_warnings() -> None:
    shape = shape_of(list[int])
    with warnings.catch_warnings():
        for action in ("ignore", "default", "once"):
            warnings.simplefilter(action)
            for _ in range(2):
                with pytest.raises(ValueError, match="be an int, and it is a str"):
                    shape.encode(["1"])
        warnings.resetwarnings()
        with pytest.raises(ValueError, match="be an int, and it is a str"):
            shape.encode(["1"])
    with pytest.warns(UserWarning, match="Expected `int`"):  # others' warnings stay what they are
        TypeAdapter(list[int]).dump_json(["x"])  # type: ignore[list-item]


class Hue(enum.Enum):
    RED = "red"


class Span(BaseModel):
    model_config = ConfigDict(strict=True)

    of: datetime.timedelta
    seal: bytes


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)

    number: int
    seal: bytes
    moment: datetime.datetime
    id: uuid.UUID
    price: decimal.Decimal
    hue: Hue
    unique: set[int]
    row: tuple[int, ...]
    point: Point
    span: Span
    file: File
    loose: Annotated[float, Field(allow_inf_nan=True)] = 0.0


STRICT = shape_of(Strict)
_STRICT = {
    "number": 1, "seal": "AAH/", "moment": "2026-01-01T00:00:00Z", "id": str(uuid.UUID(int=0)),
    "price": "1.5", "hue": "red", "unique": [1, 2], "row": [1], "point": {"x": 1.0},
    "span": {"of": "PT1S", "seal": ""}, "file": "eHk=", "loose": "-Infinity",
}  # fmt: skip


def test_a_strict_message_with_bytes_takes_what_json_can_say() -> None:
    seen: list[Any] = []
    found = STRICT.decode(Payload(json.dumps(_STRICT).encode()), seen)
    assert (found.seal, found.hue, found.unique, found.row) == (b"\0\1\xff", Hue.RED, {1, 2}, (1,))
    assert found.moment == datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    assert found.span.of == datetime.timedelta(seconds=1)
    assert found.loose == -math.inf
    assert seen == [found.file]
    assert STRICT.decode(STRICT.encode(found)) == found


@pytest.mark.parametrize(
    ("field", "value"),
    [("number", "1"), ("seal", 1), ("moment", "soon"), ("hue", "blue"), ("unique", ["x"])],
)
def test_a_strict_message_with_bytes_is_strict(field: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        STRICT.decode(Payload(json.dumps({**_STRICT, field: value}).encode()))
    assert [e["path"].partition("[")[0] for e in caught.value.errors] == [field]


def test_a_strict_float_may_be_nan_where_it_has_leave() -> None:
    shape = shape_of(Annotated[float, Field(allow_inf_nan=True, strict=True)])
    assert math.isnan(shape.decode(Payload(b'"NaN"')))
    with pytest.raises(InvalidRequest):
        shape.decode(Payload(b'"1.5"'))
