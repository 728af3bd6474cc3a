"""What is measured, who takes part, and the bars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from . import models, outliving, questions
from .departures import FAST, SLOW, Beside, Leave, LeaveCalls, SlowStreams
from .figures import Comparison, Row, alone, gap, ratio
from .footprint import PLAIN, Footprint
from .handover import WAYS, Handover
from .load import Request
from .overload import TIMES, Overload
from .works import Closed, Contender, Waves, Work

MOTHLIGHT, TWO, FASTAPI = "Mothlight", "Mothlight, 2 workers", "FastAPI"
METHOD, INLINE = "Mothlight, @method", "FastAPI, async def"
BARE, LOOP, LOOPS = "bare uvicorn", "plain loop", "plain loop in 2 processes"
EAGER, COMMAND = "Mothlight, torch at the top", "mothlight serve"

_MOTHLIGHT = Contender(MOTHLIGHT, "served")
_METHOD = Contender(METHOD, "served", partial(questions.review, "/score_one"))
_FASTAPI = Contender(FASTAPI, "byhand")
_INLINE = Contender(INLINE, "byhand", partial(questions.review, "/score_async"))
_BARE = Contender(BARE, "bare")
_LOOP = Contender(LOOP, "loop")


@dataclass(frozen=True)
class Case:
    """Some works on the same servers. ``request``: what all of them must answer alike.
    ``is_up``: whether its contenders are started for it; else its works see to that."""

    name: str
    about: str
    contenders: tuple[Contender, ...]
    works: tuple[Work, ...]
    request: Callable[[], Request] | None = None
    is_up: bool = True


NOOP = Case(
    "noop",
    "a trivial JSON call, no model",
    (_MOTHLIGHT, _METHOD, _FASTAPI, _INLINE, _BARE),
    (
        Closed(
            Row(
                "128 connections",
                "/s",
                (
                    ratio(MOTHLIGHT, BARE, least=0.9),
                    ratio(METHOD, BARE),
                    ratio(MOTHLIGHT, FASTAPI),
                    ratio(MOTHLIGHT, INLINE),
                ),
            ),
            questions.review,
            128,
            "rate",
        ),
        Closed(
            Row(
                "1 connection, p50",
                "ms",
                (
                    ratio(MOTHLIGHT, BARE, most=2.2),
                    ratio(METHOD, BARE),
                    ratio(MOTHLIGHT, FASTAPI),
                    ratio(MOTHLIGHT, INLINE),
                ),
            ),
            questions.review,
            1,
            "p50",
        ),
    ),
    questions.review,
)

TEXT = Case(
    "text",
    "a small MLP, p50 0.5 to 0.9 ms alone, 0.09 to 0.11 an item in batches of 32",
    (_MOTHLIGHT, _LOOP, _FASTAPI, _INLINE),
    (
        Closed(
            Row(
                "128 connections",
                "/s",
                (
                    ratio(MOTHLIGHT, LOOP, least=0.85),
                    ratio(MOTHLIGHT, FASTAPI, least=7),
                    ratio(MOTHLIGHT, INLINE),
                ),
            ),
            questions.review,
            128,
            "rate",
        ),
        Closed(
            Row(
                "1 connection, p50",
                "ms",
                (
                    ratio(MOTHLIGHT, FASTAPI, most=1.15),
                    ratio(MOTHLIGHT, INLINE),
                    ratio(MOTHLIGHT, LOOP),
                ),
            ),
            questions.review,
            1,
            "p50",
        ),
    ),
    questions.review,
)


def _photos(connections: int, ours: str, loop: str, least: float, *others: str) -> Closed:
    bars = (ratio(ours, loop, least=least), *(ratio(ours, other) for other in others))
    workers = "2 workers" if ours == TWO else "1 worker"
    row = Row(f"{connections} connections, {workers}", "/s", bars)
    return Closed(row, questions.photo, connections, "rate", (ours, loop, *others))


IMAGE = Case(
    "image",
    "a JPEG of 100 kB through EfficientNet-Lite0",
    (
        _MOTHLIGHT,
        Contender(TWO, "served", arguments=("2",)),
        _FASTAPI,
        _LOOP,
        Contender(LOOPS, "loop", arguments=("2",)),
    ),
    (
        _photos(8, MOTHLIGHT, LOOP, 1.0),
        _photos(32, MOTHLIGHT, LOOP, 1.0),
        _photos(8, TWO, LOOPS, 0.9, FASTAPI),
        _photos(32, TWO, LOOPS, 0.9, FASTAPI),
    ),
    questions.photo,
)

STREAM = Case(
    "stream",
    f"streams of {models.ITEMS} items without delay",
    (_MOTHLIGHT, _FASTAPI, _BARE),
    (
        Closed(
            Row(
                "64 streams, items",
                "/s",
                (ratio(MOTHLIGHT, BARE, least=0.38), ratio(MOTHLIGHT, FASTAPI)),
            ),
            questions.tokens,
            64,
            "rate",
        ),
        Waves(
            Row(
                "64 streams that begin together, latest ÷ median first item",
                "×",
                (alone(MOTHLIGHT, most=2),),
            ),
            questions.tokens,
            64,
            (MOTHLIGHT, BARE),
        ),
        Closed(
            Row(
                "1 stream, p50 of the first item",
                "ms",
                (
                    alone(MOTHLIGHT, most=1),
                    ratio(MOTHLIGHT, FASTAPI),
                    ratio(MOTHLIGHT, BARE),
                ),
            ),
            questions.tokens,
            1,
            "first",
        ),
    ),
    questions.tokens,
)

SLOW_STREAMS = Case(
    "slow",
    f"streams of a synchronous generator that sleeps {models.PAUSE * 1000:g} ms before each item",
    (_MOTHLIGHT,),
    (
        SlowStreams(
            Row("64 streams, items", "/s", (ratio(MOTHLIGHT, "possible", least=0.9),)),
            64,
            MOTHLIGHT,
        ),
        Beside(
            Row(
                "trivial calls beside 16 streams, p99",
                "ms",
                (ratio("beside them", "without them", most=2),),
            ),
            questions.review,
            16,
            MOTHLIGHT,
        ),
        *(
            Leave(Row(title, "ms", (alone("longest", most=50),)), who, MOTHLIGHT)
            for title, who in (
                ("64 clients of fast streams leave, free after", ((FAST, 64),)),
                ("16 clients of slow streams leave, free after", ((SLOW, 16),)),
                ("both leave together, free after", ((FAST, 64), (SLOW, 16))),
            )
        ),
    ),
)

_LONGEST = (alone("longest"),)
_CALL = f"{models.CALL * 1000:g} ms"

CANCEL = Case(
    "cancel",
    "clients of unary calls that leave amid the first one's computing",
    (Contender(MOTHLIGHT, "served"),),
    (
        LeaveCalls(
            Row(f"32 calls of {_CALL}: a next caller's begins after", "ms", _LONGEST),
            "/compute",
            32,
            MOTHLIGHT,
        ),
        LeaveCalls(
            Row(
                f"32 calls in batches of 8 of {_CALL}: a next caller's begins after", "ms", _LONGEST
            ),
            "/together",
            32,
            MOTHLIGHT,
        ),
        LeaveCalls(
            Row("16 asynchronous calls: all are stopped after", "ms", _LONGEST),
            "/wait",
            16,
            MOTHLIGHT,
            until="stopped",
        ),
    ),
)


OVERLOAD = Case(
    "overload",
    f"{TIMES} × the capacity of a model that takes {models.BATCH_TIME * 1000:g} ms for up to "
    f"{models.BATCH} calls, as on a device; open loop",
    (_MOTHLIGHT,),
    (
        Overload(
            Row("answered in time", "/s", (ratio("overloaded", "capacity", least=0.95),)),
            Row("p99 of the accepted", "ms", (ratio("overloaded", "at capacity", most=2),)),
            Row("p99 of the refusals", "ms", (alone("refused", most=10), alone("client late"))),
            Row("back to normal after", "s", (alone("recovery", most=1),)),
            Row("neither answered nor refused", "%", (alone("share", most=1),)),
            Row("memory grew by", "MB", (alone("growth"),)),
            questions.review,
            MOTHLIGHT,
        ),
    ),
    questions.review,
)


def _gaps(most: float) -> tuple[Comparison, ...]:
    ours = (gap(MOTHLIGHT, PLAIN, most=most), gap(COMMAND, PLAIN, most=most))
    return (*ours, gap(EAGER, PLAIN), gap(FASTAPI, PLAIN))


FOOTPRINT = Case(
    "footprint",
    "memory of all processes together, and seconds from the start of the first until it is ready,"
    " with the MLP of text",
    (_MOTHLIGHT, Contender(COMMAND, "command"), Contender(EAGER, "eager"), _FASTAPI),
    (
        Footprint(
            Row(
                "memory",
                "MB",
                _gaps(60),
            ),
            Row(
                "cold start",
                "s",
                _gaps(0.5),
            ),
            "text",
            questions.review,
        ),
    ),
    is_up=False,
)


def _handover(size: int, name: str) -> Handover:
    others = tuple(ratio(way, WAYS[0]) for way in WAYS[1:])
    return Handover(
        Row(f"{name}, throughput", "GB/s", others),
        Row(f"{name}, CPU of both processes for a GB", "s", others),
        size,
    )


HANDOVER = Case(
    "handover",
    "how a file gets from the front process to a worker: through their socket, or by shared memory",
    (),
    (
        _handover(100_000, "100 kB"),
        _handover(1_000_000, "1 MB"),
        _handover(8_000_000, "8 MB"),
    ),
)

OUTLIVE = Case("outlive", outliving.ABOUT, outliving.CONTENDERS, outliving.WORKS)

CASES = {
    case.name: case
    for case in (
        NOOP,
        TEXT,
        IMAGE,
        STREAM,
        SLOW_STREAMS,
        CANCEL,
        OUTLIVE,
        OVERLOAD,
        FOOTPRINT,
        HANDOVER,
    )
}
