"""``python -m bench.peers [noop text image stream] [--rounds 3] [--seconds 2]``

Writes ``bench/PEERS.md`` when all cases run for three rounds or more, and only prints otherwise.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import models, report
from bench.cases import BARE, LOOP, MOTHLIGHT, Case
from bench.figures import Comparison, Result, Row, ratio
from bench.load import Request, generator
from bench.measure import measure
from bench.models import ROOT
from bench.questions import photo, review, tokens
from bench.works import Closed, Contender

PYTHON = ROOT / ".venv-peers" / "bin" / "python"
PACKAGES = ("litserve", "bentoml", "ray", "mosec", "fastapi", "uvicorn", "torch")

HEAD = """# Mothlight beside other servers

Made by `python -m bench.peers` (`make bench-peers`); do not edit.

{facts}

Each serves the same model with the same weights in one process with one torch thread, with batches
of up to 32 that wait 5 ms for company, as its documents recommend (`bench/peers/`); streams are not
batched but by Mosec, whose second form has no batching at all. All are up at the same time and
driven in turn, round after round, by the same load generator. BentoML's batched endpoints take
lists, so each of its callers sends a list of one; Mosec and Ray Serve get photos as raw bodies, the
others in forms. BentoML adapts to what it has seen: its row of one connection comes after 128. –
means that a server did not start, or that some of its answers were errors.

Ratios are the median over the rounds, in brackets the lowest and the highest. Where a row ends in
↓, **less is better**. "Others' cores" are busy before each round, while nobody is driven: the idle
work of the servers is in it.
"""


@dataclass(frozen=True)
class Peer:
    """``file``: how a photo is sent."""

    name: str
    module: str
    path: str = "/predict"
    arguments: tuple[str, ...] = ()
    file: str = ""  # the part of a form; "" for a raw body
    texts: bool = False  # whether it takes a list of texts

    def contender(self, case: str) -> Contender:
        request: dict[str, Callable[[], Request]] = {
            "image": partial(photo, self.path, self.file) if self.file else self._raw,
            "stream": self._stream,
        }
        found = request.get(case, self._text)
        return Contender(self.name, f"peers.{self.module}", found, self.arguments, str(PYTHON))

    def _text(self) -> Request:
        message = {"texts": [models.TEXT]} if self.texts else {"text": models.TEXT}
        return Request("POST", self.path, "application/json", json.dumps(message).encode())

    def _raw(self) -> Request:
        return Request("POST", self.path, "image/jpeg", models.photo())

    def _stream(self) -> Request:
        return Request("POST", self.path, "application/json", b"{}", items=models.ITEMS)


MOSEC, UNBATCHED = "Mosec", "Mosec, unbatched"
PEERS = (
    Peer("LitServe", "lit", file="file"),
    Peer("BentoML", "bento", file="photos", texts=True),
    Peer("Ray Serve", "rayserve"),
    Peer(MOSEC, "rust", "/inference"),
    Peer(UNBATCHED, "rust", "/inference", ("1",)),
)


def _compared(bars: dict[str, Comparison]) -> tuple[Comparison, ...]:
    return tuple(bars.get(peer.name, ratio(MOTHLIGHT, peer.name)) for peer in PEERS)


def _case(
    name: str,
    about: str,
    request: Callable[[], Request],
    limit: str,
    works: list[tuple[str, str, int, str, dict[str, Comparison]]],
) -> Case:
    limits = {BARE: Contender(BARE, "bare"), LOOP: Contender(LOOP, "loop")}
    return Case(
        name,
        about,
        (
            Contender(MOTHLIGHT, "served"),
            *(peer.contender(name) for peer in PEERS),
            limits[limit],
        ),
        tuple(
            Closed(
                Row(title, unit, (*_compared(bars), ratio(MOTHLIGHT, limit))),
                request,
                connections,
                figure,
                least=5 if name == "image" else 0,  # a batch of 32 photos takes a second
            )
            for title, unit, connections, figure, bars in works
        ),
        request,
    )


_MANY, _ONE = "128 connections", "1 connection, p50"
CASES = (
    _case(
        "noop",
        "a trivial JSON call, no model",
        review,
        BARE,
        [
            (_MANY, "/s", 128, "rate", {MOSEC: ratio(MOTHLIGHT, MOSEC, least=1)}),
            (_ONE, "ms", 1, "p50", {UNBATCHED: ratio(MOTHLIGHT, UNBATCHED, most=1)}),
        ],
    ),
    _case(
        "text",
        "a small MLP, four times cheaper in batches",
        review,
        LOOP,
        [
            (_MANY, "/s", 128, "rate", {MOSEC: ratio(MOTHLIGHT, MOSEC, least=1.5)}),
            (_ONE, "ms", 1, "p50", {}),
        ],
    ),
    _case(
        "image",
        "a JPEG of 100 kB through EfficientNet-Lite0",
        photo,
        LOOP,
        [("32 connections", "/s", 32, "rate", {})],
    ),
    _case(
        "stream",
        f"streams of {models.ITEMS} items without delay",
        tokens,
        BARE,
        [
            ("64 streams, items", "/s", 64, "rate", {}),
            ("64 streams, p50 of the first item", "ms", 64, "first", {}),
            ("1 stream, p50 of the first item", "ms", 1, "first", {}),
        ],
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(c.name for c in CASES)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="for each contender and round")
    options = parser.parse_args()
    if not PYTHON.exists():
        parser.error("make bench-peers installs them")

    cases = [case for case in CASES if not options.cases or case.name in options.cases]
    facts = report.facts(options.rounds, options.seconds, {generator(review())})
    facts["peers"] = _versions()
    results: list[Result] = []
    for case in cases:
        results += measure(case, options.rounds, options.seconds, 0, _say, warm_up=3)

    listed = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    about = {case.name: case.about for case in cases}
    page = report.document(HEAD.format(facts=listed), results, about)
    print(report.table(results), report.absolute(results), report.tally(results), sep="\n\n")
    if len(cases) == len(CASES) and options.rounds >= 3:
        (Path(__file__).parent.parent / "PEERS.md").write_text(page)


def _versions() -> str:
    code = f"from bench import report; print(report.versions({PACKAGES!r}))"
    command = [str(PYTHON), "-c", code]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
