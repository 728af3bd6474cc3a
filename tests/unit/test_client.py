"""The client against real servers, and against strangers that answer badly."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import enum
import gc
import json
import socket
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing, contextmanager
from decimal import Decimal
from typing import Annotated, Any, Literal

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from mothlight import (
    AsyncClient,
    Audio,
    Client,
    Code,
    DeadlineExceeded,
    Error,
    File,
    FileLimits,
    Image,
    ImageLimits,
    Internal,
    InvalidRequest,
    Overloaded,
    PayloadTooLarge,
    RemoteError,
    Unavailable,
    UnsupportedMedia,
    batched,
    method,
    service,
)
from mothlight.client import ConnectionFailed, StreamCut, UnexpectedAnswer, UnknownName
from mothlight.client.body import CHUNK
from mothlight.client.contract import Contract
from mothlight.client.sse import Decoder, Event, TooLong
from mothlight.errors import RouteNotFound
from mothlight.testing import TestClient


class TextTooLong(Error):
    "text has {length} characters, {limit} are allowed"

    code = Code.INVALID_ARGUMENT
    length: int
    limit: int = 20


class Review(BaseModel):
    text: str


class Verdict(BaseModel):
    score: float
    text: str


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Circle(BaseModel):
    kind: Literal["circle"] = "circle"
    radius: float


class Square(BaseModel):
    kind: Literal["square"] = "square"
    edge: float


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


@dataclasses.dataclass
class Odd:
    """Field names that a pydantic model cannot have."""

    copy: int = 1
    schema: str = "s"


class Everything(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    text: str
    number: int
    real: float
    flag: bool
    raw: bytes
    when: datetime.datetime
    day: datetime.date
    pause: datetime.timedelta
    id: uuid.UUID
    price: Decimal
    mood: Mood
    level: Level
    literal: Literal["a", 2]
    shape: Annotated[Circle | Square, Field(discriminator="kind")]
    tree: Tree
    maybe: int | None = None
    names: list[str] = Field(default_factory=lambda: ["made", "here"])
    options: Odd = Field(default_factory=Odd)
    sizes: dict[str, float] = {}
    tags: set[str] = set()
    far: Annotated[float, Field(allow_inf_nan=True)] = 0.0
    wired: int = Field(7, alias="onTheWire")


EVERYTHING = Everything(
    text='ä "quoted" \n line',
    number=-(2**53),
    real=0.1,
    flag=True,
    raw=b"\x00\xff",
    when=datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
    day=datetime.date(2026, 1, 2),
    pause=datetime.timedelta(seconds=1.5),
    id=uuid.UUID(int=5),
    price=Decimal("1.10"),
    mood=Mood.BAD,
    level=Level.HIGH,
    literal=2,
    shape=Square(edge=2.0),
    tree=Tree(name="a", children=[Tree(name="b")]),
    sizes={"x": 1.0},
    tags={"t"},
    far=float("-inf"),
    wired=9,
)


class Photo(BaseModel):
    image: Annotated[Image, ImageLimits(max_edge=64, max_bytes=1_000_000)]
    top_k: int = 3
    label: str | None = None
    mood: Mood = Mood.GOOD
    boxes: list[Circle] = []
    other: File | None = None


class Album(BaseModel):
    files: list[File]
    title: str = "untitled"


class Nested(BaseModel):
    photo: Photo
    more: dict[str, File] = {}


class Query(BaseModel):
    count: int = 3
    words: list[str] = ["a"]
    flag: bool = False
    mood: Mood | None = None


@service
class Kitchen:
    closed = threading.Event()
    stepped = threading.Event()

    @batched(max_size=8, raises=[TextTooLong])
    def analyze(self, reviews: list[Review]) -> list[Verdict | Error]:
        return [
            TextTooLong(length=len(r.text)) if len(r.text) > 20 else Verdict(score=0.5, text=r.text)
            for r in reviews
        ]

    @method
    def echo(self, all: Everything) -> Everything:
        return all

    @method
    def crash(self, review: Review) -> str:
        raise ValueError("secret")

    @method
    def ping(self) -> None:
        return None

    @method(http="GET /query")
    def query(self, query: Query) -> Query:
        return query

    @method
    def double(self, number: int = 21) -> int:
        return 2 * number

    @method
    def maybe(self, number: int | None = 5) -> int | None:
        return number

    @method
    def slow(self, seconds: float) -> str:
        threading.Event().wait(seconds)
        return "done"

    @method
    def look(self, photo: Photo) -> dict[str, str]:
        other = photo.other.data.decode() if photo.other else "-"
        return {
            "seen": f"{photo.image.size} {photo.image.media_type} {photo.image.name}",
            "rest": f"{photo.top_k} {photo.label} {photo.mood.value} {len(photo.boxes)} {other}",
        }

    @method
    def mirror(self, picture: Image) -> Image:
        return Image.from_pil(picture.transpose(PIL.Image.Transpose.FLIP_LEFT_RIGHT))

    @method
    def album(self, album: Album) -> list[str]:
        return [album.title, *(f"{f.name}:{f.data.decode()}" for f in album.files)]

    @method
    def nested(self, nested: Nested) -> str:
        more = ", ".join(f"{k}={f.data.decode()}" for k, f in nested.more.items())
        return f"{nested.photo.image.size} {more}"

    @method
    def size(self, file: Annotated[File, FileLimits(max_bytes=8_000_000)]) -> int:
        return len(file.data)

    @method
    def beep(self, rate: int) -> Audio:
        return Audio.from_samples([0.0, 0.5], rate)

    @method(raises=[TextTooLong])
    def spell(self, review: Review) -> Iterator[str]:
        for letter in review.text:
            if letter == "!":
                raise TextTooLong(length=1, limit=0)
            yield letter

    @method(raises=[TextTooLong])
    async def numbers(self, count: int = 3) -> AsyncIterator[int]:
        if count > 1000:
            raise TextTooLong(length=count)
        for number in range(count):
            yield number

    @method
    async def forever(self) -> AsyncIterator[int]:
        try:
            for number in range(1_000_000):
                yield number
                self.stepped.set()
                await asyncio.sleep(0.005)
        finally:
            self.closed.set()


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(Kitchen) as client:
        yield client


PICTURE = Image.from_pil(PIL.Image.new("RGB", (40, 20), "red"), "jpeg")


# Calls by the class


def test_call_and_stream(client: TestClient) -> None:
    assert client.call(Kitchen.analyze, Review(text="x")) == Verdict(score=0.5, text="x")
    assert client.of(Kitchen).analyze(Review(text="x")) == Verdict(score=0.5, text="x")
    assert list(client.stream(Kitchen.spell, Review(text="añb"))) == ["a", "ñ", "b"]
    assert list(client.of(Kitchen).numbers(5)) == [0, 1, 2, 3, 4]
    assert list(client.stream(Kitchen.numbers, 0)) == []
    assert client.call(Kitchen.echo, EVERYTHING) == EVERYTHING


def test_absent_messages_take_the_defaults(client: TestClient) -> None:
    assert client.call(Kitchen.ping) is None
    assert client.call(Kitchen.double) == 42
    assert client.call(Kitchen.query) == Query()
    assert client.call(Kitchen.maybe) == 5
    assert client.call(Kitchen.maybe, None) is None
    assert list(client.stream(Kitchen.numbers)) == [0, 1, 2]
    with pytest.raises(InvalidRequest, match="text: Field required"):
        client.call(Kitchen.analyze)
    with pytest.raises(InvalidRequest, match="seconds: Field required"):
        client.call(Kitchen.slow)


def test_queries(client: TestClient) -> None:
    query = Query(count=4, words=["a b", "ü&="], flag=True, mood=Mood.BAD)
    assert client.call(Kitchen.query, query) == query
    assert client.of("Kitchen").query(words=["x"]).words == ["x"]


def test_a_wrong_message_is_refused_before_it_is_sent(client: TestClient) -> None:
    with pytest.raises(InvalidRequest, match="text"):
        client.call(Kitchen.analyze, {"txt": "x"})  # type: ignore[arg-type]
    changed = Review(text="x")
    changed.text = 5  # type: ignore[assignment]
    with pytest.raises(InvalidRequest):
        client.call(Kitchen.analyze, changed)


def test_errors_are_typed_and_carry_the_call(client: TestClient) -> None:
    with pytest.raises(TextTooLong) as caught:
        client.call(Kitchen.analyze, Review(text="x" * 21))
    assert (caught.value.length, caught.value.limit) == (21, 20)
    assert len(caught.value.call_id) == 32
    with pytest.raises(Internal) as failed:
        client.call(Kitchen.crash, Review(text=""))
    assert "secret" not in str(failed.value)
    with pytest.raises(TextTooLong):
        list(client.stream(Kitchen.numbers, 1001))


def test_a_stream_yields_what_came_before_its_error(client: TestClient) -> None:
    got = []
    with pytest.raises(TextTooLong) as caught:
        for letter in client.stream(Kitchen.spell, Review(text="ab!c")):
            got.append(letter)
    assert got == ["a", "b"]
    assert caught.value.limit == 0 and caught.value.call_id


def test_the_log_names_the_call(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Internal) as failed:
        client.call(Kitchen.crash, Review(text=""))
    assert failed.value.call_id in caplog.text


def test_leaving_a_stream_ends_it_on_the_server(client: TestClient) -> None:
    Kitchen.closed.clear()
    for number in client.stream(Kitchen.forever):
        if number == 2:
            break
    assert Kitchen.closed.wait(10)


def test_unknown_names(client: TestClient) -> None:
    with pytest.raises(UnknownName, match="it has analyze"):
        client.of(Kitchen).analyse  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(client.of(Kitchen), "boil")
    with pytest.raises(UnknownName, match="it has Kitchen"):
        client.of("Kitchem")
    assert "analyze" in dir(client.of(Kitchen))
    with pytest.raises(InvalidRequest, match="one message"):
        client.of("Kitchen").analyze({"text": "x"}, text="x")


def test_threads_share_a_client(client: TestClient) -> None:
    texts = [str(n) for n in range(32)]
    answers: dict[str, str] = {}

    def ask(text: str) -> None:
        answers[text] = client.call(Kitchen.analyze, Review(text=text)).text

    threads = [threading.Thread(target=ask, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {text: text for text in texts}


# By the contract alone


def test_a_contract_carries_every_type(client: TestClient) -> None:
    kitchen, types = client.of("Kitchen"), client.types
    given = EVERYTHING.model_dump(by_alias=True)
    answer = kitchen.echo(given)
    assert isinstance(answer, types.Everything)
    shown = answer.model_dump(by_alias=True)
    assert shown.pop("mood") == "bad" and given.pop("mood") is Mood.BAD
    assert shown.pop("options") == {"copy": 1, "schema": "s"}
    assert shown == {k: v for k, v in given.items() if k != "options"}
    assert answer.mood is types.Mood.BAD
    assert answer.level is types.Level.HIGH
    assert isinstance(answer.shape, types.Square)
    assert isinstance(answer.tree.children[0], types.Tree)
    assert kitchen.echo(answer) == answer


def test_defaults_that_only_the_server_knows_are_its_own(client: TestClient) -> None:
    given = EVERYTHING.model_dump(exclude={"names", "options"})
    answer = client.of("Kitchen").echo(**given)
    assert answer.names == ["made", "here"]
    assert (answer.options.copy_, answer.options.schema_) == (1, "s")
    assert client.of("Kitchen").echo(**given, names=[]).names == []


def test_calls_by_name(client: TestClient) -> None:
    kitchen = client.of("Kitchen")
    assert kitchen.analyze(text="x").score == 0.5
    assert kitchen.analyze(client.types.Review(text="x")).text == "x"
    assert kitchen.double() == 42 and kitchen.double(2) == 4 and kitchen.double(number=3) == 6
    assert kitchen.ping() is None
    assert list(kitchen.spell(text="ab")) == ["a", "b"]
    assert kitchen.analyze.__doc__ is not None
    with pytest.raises(InvalidRequest, match="text: Field required"):
        kitchen.analyze(txt="x")


def test_errors_of_a_contract(client: TestClient) -> None:
    kitchen = client.of("Kitchen")
    with pytest.raises(client.errors.TextTooLong) as caught:
        kitchen.analyze(text="x" * 21)
    assert caught.value.length == 21
    assert str(caught.value) == "text has 21 characters, 20 are allowed"
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert issubclass(client.errors.TextTooLong, Error)
    assert client.errors.TextTooLong is not TextTooLong
    with pytest.raises(client.errors.TextTooLong):
        list(kitchen.spell(text="!"))


def test_files_of_a_contract(client: TestClient) -> None:
    kitchen = client.of("Kitchen")
    seen = kitchen.look(image=PICTURE.data, top_k=5, mood="bad")
    assert seen["seen"].startswith("(40, 20) image/jpeg") and seen["rest"] == "5 None bad 0 -"
    assert kitchen.mirror(PICTURE).size == (40, 20)
    with pytest.raises(PayloadTooLarge):
        kitchen.look(image=PICTURE.data + bytes(1_000_000))


def test_the_contract_is_there_as_a_document(client: TestClient) -> None:
    document = client.contract()
    assert document["hash"].startswith("sha256:") and "Review" in document["types"]
    assert document == client.app.contract


@pytest.mark.parametrize(
    "change",
    [
        {"mothlight": 99},
        {"types": {"A": {"kind": "message", "fields": [{"name": "x"}]}}},
        {"types": {"A": {"kind": "spell"}}},
        {"services": [{"name": "S", "methods": [{"name": "m"}]}]},
        {"services": None},
    ],
)
def test_a_contract_that_cannot_be_read(client: TestClient, change: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedAnswer, match="the contract cannot be read"):
        Contract({**client.contract(), **change})


def test_a_contract_sends_no_call_elsewhere(client: TestClient) -> None:
    document = json.loads(json.dumps(client.contract()))
    document["services"][0]["methods"][0]["http"]["path"] = "@elsewhere.example/"
    with pytest.raises(UnexpectedAnswer, match="no verb and path"):
        Contract(document)


def test_an_error_template_of_a_contract_only_names_fields(client: TestClient) -> None:
    document = json.loads(json.dumps(client.contract()))
    document["errors"]["TextTooLong"]["doc"] = "{length:>999999999} {limit.__class__}"
    error = Contract(document).errors.TextTooLong(length=1)
    assert str(error) == "{length:>999999999} {limit.__class__}"


# Files


def test_a_form_carries_files_and_fields(client: TestClient) -> None:
    named = Image(PICTURE.data, name='ca"t\r\n.jpg')
    photo = Photo(
        image=named,
        top_k=9,
        label="a=b&c",
        mood=Mood.BAD,
        boxes=[Circle(radius=1)],
        other=File(b"hello"),
    )
    seen = client.call(Kitchen.look, photo)
    assert seen["rest"] == "9 a=b&c bad 1 hello"
    assert seen["seen"].startswith("(40, 20) image/jpeg ca")


def test_a_returned_file_is_one(client: TestClient) -> None:
    mirrored = client.call(Kitchen.mirror, PICTURE)
    assert isinstance(mirrored, Image) and mirrored.size == (40, 20)
    assert mirrored.media_type == "image/png"
    assert client.of(Kitchen).mirror(PIL.Image.new("RGB", (3, 4))).size == (3, 4)  # type: ignore[arg-type]
    beep = client.call(Kitchen.beep, 8000)
    assert isinstance(beep, Audio) and beep.rate == 8000


def test_lists_of_files_and_files_in_messages(client: TestClient) -> None:
    album = Album(files=[File(b"one", name="1.bin"), File(b"two", name="2.bin")])
    assert client.call(Kitchen.album, album) == ["untitled", "1.bin:one", "2.bin:two"]
    assert client.call(Kitchen.album, Album(files=[])) == ["untitled"]
    many = Album(files=[File(b"x", name="n")] * 100)  # too many for a form: as base64, no names
    assert client.call(Kitchen.album, many) == ["untitled", *["None:x"] * 100]
    nested = Nested(photo=Photo(image=PICTURE), more={"a": File(b"b")})
    assert client.call(Kitchen.nested, nested) == "(40, 20) a=b"


def test_progress(client: TestClient) -> None:
    told: list[tuple[int, int]] = []
    loud = client.with_options(progress=lambda sent, total: told.append((sent, total)))
    assert loud.call(Kitchen.size, File(bytes(1_000_000))) == 1_000_000
    sent, totals = [s for s, _ in told], {t for _, t in told}
    assert len(totals) == 1 and sent[-1] == totals.pop() > 1_000_000
    steps = [b - a for a, b in zip([0, *sent], sent, strict=False)]
    assert all(0 < step <= CHUNK for step in steps) and len(steps) >= 16
    told.clear()
    loud.call(Kitchen.analyze, Review(text="x"))
    assert told == [(12, 12)]


def test_a_file_over_its_limit_is_not_sent(client: TestClient) -> None:
    with pytest.raises(PayloadTooLarge):
        client.call(Kitchen.size, File(bytes(8_000_001)))
    with pytest.raises(UnsupportedMedia):
        client.call(Kitchen.mirror, Image(b"%PDF-1.4"))


# Options


def test_options_share_connections(client: TestClient) -> None:
    with client.with_options(timeout=30, headers={"X-A": "1"}) as copy:
        assert copy.with_options(headers={"X-B": "2"})._options.headers == {"X-A": "1", "X-B": "2"}
        assert copy.call(Kitchen.double, 1) == 2
    assert client.call(Kitchen.double, 1) == 2  # the copy closed nothing


def test_a_timeout_reaches_the_server(client: TestClient) -> None:
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded) as caught:
        client.with_options(timeout=0.05).call(Kitchen.slow, 0.3)
    assert time.monotonic() - start < 0.3
    assert caught.value.call_id
    with pytest.raises(DeadlineExceeded):
        list(client.with_options(timeout=0.05).stream(Kitchen.forever))
    with pytest.raises(DeadlineExceeded):
        client.with_options(timeout=0).call(Kitchen.double, 1)


# Strangers


Answer = Callable[[socket.socket], None]


class Raw:
    """A server that answers each connection as it is told; ``heads`` are the requests' heads."""

    def __init__(self, *answers: bytes | Answer) -> None:
        self.heads: list[str] = []
        self._answers = list(answers)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for answer in self._answers:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.heads.append(self._read(connection))
                try:
                    if isinstance(answer, bytes):
                        connection.sendall(answer)
                    else:
                        answer(connection)
                except OSError:
                    pass  # the client left

    def _read(self, connection: socket.socket) -> str:
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        text = head.decode().lower()
        length = int(text.partition("content-length: ")[2].partition("\r\n")[0] or 0)
        while len(body) < length:
            body += connection.recv(65536)
        return text

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


