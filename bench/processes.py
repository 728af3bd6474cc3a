"""What a server's processes take together; from /proc, NaN where there is none."""

from __future__ import annotations

import math
import os
import re
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

_PROC = Path("/proc")
_MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ ")


def tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for member, parent, _ in _all():
        children.setdefault(parent, []).append(member)
    found = [pid]
    for member in found:
        found += children.get(member, [])
    return found


def session(pid: int) -> list[int]:
    """All processes of the session that a process leads or led."""
    return [member for member, _, leader in _all() if leader == pid]


def _all() -> Iterator[tuple[int, int, int]]:
    """Of each process: its id, its parent's, its session's."""
    for entry in _PROC.glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        yield int(entry.parent.name), int(fields[1]), int(fields[3])


def footprint(pids: Iterable[int]) -> float:
    """MB that the processes take together: their own pages, and those of files (libraries) that
    are in memory for them, counted once whoever else uses them too."""
    if not _PROC.exists():
        return math.nan
    own, files = 0, dict[str, int]()
    for pid in pids:
        name = ""
        for line in (_PROC / str(pid) / "smaps").read_text().splitlines():
            if _MAPPING.match(line):
                parts = line.split(maxsplit=5)
                name = f"{parts[5]} {parts[2]}" if parts[4] != "0" else ""
            elif line.startswith("Rss:"):
                size = int(line.split()[1])
            elif line.startswith("Anonymous:"):
                anonymous = int(line.split()[1])
                own += anonymous if name else size
                if name:
                    files[name] = max(files.get(name, 0), size - anonymous)
    return (own + sum(files.values())) * 1024 / 1e6


def resident(pids: Iterable[int]) -> float:
    """MB in memory, shared pages counted for each (RSS); cheaper to ask for."""
    return sum((_rss(pid) for pid in pids), 0.0)


def busy_cores() -> float:
    """Seconds that all cores together have been busy since the machine was started."""
    stat = _PROC / "stat"
    if not stat.exists():
        return math.nan
    ticks = [int(field) for field in stat.read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")  # idle, iowait


def kill(pids: Iterable[int]) -> None:
    """Ends those of the processes that still run."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _rss(pid: int) -> float:
    if not _PROC.exists():
        return math.nan
    pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
