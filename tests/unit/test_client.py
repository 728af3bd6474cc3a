"""The client by the service's class: calls, streams, files, options, its life."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing, closing, contextmanager

import httpx2
import PIL.Image
import pytest
from client_kitchen import (
    EVERYTHING,
    PICTURE,
    Album,
    Circle,
    Kitchen,
    Mood,
    Nested,
    Photo,
    Query,
    Review,
    Stamped,
    TextTooLong,
    Verdict,
)

from mothlight import (
    AsyncClient,
    Audio,
    Client,
    DeadlineExceeded,
    Error,
    File,
    Image,
    Internal,
    InvalidRequest,
    PayloadTooLarge,
    UnsupportedMedia,
)
from mothlight.calls.identity import public
from mothlight.client import UnknownName
from mothlight.client.body import CHUNK
from mothlight.testing import TestClient


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(Kitchen) as client:
        yield client


# Calls by the class


def test_call_and_stream(client: TestClient) -> None:
    assert client.call(Kitchen.analyze, Review(text="x")) == Verdict(score=0.5, text="x")
    assert client.of(Kitchen).analyze(Review(text="x")) == Verdict(score=0.5, text="x")
    assert list(client.stream(Kitchen.spell, Review(text="añb"))) == ["a", "ñ", "b"]
    assert list(client.of(Kitchen).numbers(5)) == [0, 1, 2, 3, 4]
    assert list(client.stream(Kitchen.numbers, 0)) == []
    assert client.call(Kitchen.echo, EVERYTHING) == EVERYTHING


def test_a_function_of_a_stub_is_as_good_as_its_method(client: TestClient) -> None:
    kitchen, review, verdict = client.of(Kitchen), Review(text="x"), Verdict(score=0.5, text="x")
    assert client.call(kitchen.analyze, review) == verdict
    assert list(client.stream(kitchen.spell, review)) == ["x"]
    operation = client.begin(kitchen.analyze, review)
    assert operation.result() == verdict
    found = client.operation(operation.id, client.of("Kitchen").analyze).result()
    assert found == client.types.Verdict(score=0.5, text="x")

    async def main() -> None:
        async with AsyncClient(client.url, trust_env=False) as other:
            kitchen = other.of(Kitchen)
            assert await other.call(kitchen.analyze, review) == verdict
            assert [item async for item in other.stream(kitchen.spell, review)] == ["x"]
            operation = await other.begin(kitchen.analyze, review)
            assert await other.operation(operation.id, kitchen.analyze).result() == verdict

    asyncio.run(main())


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
    assert public(failed.value.call_id) in caplog.text
    assert failed.value.call_id not in caplog.text  # who knows it could ask for the answer


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


def test_a_file_beside_bytes_in_json(client: TestClient) -> None:
    stamped = Stamped(stamp=b"\xff\x00", files={"a": PICTURE})
    assert client.call(Kitchen.stamp, stamped) == stamped


@pytest.mark.parametrize("index", ["0", "-1", '"x"', "null", "[]", "true"])
def test_a_request_cannot_name_files_that_are_not_there(client: TestClient, index: str) -> None:
    body = f'{{"image": {{"$media": {index}}}}}'
    with httpx2.Client(trust_env=False) as http:
        path = f"{client.url}/kitchen/look"
        answer = http.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422 and "image" in answer.text


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


# The asynchronous client


def test_async_by_class_and_by_contract(client: TestClient) -> None:
    async def main() -> None:
        async with AsyncClient(client.url, trust_env=False) as other:
            assert (await other.of(Kitchen).analyze(text="x")).score == 0.5
            with pytest.raises(Error, match=r"await client\.contract"):
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
