"""A package's folder: what is written, what is stale, and whose a file is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .header import command_in, is_ours

_PARTS = ("lib", "example")
RUNTIME = "mothlight"
"""The folder of the runtime, beside a package's."""


class NotOurs(Exception):
    """A file that would be overwritten, and that no generator has written."""


@dataclass(frozen=True)
class Change:
    """A file that is new, differs, or (``text`` None) is no longer made."""

    path: Path
    text: str | None

    @property
    def why(self) -> str:
        """What is the matter with the file."""
        if self.text is None:
            return "is no longer made"
        return "is stale" if self.path.exists() else "is missing"


def changes(folder: Path, files: Mapping[str, str]) -> list[Change]:
    """What must be done for a folder to have the files. A file beside ``lib`` that somebody took
    over (it does not begin with our mark any more) is his. Raises NotOurs."""
    found = []
    for name, text in files.items():
        path = folder / name
        there = _read(path)
        if there is not None and there != text and not is_ours(there):
            if name.startswith("lib/"):
                raise NotOurs(
                    f"{path} was not generated\n  move it, or choose another folder: -o DIR"
                )
            continue
        if there != text:
            found.append(Change(path, text))
    for path in _generated(folder):
        if path.relative_to(folder).as_posix() not in files:
            found.append(Change(path, None))
    return found


def runtime_changes(folder: Path) -> list[Change]:
    """What must be done for ``folder`` to have the runtime. Raises NotOurs where another package
    is there."""
    source = runtime_source()
    if folder.resolve() == source.resolve():
        return []
    pubspec = _read(folder / "pubspec.yaml")
    if folder.exists() and not _is_runtime(pubspec):
        raise NotOurs(
            f"{folder} is there, and is not the Dart package mothlight, which goes there\n"
            "  choose another folder: -o DIR; or name a hosted one: --runtime '^0.1.0'"
        )
    paths = [
        source / "pubspec.yaml",
        source / "analysis_options.yaml",
        *sorted((source / "lib").rglob("*.dart")),
    ]
    found = []
    for path in paths:
        there, text = folder / path.relative_to(source), path.read_text("utf-8")
        if _read(there) != text:
            found.append(Change(there, text))
    return found


def runtime_source() -> Path:
    """Where the runtime's source is: in the wheel, or in the checkout."""
    here = Path(__file__).resolve()
    packed = here.parent / "runtime"
    return packed if packed.exists() else here.parents[3] / "dart" / RUNTIME


def apply(found: list[Change]) -> None:
    """Does it."""
    for change in found:
        if change.text is None:
            change.path.unlink()
        else:
            change.path.parent.mkdir(parents=True, exist_ok=True)
            change.path.write_text(change.text, "utf-8", newline="\n")


def command_of(folder: Path, package: str) -> str | None:
    """The command that a package there says it was made with."""
    text = _read(folder / "lib" / f"{package}.dart")
    return command_in(text) if text is not None else None


def _is_runtime(pubspec: str | None) -> bool:
    return pubspec is not None and f"name: {RUNTIME}\n" in pubspec


def _generated(folder: Path) -> list[Path]:
    found = [path for part in _PARTS for path in sorted((folder / part).rglob("*.dart"))]
    return [path for path in found if (text := _read(path)) is not None and is_ours(text)]


def _read(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    except UnicodeDecodeError:
        return ""
