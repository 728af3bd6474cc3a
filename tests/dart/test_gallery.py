"""The packages that are made of a gallery of services: byte for byte as they stand in `golden`,
the same each time, sound Dart by the lints, and by the VM's compiler, which knows the types."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import lint
import pytest
from dart_program import ROOT, RUNTIME, compile_script, write_packages
from golden_cases import CASES, GOLDEN, Case

from mothlight import App

TEMPLATES = ROOT / "src" / "mothlight"
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def test_the_gallery_is_whole() -> None:
    assert len(CASES) >= 27
    assert {path.name for path in GOLDEN.iterdir()} == {case.name for case in CASES}


@each_case
def test_a_service_can_be_served(case: Case) -> None:
    App(*case.services, workers=0)


@each_case
def test_a_package_is_as_it_stands_in_golden(case: Case) -> None:
    made, golden = case.generate(), case.golden()
    assert sorted(made) == sorted(golden), (
        "python tests/dart/golden_cases.py writes the goldens anew"
    )
    for name in made:
        assert made[name] == golden[name], f"{case.name}/{name}: python tests/dart/golden_cases.py"


def test_another_process_makes_the_same_packages() -> None:
    """Whatever seed its hashes have."""
    code = (
        "import hashlib, golden_cases\n"
        "all = [(c.name, sorted(c.generate().items())) for c in golden_cases.CASES]\n"
        "print(hashlib.sha256(repr(all).encode()).hexdigest())"
    )
    paths = f"{Path(__file__).parent}:{ROOT / 'tests'}"
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": paths, "PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def dart_files() -> list[Path]:
    """All Dart of the repository that users get."""
    folders = (RUNTIME, GOLDEN, TEMPLATES)
    files = [path for folder in folders for path in folder.rglob("*.dart")]
    return sorted(path for path in files if ".dart_tool" not in path.parts)


def test_the_lints_find_no_fault() -> None:
    files, found = dart_files(), []
    assert len(files) > 2 * len(CASES)
    for path in files:
        lints = set(lint.LINTS)
        if "lib" not in path.relative_to(ROOT).parts:  # a test, an example
            lints -= {lint.undocumented, lint.undocumented_members, lint.prints, lint.quiet_streams}
        elif TEMPLATES in path.parents:  # nobody imports an app
            lints -= {lint.undocumented_members}
        found += lint.faults(lint.Source.read(path, ROOT), lints)
    assert not found, "\n".join(found)


@pytest.mark.slow
def test_it_is_formatted(format_dart: Callable[[Mapping[str, str]], dict[str, str]]) -> None:
    sources = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in dart_files()}
    formatted = format_dart(sources)
    changed = [name for name in sources if formatted[name] != sources[name]]
    assert not changed, f"python tests/dart_format.py -w {' '.join(changed)}"


def test_dart_io_is_behind_its_door() -> None:
    faults = lint.platform_faults(RUNTIME / "lib")
    for case in CASES:
        faults += lint.platform_faults(case.folder / "lib")
    assert not faults


@pytest.mark.slow
def test_every_golden_and_the_runtime_compile(dart: Path, tmp_path: Path) -> None:
    packages = write_packages(tmp_path, {case.package: case.folder for case in CASES})
    imports = [f"package:{RUNTIME.name}/{path.name}" for path in doors(RUNTIME)]
    imports += [f"package:{c.package}/{p.name}" for c in CASES for p in doors(c.folder)]
    examples = [path for case in CASES for path in (case.folder / "example").glob("*.dart")]
    imports += [path.as_uri() for path in examples]
    assert len(examples) == len(CASES) and len(imports) >= 3 * len(CASES)
    lines = [f"import '{uri}' as i{number};" for number, uri in enumerate(imports)]
    script = tmp_path / "all.dart"
    script.write_text("\n".join([*lines, "void main() {}", ""]))
    assert compile_script(dart, packages, script) == ""


def doors(package: Path) -> list[Path]:
    """The libraries that a package offers; package:http is not here, so what needs it is not."""
    return sorted(
        p for p in (package / "lib").glob("*.dart") if "package:http/" not in p.read_text()
    )
