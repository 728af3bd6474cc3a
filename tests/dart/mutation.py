"""Breaks the Dart runtime in many ways, one at a time, and sees whether its tests notice.

    python tests/dart/mutation.py [WORD ...]        all, or those whose row has one of the words

Every mutant of mutants.txt is compiled into one copy of the runtime, behind a switch: a compilation
takes longer than the tests that find a mutant. Each is then a run of its own, in which its switch
alone is on. All tests run, those first that its `first` names, until one fails. Beside that all
tests have to pass with all switches off.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]  # where pytest finds them, as a script too

import dart_program  # noqa: E402
import runtime_suite  # noqa: E402

import dart_vm  # noqa: E402

BAR = 0.9
"""Of the mutants that must be caught: 18 of 20."""
PROCESSES = 4
"""At once: about half of them wait for a test that hangs, and need no core."""
TEST_SECONDS = 8
"""Of one test: a mutant that hangs ends by it. Without one all but LONG take at most 2 s."""
LONG = "1,000 times"
"""In the name of the tests that may take their own time."""
RUN_SECONDS = 150

SWITCH = """import 'dart:io';

/// The number of the mutant that is on.
final int mutant = int.parse(Platform.environment['MUTANT'] ?? '-1');
"""


@dataclass(frozen=True)
class Mutant:
    """A way to break dart/mothlight/lib/`file`: its `text`, which has what `new` replaces
    between « and ». `first`: the test files that run first, commas between."""

    file: str
    first: str
    breaks: str
    text: str
    new: str

    def parts(self) -> tuple[str, str, str]:
        """What stands before the piece, the piece, and what follows it."""
        before, rest = self.text.split("«")
        old, after = rest.split("»")
        return before, old, after


def read(text: str) -> list[Mutant]:
    """The mutants of mutants.txt, which tells its own form."""
    mutants = []
    for group in text.split("\n== ")[2:]:  # after the introduction, and its example
        head, *entries = group.split("\n-- ")
        file, *first = head.split()
        for entry in entries:
            breaks, rest = entry.split("\n", 1)
            old, new = rest.split("\n=>", 1)
            mutants.append(Mutant(file, ",".join(first), breaks, old, new.strip()))
    return mutants


MUTANTS = read((HERE / "mutants.txt").read_text("utf-8"))


@dataclass(frozen=True)
class Outcome:
    """What the tests made of a mutant: `caught` is the failure, None where they passed."""

    mutant: Mutant
    caught: str | None
    seconds: float


class Stale(Exception):
    """A mutant's text does not stand in the runtime any more, or more than once: renew it."""


def mutate(runtime: Path, mutants: Sequence[Mutant]) -> None:
    """Writes all mutants into a copy of the runtime, each behind its switch. Raises Stale."""
    sources: dict[str, str] = {}
    pieces: dict[str, list[tuple[int, int, str]]] = {}
    stale = []
    for number, mutant in enumerate(mutants):
        path = runtime / "lib" / mutant.file
        source = sources.setdefault(mutant.file, path.read_text("utf-8"))
        before, old, after = mutant.parts()
        text = before + old + after
        if source.count(text) != 1 or mutant.new == old:
            stale.append(f"{mutant.file} has {source.count(text)} times (mutant {number}):\n{text}")
            continue
        start = source.index(text) + len(before)
        switched = _switch(number, old, mutant.new)
        pieces.setdefault(mutant.file, []).append((start, start + len(old), switched))
    if stale:
        raise Stale("\n".join(stale))
    for file, found in pieces.items():
        source, end = sources[file], len(sources[file])
        for start, stop, switched in sorted(found, reverse=True):
            if stop > end:
                raise Stale(f"two mutants of {file} overlap: {source[start:stop]}")
            source, end = source[:start] + switched + source[stop:], start
        # Before the first other import, or where there is none at the beginning.
        at = max(source.find("import '"), 0)
        line = "import 'package:mothlight/src/mutant.dart';\n"
        (runtime / "lib" / file).write_text(source[:at] + line + source[at:], "utf-8")
    (runtime / "lib/src/mutant.dart").write_text(SWITCH)


