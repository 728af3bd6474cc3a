"""The case ``outlive``: its servers, works and bars."""

from __future__ import annotations

from functools import partial

from . import models, questions
from .departures import FAST, SLOW
from .figures import Row, alone, ratio
from .kept import ANSWERS, OPEN, STREAMS, Kept
from .load import Request
from .outlive import GRACE, SUPERSEDES, StopCalls, StopStreams, StopTasks, Supersede
from .works import Closed, Contender, Work

MOTHLIGHT, SHORT = "Mothlight", "Mothlight, short grace"
KEYED, UNKEYED = "a fresh key each", "no key"

ABOUT = (
    f"calls that are stopped (DELETE), left ({GRACE:g} s of grace), superseded and kept; a call "
    f"takes {models.CALL * 1000:g} ms and does not ask whether to go on, where nothing else is "
    "said; the trivial call has a header of 32 other digits each time, once as its key; idle calls:"
    f" {ANSWERS:,} small answers, {STREAMS:,} streams of 20 items, {ANSWERS:,} left calls that run "
    f"or wait, {OPEN:,} open streams (with --quick half as many)"
)

CONTENDERS = (
    Contender(MOTHLIGHT, "served"),
    Contender(UNKEYED, "served"),
    Contender(KEYED, "served", partial(questions.numbered, "Idempotency-Key")),
    Contender(SHORT, "served", arguments=("1", f"grace={GRACE}", "keep=2")),
)

_SPREAD = (alone("p50"), alone("p99"))
_BEYOND = (*_SPREAD, alone("p99 beyond what ran"))
_SOON = (alone("p50"), alone("p99", most=50))
_KINDS = tuple(map(alone, ("answers", "left", "streams", "open")))


def _calls(title: str, path: str, running: int, waiting: int) -> StopCalls:
    return StopCalls(Row(title, "ms", _BEYOND), path, running, waiting, MOTHLIGHT)


def _task(what: str, path: str) -> tuple[Work, Work]:
    stopped = Row(f"{what} stopped, free after", "ms", _SOON)
    left = Row(f"{what} left, free after its grace and", "ms", _SOON)
    return StopTasks(stopped, path, MOTHLIGHT), StopTasks(left, path, SHORT, GRACE)


def _streams(what: str, stream: Request) -> tuple[Work, Work]:
    stopped = Row(f"one of 16 {what} stopped, free after", "ms", _SOON)
    left = Row(f"16 {what} left, free after their grace and", "ms", _SOON)
    return StopStreams(stopped, stream, MOTHLIGHT), StopStreams(left, stream, SHORT, GRACE)


def _superseded(what: str, path: str, most: float | None) -> Supersede:
    many = f"{SUPERSEDES} quick supersedes of {what}"
    return Supersede(
        Row(f"{many}: computed to their end", "calls", (alone("most", most=most),)),
        Row(f"{many}: the last one's answer after", "ms", (alone("median"),)),
        path,
        MOTHLIGHT,
    )


def _price(title: str, connections: int, figure: str, unit: str) -> Closed:
    row = Row(title, unit, (ratio(KEYED, UNKEYED),))
    request = partial(questions.numbered, "Request-Id")
    return Closed(row, request, connections, figure, (UNKEYED, KEYED))


WORKS: tuple[Work, ...] = (
    Kept(
        Row("idle calls: memory of the front process for each", "kB", _KINDS),
        Row(
            "idle calls: left when their time is over",
            "calls, bytes",
            (alone("known", most=0), alone("bytes", most=0)),
        ),
        Row(
            "idle calls: memory of the front process above the start",
            "MB",
            tuple(map(alone, ("with all", "without", "with as many answers again"))),
        ),
    ),
    _calls("4 waiting calls stopped: the next one begins after", "/compute", 1, 4),
    _calls("members of a running batch stopped: the next call begins after", "/together", 8, 0),
    *_task("a call that asks", "/poll"),
    *_task("an asynchronous call", "/wait"),
    *_streams("slow streams", SLOW),
    *_streams("fast streams", FAST),
    _superseded("an asynchronous call", "/think", 1),
    _superseded("a stream", "/drip", 1),
    _superseded("a call that does not ask", "/grind", None),
    _price("trivial call, 128 connections", 128, "rate", "/s"),
    _price("trivial call, 1 connection, p50", 1, "p50", "ms"),
)
