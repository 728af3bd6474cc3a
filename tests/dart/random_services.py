"""Random services and messages: nasty names, defaults and nesting, each method gives its message
back (`Echo.echo0`, `Echo.echo1`, ...)."""

from __future__ import annotations

import datetime
import decimal
import enum
import itertools
import keyword
import random
import typing
import uuid
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model
from pydantic_core import to_json
from random_values import json_of

from mothlight import method, service
from mothlight.schema import Payload, Reader, Shape

Draw = Callable[..., Any]

SCALARS: list[Any] = [
    str, int, float, bool, bytes, datetime.datetime, datetime.date, datetime.time,
    datetime.timedelta, uuid.UUID, decimal.Decimal, Annotated[float, Field(allow_inf_nan=True)],
]  # fmt: skip
_TYPES = """
List Map Set Future Stream Object String Function Type Duration DateTime Exception Method
FileData CallOptions Transport JsonMap Optional Echo EchoApi EchoClient EchoMethods FakeEchoApi
review Review review_ Größe HTTPServer UnknownEcho point_2d Uint8List Deprecated Result Ok
Record Null Never override Enum Iterable Error State Widget Text
"""
TYPES = _TYPES.split()
_WORDS = """
class default switch is in new var this super null true void enum late required get set operator
external dynamic await yield hashCode toString runtimeType noSuchMethod toJson fromJson
from_json copyWith map value values other index name wire unknown problem encode decode options
transport snake_case snakeCase a_b aB int double bool num String List Object Function deepEquals
readString absent größe 名前 x x_ x1 _1 1 id URL httpURL type kind identical override print hint
message code status missing onCall
"""
WORDS = _WORDS.split()
ALIASES = ["$ref", "a-b", "it's", 'say "x"', "🦋", "a\nb", "\\", "${x}", "@type", "2nd", "class",
           "hashCode", "a b", "ä", "x.y", "'''", "//", "$"]  # fmt: skip
DOCS = ["", "A word", "*/ ends nothing", "[x] and `y` and $z\n\n- list\n- items", "/// slashes",
        "word " * 40, "\\", "'quoted'", "   indented\n\n\n\n", "日本語 🦋"]  # fmt: skip
TEXTS = [*ALIASES, "", "plain", "*/", "\t", "\u2028", "null"]


_numbers = itertools.count()


