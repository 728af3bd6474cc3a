"""Bytes and messages: strict JSON, forms, multipart."""

from __future__ import annotations

import contextlib
import json
import time
from enum import IntEnum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from mothlight import File, method, service
from mothlight.codec import form, multipart
from mothlight.codec.json import check, check_depth, check_strings, inline
from mothlight.errors import Error, InvalidRequest, MalformedRequest, PayloadTooLarge
from mothlight.schema import Payload, Reader
from mothlight.services import Method, Service
from mothlight.settings import Settings

SETTINGS = Settings(max_depth=8, max_parts=4, max_string=10)

# JSON

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(deadline=None)
@given(_JSON, st.booleans())
def test_json_is_read_as_python_reads_it(value: Any, ascii: bool) -> None:
    assert check(json.dumps(value, ensure_ascii=ascii).encode(), Settings()) == value


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b"nul", b"NaN", b"[Infinity]", b'{"a": 1, "a": 2}',
        b'{"a": {"b":1,"b":1}}',
        b'"\\ud800"', b'"\xff"', b'"\xed\xa0\x80"', b"1 2", b"[1,]", b"'a'", b'"\n"', b"01",
        b"\xef\xbb\xbf1",
        '{"a": 1}'.encode("utf-16"),
    ],
)  # fmt: skip
def test_what_is_not_json(body: bytes) -> None:
    with pytest.raises(MalformedRequest, match="not JSON"):
        check(body, SETTINGS)


def nested(levels: int) -> bytes:
    return (
        b'{"a":[' * (levels // 2)
        + b"[" * (levels % 2)
        + b"]" * (levels % 2)
        + b"]}" * (levels // 2)
    )


def test_levels_are_bounded() -> None:
    check(nested(8), SETTINGS)
    for body in (nested(9), b"[" * 9, b"[" * 100_000, b'{"a":' * 100_000):
        with pytest.raises(MalformedRequest):
            check(body, SETTINGS)


def test_brackets_in_strings_are_no_levels() -> None:
    for text in ("[" * 50, '"' * 20 + "[[[" * 9, "\\" * 7 + "[" * 50, '\\"[[[[[[[[[[['):
        body = json.dumps([text, {"k" + text: text}]).encode()
        check_depth(body, 2)
        assert check(body, SETTINGS)[0] == text


@settings(deadline=None)
@given(_JSON)
def test_levels_are_counted_exactly(value: Any) -> None:
    def depth(v: Any) -> int:
        inner = v.values() if isinstance(v, dict) else v if isinstance(v, list) else None
        return 0 if inner is None else 1 + max(map(depth, inner), default=0)

    body = json.dumps(value).encode()
    check_depth(body, depth(value))
    if depth(value):
        with pytest.raises(MalformedRequest):
            check_depth(body, depth(value) - 1)


@pytest.mark.parametrize("unit", [b'"\\"', b"[],", b'"', b"\\", b'"\\', b"1,2,"])
def test_counting_takes_linear_time(unit: bytes) -> None:
    body = unit * (2_000_000 // len(unit))
    start = time.perf_counter()
    check_depth(body, 64)
    assert time.perf_counter() - start < 2


class Inner(BaseModel):
    text: str
    short: Annotated[str, Field(max_length=99)] = ""


class Outer(BaseModel):
    inner: Inner | None = None
    items: list[Inner] = []
    map: dict[str, str] = {}


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"inner": {"text": "x" * 11}}, "inner.text"),
        ({"items": [{"text": ""}, {"text": "x" * 11}]}, "items[1].text"),
        ({"map": {"k": "x" * 11}}, "map.k"),
        ({"inner": {"text": "x", "short": "x" * 50}}, ""),
        ({"inner": None, "items": "odd", "unknown": "x" * 50}, ""),
    ],
)
def test_strings_are_bounded(value: Any, path: str) -> None:
    reader = Reader()
    node = reader.read(Outer, "it")
    if not path:
        check_strings(node, value, reader.types, 10)
        return
    with pytest.raises(InvalidRequest) as caught:
        check_strings(node, value, reader.types, 10)
    assert caught.value.errors[0]["path"] == path