def answer(status: str, body: bytes, kind: str = "application/json", *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(body)}", *more]
    return "\r\n".join([*lines, "", ""]).encode() + body


def stream(*pieces: bytes) -> bytes:
    """A stream that ends with the connection."""
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + b"".join(pieces)


class Ask:
    """One call with either client."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def call(self, url: str, method: Any, message: Any = ..., **options: Any) -> Any:
        if self.kind == "sync":
            with Client(url, trust_env=False, **options) as client:
                return client.call(method, message)

        async def ask() -> Any:
            async with AsyncClient(url, trust_env=False, **options) as client:
                return await client.call(method, message)

        return asyncio.run(ask())

    def stream(self, url: str, method: Any, message: Any = ..., **options: Any) -> list[Any]:
        if self.kind == "sync":
            with Client(url, trust_env=False, **options) as client:
                return list(client.stream(method, message))

        async def ask() -> list[Any]:
            async with AsyncClient(url, trust_env=False, **options) as client:
                return [item async for item in client.stream(method, message)]

        return asyncio.run(ask())


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    return Ask(request.param)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def test_both_clients_do_the_same(client: TestClient, ask: Ask) -> None:
    assert ask.call(client.url, Kitchen.echo, EVERYTHING) == EVERYTHING
    assert ask.stream(client.url, Kitchen.spell, Review(text="abc")) == ["a", "b", "c"]
    assert ask.call(client.url, Kitchen.size, File(bytes(200_000))) == 200_000
    with pytest.raises(TextTooLong):
        ask.stream(client.url, Kitchen.spell, Review(text="a!"))
    with pytest.raises(RouteNotFound):
        ask.call(client.url + "/else", Kitchen.double, 1)


def test_nobody_listens(ask: Ask) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ConnectionFailed, match="mothlight serve") as caught:
        ask.call(url, Kitchen.double, 1, retries=1)
    assert caught.value.code is Code.UNAVAILABLE and caught.value.url.startswith(url)
    with pytest.raises(ConnectionFailed):
        ask.stream(url, Kitchen.numbers, 1, retries=0)


def test_a_refused_connection_is_tried_again(ask: Ask) -> None:
    port = free_port()
    served: list[Raw] = []

    def listen() -> None:
        raw = Raw.__new__(Raw)
        raw.heads, raw._answers = [], [answer("200 OK", b"8")]
        raw._socket = socket.create_server(("127.0.0.1", port))
        raw._thread = threading.Thread(target=raw._serve)
        raw._thread.start()
        served.append(raw)

    timer = threading.Timer(0.1, listen)
    timer.start()
    assert ask.call(f"http://127.0.0.1:{port}", Kitchen.double, 4, retries=6) == 8
    timer.join()
    with served[0]:
        assert len(served[0].heads) == 1


OVERLOADED = json.dumps(Overloaded(retry_after=0.0).problem()).encode()
DIED = json.dumps(Unavailable(reason="the worker died").problem()).encode()
PROBLEM = "application/problem+json"


def key(head: str) -> str:
    return head.partition("idempotency-key: ")[2].partition("\r\n")[0]


def test_an_overloaded_server_is_asked_again(ask: Ask) -> None:
    busy = answer("503 Service Unavailable", OVERLOADED, PROBLEM, "retry-after: 0")
    with Raw(busy, busy, answer("200 OK", b"8")) as raw:
        assert ask.call(raw.url, Kitchen.double, 4) == 8
        assert len(raw.heads) == 3 and len({key(head) for head in raw.heads}) == 1
    with Raw(busy, busy, busy, answer("200 OK", b"8")) as raw:
        with pytest.raises(Overloaded):
            ask.call(raw.url, Kitchen.double, 4)
        assert len(raw.heads) == 3
    with Raw(busy, stream(b"data: 1\n\nevent: end\ndata: {}\n\n")) as raw:
        assert ask.stream(raw.url, Kitchen.numbers, 1) == [1]


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (answer("503 X", DIED, PROBLEM, "retry-after: 0"), Unavailable),  # it may have run
        (answer("503 X", OVERLOADED, PROBLEM), Overloaded),  # no Retry-After
        (answer("503 X", OVERLOADED, PROBLEM, "retry-after: 3600"), Overloaded),
        (answer("500 X", b"{}", PROBLEM, "retry-after: 0"), RemoteError),
    ],
)
def test_what_is_not_tried_again(ask: Ask, refusal: bytes, error: type[Error]) -> None:
    with Raw(refusal, answer("200 OK", b"8")) as raw:
        with pytest.raises(error):
            ask.call(raw.url, Kitchen.double, 4)
        assert len(raw.heads) == 1


def test_a_retry_does_not_outlive_the_deadline(ask: Ask) -> None:
    busy = answer("503 X", OVERLOADED, PROBLEM, "retry-after: 5")
    start = time.monotonic()
    with Raw(busy) as raw, pytest.raises(Overloaded):
        ask.call(raw.url, Kitchen.double, 4, timeout=2)
    assert time.monotonic() - start < 1.5


def test_what_a_request_says(ask: Ask) -> None:
    with Raw(answer("200 OK", b"8")) as raw:
        ask.call(raw.url + "/ml/", Kitchen.double, 4, timeout=2.5, headers={"X-Token": "t"})
        lines = raw.heads[0].split("\r\n")
    assert lines[0] == "post /ml/kitchen/double http/1.1"
    assert "x-token: t" in lines and "content-type: application/json" in lines
    timeout = next(line for line in lines if line.startswith("request-timeout: "))
    assert 2.0 < float(timeout.split()[1]) <= 2.5
    assert len(key(raw.heads[0])) == 32


def wait_for_close(connection: socket.socket) -> None:
    connection.settimeout(10)
    while connection.recv(65536):
        pass


def test_a_server_that_never_answers(ask: Ask) -> None:
    start = time.monotonic()
    with Raw(wait_for_close) as raw, pytest.raises(DeadlineExceeded) as caught:
        ask.call(raw.url, Kitchen.double, 4, timeout=0.1)
    assert 0.5 < time.monotonic() - start < 2
    assert caught.value.call_id == key(raw.heads[0])


def test_a_server_that_drips(ask: Ask) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
        for _ in range(500):
            connection.sendall(b" ")
            threading.Event().wait(0.02)

    start = time.monotonic()
    with Raw(drip) as raw, pytest.raises(DeadlineExceeded):
        ask.call(raw.url, Kitchen.double, 4, timeout=0.1)
    assert time.monotonic() - start < 2


def test_a_proxy_page(ask: Ask) -> None:
    page = b"<html><h1>502 Bad Gateway</h1>" + b"x" * 5000
    with Raw(answer("502 Bad Gateway", page, "text/html")) as raw:
        with pytest.raises(UnexpectedAnswer) as caught:
            ask.call(raw.url, Kitchen.double, 4)
    error = caught.value
    assert error.answered == 502 and error.code is Code.UNAVAILABLE
    assert error.start == page[:200].decode() and error.media_type == "text/html"


@pytest.mark.parametrize(
    "bad",
    [
        answer("200 OK", b"<html>", "text/html"),  # a hotel's login page
        answer("200 OK", b"{}"),
        answer("200 OK", b'{"a": '),
        answer("200 OK", b"[" * 100_000),
        answer("302 Found", b"", "text/html", "location: /login"),
        answer("500 X", b"no json", PROBLEM),
        answer("500 X", b"[]", PROBLEM),
        answer("200 OK", b"1" * 5000),
    ],
)
def test_answers_that_are_none(ask: Ask, bad: bytes) -> None:
    with Raw(bad) as raw, pytest.raises(UnexpectedAnswer):
        ask.call(raw.url, Kitchen.double, 4, max_answer=4000 if b"1111" in bad else 1 << 20)


def test_an_answer_cannot_name_files_that_are_not_there(ask: Ask) -> None:
    with Raw(answer("200 OK", b'{"$media": 0}')) as raw, pytest.raises(UnexpectedAnswer):
        ask.call(raw.url, Kitchen.mirror, PICTURE)


def test_an_answer_that_is_cut(ask: Ask) -> None:
    with Raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n1"):
        pass
    cut = answer("200 OK", b"12345678")[:-3]
    with Raw(cut) as raw, pytest.raises(ConnectionFailed):
        ask.call(raw.url, Kitchen.double, 4)
    with Raw(b"") as raw:
        with pytest.raises(ConnectionFailed, match="disconnected"):
            ask.call(raw.url, Kitchen.double, 4)
        assert len(raw.heads) == 1  # it was sent: it may have run


@pytest.mark.parametrize(
    ("pieces", "items"),
    [
        ((b"id: 1\ndata: 1\n\n", b"id: 2\ndata: 2\n\n"), 2),
        ((b"data: 1\n\n", b"event: end\ndata: {}\n"), 1),  # no blank line: the end is not whole
        ((b": hb\n\n",), 0),
    ],
)
def test_a_stream_without_its_end_is_cut(ask: Ask, pieces: tuple[bytes, ...], items: int) -> None:
    with Raw(stream(*pieces)) as raw, pytest.raises(StreamCut) as caught:
        ask.stream(raw.url, Kitchen.numbers, 3)
    assert caught.value.received == items and caught.value.code is Code.UNAVAILABLE
    assert caught.value.call_id == key(raw.heads[0])


def test_a_stream_whose_connection_breaks(ask: Ask) -> None:
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    with Raw(head + b"9\r\ndata: 1\n\n\r\n5\r\nda") as raw, pytest.raises(StreamCut) as caught:
        ask.stream(raw.url, Kitchen.numbers, 3)
    assert caught.value.received == 1


def test_a_silent_stream(ask: Ask) -> None:
    def silent(connection: socket.socket) -> None:
        connection.sendall(stream(b"data: 1\n\n"))
        wait_for_close(connection)

    with Raw(silent) as raw, pytest.raises(StreamCut, match="heartbeat") as caught:
        ask.stream(raw.url, Kitchen.numbers, 3, idle=0.1)
    assert caught.value.received == 1
    with Raw(silent) as raw, pytest.raises(DeadlineExceeded):
        ask.stream(raw.url, Kitchen.numbers, 3, timeout=0.1)


def test_what_comes_after_the_end_is_nothing(ask: Ask) -> None:
    with Raw(stream(b"data: 1\n\nevent: end\ndata: {}\n\ndata: 2\n\ndata: {")) as raw:
        assert ask.stream(raw.url, Kitchen.numbers, 3) == [1]


def test_streams_of_strangers(ask: Ask) -> None:
    with Raw(answer("200 OK", b"<html>", "text/html")) as raw, pytest.raises(UnexpectedAnswer):
        ask.stream(raw.url, Kitchen.numbers, 3)
    with Raw(stream(b"data: x\n\n")) as raw, pytest.raises(UnexpectedAnswer, match="fit"):
        ask.stream(raw.url, Kitchen.numbers, 3)
    with Raw(stream(b"event: error\ndata: x\n\n")) as raw, pytest.raises(UnexpectedAnswer):
        ask.stream(raw.url, Kitchen.numbers, 3)
    with Raw(stream(b"data: " + b"1" * 100_000)) as raw, pytest.raises(StreamCut, match="longer"):
        ask.stream(raw.url, Kitchen.numbers, 3, max_answer=10_000)
    # An event of a type that we do not know is a newer server's.
    with Raw(stream(b"event: news\ndata: x\n\nevent: end\ndata: {}\n\n")) as raw:
        assert ask.stream(raw.url, Kitchen.numbers, 3) == []


def test_a_stream_split_at_every_byte(ask: Ask) -> None:
    def bytewise(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in stream(b"data: 1\r\n\r\ndata: 2\n\nevent: end\ndata: {}\n\n"):
            connection.sendall(bytes([byte]))

    with Raw(bytewise) as raw:
        assert ask.stream(raw.url, Kitchen.numbers, 3) == [1, 2]


@pytest.mark.parametrize("url", ["", "localhost:80", "ftp://x", "http://", "http://a b:x", 5])
def test_addresses_that_are_none(url: Any) -> None:
    with pytest.raises(ConnectionFailed, match="http://host:port"):
        Client(url)
    with pytest.raises(ConnectionFailed):
        AsyncClient(url)


def test_a_closed_client(client: TestClient, ask: Ask) -> None:
    other = Client(client.url)
    other.close()
    with pytest.raises(ConnectionFailed, match="closed"):
        other.call(Kitchen.double, 1)


def test_a_forgotten_client_closes_its_connections(client: TestClient) -> None:
    other = Client(client.url, trust_env=False)
    copy = other.with_options(timeout=5)
    http = other._http
    assert other.call(Kitchen.double, 1) == 2
    del other
    gc.collect()
    assert copy.call(Kitchen.double, 1) == 2  # a copy keeps them
    del copy
    gc.collect()
    assert http.is_closed


# The asynchronous client's own


def test_async_by_class_and_by_contract(client: TestClient) -> None:
    async def main() -> None:
        async with AsyncClient(client.url, trust_env=False) as other:
            assert (await other.of(Kitchen).analyze(text="x")).score == 0.5
            with pytest.raises(Error, match="await client.contract"):
                other.of("Kitchen")
            await other.contract()
            kitchen = other.of("Kitchen")
            assert (await kitchen.analyze(text="x")).text == "x"
            assert [letter async for letter in kitchen.spell(text="ab")] == ["a", "b"]
            with pytest.raises(other.errors.TextTooLong):
                await kitchen.analyze(other.types.Review(text="x" * 21))
            answers = await asyncio.gather(*(other.call(Kitchen.double, n) for n in range(20)))
            assert answers == [2 * n for n in range(20)]

    asyncio.run(main())


def test_async_leaving_and_cancelling(client: TestClient) -> None:
    async def main() -> None:
        async with AsyncClient(client.url, trust_env=False) as other:
            Kitchen.closed.clear()
            async with aclosing(other.stream(Kitchen.forever)) as numbers:
                assert await anext(numbers) == 0
            assert await asyncio.to_thread(Kitchen.closed.wait, 10)

            Kitchen.closed.clear()
            Kitchen.stepped.clear()

            async def collect() -> list[int]:
                return [number async for number in other.stream(Kitchen.forever)]

            task = asyncio.create_task(collect())
            assert await asyncio.to_thread(Kitchen.stepped.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(Kitchen.closed.wait, 10)
            assert await other.call(Kitchen.double, 1) == 2

    asyncio.run(main())


def test_a_stream_can_be_closed(client: TestClient) -> None:
    Kitchen.closed.clear()
    with closing(client.stream(Kitchen.forever)) as numbers:
        assert next(numbers) == 0
        assert not Kitchen.closed.is_set()
    assert Kitchen.closed.wait(10)


# Server-sent events


EVENTS = (
    "\ufeffdata: first\n\n"
    ": a comment\n\n"
    "data: one\r\ndata: two\r\nid: 7\r\n\r\n"
    "event: end\rdata:{}\r\r"
    "data\n\n"
    "data:  two spaces\nid\nunknown: x\nretry: 5\n\n"
    "id: with\0null\nevent: né\ndata: ü\n\n"
    "event: only a type\n\n"
    "data: after\n\n"
    "data: unfinished\n"
).encode()
DECODED = [
    Event("", b"first", ""),
    Event("", b"one\ntwo", "7"),
    Event("end", b"{}", "7"),
    Event("", b"", "7"),
    Event("", b" two spaces", ""),
    Event("né", "ü".encode(), ""),
    Event("", b"after", ""),
]


def decode(*chunks: bytes) -> list[Event]:
    decoder = Decoder(1000)
    return [event for chunk in chunks for event in decoder.feed(chunk)]


def test_events() -> None:
    assert decode(EVENTS) == DECODED
    for cut in range(len(EVENTS) + 1):
        assert decode(EVENTS[:cut], EVENTS[cut:]) == DECODED, cut
    assert decode(*(EVENTS[i : i + 1] for i in range(len(EVENTS)))) == DECODED


@given(st.lists(st.integers(0, len(EVENTS)), max_size=8), st.data())
def test_events_however_they_are_cut(cuts: list[int], data: st.DataObject) -> None:
    edges = [0, *sorted(cuts), len(EVENTS)]
    assert decode(*(EVENTS[a:b] for a, b in zip(edges, edges[1:], strict=False))) == DECODED


@given(st.lists(st.sampled_from([b"\r", b"\n", b"data: x", b"data", b":", b"id: 1", b" "])))
def test_events_are_the_same_whole_and_in_bytes(pieces: list[bytes]) -> None:
    text = b"".join(pieces)
    assert decode(text) == decode(*(text[i : i + 1] for i in range(len(text))))


def test_an_event_is_bounded() -> None:
    decoder = Decoder(100)
    assert len([e for _ in range(50) for e in decoder.feed(b"data: 12345678\n\n")]) == 50
    with pytest.raises(TooLong):
        for _ in range(20):
            list(decoder.feed(b"data: 12345678\n"))


@contextmanager
def without(module: str) -> Iterator[None]:
    """As if a module were not installed."""
    import sys

    kept = {n: m for n, m in sys.modules.items() if n.split(".")[0] == module or "client" in n}
    for name in kept:
        del sys.modules[name]
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]
        sys.modules.update(kept)


def test_a_missing_httpx2_says_what_to_install() -> None:
    import importlib

    with without("httpx2"), pytest.raises(ImportError) as caught:
        importlib.import_module("mothlight.client")
    assert str(caught.value) == 'the client needs httpx2:   pip install "mothlight[client]"'
