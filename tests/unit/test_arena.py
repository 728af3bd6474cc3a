"""Large files on their way through shared memory."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from freight import Freight, Pair
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from trade import Trade

from mothlight import App, File, memory
from mothlight.backend import arena as module
from mothlight.backend import launch, wire
from mothlight.backend.arena import LEAST, Arena, Region
from mothlight.backend.process import Process
from mothlight.errors import Unavailable
from mothlight.schema import Payload
from mothlight.services import Service

Run = Callable[[Coroutine[Any, Any, Any]], Any]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no arena")

MEBI = 1024 * 1024
NOISE = os.urandom(MEBI)


def noise(size: int, seed: int = 0) -> bytes:
    return (NOISE[seed % 256 :] + NOISE * (size // MEBI + 1))[:size]


def payload(*files: bytes) -> Payload:
    return Payload(b"{}", tuple((data, "a/b", f"{i}") for i, data in enumerate(files)))


def made(size: int = 16 * LEAST) -> Arena:
    descriptor = memory.share(size)
    assert descriptor
    return Arena(descriptor)


class Lending(RuleBasedStateMachine):
    """Frames of files of any size, read and freed in any order, against what they held."""

    def __init__(self) -> None:
        super().__init__()
        self.arena = made()
        self.reader = Arena(os.dup(self.arena.descriptor))
        self.away: list[tuple[list[Any], list[Region], list[Any]]] = []

    @rule(
        frame=st.lists(
            st.one_of(
                st.just({"type": "Odd"}),
                st.lists(
                    st.sampled_from([0, LEAST - 1, LEAST, LEAST + 1, 2 * LEAST, 2 * LEAST + 1])
                    | st.integers(0, 8 * LEAST),
                    max_size=3,
                ),
            ),
            max_size=3,
        )
    )
    def lend(self, frame: list[Any]) -> None:
        whole = [
            entry if isinstance(entry, dict) else payload(*(noise(n, n + i) for n in entry))
            for i, entry in enumerate(frame, len(self.away))
        ]
        sent = list(whole)
        regions = self.arena.lend(sent)
        assert {(r.payload, r.file) for r in regions} == {
            (i, j)
            for i, one in enumerate(sent)
            if isinstance(one, Payload)
            for j, (data, _, _) in enumerate(one.media)
            if not data and whole[i].media[j][0]
        }
        assert all(r.size >= LEAST for r in regions)
        self.away.append((sent, regions, whole))

    @precondition(lambda self: self.away)
    @rule(choice=st.integers(0, 100))
    def take(self, choice: int) -> None:
        sent, regions, whole = self.away.pop(choice % len(self.away))
        self.reader.restore(sent, regions)
        assert sent == whole
        self.arena.free([region.offset for region in regions])

    @rule()
    def free_what_is_not_lent(self) -> None:
        self.arena.free([1, -4096, 1 << 60])

    @invariant()
    def regions_lie_apart(self) -> None:
        lent = sorted((r.offset, r.size) for _, regions, _ in self.away for r in regions)
        assert self.arena.taken == len(lent)
        end = 0
        for offset, size in lent:
            assert offset >= end
            end = offset + size
        assert end <= self.arena.size

    def teardown(self) -> None:
        while self.away:
            self.take(0)
        assert self.arena.taken == 0
        whole = [payload(noise(self.arena.size))]
        assert len(self.arena.lend(whole)) == 1, "one file could fill it again"
        self.arena.close()
        self.reader.close()


TestLending = Lending.TestCase
TestLending.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_a_gap_is_filled_only_by_what_fits_it() -> None:
    arena = made()
    first, second = arena.lend([payload(noise(LEAST), noise(LEAST))])
    arena.free([first.offset])
    (larger,) = arena.lend([payload(noise(LEAST + 1))])
    assert larger.offset >= second.offset + second.size
    (same,) = arena.lend([payload(noise(LEAST))])
    assert same.offset == first.offset
    arena.close()


def test_what_finds_no_room_is_left_in_its_frame() -> None:
    arena = made(4 * LEAST)
    sent = [payload(noise(3 * LEAST)), payload(noise(2 * LEAST), noise(LEAST))]
    assert [(r.payload, r.file) for r in arena.lend(sent)] == [(0, 0), (1, 1)]
    assert sent[1].media[0][0] == noise(2 * LEAST)
    arena.close()


@pytest.mark.parametrize(
    "regions",
    [
        [Region(0, 0, 16 * LEAST, 1)],
        [Region(0, 0, 15 * LEAST, LEAST + 1)],
        [Region(0, 0, -1, 1)],
        [Region(0, 0, 1, -1)],
        [Region(0, 0, 1 << 63, 1 << 63)],
        [Region(0, 0, -(1 << 62), 1 << 62)],
        [Region(0, 0, 0, 9 * LEAST), Region(0, 0, 0, 9 * LEAST)],
        [Region(1, 0, 0, 1)],
        [Region(0, 1, 0, 1)],
    ],
)
def test_nothing_is_read_beside_what_was_lent(regions: list[Region]) -> None:
    arena = made()
    whole = [payload(b"")]
    with pytest.raises((ValueError, IndexError)):
        arena.restore(whole, regions)
    assert whole == [payload(b"")]
    arena.close()


def test_an_arena_cannot_be_cut_while_it_is_read() -> None:
    arena = made()
    with pytest.raises(PermissionError):
        os.ftruncate(arena.descriptor, 0)
    arena.close()


def test_memory_is_given_back_when_much_was_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT", 2 * LEAST)
    arena = made()

    def held() -> int:
        return os.fstat(arena.descriptor).st_blocks * 512

    for files, kept in ((2, 2), (3, 0)):
        regions = arena.lend([payload(*[noise(LEAST)] * files)])
        assert held() >= files * LEAST
        arena.free([region.offset for region in regions])
        assert held() == kept * LEAST
    arena.close()


def frames() -> list[Any]:
    return [
        wire.Batch(1, "m", [payload(noise(LEAST), b"small"), payload()], ["a", "b"], [None, 1.5]),
        wire.Open(2, "m", payload(noise(2 * LEAST)), "call", None),
        wire.Results(3, [{"type": "Odd"}, payload(b"", noise(LEAST + 1))], 0.5),
        wire.Items(4, [payload(noise(LEAST)), payload(noise(LEAST, 1))]),
        wire.Messages(5, [payload(b"small"), payload(noise(LEAST, 2))]),
    ]


@pytest.mark.parametrize("index", range(5))
def test_frames_with_large_files_come_back(index: int) -> None:
    arena = made()
    packed = wire.pack(frames()[index], arena)
    assert len(packed) < 200
    shared = wire.decode_to_worker(packed[4:])
    assert isinstance(shared, wire.Shared)
    assert wire.pack(wire.restored(shared, arena)) == wire.pack(frames()[index])
    arena.close()


def test_frames_with_small_files_are_as_they_were() -> None:
    arena = made()
    for small in (
        wire.Results(3, [{"type": "Odd"}, payload(b"", noise(LEAST - 1))], 0.5),
        wire.Batch(1, "m", [payload(noise(LEAST - 1))], ["a"], [None]),
        wire.Pulse(1),
        wire.Cancel(1),
    ):
        assert wire.pack(small, arena) == wire.pack(small)
    arena.close()


# Through real workers


def process_of(app: App, service: type = Freight) -> Process:
    return app.backend._crews[Service.of(service)]._processes[0]  # type: ignore[attr-defined,no-any-return]


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the files that have come out of workers through an arena."""
    sizes: list[int] = []
    restored = wire.restored

    def note(shared: wire.Shared, arena: Arena | None) -> Any:
        sizes.extend(region.size for region in shared.regions)
        return restored(shared, arena)

    monkeypatch.setattr(wire, "restored", note)
    return sizes