def test_files_are_set_into_the_json() -> None:
    payload = Payload(b'{"a":{"$media":1},"b":[{"$media":0}],"c":{"$media":0,"x":1}}',
                      ((b"x", None, None), (b"yz", None, None)))  # fmt: skip
    assert json.loads(inline(payload)) == {"a": "eXo=", "b": ["eA=="], "c": {"$media": 0, "x": 1}}
    assert inline(Payload(b"[1]")) == b"[1]"


# Forms


class Query(BaseModel):
    text: str = "none"
    number: int = 0
    flag: bool = False
    maybe: int | None = None
    words: list[str] = []
    kind: Literal["a", "b"] = "a"
    level: Literal[1, 2] = 1


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Listed(BaseModel):
    levels: list[Level] = []
    mixed: list[Literal["1", 1]] = []


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)

    number: int = 0
    share: float = 0.0
    flag: bool = False
    text: str = ""
    counts: list[int] = []


class Upload(BaseModel):
    file: File
    inner: Inner | None = None
    items: list[Inner] = []


@service
class Forms:
    @method
    def query(self, query: Query) -> str: ...

    @method
    def listed(self, listed: Listed) -> str: ...

    @method
    def strict(self, strict: Strict) -> str: ...

    @method
    def upload(self, upload: Upload) -> str: ...

    @method
    def bare(self, x: int = 3) -> str: ...

    @method
    def required(self, x: int) -> str: ...


METHODS: dict[str, Method[Any, Any, Any]] = Service.of(Forms).methods


def read(name: str, *items: tuple[str, Any]) -> Any:
    return METHODS[name].input.decode(form.payload(METHODS[name], items, SETTINGS))


def test_values_of_a_form() -> None:
    items = [("text", "ü"), ("number", "7"), ("flag", "true"), ("words", "x"), ("words", "y"),
             ("kind", "b"), ("level", "2"), ("maybe", ""), ("unknown", "z")]  # fmt: skip
    assert read("query", *items) == Query(
        text="ü", number=7, flag=True, words=["x", "y"], kind="b", level=2
    )
    assert read("query") == Query()
    assert read("bare", ("x", "5")) == 5
    assert read("bare") == 3


def test_lists_of_literals_repeat_their_name_or_are_one_json() -> None:
    low, both = Listed(levels=[Level.LOW]), Listed(levels=[Level.LOW, Level.HIGH])
    assert read("listed", ("levels", "1")) == read("listed", ("levels", "[1]")) == low
    for items in ([("levels", "1"), ("levels", (b"2", None, None))], [("levels", " [1, 2]")]):
        assert read("listed", *items) == both
    assert read("listed", ("mixed", '"1"'), ("mixed", "1")) == Listed(mixed=["1", 1])


@pytest.mark.parametrize("number", ["0", "-7", "1e3", "2.50", "999999999999999999"])
def test_strict_types_take_what_json_would_say(number: str) -> None:
    assert read("strict", ("share", number)) == Strict(share=float(number))
    found = read("strict", ("number", "-7"), ("flag", "true"), ("text", "1"), ("counts", "2"))
    assert found == Strict(number=-7, flag=True, text="1", counts=[2])


@pytest.mark.parametrize(
    ("name", "value"), [("number", "1.0"), ("number", "07"), ("flag", "1"), ("share", "1e400")]
)
def test_strict_types_take_no_more(name: str, value: str) -> None:
    with pytest.raises(InvalidRequest):
        read("strict", (name, value))
    if name in Query.model_fields:
        assert read("query", (name, value))


