"""Where a worker's model lives, and how torch runs it; in real workers."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from test_worker import Front, started

from mothlight import devices
from mothlight.backend import placement, wire
from mothlight.schema import Payload

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def plain() -> Iterator[Front]:
    with started(wire.Placement(device="cpu", threads=2), address="torchy:Torchy") as front:
        yield front


@pytest.fixture(scope="module")
def special() -> Iterator[Front]:
    placed = wire.Placement(
        device="cpu", threads=1, inference_mode=False, channels_last=True, compile=True
    )
    with started(placed, address="torchy:Torchy") as front:
        yield front


def settings(front: Front, method: str) -> dict[str, Any]:
    if method in ("alone", "together", "beside"):
        (found,) = front.call(method, 1 if method == "together" else "null")
        return json.loads(found)  # type: ignore[no-any-return]
    front.ids += 1
    front.send(wire.Open(front.ids, method, Payload(b"null"), "call", None))
    items = front.receive()
    assert isinstance(items, wire.Items), items
    assert front.receive() == wire.End(front.ids, None)
    return json.loads(items.payloads[0].json)  # type: ignore[no-any-return]


KINDS = ["alone", "together", "beside", "items", "items_beside", "steps"]


@pytest.mark.slow
@pytest.mark.parametrize("method", KINDS)
def test_every_kind_of_method_runs_as_placed(plain: Front, special: Front, method: str) -> None:
    for _ in range(3):  # whichever thread runs it
        assert settings(plain, method) == {
            "device": "cpu",
            "threads": 2,
            "inference": True,
            "channels_last": False,
            "compiled": False,
        }
    assert settings(special, method) == {
        "device": "cpu",
        "threads": 1,
        "inference": False,
        "channels_last": True,
        "compiled": True,
    }


def test_a_batch_that_does_not_fit_into_the_memory_is_halved(plain: Front) -> None:
    assert plain.call("large", *range(30)) == (["8"] * 8 + ["7"] * 7) * 2


def test_layouts_that_a_model_has_not_are_refused() -> None:
    class Model:
        def __init__(self) -> None:
            self.net = torch.nn.Conv3d(1, 1, 1)

    with pytest.raises(RuntimeError, match="channels_last"):
        placement.convert(Model(), wire.Placement(channels_last=True))


def test_a_service_without_torch_is_placed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    placed = wire.Placement(channels_last=True, compile=True)
    placement.limit_threads(placed)
    placement.convert(object(), placed)
    with placement.inside(placed):
        placement.forget(MemoryError())
    assert "torch" not in sys.modules


def test_inference_mode_is_this_threads_and_ends_with_it() -> None:
    inside, outside = [], []

    def run() -> None:
        with placement.inside(wire.Placement()):
            inside.append(torch.is_inference_mode_enabled())
        outside.append(torch.is_inference_mode_enabled())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    assert (inside, outside) == ([True], [False])
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize(
    ("given", "index", "gpus", "mps", "expected"),
    [
        ("auto", 0, 0, False, "cpu"),
        ("auto", 0, 0, True, "mps"),
        ("auto", 3, 2, False, "cuda:1"),
        ("cuda", 4, 3, True, "cuda:1"),
        ("cuda:0", 5, 8, False, "cuda:0"),
        ("cpu", 1, 8, True, "cpu"),
        ("mps", 1, 0, True, "mps"),
    ],
)
def test_the_device(
    monkeypatch: pytest.MonkeyPatch, given: str, index: int, gpus: int, mps: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(devices, "_given", "auto")
    monkeypatch.setattr(devices, "_index", 0)
    placement.assign(wire.Placement(device=given, index=index))
    assert devices.device() == expected


def test_the_device_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert devices.device() == "cpu"
