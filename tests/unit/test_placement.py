"""A worker's threads: as many as it may use, and no more than its user said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mothlight.backend import placement

HERE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        (None, HERE),
        ("max 100000", HERE),
        ("100000 100000", 1),
        ("150000 100000", min(2, HERE)),
        ("5000 100000", 1),
        ("6400000 100000", HERE),
        ("nonsense", HERE),
    ],
)
def test_a_containers_quota_bounds_the_cores(
    quota: str | None, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cpu.max"
    if quota is not None:
        file.write_text(f"{quota}\n")
    monkeypatch.setattr(placement, "_QUOTA", file)
    assert placement.cores() == expected


@pytest.mark.parametrize(
    ("given", "workers", "expected"),
    [("", 1, 8), ("", 3, 2), ("", 20, 1), ("3", 4, 3), ("0", 1, 8), ("4,2", 1, 4)],
)
def test_workers_share_the_cores_unless_their_user_says_otherwise(
    given: str, workers: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert placement.threads(workers) == expected
