"""`mothlight create`: what it writes parses, compiles as far as it goes without Flutter, and works
before its own server."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tree_sitter_dart
from tree_sitter import Language, Parser

from live import Live
from mothlight.flutter.doctor import examine
from mothlight.flutter.project import Unfit, create, project

HERE = Path(__file__).parent
PHOTO = HERE.parents[1] / "examples" / "photos" / "chelsea.jpg"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("create") / "my_app"
    create(path)
    return path


def mothlight(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mothlight", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command(tmp_path: Path) -> None:
    first = mothlight("create", "moth_lamp", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "mothlight serve service:Models" in first.stdout
    service = tmp_path / "moth_lamp" / "service.py"
    service.write_text("mine")
    again = mothlight("create", "moth_lamp", cwd=tmp_path)
    assert again.returncode == 2
    assert "is there already" in again.stderr
    assert service.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["moth_lamp"], "something was left behind"
    checked = mothlight("doctor", "moth_lamp/app", cwd=tmp_path)
    assert (checked.returncode, checked.stdout) == (0, "All is well: android, ios, macos, web.\n")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("My-App", "mothlight create my_app"),
        ("9lives", "mothlight create lives"),
        ("class", "mothlight create class_app"),
        ("http", "a package that the app needs itself"),
        ("mothlight", "mothlight create mothlight_app"),
        ("näme", "mothlight create n_me"),
        ("ünï", "mothlight create n"),
        ("...", "mothlight create my_app"),
        ("a" * 61, "up to 59"),
        ("a\nb", "mothlight create a_b"),
    ],
)
def test_odd_names(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(Unfit, match=re.escape(said)):
        create(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(Unfit, match="there is no folder"):
        create(tmp_path / "none" / "my_app")


def test_the_same_name_gives_the_same_files() -> None:
    assert project("my_app") == project("my_app")


def test_the_package_is_what_generate_would_make(made: Path) -> None:
    """So the first `mothlight generate` of a user changes nothing but what he changed."""
    arguments = ("dart", "service:Models", "-o", "packages/my_app_api", "--check")
    checked = mothlight("generate", *arguments, cwd=made)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_no_placeholder_is_left(made: Path) -> None:
    for path in files(made):
        text = path.read_text("utf-8")
        assert "mothlight_app" not in text, path
        assert "Mothlight App" not in text, path
    assert (made / ".gitignore").is_file()
    assert stat.S_IMODE(made.stat().st_mode) == 0o777 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_every_dart_file_parses(made: Path) -> None:
    parser = Parser(Language(tree_sitter_dart.language()))
    found = [path for path in files(made) if path.suffix == ".dart"]
    assert len(found) > 30
    broken = [path for path in found if parser.parse(path.read_bytes()).root_node.has_error]
    assert not broken


def test_every_import_leads_somewhere(made: Path) -> None:
    """The app's own files and packages; those of others must stand in its pubspec."""
    pubspec = (made / "app" / "pubspec.yaml").read_text()
    for path in files(made / "app"):
        if path.suffix != ".dart":
            continue
        for name in re.findall(r"(?m)^(?:import|export) '([^']+)'", path.read_text()):
            if name.startswith("package:"):
                package, _, rest = name.removeprefix("package:").partition("/")
                assert re.search(rf"(?m)^(name: |  ){package}\b", pubspec), name
                ours = made / "packages" / package if package != "my_app" else made / "app"
                if package.startswith("mothlight") or package.startswith("my_app"):
                    assert (ours / "lib" / rest).is_file(), name
            elif not name.startswith("dart:"):
                assert (path.parent / name).is_file(), name


def test_only_one_file_of_the_plain_part_knows_flutter(made: Path) -> None:
    plain = ["config.dart", "call_controller.dart", "live_controller.dart", "foundation.dart"]
    knowing = [name for name in plain if "package:flutter" in (made / "app/lib" / name).read_text()]
    assert knowing == ["foundation.dart"]


def test_the_platforms_are_in_order(made: Path) -> None:
    assert examine(made / "app") == []


def test_the_models_are_short(made: Path) -> None:
    assert len((made / "service.py").read_text().splitlines()) < 120


