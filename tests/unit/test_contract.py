"""The contract: the same services, the same bytes; another type, another hash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
from desk import Desk
from pydantic import BaseModel, Field

from mothlight import Code, Error, File, method
from mothlight.contracts import build, digest
from mothlight.errors import DefinitionError
from mothlight.services import Service

PROGRAM = """
import sys, json; sys.path[:0] = {path!r}
from mothlight.contracts import build
from mothlight.services import Service
from desk import Desk
print(json.dumps(build([Service.of(Desk)])))
"""


def test_every_process_says_the_same() -> None:
    here = json.dumps(build([Service.of(Desk)]))
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(path=sys.path)],
            capture_output=True, text=True, check=True, timeout=60,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        assert done.stdout.strip() == here


def test_what_a_contract_holds() -> None:
    document = build([Service.of(Desk)])
    assert document["mothlight"] == 1
    assert document["hash"] == digest(document)
    (found,) = document["services"]
    methods = {m["name"]: m for m in found["methods"]}
    assert methods["numbers"]["http"] == {"verb": "GET", "path": "/stream_numbers"}
    assert methods["numbers"]["cardinality"] == "server_stream"
    assert methods["double"]["default"] == 1.5
    assert methods["echo"]["input"] == {"kind": "ref", "name": "Note"}
    assert list(document["types"]) == sorted(document["types"])


def make(
    *,
    doc: str = "",
    hint: Any = int,
    rules: Any = None,
    default: Any = ...,
    code: Code = Code.NOT_FOUND,
    path: str | None = None,
    extra: bool = False,
    name: str = "Shop",
) -> dict[str, Any]:
    class Item(BaseModel):
        x: hint = Field(default, description=doc or None, **(rules or {}))

    class Gone(Error):
        where: str

    Gone.code, Gone.__doc__, Item.__doc__ = code, doc or "gone", doc or None

    def buy(self: Any, item: Any) -> Any: ...

    buy.__annotations__.update({"item": Item, "return": Item})
    buy.__doc__ = doc or None
    members = {"buy": method(raises=[Gone], http=path)(buy), "__doc__": doc or None}
    if extra:

        def sell(self: Any, item: Any) -> Any: ...

        sell.__annotations__.update({"item": Item, "return": Iterator[Item]})
        members["sell"] = method(sell)
    return build([Service(type(name, (), members), name)])


def test_documentation_is_not_in_the_hash() -> None:
    assert make(doc="other words")["hash"] == make()["hash"]
    assert make(doc="other words") != make()


@pytest.mark.parametrize(
    "change",
    [
        {"hint": str},
        {"hint": int | None},
        {"hint": list[int]},
        {"hint": Literal["doc"]},
        {"rules": {"ge": 1}},
        {"default": 4},
        {"code": Code.ABORTED},
        {"path": "GET /buy"},
        {"extra": True},
        {"name": "Market"},
    ],
    ids=str,
)
def test_everything_else_is(change: dict[str, Any]) -> None:
    assert make(**change)["hash"] != make()["hash"]


def test_a_field_called_doc_counts() -> None:
    def with_field(**fields: Any) -> str:
        item = type("Item", (BaseModel,), {"__annotations__": fields})

        def buy(self: Any, item: Any) -> Any: ...

        buy.__annotations__.update({"item": item, "return": item})
        found: str = build([Service(type("Shop", (), {"buy": method(buy)}), "Shop")])["hash"]
        return found

    assert with_field(doc=str) != with_field(dog=str)


def service_of(item: type, name: str) -> Service:
    def buy(self: Any, item: Any) -> Any: ...

    buy.__annotations__.update({"item": item, "return": item})
    return Service(type(name, (), {"buy": method(buy)}), name)


def model(**fields: Any) -> type:
    return type("Item", (BaseModel,), {"__annotations__": fields, "__module__": __name__})


def test_services_may_share_a_type_and_not_only_its_name() -> None:
    shared = model(x=int)
    document = build([service_of(shared, "Shop"), service_of(shared, "Market")])
    assert list(document["types"]) == ["Item"]
    with pytest.raises(DefinitionError, match="two services have a type called Item") as caught:
        build([service_of(shared, "Shop"), service_of(model(y=int), "Market")])
    assert caught.value.mend == "rename one, or share it"


def error(name: str, **fields: Any) -> type[Error]:
    return type(name, (Error,), {"__annotations__": fields})


class Sealed(BaseModel):
    parts: list[bytes]


@pytest.mark.parametrize("hint", [bytes, dict[str, bytes], File, Sealed, Sealed | None])
def test_an_error_has_no_bytes(hint: Any) -> None:
    torn = type("Torn", (Error,), {"__annotations__": {"rest": hint}, "__module__": __name__})
    with pytest.raises(DefinitionError, match=r"Torn has (bytes|file) in (rest|Sealed), and a pro"):
        build([raising("Shop", torn)])


def raising(name: str, *errors: type[Error]) -> Service:
    def buy(self: Any, x: int) -> int: ...

    buy.__annotations__.update({"x": int, "return": int})
    return Service(type(name, (), {"buy": method(raises=list(errors))(buy)}), name)


@pytest.mark.parametrize(
    "services",
    [
        lambda: [raising("Shop", error("Gone", x=int)), raising("Market", error("Gone", y=str))],
        lambda: [raising("Shop", error("Gone", x=int), error("Gone", y=int))],
    ],
)
def test_two_errors_of_one_name_are_refused(services: Callable[[], list[Service]]) -> None:
    with pytest.raises(DefinitionError, match="two errors are called Gone"):
        build(services())
