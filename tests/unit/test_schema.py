"""The neutral tree, and messages to the wire and back."""

from __future__ import annotations

import collections.abc
import datetime
import decimal
import enum
import json
import typing
import uuid
from typing import Annotated, Any, ForwardRef, Generic, Literal, NewType, TypeVar

import pytest
from messages import Circle, Rich
from pydantic import BaseModel, Field, RootModel, TypeAdapter, ValidationError

from mothlight import File, FileLimits
from mothlight.errors import DefinitionError
from mothlight.schema import (
    Choice,
    Enum,
    ListOf,
    MapOf,
    MediaType,
    Message,
    Nothing,
    Nullable,
    Reader,
    Ref,
    Scalar,
    Union,
    describe,
)

# Hints as nodes

T = TypeVar("T")
UserId = NewType("UserId", int)


@pytest.mark.parametrize(
    ("hint", "node"),
    [
        (str, Scalar("str")),
        (Annotated[str, Field(max_length=5, pattern="^a")],
         Scalar("str", {"max_length": 5, "pattern": "^a"})),
        (Annotated[int, Field(ge=1, lt=9)], Scalar("int", {"ge": 1, "lt": 9})),
        (Annotated[float, Field(allow_inf_nan=True)], Scalar("float", {"finite": False})),
        (bool, Scalar("bool")),
        (bytes, Scalar("bytes")),
        (datetime.datetime, Scalar("datetime")),
        (datetime.date, Scalar("date")),
        (datetime.time, Scalar("time")),
        (datetime.timedelta, Scalar("duration")),
        (uuid.UUID, Scalar("uuid")),
        (decimal.Decimal, Scalar("decimal")),
        (UserId, Scalar("int")),
        (Literal["a", 1], Choice(("a", 1))),
        (int | None, Nullable(Scalar("int"))),
        (typing.Optional[int], Nullable(Scalar("int"))),  # noqa: UP045
        (None, Nothing()),
        (list[int], ListOf(Scalar("int"))),
        (collections.abc.Sequence[str], ListOf(Scalar("str"))),
        (tuple[int, ...], ListOf(Scalar("int"))),
        (set[str], ListOf(Scalar("str"), unique=True)),
        (Annotated[list[int], Field(max_length=3)], ListOf(Scalar("int"), {"max_length": 3})),
        (dict[str, list[int]], MapOf(ListOf(Scalar("int")))),
        (Annotated[File, FileLimits(max_bytes=8)], MediaType("file", FileLimits(max_bytes=8))),
        (RootModel[list[int]], ListOf(Scalar("int"))),
    ],
)  # fmt: skip
def test_hints_are_read(hint: Any, node: Any) -> None:
    assert Reader().read(hint, "it") == node


def test_named_types_stand_once_and_may_contain_themselves() -> None:
    reader = Reader()
    assert reader.read(Rich, "it") == Ref("Rich")
    assert reader.read(list[Rich], "it") == ListOf(Ref("Rich"))
    assert set(reader.types) == {
        "Rich", "Color", "Level", "Circle", "Square", "CircleOrSquare", "Point",
    }  # fmt: skip
    rich = reader.types["Rich"]
    assert isinstance(rich, Message)
    fields = {f.name: f for f in rich.fields}
    assert fields["children"].type == ListOf(Ref("Rich"))
    assert (fields["public"].wire, fields["public"].required) == ("is-public", False)
    assert fields["level"].default == 1
    assert rich.doc == "Everything."
    assert reader.types["Color"] == Enum(
        "Color", {"RED": "red", "BLUE": "blue"}, "What it looks like."
    )
    assert reader.types["CircleOrSquare"] == Union(
        "CircleOrSquare", "kind", {"circle": "Circle", "square": "Square", "box": "Square"}
    )
    point = reader.types["Point"]
    assert isinstance(point, Message)
    assert point.doc == ""
    assert [(f.name, f.required, f.default) for f in point.fields] == [
        ("x", True, None), ("y", False, 0.5), ("tags", False, ...),
    ]  # fmt: skip


def test_the_tree_is_described_as_json() -> None:
    reader = Reader()
    reader.read(Rich, "it")
    described = json.loads(json.dumps({n: describe(t) for n, t in reader.types.items()}))
    fields = {f["name"]: f for f in described["Rich"]["fields"]}
    assert fields["public"] == {
        "name": "public", "wire": "is-public", "type": {"kind": "bool"}, "required": False,
        "default": False,
    }  # fmt: skip
    assert fields["text"] == {"name": "text", "type": {"kind": "str"}, "required": True}
    assert fields["unique"]["type"] == {"kind": "list", "item": {"kind": "int"}, "unique": True}


class Untagged(BaseModel):
    x: int