# On a Dart VM


def run_dart(
    dart: Path, made: Path, folder: Path, program: str, *arguments: str, flutter: str = "shim"
) -> str:
    """What a program prints whose packages are the project's and stand-ins for Flutter's."""
    file = folder / "program.dart"
    file.write_text(program)
    return vm(dart, made, folder, flutter, "--enable-asserts", str(file), *arguments)


def vm(dart: Path, made: Path, folder: Path, flutter: str, *arguments: str) -> str:
    roots = {
        "mothlight": made / "packages/mothlight/lib",
        "my_app_api": made / "packages/my_app_api/lib",
        "my_app": made / "app/lib",
        "my_app_test": made / "app/test",
        "flutter": HERE / flutter / "flutter",
        "flutter_test": HERE / flutter / "flutter_test",
        "image_picker": HERE / "sdk" / "image_picker",
    }
    packages = [
        {"name": name, "rootUri": root.as_uri(), "packageUri": "./", "languageVersion": "3.7"}
        for name, root in roots.items()
    ]
    table = folder / "packages.json"
    table.write_text(json.dumps({"configVersion": 2, "packages": packages}))
    done = subprocess.run(
        [dart, f"--packages={table}", *arguments],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_widgets_compile(dart: Path, made: Path, tmp_path: Path) -> None:
    """All of the app but main.dart (see test_the_frame), and its tests, against the signatures of
    Flutter in sdk/."""
    compile_only = ("--snapshot=/dev/null", "--snapshot-kind=kernel")
    tests = str(made / "app" / "test" / "widget_test.dart")
    said = vm(dart, made, tmp_path, "sdk", *compile_only, tests)
    assert "Error" not in said
    screen = made / "app" / "lib" / "screens" / "text_screen.dart"
    text = screen.read_text()
    try:
        screen.write_text(text.replace("labelText:", "labeltext:"))
        with pytest.raises(AssertionError, match="No named parameter with the name 'labeltext'"):
            vm(dart, made, tmp_path, "sdk", *compile_only, tests)
    finally:
        screen.write_text(text)


def test_the_frame(dart: Path, made: Path, tmp_path: Path) -> None:
    """The screens outlive a turn of the phone, and streams run again after the background."""
    main = (made / "app" / "lib" / "main.dart").read_text()
    main = re.sub(r"import '(app|config)\.dart'", r"import 'package:my_app/\1.dart'", main)
    main = main.replace("'package:mothlight/http.dart'", "'program.dart' show adapter")
    (tmp_path / "main.dart").write_text(main.replace("PackageHttpAdapter()", "adapter"))
    program = (HERE / "shell.dart").read_text()
    assert "2 passed" in run_dart(dart, made, tmp_path, program, flutter="sdk")


def test_its_own_tests_of_the_controllers(dart: Path, made: Path, tmp_path: Path) -> None:
    program = """
import 'package:flutter_test/flutter_test.dart';
import 'package:my_app_test/controller_test.dart' as controllers;

Future<void> main() {
  controllers.main();
  return runAll();
}
"""
    assert "6 passed, 0 failed" in run_dart(dart, made, tmp_path, program)


def test_the_controllers_before_a_script(dart: Path, made: Path, tmp_path: Path) -> None:
    """Overload, nonsense, cuts, errors, calls that are given up, a stop while nothing comes."""
    said = run_dart(dart, made, tmp_path, (HERE / "scripted.dart").read_text())
    assert "8 passed, 0 failed" in said


@pytest.mark.demo
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_app_before_its_models(
    dart: Path, made: Path, tmp_path: Path, serve: Callable[..., Live]
) -> None:
    """With real weights: type-ahead, an upload, a stream that pauses and goes on, errors."""
    pytest.importorskip("torch")
    server = serve(f"{made / 'service.py'}:Models", workers=1)
    program = (HERE / "live.dart").read_text()
    said = run_dart(dart, made, tmp_path, program, server.url, str(PHOTO))
    assert "6 passed, 0 failed" in said


def files(folder: Path) -> list[Path]:
    """What was made; and not what Python keeps beside a module that was imported."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [path for path in found if "__pycache__" not in path.parts]
