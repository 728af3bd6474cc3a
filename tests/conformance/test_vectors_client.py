"""Both Python clients against the wire vectors."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import from_json

from conformance.scripted import Scripted
from conformance.vectors import FOLDER, data, has, load
from mothlight import AsyncClient, Client, DeadlineExceeded, Error, File
from mothlight.client import ConnectionFailed, StreamCut, UnexpectedAnswer, patience
from mothlight.client.body import ABSENT
from mothlight.contracts.contract import build
from mothlight.errors import Cancelled
from mothlight.schema import MediaType, Payload
from mothlight.services import Service

sys.path.insert(0, str(Path(__file__).parents[1] / "services"))
from telegraph import Telegraph

VECTORS = load("client")


def test_there_are_enough_of_them() -> None:
    names = [vector["name"] for vector in VECTORS]
    assert len(set(names)) == len(names) >= 136


def test_the_contract_is_current() -> None:
    assert json.loads((FOLDER / "contract.json").read_text()) == build([Service.of(Telegraph)]), (
        "make it anew: mothlight contract tests/services/telegraph.py:Telegraph"
    )


class Call:
    """A vector's call with either client; what came of it, in JSON."""

    def __init__(self, told: dict[str, Any], url: str) -> None:
        self.url, self.told = url, told
        self.method = getattr(Telegraph, told["method"])
        self.options = dict(told.get("options", {}))
        self.most = self.options.pop("leave_after", None)
        if tokens := self.options.pop("token", None):
            left = iter(tokens)
            self.options["token"] = lambda: next(left)
        if told.get("progress"):
            self.options["progress"] = lambda sent, total: self.progress.append((sent, total))
        self.progress: list[tuple[int, int]] = []
        self.items: list[Any] = []
        self.outcome: dict[str, Any] = {}

    @property
    def message(self) -> Any:
        if "messages" in self.told:
            return iter(self.told["messages"])
        if "message" not in self.told:
            return ABSENT
        message = self.told["message"]
        if "$file" in json.dumps(message):
            return _message(message)
        return self.method.input.decode(Payload(json.dumps(message).encode()))

    @property
    def streams(self) -> bool:
        return bool(self.method.cardinality.streams_out)

    def sync(self) -> None:
        with Client(self.url, trust_env=False).with_options(**self.options) as client:
            try:
                if self.told.get("background"):
                    operation = client.begin(self.method, self.message)
                    if self.streams:
                        self._take(operation.stream())
                    else:
                        self._give(operation.result(10))
                elif self.streams:
                    self._take(client.stream(self.method, self.message))
                else:
                    self._give(client.call(self.method, self.message))
            except Error as error:
                self._fail(error)
            client._parent.close()

    def _take(self, items: Any) -> None:
        for item in items:
            self._item(item)
            if len(self.items) == self.most:
                items.close()
                break

    async def aio(self) -> None:
        async with AsyncClient(self.url, trust_env=False) as first:
            client = first.with_options(**self.options)
            try:
                if self.told.get("background"):
                    operation = await client.begin(self.method, self.message)
                    if self.streams:
                        await self._atake(operation.stream())
                    else:
                        self._give(await operation.result(10))
                elif self.streams:
                    await self._atake(client.stream(self.method, self.message))
                else:
                    self._give(await client.call(self.method, self.message))
            except Error as error:
                self._fail(error)

    async def _atake(self, items: Any) -> None:
        async with aclosing(items):
            async for item in items:
                self._item(item)
                if len(self.items) == self.most:
                    break

    def _item(self, item: Any) -> None:
        self.items.append(self._json(item))

    def _give(self, value: Any) -> None:
        if isinstance(self.method.output.node, MediaType):
            self.outcome["file"] = value
        else:
            self.outcome["value"] = self._json(value)

    def _json(self, value: Any) -> Any:
        return from_json(self.method.output.encode(value).json)

    def _fail(self, error: Error) -> None:
        found: dict[str, Any] = {"detail": error.detail, "call_id": error.call_id}
        match error:
            case ConnectionFailed():
                found |= {"kind": "connection", "received": 0}
            case StreamCut():
                found |= {"kind": "connection", "received": error.received}
            case UnexpectedAnswer(answered=status) if 200 <= status < 300 or status == 101:
                found |= {"kind": "answer"}
            case UnexpectedAnswer():
                found |= {"kind": "foreign", "status": error.answered}
            case DeadlineExceeded():
                found |= {"kind": "deadline"}
            case Cancelled():
                found |= {"kind": "cancelled"}
            case _:
                problem = error.problem()
                known = ("type", "code", "status", "detail")
                fields = {name: value for name, value in problem.items() if name not in known}
                found |= {
                    "kind": "api",
                    "type": problem["type"],
                    "code": error.code.value,
                    "status": problem["status"],
                    "fields": fields,
                    "retry_after": fields.get("retry_after"),
                }
        self.outcome["error"] = found


def _message(value: Any) -> Any:
    if isinstance(value, dict) and "$file" in value:
        file = value["$file"]
        return File(data(file), media_type=file.get("type"), name=file.get("name"))
    if isinstance(value, dict):
        return {name: _message(inner) for name, inner in value.items()}
    return value


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(patience, "_FIRST", 0.005)
    yield


@pytest.mark.timeout(30)
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vector(vector: dict[str, Any], kind: str) -> None:
    expected = vector.get("expect_in", {}).get("python", vector["expect"])
    with Scripted(vector["exchanges"]) as server:
        call = Call(vector["call"], server.url)
        if kind == "sync":
            call.sync()
        else:
            asyncio.run(call.aio())
    assert not server.faults, server.faults
    compare(expected, call)
    ours = expected.get("error", {}).get("kind") in ("answer", "connection", "foreign")
    if not ours or "cancels" in expected:
        assert bool(server.cancels) == expected.get("cancels", False)


def compare(expected: dict[str, Any], call: Call) -> None:
    found = call.outcome
    assert ("error" in found) == ("error" in expected), found
    if "error" in expected:
        told = {name: value for name, value in expected["error"].items() if name != "path"}
        has(told, found["error"], "error")
        if path := expected["error"].get("path"):
            assert path.split(".")[-1].split("[")[0] in found["error"]["detail"]
    if "items" in expected:
        assert call.items == expected["items"]
    if "value" in expected:
        assert repr(found["value"]) == repr(expected["value"])  # 1 is not 1.0
    if "has" in expected:
        has(expected["has"], found["value"])
    if "file" in expected:
        assert found["file"].data == data({"base64": expected["file"]["base64"]})
        assert expected["file"].get("type") in (None, found["file"].media_type)
    if "tensors" in expected:
        import safetensors.numpy

        arrays = safetensors.numpy.load(found["file"].data)
        assert {name: array.tolist() for name, array in arrays.items()} == expected["tensors"]
    if call.told.get("progress"):
        sent, total = zip(*call.progress, strict=True)
        assert list(sent) == sorted(sent) and sent[-1] == total[-1] > 300_000 and len(sent) > 3