async def is_empty(process: Process) -> bool:
    """Whether all that was lent to a worker is taken back, at its next pulse at the latest."""
    arena = process._requests
    assert arena
    async with asyncio.timeout(5):
        while arena.taken:
            await asyncio.sleep(0.01)
    return True


@pytest.mark.slow
def test_files_of_32_mb_both_ways_at_once(run: Run, restored: list[int]) -> None:
    async def main() -> None:
        async with App(Freight, workers=1, max_queue_bytes=512 * MEBI) as app:
            files = [noise(32 * MEBI, seed) for seed in range(3)] + [noise(LEAST - 1)]

            async def turn(file: bytes) -> None:
                for method in (Freight.turn, Freight.turn_slowly):
                    assert (await app.call(method, File(file))).data == file[::-1]

            async def swap(first: bytes, second: bytes) -> None:
                pair = await app.call(Freight.swap, Pair(first=File(first), second=File(second)))
                assert pair.first.data == second
                assert pair.second.data == first

            await asyncio.gather(
                *(turn(file) for file in files), *(swap(file, files[0]) for file in files)
            )
            assert sum(size == 32 * MEBI for size in restored) > 3
            assert LEAST - 1 not in restored
            assert await is_empty(process_of(app))

    run(main())


def test_arenas_do_not_fill_up_over_time(run: Run, restored: list[int]) -> None:
    async def main() -> None:
        async with App(Freight, workers=1) as app:
            size = 15 * MEBI
            file = noise(size)
            for _ in range(20):  # more than an arena can hold
                assert (await app.call(Freight.turn, File(file))).data == file[::-1]
            assert restored == [size] * 20
            assert await is_empty(process_of(app))

    run(main())


