"""``python -m bench [noop text image stream] [--rounds 3] [--seconds 2]``

All works together take about four minutes and write ``bench/RESULTS.md``; a choice of works, or
fewer than three rounds, only prints.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from . import report
from .cases import CASES
from .load import generator
from .measure import Row, measure

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("works", nargs="*", help=f"of {', '.join(CASES)}; all by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2, help="for each contender and round")
    options = parser.parse_args()
    if unknown := set(options.works) - set(CASES):
        parser.error(f"no such work: {', '.join(sorted(unknown))}")

    cases = [CASES[name] for name in options.works] or list(CASES.values())
    generators = {generator(case.request()) for case in cases}
    facts = report.facts(options.rounds, options.seconds, generators)
    start = time.monotonic()
    rows: list[Row] = []
    for case in cases:
        rows += measure(case, options.rounds, options.seconds, _say)
    _say(f"took {time.monotonic() - start:.0f} s")

    print(report.table(rows))
    figures = [
        {
            "case": row.case.name,
            "work": row.work.title,
            "unit": row.work.unit.strip(),
            "others": row.foreign,
            **row.figures,
        }
        for row in rows
    ]
    (HERE / "results.json").write_text(json.dumps({**facts, "figures": figures}, indent=1) + "\n")
    if len(cases) == len(CASES) and options.rounds >= 3:
        (HERE / "RESULTS.md").write_text(report.document(rows, facts))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