@pytest.mark.parametrize(
    ("name", "items", "path"),
    [
        ("query", [("number", "x")], "number"),
        ("query", [("number", "1"), ("number", "2")], "number"),
        ("query", [("kind", "c")], "kind"),
        ("required", [], "x"),
        ("upload", [("file", (b"1", None, None)), ("inner", (b"\xff", None, None))], "inner"),
        ("upload", [], "file"),
    ],
)
def test_values_that_do_not_fit(name: str, items: Any, path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(name, *items)
    assert caught.value.errors[0]["path"] == path


def test_objects_in_a_form_are_json() -> None:
    found = read("upload", ("file", (b"data", "text/plain", "a.txt")), ("inner", '{"text": "n"}'),
                 ("items", '[{"text": "1"}]'))  # fmt: skip
    assert (found.file.data, found.file.name) == (b"data", "a.txt")
    assert found.inner == Inner(text="n")
    assert found.items == [Inner(text="1")]
    with pytest.raises(MalformedRequest):
        read("upload", ("file", "x"), ("inner", "{"))


def test_queries() -> None:
    assert form.parse_query(b"a=1&a=&b=x%20y+z&c", SETTINGS) == [
        ("a", "1"), ("a", ""), ("b", "x y z"), ("c", ""),
    ]  # fmt: skip
    for odd in (b"a=%ff", b"a=\xff", b"&".join([b"a=1"] * 5)):
        with pytest.raises(MalformedRequest):
            form.parse_query(odd, SETTINGS)


# Multipart


def body(*parts: bytes) -> bytes:
    return b"".join(b"--cut\r\n" + part + b"\r\n" for part in parts) + b"--cut--\r\n"


def parts(data: bytes, kind: bytes = b"multipart/form-data; boundary=cut") -> Any:
    return multipart.parse(data, kind, SETTINGS)


def test_parts() -> None:
    data = body(
        b'Content-Disposition: form-data; name="a"\r\n\r\nplain \xc3\xbc',
        b'content-disposition: form-data; name="f"; filename="C:\\x\\y.jpg"\r\n'
        b"content-type: image/jpeg\r\n\r\n\xff\xd8\r\n--cu",
        b'Content-Disposition: form-data; name="j"\r\nContent-Type: application/json\r\n\r\n{}',
        b'Content-Disposition: form-data; name="b"\r\nContent-Type: audio/wav\r\n\r\nRIFF',
    )
    expected = [
        ("a", "plain ü"),
        ("f", (b"\xff\xd8\r\n--cu", "image/jpeg", "y.jpg")),
        ("j", "{}"),
        ("b", (b"RIFF", "audio/wav", None)),
    ]
    assert parts(data) == expected
    assert parts(data, b'Multipart/Form-Data; charset=x; boundary="cut"') == expected


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", b"multipart/form-data; boundary=cut"),
        (b"", b"multipart/form-data"),
        (body(b"\r\n\r\nx"), b"multipart/form-data; boundary=cut"),
        (body(b"Content-Disposition: form-data\r\n\r\nx"), b"multipart/form-data; boundary=cut"),
        (body(b'Content-Disposition: form-data; name="a"\r\n\r\n\xff'),
         b"multipart/form-data; boundary=cut"),
        (body(b'Content-Disposition: form-data; name="a"\r\n\r\nx')[:-6],
         b"multipart/form-data; boundary=cut"),
        (body(b'Content-Disposition: form-data; name="a"\r\n\r\nx'),
         b"multipart/form-data; boundary=other"),
    ],
)  # fmt: skip
def test_what_is_no_form(data: bytes, kind: bytes) -> None:
    with pytest.raises(MalformedRequest):
        parts(data, kind)


def test_parts_are_bounded() -> None:
    with pytest.raises(PayloadTooLarge, match="the number of parts is over the limit of 4"):
        parts(body(*[b'Content-Disposition: form-data; name="a"\r\n\r\nx'] * 5))


@settings(deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=30))
def test_any_bytes_are_read_or_refused(noise: bytes, extra: bytes) -> None:
    head = b'Content-Disposition: form-data; name="a"\r\n\r\n'
    for data in (noise, body(noise), body(head + noise), body(head + b"x") + extra):
        with contextlib.suppress(Error):
            parts(data)
