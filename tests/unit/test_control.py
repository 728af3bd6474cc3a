"""Messages and items that a socket would take for frames of control are refused where their method
is declared, and those that only resemble them come through."""

from __future__ import annotations

import enum
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, RootModel

from mothlight import control, method
from mothlight.client.conversation import Conversation
from mothlight.client.exchange import Exchange
from mothlight.client.options import Options
from mothlight.errors import DefinitionError
from mothlight.protocols.sockets import said
from mothlight.schema import Reader, Shape
from mothlight.services import Service


class Ack(BaseModel):
    received: int


class Heard(BaseModel):
    seconds: float = Field(alias="received")


class Level(enum.IntEnum):
    LOW = 1


class Levelled(BaseModel):
    received: Level | None = None


class Fault(BaseModel):
    text: str


class Failed(BaseModel):
    error: Fault | None


class Done(BaseModel):
    end: Literal[True] = True


class Call(BaseModel):
    call: str
    received: int


class Heading(BaseModel):
    call: Literal["heading"] = "heading"
    received: int


class Other(BaseModel):
    call: Literal["other"] = "other"


Either = Annotated[Heading | Other, Field(discriminator="call")]


class Stop(BaseModel):
    end: bool


class Leave(BaseModel):
    why: str = ""
    stop: bool | None = Field(None, alias="cancel")


class Wrapped(RootModel[Stop]):
    pass


# Those that resemble


class Told(BaseModel):
    received: int
    of: int | None = None


class Problem(BaseModel):
    error: str


class Renamed(BaseModel):
    received: int = Field(alias="the_received")


class Last(BaseModel):
    end: bool
    note: str


class Until(BaseModel):
    end: float


class Tagged(BaseModel):
    kind: Literal["tagged"] = "tagged"
    end: bool = False


class Plain(BaseModel):
    kind: Literal["plain"] = "plain"


Union = Annotated[Tagged | Plain, Field(discriminator="kind")]


def declare(taken: Any, given: Any) -> Service:
    def talk(self: Any, messages: Any) -> Any: ...

    talk.__annotations__ = {"messages": Iterator[taken], "return": Iterator[given]}
    cls = types.new_class("Talker", (), {}, lambda ns: ns.update(talk=method(talk)))
    return Service(cls, "Talker")


def written(hint: Any, value: Any) -> str:
    reader = Reader()
    return Shape(hint, reader.read(hint, "it"), reader.types).encode(value).json.decode()


@pytest.mark.parametrize(
    ("hint", "value", "what", "mend"),
    [
        (Ack, Ack(received=2), 'Ack, which may be {"received": …}', "the field received"),
        (Ack | None, Ack(received=2), "Ack, which", "the field received"),
        (Heard, Heard(received=2.0), "Heard, which", 'seconds: ... = Field(alias="the_received")'),
        (Levelled, Levelled(received=Level.LOW), "Levelled, which", "the field received"),
        (Failed, Failed(error=Fault(text="x")), '{"error": …} on its socket', "the field error"),
        (Done, Done(), '{"end": true} on its socket', "the field end"),
        (Call, Call(call="x", received=2), '{"call": …, "received": …}', "the field call"),
        (Either, Heading(received=2), "Heading, which", "the field call"),
        (dict[str, int], {"received": 2}, "a map, which may be", "put the map into a message"),
        (dict[str, Fault], {"error": Fault(text="x")}, '{"error": …}', "into a message"),
    ],
)
def test_what_a_client_would_not_take_for_an_item(
    hint: Any, value: Any, what: str, mend: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        declare(str, hint)
    assert caught.value.what.startswith("Talker.talk returns ") and what in caught.value.what
    assert mend in caught.value.mend and __file__ in caught.value.location
    if hint is not Heard:  # whose 2.0 is an integer in a browser alone
        assert control.read(written(hint, value), control.FROM_SERVER)
    declare(hint if hint is not Done else str, str)  # a message may be so


@pytest.mark.parametrize(
    ("hint", "frame", "what"),
    [
        (Stop, '{"end": true}', 'Stop, which may be {"end": true} on its socket; there that says'),
        (Wrapped, '{"end":true}', "Stop, which"),
        (Done, ' {"end": true}', "Done, which"),
        (Leave, '{"cancel": true}', 'Leave, which may be {"cancel": true}'),  # why is left out
        (dict[str, bool], '{"end": true}', "a map, which"),
    ],
)
def test_what_a_server_would_not_take_for_a_message(hint: Any, frame: str, what: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        declare(hint, str)
    assert caught.value.what.startswith("Talker.talk takes ") and what in caught.value.what
    assert said(frame) in ("end", "cancel")


@pytest.mark.parametrize(
    ("hint", "values"),
    [
        (Told, [Told(received=1)]),
        (Problem, [Problem(error="x")]),
        (Renamed, [Renamed(the_received=1)]),
        (Last, [Last(end=True, note="")]),
        (Until, [Until(end=1.0)]),
        (Union, [Tagged(end=True), Plain()]),
        (dict[str, str], [{"received": "1"}, {"end": "true"}]),
        (str, ['{"end":true}']),
        (list[int], [[1]]),
    ],
)
def test_what_only_resembles_them_comes_through(hint: Any, values: list[Any]) -> None:
    talk = declare(hint, hint).methods["talk"]
    conversation = Conversation(Exchange("http://127.0.0.1:1", talk, None, Options()), {})
    conversation.greet('{"call": "a", "received": 0}')
    for value in values:
        frame = conversation.encode(value)
        assert not said(frame)
        assert conversation.take(frame) == (value,)


def test_a_method_that_takes_one_message_is_asked_by_http() -> None:
    def stop(self: Any, stop: Stop) -> Ack: ...

    cls = types.new_class("Talker", (), {}, lambda ns: ns.update(stop=method(stop)))
    assert Service(cls, "Talker").methods["stop"]
