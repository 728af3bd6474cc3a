"""A project to start from: a Python service, the Dart package for it, and a Flutter app."""

from __future__ import annotations

import importlib.util
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from ..contracts import build
from ..dart import generate
from ..dart.folder import Change, apply, runtime_changes
from ..services import Service

TEMPLATE = Path(__file__).parent / "template"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_DART = """
assert async await break case catch class const continue default do else enum export extends
extension external factory false final finally for get if implements import in interface is late
library mixin new null on operator part required rethrow return sealed set show static super switch
sync this throw true try typedef var void when while with yield
"""
_FLUTTER = """
collection cross_file flutter flutter_driver flutter_lints flutter_localizations flutter_test
flutter_tools flutter_web_plugins http image_picker integration_test lints material_ui meta
mothlight sky_engine test test_api vector_math web web_socket
"""


class Unfit(Exception):
    """The project cannot be made; the message says why, and what to do."""


def create(path: Path) -> list[Path]:
    """Makes a project, whose name is the last part of ``path``: its files. They are there all
    together, or none is. Raises Unfit."""
    name = path.name
    _check(name)
    if path.exists() or path.is_symlink():
        raise Unfit(f"{path} is there already\n  take another name, or move it away")
    if not path.parent.is_dir():
        raise Unfit(f"there is no folder {path.parent}")
    files = project(name)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=path.parent) as folder:
            whole = Path(folder) / name
            made = [Change(whole / file, text) for file, text in files.items()]
            made += runtime_changes(whole / "packages" / "mothlight")
            apply(made)
            whole.rename(path)
    except OSError as error:
        raise Unfit(f"{path} cannot be written: {error.strerror or error}") from error
    return [path / change.path.relative_to(whole) for change in made]


def project(name: str) -> dict[str, str]:
    """The files of the project ``name``, by their paths; all but the runtime's."""
    files = {file: _named(text, name) for file, text in _template().items()}
    try:
        models = Service.of(_module(TEMPLATE / "service.py").Models)
    except ImportError as error:  # of an extra, whose message says which
        raise Unfit(str(error)) from error
    package = f"{name}_api"
    command = f"mothlight generate dart service:Models -o packages/{package}"
    client = generate(build([models]), package=package, command=command, runtime=None)
    return files | {f"packages/{package}/{file}": text for file, text in client.items()}


def _check(name: str) -> None:
    if name in _DART.split() or name in _FLUTTER.split():
        why = "a word of Dart" if name in _DART.split() else "a package that the app needs itself"
        raise Unfit(f"{name!r} is {why}\n  write   mothlight create {name}_app")
    if not _NAME.fullmatch(name):
        mended = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:60].lstrip("0123456789_")
        raise Unfit(
            f"{name!r} is no name of a Dart package: a small letter, then up to 59 small letters, "
            f"digits and _\n  write   mothlight create {mended or 'my_app'}"
        )


def _template() -> Mapping[str, str]:
    files = {}
    for path in sorted(TEMPLATE.rglob("*")):
        file = path.relative_to(TEMPLATE).as_posix()
        if path.is_file() and "__pycache__" not in path.parts:
            # Under its own name git would obey it here.
            file = re.sub(r"(^|/)gitignore$", r"\1.gitignore", file)
            files[file] = path.read_text("utf-8")
    return files


def _named(text: str, name: str) -> str:
    title = name.replace("_", " ").strip().capitalize()
    text = text.replace("mothlight_app", name).replace("Mothlight App", title)
    return re.sub(r"(?m)(?:^import 'package:.*;\n){2,}", _sorted, text)


def _sorted(imports: re.Match[str]) -> str:
    """Imports stand in the order of the alphabet, whatever the name is."""
    return "".join(sorted(imports[0].splitlines(keepends=True)))


def _module(path: Path) -> ModuleType:
    name = "mothlight.flutter._service"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # pydantic looks it up
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
    return module
