"""The Dart runtime broken on purpose: do its tests notice? `mutation.py` tries all mutants."""

from __future__ import annotations

import shutil
from pathlib import Path

import dart_program
import mutation
import pytest

SAMPLE = list({mutant.file: mutant for mutant in reversed(mutation.MUTANTS)}.values())
"""The first of each file."""


def test_all_mutants_stand_in_the_runtime(tmp_path: Path) -> None:
    runtime = tmp_path / "mothlight"
    shutil.copytree(dart_program.RUNTIME, runtime)
    mutation.mutate(runtime, mutation.MUTANTS)  # raises where a text is not there any more
    assert len(mutation.MUTANTS) >= 90
    stems = {file.stem for file in (runtime / "test").glob("*_test.dart")}
    assert {name for mutant in mutation.MUTANTS for name in mutant.first.split(",")} <= stems


def test_a_mutant_that_is_not_there_is_told(tmp_path: Path) -> None:
    shutil.copytree(dart_program.RUNTIME / "lib", tmp_path / "lib")
    for text in ("«never written»", "«return»"):  # that does not stand there, and often
        mutant = mutation.Mutant("src/sse.dart", "", "nothing", text, "x")
        with pytest.raises(mutation.Stale, match=r"sse\.dart"):
            mutation.mutate(tmp_path, [mutant])


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_runtimes_tests_catch_a_mutant_of_each_file(dart: Path, tmp_path: Path) -> None:
    outcomes = mutation.check(dart, tmp_path, SAMPLE)
    survived = [mutation.row(outcome) for outcome in outcomes if outcome.caught is None]
    assert len(outcomes) >= 30
    assert not survived
