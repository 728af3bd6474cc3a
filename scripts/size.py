"""Prints lines per room, and fails where a file or a function has outgrown its room."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path

SOURCE = Path("src/mothlight")
MAX_FILE, MAX_FUNCTION = 400, 70


def main() -> int:
    rooms: Counter[str] = Counter()
    faults = []
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text()
        lines = text.count("\n")
        inside = path.relative_to(SOURCE)
        rooms[inside.parts[0] if len(inside.parts) > 1 else inside.name] += lines
        if lines > MAX_FILE:
            faults.append(f"{path}: {lines} lines, at most {MAX_FILE}")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > MAX_FUNCTION:
                    faults.append(f"{path}:{node.lineno}: {node.name} has {length} lines")
    for room, lines in rooms.most_common():
        print(f"{lines:6} {room}")
    print(f"{rooms.total():6} in all")
    print("\n".join(faults))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