def _switch(number: int, old: str, new: str) -> str:
    if old.endswith(";"):
        return f"if (mutant == {number}) {{ {new} }} else {{ {old} }}"
    return f"(mutant == {number} ? ({new}) : ({old}))"


def run_tests(dart: Path, program: Path, number: int, first: str) -> str | None:
    """The first failure of the tests with one mutant (-1: none) on; None where all pass."""
    environment = {**os.environ, "MUTANT": str(number), "FIRST": first}
    process = subprocess.Popen(
        [dart, "--enable-asserts", program],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    late = threading.Timer(RUN_SECONDS, process.kill)
    late.start()
    said = ""
    try:
        assert process.stdout is not None
        for line in process.stdout:
            said = line.strip() or said
            if line.startswith("FAILED"):
                return line.removeprefix("FAILED").strip()
            if line.endswith("passed, 0 failed\n"):
                return None
        return f"ended, after: {said}"
    finally:
        late.cancel()
        process.kill()
        process.communicate()


def prepare(dart: Path, folder: Path, mutants: Sequence[Mutant]) -> Path:
    """The tests with all mutants in the runtime, compiled. Raises Stale, AssertionError."""
    runtime = folder / "mothlight"
    shutil.copytree(dart_program.RUNTIME, runtime)
    mutate(runtime, mutants)
    harness = runtime / "test/harness.dart"
    source, limit = harness.read_text("utf-8"), ".timeout(limit)"
    if source.count(limit) != 1:
        raise Stale(f"the harness has not once: {limit}")
    short = f"limit > _short && _isBroken && !name.contains('{LONG}') ? _short : limit"
    declared = (
        "\nfinal bool _isBroken = Platform.environment['MUTANT'] != '-1';"
        f"\nconst Duration _short = Duration(seconds: {TEST_SECONDS});\n"
    )
    harness.write_text(source.replace(limit, f".timeout({short})") + declared, "utf-8")
    return runtime_suite.compile_all(dart, runtime, folder)


def check(dart: Path, folder: Path, mutants: Sequence[Mutant]) -> list[Outcome]:
    """Runs the tests against each mutant. Raises AssertionError where they fail without one."""
    program = prepare(dart, folder, mutants)

    def attempt(number: int) -> Outcome:
        begin = time.monotonic()
        caught = run_tests(dart, program, number, mutants[number].first)
        outcome = Outcome(mutants[number], caught, time.monotonic() - begin)
        print(row(outcome), flush=True)
        return outcome

    with ThreadPoolExecutor(PROCESSES) as pool:
        sound = pool.submit(run_tests, dart, program, -1, "")
        outcomes = list(pool.map(attempt, range(len(mutants))))
    failure = sound.result()
    if failure is not None:  # too much load for its times, perhaps: once more, alone
        failure = run_tests(dart, program, -1, "")
    assert failure is None, f"the tests fail without a mutant: {failure}"
    return outcomes


def row(outcome: Outcome) -> str:
    """A line of the table."""
    mutant, caught = outcome.mutant, outcome.caught
    by = "SURVIVED" if caught is None else f"caught: {caught[:70]}"
    file = mutant.file.removeprefix("src/")
    return f"{outcome.seconds:5.1f} s  {file:21} {mutant.breaks:52} {by}"


def main(words: Sequence[str]) -> int:
    """Prints the table; 1 where too few are caught, 2 where it cannot be told."""
    begin = time.monotonic()
    chosen = [
        mutant
        for mutant in MUTANTS
        if not words or any(word in f"{mutant.file} {mutant.breaks}" for word in words)
    ]
    try:
        with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
            outcomes = check(dart_vm.dart(), Path(folder), chosen)
    except (dart_vm.NoDart, Stale, AssertionError) as error:
        print(f"mutation: {error}", file=sys.stderr)
        return 2
    caught = sum(outcome.caught is not None for outcome in outcomes)
    print(f"{caught} of {len(outcomes)} caught in {time.monotonic() - begin:.0f} s")
    return 0 if outcomes and caught >= BAR * len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
