"""``python -m bench [noop text image ...] [--rounds 3] [--seconds 2] [--quick]``

All cases together take about a quarter of an hour and write ``bench/RESULTS.md``; a choice of them,
or fewer than three rounds, only prints. ``--quick`` is a first look of three minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

from . import report
from .cases import CASES
from .figures import Result
from .load import generator
from .measure import measure
from .questions import review, tokens

HERE = Path(__file__).parent

HEAD = """# Mothlight beside plain FastAPI and beside the limits

Made by `python -m bench` (`make bench`); do not edit.

{facts}

What is compared (÷ a ratio, − a difference) is the median over the rounds, and in brackets the
lowest and the highest, of figures taken one after the other in the same round. Where a row ends in
↓, **less is better**. Bars are the ones that the project has set itself; the median meets them or
misses them. Absolute figures are weak: load generator, server and worker share the {cores} cores.
"Others' cores" are busy with something else before each round; above 0.1 the machine was shared and
the row is weak.

- Mothlight: one worker process, `mothlight.serve`, as its users write it (`bench/served.py`).
- FastAPI: one uvicorn process, the model inline in a `def` endpoint, and beside it in an `async
  def` one, which is faster and lets nobody else in meanwhile; streams from an `async def`
  generator, which serves one client after the other (`bench/byhand.py`).
- bare uvicorn: a raw ASGI function that parses and writes the same JSON with `json`, or sends the
  same 200 chunks (`bench/bare.py`).
- plain loop: `predict` in one process, no server, at its best batch size up to 32; for one
  connection one item alone, its mean; photos are decoded in the loop (`bench/loop.py`).
- Everywhere one torch thread for each process. Calls are driven by `wrk`, fast streams by
  `bench/client.py`, in a closed loop over kept-alive connections; slow streams are read by
  `bench/readers.py`, which costs next to nothing.
- When a generator is closed or a call begins is told by the model itself (`bench/ledger.py`),
  counted from the moment before the first client closes its connection; longest and median of some
  tries in each round.
- Outlive: from the moment before the `DELETE` is sent, or from the end of the grace (0.2 s) of a
  call whose connection was closed, until the model itself has told that it is free; "beyond what
  ran": less what was left of the batch that ran. Fifty calls with one `Supersede-Key` follow each
  other by 5 ms, and the model takes 50 ms. Memory of the front process for each call, RSS; the same
  call with a fresh `Idempotency-Key` each time against one with a header that says nothing
  (`bench/outlive.py`, `bench/kept.py`).
- Overload: an open loop (`bench/arrivals.py`): Poisson arrivals that wait for nothing; latencies
  count from the time at which a request was to arrive. First the capacity is found in a closed
  loop, then offered for a third of the time, then three times as much, then half. The model sleeps,
  as a processor does that waits for a device: so the load generator takes nothing from it. Normal
  again: no refusal and no median of 0.1 s above the p99 at capacity.
- Memory: the processes' own pages and those of libraries, each counted once (`bench/processes.py`).
  "torch at the top": as in "Mothlight", but the user's module imports torch when it is imported,
  and so the front process does too (`bench/eager.py`).
- Handover: two files on their way at a time, through the engine's own frames and arena
  (`bench/handover.py`); the worker does nothing with a file that it has. Files below 128 KiB always
  go through the socket.

The works:
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)}; all by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="for each contender and round")
    parser.add_argument("--quick", action="store_true", help="one round of short runs")
    options = parser.parse_args()
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    rounds, seconds, overload = options.rounds, options.seconds, 15.0
    if options.quick:
        rounds, seconds, overload = 1, 1.0, 6.0

    cases = [CASES[name] for name in options.cases] or list(CASES.values())
    facts = report.facts(rounds, seconds, {generator(review()), generator(tokens())})
    start = time.monotonic()
    results: list[Result] = []
    for case in cases:
        results += measure(case, rounds, seconds, overload, _say)
    facts["took"] = f"{time.monotonic() - start:.0f} s"

    page = report.document(head(facts), results, {case.name: case.about for case in cases})
    print(report.table(results), report.absolute(results), report.tally(results), sep="\n\n")
    if len(cases) == len(CASES) and rounds >= 3:
        (HERE / "RESULTS.md").write_text(page)
        figures = {**facts, "figures": report.plain(results)}
        (HERE / "results.json").write_text(json.dumps(figures, indent=1) + "\n")


def head(facts: dict[str, str]) -> str:
    """The page's beginning."""
    listed = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    return HEAD.format(facts=listed, cores=os.cpu_count())


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
