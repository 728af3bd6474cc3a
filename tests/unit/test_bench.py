"""The bench's own arithmetic: a wrong figure would be worse than none."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bench import ledger, report
from bench.arrivals import NO_ANSWER, Run
from bench.cases import CASES
from bench.client import Run as ClosedRun
from bench.figures import Result, Row, alone, gap, percentile, ratio
from bench.load import FRESH, Request
from bench.overload import Phase

FIGURES = {"a": [2.0, 6.0, 4.0], "b": [1.0, 2.0, 4.0]}


def test_a_ratio_is_taken_round_by_round() -> None:
    assert ratio("a", "b").of(FIGURES) == (2, 1, 3)
    assert gap("a", "b").of(FIGURES) == (1, 0, 4)
    assert alone("a").of(FIGURES) == (4, 2, 6)


def test_a_series_that_is_missing_or_has_no_figure_compares_to_nothing() -> None:
    assert ratio("a", "c").of(FIGURES) is None
    assert ratio("a", "b").of({"a": [1.0], "b": [math.nan]}) is None
    assert ratio("a", "b").of({"a": [1.0], "b": [0.0]}) is None


@pytest.mark.parametrize(
    ("bar", "value", "met"),
    [
        (ratio("a", "b", least=0.9), 0.9, True),
        (ratio("a", "b", least=0.9), 0.89, False),
        (alone("a", most=50), 50, True),
        (alone("a", most=50), 51, False),
        (alone("a", most=50), math.nan, False),
        (alone("a"), 1, False),
    ],
)
def test_a_bar_is_met_or_missed(bar: report.Comparison, value: float, met: bool) -> None:
    assert bar.is_met(value) is met


def test_the_report_says_which_bars_are_met() -> None:
    row = Row("128 connections", "/s", (ratio("a", "b", least=1.5), ratio("b", "a", least=0.9)))
    results = [Result("noop", row, FIGURES, foreign=[0.0])]
    lines = report.table(results).splitlines()
    assert "| a ÷ b | **2** (1–3) | ≥ 1.5 | met |" in lines[2]
    assert "| b ÷ a | **0.5** (0.333–1) | ≥ 0.9 | missed |" in lines[3]
    assert report.tally(results) == "1 of 2 bars are met."


def test_a_percentile_is_a_value_that_was_seen() -> None:
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile(list(range(1, 101)), 0.99) == 99
    assert percentile([7], 0.99) == 7
    assert math.isnan(percentile([], 0.99))


def test_every_row_of_the_bench_has_a_title_of_its_own() -> None:
    for case in CASES.values():
        titles = [row.title for work in case.works for row in work.rows]
        assert len(titles) == len(set(titles))


def test_a_fresh_header_is_another_one_in_each_request() -> None:
    request = Request("POST", "/", "application/json", b"{}", more=(("Idempotency-Key", FRESH),))
    run = ClosedRun(80, request.as_text(80), 1, 1.0, 0)
    sent = {run.next() for _ in range(100)}
    assert len(sent) == 100
    assert all(FRESH.encode() not in each and b"Idempotency-Key: " in each for each in sent)
    assert {len(each) for each in sent} == {len(request.encode(80))}


def test_goodput_counts_what_was_answered_while_the_phase_lasted() -> None:
    arrivals = [(10.0, 200, 0.1), (10.5, 503, 0.001), (11.0, 200, 0.1), (11.9, 200, 0.2)]
    assert Phase(10, 2, arrivals, []).goodput == 1


def test_it_is_normal_again_after_the_last_refusal_and_the_last_slow_window() -> None:
    refused = [(0.01, 200, 0.01), (0.25, 503, 0.001), (0.45, 200, 0.01)]
    assert Phase(0, 1, refused, []).abnormal_until(50) == pytest.approx(0.3)
    slow = [(0.41, 200, 0.2), (0.42, 200, 0.2), (0.43, 200, 0.01), (0.6, 200, 0.01)]
    assert Phase(0, 1, slow, []).abnormal_until(50) == pytest.approx(0.5)
    assert Phase(0, 1, [(0.1, 200, 0.01)], []).abnormal_until(50) == 0


def test_the_ledger_tells_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ledger.VARIABLE, str(tmp_path / "notes"))
    ledger._file.cache_clear()
    book = ledger.Ledger(tmp_path / "notes")
    book.skip()
    ledger.note("closed")
    book.skip()
    ledger.note("begun")
    ledger.note("closed")
    begun, closed = book.events("begun"), book.wait("closed", 1)
    assert len(closed) == 1
    assert begun <= closed
    with pytest.raises(TimeoutError):
        book.wait("closed", 2, seconds=0.01)
    ledger._file.cache_clear()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
GET = Request("GET", "/")


@contextlib.asynccontextmanager
async def _server(answer: bytes, held: asyncio.Event | None = None) -> AsyncIterator[int]:
    """The port of one that gives every request this answer, as soon as it may; b"": it breaks
    off."""
    ended: list[asyncio.Task[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(asyncio.current_task())  # type: ignore[arg-type]
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while answer:
                await reader.readuntil(b"\r\n\r\n")
                if held:
                    await held.wait()
                writer.write(answer)
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*ended)


async def _arrivals(answer: bytes, seconds_held: float) -> dict[str, list[float]]:
    """What becomes of arrivals at a server that first stands still."""
    held = asyncio.Event()
    async with _server(answer, held) as port:
        asyncio.get_running_loop().call_later(seconds_held, held.set)
        return await Run(port, GET.as_text(port), [(200, 0.3)], warm=2).measure()


def test_arrivals_do_not_wait_for_answers() -> None:
    found = asyncio.run(_arrivals(OK, 0.25))
    assert 30 < len(found["status"]) < 100  # a Poisson process of 60
    assert set(found["status"]) == {200}
    # Who arrived first waited longest for the server that stood still: nothing is hidden.
    assert found["latency"][0] > 0.2
    assert found["latency"][0] == max(found["latency"])


def test_an_arrival_whose_connection_breaks_has_no_answer() -> None:
    assert set(asyncio.run(_arrivals(b"", 0))["status"]) == {NO_ANSWER}


async def _closed(answer: bytes, kind: type[ClosedRun] = ClosedRun) -> dict[str, float]:
    """What three clients find that read streams of one item."""
    async with _server(answer) as port:
        return await kind(port, GET.as_text(port), 3, 60.0, 1, waves=True).measure()


class Interrupted(ClosedRun):
    """Its time is over while the second wave is being sent."""

    sent = 0

    def next(self) -> bytes:
        self.sent += 1
        if self.sent == 5:
            self.end = self.start
        return super().next()


def test_a_wave_that_has_begun_comes_to_its_end() -> None:
    found = asyncio.run(_closed(STREAM, Interrupted))
    assert found["rate"] * found["p50"] > 0
    assert found["errors"] == 0


@pytest.mark.parametrize(("answer", "said"), [(b"", "closed"), (b"HTTP/1.1 503 \r\n\r\n", "503")])
def test_a_stream_that_does_not_come_fails_at_once(answer: bytes, said: str) -> None:
    with pytest.raises(RuntimeError, match=said):
        asyncio.run(_closed(answer))