@pytest.mark.parametrize(
    ("hint", "what", "mend"),
    [
        (int | str, "only messages can be told apart", 'kind: Literal["text"]'),
        (Circle | Untagged, "no field tells which", 'kind: Literal["circle"]'),
        (dict[int, str], "a map without str keys", "dict[str, float]"),
        (list, "its items have no names or types", "list[float]"),
        (tuple[int, str], "its items have no names or types", "list[float]"),
        (Any, "has no form on the wire", "a phone needs a type"),
        (object, "has no form on the wire", "a phone needs a type"),
        (collections.abc.Iterable[int], "has no form on the wire", "pydantic model"),
        (complex, "has no form on the wire", "class Review(BaseModel)"),
        (ForwardRef("Nowhere"), "'Nowhere' is not known at run time", "`if TYPE_CHECKING:`"),
    ],
)
def test_what_has_no_form_is_refused(hint: Any, what: str, mend: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Reader().read(hint, "it", at=Untagged)
    assert what in caught.value.what
    assert mend in caught.value.mend
    assert caught.value.location.startswith(f"{__file__}:")


def test_tensors_and_pictures_get_their_own_advice() -> None:
    numpy = pytest.importorskip("numpy")
    with pytest.raises(DefinitionError, match=r"x.tolist\(\)"):
        Reader().read(numpy.ndarray, "it")
    image = pytest.importorskip("PIL.Image")
    with pytest.raises(DefinitionError, match=r"mothlight\.Image"):
        Reader().read(image.Image, "it")


def test_two_names_on_the_wire_are_refused() -> None:
    class Split(BaseModel):
        x: int = Field(validation_alias="a", serialization_alias="b")

    with pytest.raises(DefinitionError, match="is read as 'a' and written as 'b'"):
        Reader().read(Split, "it")


class Negation(BaseModel):
    kind: Literal["not"] = "not"
    of: Word | Negation
    later: list[Later] = []


class Word(BaseModel):
    kind: Literal["word"] = "word"


class Later(BaseModel):
    negation: Negation | None = None


def test_a_union_may_contain_itself_and_name_what_comes_later() -> None:
    reader = Reader()
    assert reader.read(Negation, "it") == Ref("Negation")
    union = reader.types["WordOrNegation"]
    assert isinstance(union, Union)
    assert (union.tag, union.variants) == ("kind", {"word": "Word", "not": "Negation"})
    assert isinstance(reader.types["Later"], Message)


class Wide(BaseModel):
    size: Literal["wide"] = "wide"
    kind: Literal["w"] = "w"


class Tall(BaseModel):
    size: Literal["tall"] = "tall"
    kind: Literal["t"] = "t"


def test_the_tag_is_the_discriminator_that_is_named() -> None:
    class Framed(BaseModel):
        it: Wide | Tall = Field(discriminator="kind")

    for hint in (Framed, Annotated[Wide | Tall, Field(discriminator="kind")]):
        reader = Reader()
        reader.read(hint, "it")
        union = reader.types["WideOrTall"]
        assert isinstance(union, Union) and union.tag == "kind"
    reader = Reader()
    reader.read(Wide | Tall, "it")
    union = reader.types["WideOrTall"]
    assert isinstance(union, Union) and union.tag == "size"


class Side(enum.StrEnum):
    LEFT = "left"
    RIGHT = "right"


class Gear(enum.IntEnum):
    FIRST = 1


class Mood(enum.Enum):
    GOOD = "good"


class Left(BaseModel):
    kind: Literal[Side.LEFT] = Side.LEFT


class Right(BaseModel):
    kind: Literal[Side.RIGHT] = Side.RIGHT
    gear: Literal[Gear.FIRST, 2] = 2


def test_literals_of_enum_members_are_their_values_where_pydantic_reads_these() -> None:
    reader = Reader()
    hint = Annotated[Left | Right, Field(discriminator="kind", title="Turn")]
    assert reader.read(hint, "it") == Ref("Turn")
    union, right = reader.types["Turn"], reader.types["Right"]
    assert isinstance(union, Union) and isinstance(right, Message)
    assert union.variants == {"left": "Left", "right": "Right"}
    assert [field.type for field in right.fields] == [Choice(("right",)), Choice((1, 2))]
    adapter: TypeAdapter[Any] = TypeAdapter(hint)
    turn = adapter.validate_json('{"kind": "right", "gear": 1}')
    assert turn == Right(gear=Gear.FIRST)
    assert adapter.dump_json(turn) == b'{"kind":"right","gear":1}'


@pytest.mark.parametrize("hint", [Literal[b"x"], Literal[Mood.GOOD]])
def test_literals_that_no_json_can_say_are_refused(hint: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(hint).validate_json('"x"' if hint == Literal[b"x"] else '"good"')
    with pytest.raises(DefinitionError, match="from the wire come strings and numbers alone"):
        Reader().read(hint, "it")


class Page(BaseModel, Generic[T]):
    items: list[T]


def test_generic_messages_are_named_after_what_they_hold() -> None:
    reader = Reader()
    for hint, name in (
        (Page[int], "PageInt"),
        (Page[Left], "PageLeft"),
        (Page[list[str]], "PageListStr"),
        (Page[Page[int]], "PagePageInt"),
    ):
        assert reader.read(hint, "it") == Ref(name)


def test_two_fields_of_one_name_on_the_wire() -> None:
    class Paper(BaseModel):
        title: str
        name: str = Field(alias="title")

    with pytest.raises(DefinitionError, match="two fields of Paper are called 'title'"):
        Reader().read(Paper, "a paper", (), Paper)


def test_bytes_in_a_default_are_as_on_the_wire() -> None:
    class Seal(BaseModel):
        stamp: bytes
        heat: float = Field(allow_inf_nan=True)

    class Letter(BaseModel):
        seals: list[Seal] = [Seal(stamp=b"\x00abc", heat=float("inf"))]

    reader = Reader()
    reader.read(Letter, "a letter", (), Letter)
    letter = reader.types["Letter"]
    assert isinstance(letter, Message)
    assert letter.fields[0].default == [{"stamp": "AGFiYw==", "heat": "Infinity"}]
