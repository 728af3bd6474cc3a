"""What a query cannot say: it is refused before it is sent, and never another message."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from mothlight import AsyncClient, InvalidRequest, method, service
from mothlight.testing import TestClient


class Search(BaseModel):
    labels: list[str] = ["cat", "dog"]
    text: str | None = "default"
    limit: int | None = 10
    near: list[int] | None = [1]
    order: Literal["", "up"] | None = "up"
    tags: list[str] = []
    note: str | None = None
    made: list[str] = Field(default_factory=list)
    filled: list[str] = Field(default_factory=lambda: ["x"])
    wired: list[int] = Field([7], alias="onTheWire")


@dataclasses.dataclass
class Old:
    labels: list[str]
    made: list[str] = dataclasses.field(default_factory=list)
    filled: list[str] = dataclasses.field(default_factory=lambda: ["x"])


SEEN: list[Any] = []


@service
class Library:
    @method(http="GET /search")
    def search(self, query: Search) -> Search:
        SEEN.append(query)
        return query

    @method(http="DELETE /search")
    def forget(self, query: Search) -> Search:
        SEEN.append(query)
        return query

    @method(http="GET /watch")
    def watch(self, query: Search) -> Iterator[Search]:
        SEEN.append(query)
        yield query

    @method(http="GET /bare")
    def bare(self, text: str | None = "default") -> str | None:
        SEEN.append(text)
        return text

    @method(http="GET /old")
    def old(self, query: Old) -> Old:
        SEEN.append(query)
        return query


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(Library) as client:
        yield client


LOST: list[tuple[dict[str, Any], str]] = [
    ({"labels": []}, "labels: a query cannot say []"),
    ({"text": None}, "text: a query cannot say None"),
    ({"near": []}, "near: a query cannot say []"),
    ({"near": None}, "near: a query cannot say None"),
    ({"order": ""}, "order: a query cannot say ''"),
    ({"filled": []}, "filled: a query cannot say []"),
    ({"onTheWire": []}, "onTheWire: a query cannot say []"),
]
SAID: list[dict[str, Any]] = [
    {},
    {"labels": ["cat", "dog"], "text": "default"},
    {"labels": [""], "text": "", "limit": None, "near": [2], "order": None},
    {"tags": [], "note": None, "made": [], "filled": ["x"]},
    {"tags": ["a", "a"], "note": "", "made": ["b"], "filled": ["y"], "onTheWire": [1]},
]


@pytest.mark.parametrize(("fields", "fault"), LOST)
def test_what_a_query_cannot_say_is_not_sent(
    client: TestClient, fields: dict[str, Any], fault: str
) -> None:
    SEEN.clear()
    message = Search(**fields)
    for ask in (
        lambda: client.of(Library).search(message),
        lambda: client.of(Library).forget(message),
        lambda: list(client.of(Library).watch(message)),
        lambda: client.begin(Library.search, message),
        lambda: client.of("Library").search(fields),
    ):
        with pytest.raises(InvalidRequest, match=re.escape(fault)) as caught:
            ask()
        assert [entry["path"] for entry in caught.value.errors] == list(fields)
        assert "a POST can" in str(caught.value)

    async def main() -> None:
        async with AsyncClient(client.url, trust_env=False) as other:
            await other.of(Library).search(message)

    with pytest.raises(InvalidRequest, match="a POST can"):
        asyncio.run(main())
    assert SEEN == []


def test_every_field_that_a_query_cannot_say_is_told(client: TestClient) -> None:
    with pytest.raises(InvalidRequest) as caught:
        client.call(Library.search, Search(labels=[], text=None, made=[], filled=[]))
    assert [entry["path"] for entry in caught.value.errors] == ["labels", "text", "filled"]


@pytest.mark.parametrize("fields", SAID)
def test_what_a_query_can_say_arrives(client: TestClient, fields: dict[str, Any]) -> None:
    message = Search(**fields)
    assert client.of(Library).search(message) == message
    assert client.of(Library).forget(message) == message
    assert list(client.of(Library).watch(message)) == [message]


def test_who_has_no_classes_leaves_out_what_only_the_server_knows(client: TestClient) -> None:
    library = client.of("Library")
    answer = library.search(labels=["x"])
    assert (answer.made, answer.filled) == ([], ["x"])
    with pytest.raises(InvalidRequest, match="made: a query cannot say"):
        library.search(made=[])  # whether that is the default is not in the contract


def test_a_bare_message_likewise(client: TestClient) -> None:
    SEEN.clear()
    for library in (client.of(Library), client.of("Library")):
        with pytest.raises(InvalidRequest, match="text: a query cannot say None"):
            library.bare(None)
        assert library.bare() == library.bare("default") == "default"
        assert library.bare("") == ""
    assert None not in SEEN


def test_a_dataclass_likewise(client: TestClient) -> None:
    old = Old(["a"])
    assert client.call(Library.old, old) == old
    for lost, paths in ((Old([]), ["labels"]), (Old(["a"], filled=[]), ["filled"])):
        with pytest.raises(InvalidRequest) as caught:
            client.call(Library.old, lost)
        assert [entry["path"] for entry in caught.value.errors] == paths