@pytest.mark.parametrize("method", [Freight.cut, Freight.chop])
def test_streams_of_large_files(run: Run, restored: list[int], method: Any) -> None:
    async def main() -> None:
        async with App(Freight, workers=1) as app:
            count = 10 if method is Freight.cut else 3

            async def read(seed: int) -> None:
                file = noise(2 * MEBI, seed)
                items = [item async for item in app.stream(method, File(file))]
                assert [item.at for item in items] == list(range(count))
                assert all(item.file.data == file for item in items)

            await asyncio.gather(*(read(seed) for seed in range(8)))
            assert len(restored) == 8 * count
            async for _ in app.stream(method, File(noise(2 * MEBI))):
                break  # and one that is left
            assert await is_empty(process_of(app))

    run(main())


def test_what_a_cancelled_call_had_is_taken_back(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with App(Freight, workers=1) as app:
            go = tmp_path / "go"
            pair = Pair(first=File(noise(MEBI)), second=File(noise(MEBI)), wait_for=str(go))
            calls = [asyncio.create_task(app.call(Freight.swap, pair)) for _ in range(6)]
            process = process_of(app)
            assert process._requests
            async with asyncio.timeout(5):
                while not process.busy:
                    await asyncio.sleep(0.005)
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)
            go.touch()
            assert await is_empty(process)

    run(main())


def test_a_dead_worker_takes_its_arenas_along(run: Run) -> None:
    def arenas() -> int:
        folder = Path("/proc/self/fd")
        return sum(
            "memfd:mothlight" in os.readlink(link) for link in folder.iterdir() if link.is_symlink()
        )

    async def main() -> None:
        before = arenas()
        async with App(Freight, workers=1) as app:
            held = arenas()
            assert held > before
            for _ in range(2):
                dead = process_of(app)
                with pytest.raises(Unavailable):
                    await app.call(Freight.die, File(noise(MEBI)))
                async with asyncio.timeout(15):
                    while not (app.backend.is_ready and process_of(app) is not dead):
                        await asyncio.sleep(0.01)
                assert await app.call(Freight.weigh, File(noise(MEBI))) == MEBI
                assert arenas() == held
        assert arenas() == before

    run(main())


def test_services_without_files_have_no_arena(run: Run) -> None:
    async def main() -> None:
        async with App(Trade, workers=1) as app:
            process = process_of(app, Trade)
            assert process._requests is None
            assert process._answers is None

    run(main())


def test_without_arenas_files_go_through_the_socket(
    run: Run, restored: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "share", lambda size: None)

    async def main() -> None:
        async with App(Freight, workers=1) as app:
            file = noise(4 * MEBI)
            assert (await app.call(Freight.turn, File(file))).data == file[::-1]
            assert restored == []

    run(main())


def test_the_front_does_not_believe_what_a_worker_says_of_regions(run: Run) -> None:
    async def main() -> None:
        async with App(Freight, workers=1) as app:
            process = process_of(app)
            for region in (Region(0, 0, launch.ARENA, 1), Region(0, 0, -1, 1)):
                lie = wire.Shared(wire.Results(1, [payload(b"")], 0.0), [region])
                with pytest.raises(ValueError, match="not in its arena"):
                    process.data_received(wire.pack(lie))

    run(main())