class World:
    """The types of one service."""

    def __init__(self, draw: Draw) -> None:
        self.draw, self.taken, self.models = draw, set[str](), list[type[BaseModel]]()

    def name(self, names: list[str], taken: set[str]) -> str:
        wanted = self.draw(st.sampled_from(names))
        found, number = wanted, 1
        while found in taken:
            number += 1
            found = f"{wanted}{number}"
        taken.add(found)
        return str(found)

    def one_in(self, count: int) -> bool:
        return bool(self.draw(st.integers(1, count)) == count)

    # Types

    def hint(self, depth: int = 0, *, is_message: bool = False) -> Any:
        """Any type; as a method's message no list, and, for both of its enums have names of their
        own, as message and as answer, no literal."""
        kinds = ["scalar", "scalar", "enum", "model", *([] if is_message else ["literal"])]
        if depth < 3:
            kinds += ["nullable", "map", "model", "union"]
            kinds += [] if is_message else ["list"]
        kind = self.draw(st.sampled_from(kinds))
        match kind:
            case "scalar":
                return self.draw(st.sampled_from(SCALARS))
            case "enum":
                return self.enum()
            case "literal":
                return Literal[tuple(self.values())]
            case "nullable":
                return self.hint(depth + 1, is_message=is_message) | None
            case "list":
                return list[self.hint(depth + 1)]  # type: ignore[misc]
            case "map":
                return dict[str, self.hint(depth + 1, is_message=is_message)]  # type: ignore[misc]
            case "union":
                return self.union(depth + 1)
        if self.models and self.one_in(3):
            return self.draw(st.sampled_from(self.models))
        return self.model(depth + 1)

    def values(self) -> list[Any]:
        some: Any = st.one_of(st.sampled_from(TEXTS), st.integers(-3, 2**40))
        of = self.draw(st.sampled_from([st.sampled_from(TEXTS), st.integers(-3, 2**40), some]))
        return list(self.draw(st.lists(of, min_size=1, max_size=4, unique=True)))

    def enum(self) -> type[enum.Enum]:
        members: set[str] = set()
        words = [word for word in WORDS if word.isidentifier() and word not in ("_1", "mro")]
        values = self.values()
        entries = [(self.name([*words, "DEFAULT", "A_B"], members), value) for value in values]
        return enum.Enum(self.name(TYPES, self.taken), entries)  # type: ignore[return-value]

    def model(self, depth: int, tag: Mapping[str, Any] | None = None) -> type[BaseModel]:
        name = self.name(TYPES, self.taken)
        fields: dict[str, Any] = dict(tag or {})
        taken = set(fields) | set(dir(BaseModel))
        wires = set(fields)
        words = [word for word in WORDS if word.isidentifier() and word[0] != "_"]
        for _ in range(self.draw(st.integers(0, 5))):
            hint = self.own(name) if self.one_in(6) else self.hint(depth)
            key = self.name(words, taken)
            options: dict[str, Any] = {"description": self.draw(st.sampled_from(DOCS))}
            wire = self.draw(st.sampled_from(ALIASES)) if self.one_in(4) else key
            if key in wires:  # another field's name on the wire
                continue
            wire = key if wire in wires else wire
            wires.add(wire)
            if wire != key:
                options["alias"] = wire
            fields[key] = (hint, Field(**options, **self.default(hint)))
        made: type[BaseModel] = create_model(
            name, __doc__=self.draw(st.sampled_from(DOCS)), **fields
        )
        made.model_rebuild(_types_namespace={name: made})
        if tag is None:
            self.models.append(made)
        return made

    def own(self, name: str) -> Any:
        """The model itself, where it may end."""
        # Of a module of its own: typing keeps what was made of an equal one, with its class.
        own = typing.ForwardRef(name, module=f"random_{next(_numbers)}")
        return self.draw(st.sampled_from([own | None, list[own], dict[str, own]]))  # type: ignore[valid-type]

    def default(self, hint: Any) -> dict[str, Any]:
        if "ForwardRef" in repr(hint):
            nullable = typing.get_origin(hint) not in (list, dict)
            return {"default": None} if nullable else {"default_factory": typing.get_origin(hint)}
        if self.one_in(2):
            return {}
        reader = Reader()
        shape = Shape[Any](hint, reader.read(hint, "a default"), reader.types)
        value = message(shape, self.draw(st.integers(0, 2**32)))
        if self.one_in(4):
            return {"default_factory": lambda: value}
        return {"default": value}

    def union(self, depth: int) -> Any:
        tag = self.draw(st.sampled_from(["kind", "type", "hashCode", "tag_of"]))
        values = self.draw(
            st.lists(st.sampled_from(TEXTS[:-4]), min_size=2, max_size=4, unique=True)
        )
        sets = [values[:-1], values[-1:]]
        of = [self.model(depth, {tag: (Literal[tuple(some)], ...)}) for some in sets]
        title = self.name(TYPES, self.taken)
        return Annotated[of[0] | of[1], Field(title=title)]


@st.composite
def services(draw: Draw) -> type:
    """A service `Echo`, and beside its echoes methods with nasty names."""
    world = World(draw)
    namespace: dict[str, Any] = {"__doc__": draw(st.sampled_from(DOCS))}
    for number in range(draw(st.integers(1, 3))):
        hint = world.hint(is_message=True)
        namespace[f"echo{number}"] = echo(f"echo{number}", hint, "value")
    words = [w for w in WORDS if w.isidentifier() and w[0] != "_" and not keyword.iskeyword(w)]
    for _ in range(draw(st.integers(0, 2))):
        name, parameter = world.name(words, set(namespace)), draw(st.sampled_from(words))
        namespace[name] = echo(name, world.hint(is_message=True), parameter)
    return service(type("Echo", (), namespace))


def echo(name: str, hint: Any, parameter: str) -> Any:
    """A method that gives its message back."""
    found: dict[str, Any] = {}
    exec(f"def {name}(self, {parameter}): return {parameter}", found)
    found[name].__annotations__ = {parameter: hint, "return": hint}
    return method(found[name])


def echoes(hints: Mapping[str, Any]) -> type:
    """A service with an echo of each type."""
    return service(type("Echo", (), {key: echo(key, hint, "value") for key, hint in hints.items()}))


def message(shape: Shape[Any], seed: int) -> Any:
    """A random message."""
    return shape.decode(Payload(to_json(json_of(shape.node, shape.types, random.Random(seed)))))


__all__ = ["echo", "echoes", "message", "services"]
