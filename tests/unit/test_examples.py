"""Every file of examples/ is imported and asked."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from asgi import ask

from mothlight import App, Image

FOLDER = Path(__file__).parent.parent.parent / "examples"
Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(autouse=True)
def examples_on_the_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    names = {path.stem for path in FOLDER.glob("*.py")}
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    monkeypatch.syspath_prepend(str(FOLDER))
    yield
    for name in names:
        sys.modules.pop(name, None)
    sys.modules.update(before)


def load(name: str) -> ModuleType:
    module = importlib.import_module(name)
    assert Path(str(module.__file__)).parent == FOLDER
    return module


def answers(run: Run, service: type, verb: str, path: str, body: Any, **options: Any) -> Any:
    async def main() -> Any:
        async with App(service, workers=0) as app:
            return await ask(app, verb, path, body, **options)

    return run(main())


def test_errors(run: Run) -> None:
    ruler = load("errors").Ruler
    assert answers(run, ruler, "POST", "/ruler/measure", {"text": "four"}).json == {"characters": 4}
    answer = answers(run, ruler, "POST", "/ruler/measure", {"text": "x" * 101})
    assert answer.status == 400
    assert answer.problem["detail"] == "text has 101 characters, 100 are allowed"


def test_pictures(run: Run) -> None:
    pictures = load("pictures").Pictures
    photo = Image.from_pil(Image.blank(2000, 500), "jpeg").data
    kind = {"content-type": "image/jpeg"}
    size = answers(run, pictures, "POST", "/pictures/measure", photo, headers=kind)
    assert size.json == {"width": 1024, "height": 256}
    mirror = answers(run, pictures, "POST", "/pictures/mirror", photo, headers=kind)
    assert mirror.headers["content-type"] == "image/png"
    assert Image(mirror.body).size == (1024, 256)


def test_streaming(run: Run) -> None:
    speaker = load("streaming").Speaker
    answer = answers(run, speaker, "POST", "/speaker/spell", {"text": "hi"})
    assert answer.body.decode().split("\n\n")[:2] == [
        'id: 1\ndata: {"letter":"h","index":0}', 'id: 2\ndata: {"letter":"i","index":1}',
    ]  # fmt: skip


def test_script(run: Run) -> None:
    greeter = load("script").Greeter
    answer = answers(run, greeter, "POST", "/greeter/greet", {"name": "Ada"})
    assert answer.json == "Hello, Ada!"


def test_in_fastapi() -> None:
    module = load("in_fastapi")

    async def main() -> None:
        async with asyncio.timeout(30), module.ml.lifespan():
            answer = await ask(module.api, "POST", "/ml/speaker/spell", {"text": "a"})
            assert answer.body.endswith(b"event: end\ndata: {}\n\n")
            first = await ask(module.api, "GET", "/first/moth")
            assert first.json == {"letter": "m", "index": 0}

    asyncio.run(main())


@pytest.mark.demo
def test_sentiment(run: Run) -> None:
    service = load("sentiment").Sentiment
    path = "/sentiment/analyze"
    good = answers(run, service, "POST", path, {"text": "a wonderful, moving film"}).json["score"]
    bad = answers(run, service, "POST", path, {"text": "a dull, terrible mess"}).json["score"]
    assert 0 <= bad < 0.5 < good <= 1


TESTED = {"errors", "pictures", "streaming", "script", "in_fastapi", "sentiment"}


def test_no_example_is_forgotten() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == TESTED
