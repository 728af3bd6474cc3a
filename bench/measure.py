"""Runs a case: all contenders up at once, driven in turn, round after round."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from .cases import Case
from .figures import Result
from .processes import busy_cores
from .servers import START, Loop, Server, looping, serving
from .works import Closed, Contender, Stage, Work


def measure(
    case: Case,
    rounds: int,
    seconds: float,
    overload: float,
    say: Callable[[str], None],
    warm_up: float = 1.0,
) -> list[Result]:
    """The figures of each row of each work. ``warm_up``: seconds of load on each contender before
    the first round. Raises RuntimeError when an answer is wrong."""
    stage = Stage(list(case.contenders), seconds=seconds, overload=overload)
    results = {
        (work, row.title): Result(case.name, row) for work in case.works for row in work.rows
    }
    with contextlib.ExitStack() as stack:
        if case.is_up:
            _raise_up(case, stage, stack)
        _compare(case, stage)
        _warm_up(case, stage, warm_up, results)
        for number in range(rounds):
            stage.is_backwards = number % 2 == 1
            for work in case.works:
                busy = _busy(0.5)
                try:
                    found = work.run(stage)
                except Exception as error:
                    error.add_note(_where(case, work, stage))
                    raise
                for row in work.rows:
                    result = results[work, row.title]
                    result.add(found[row.title])
                    result.foreign.append(busy)
                    shown = ", ".join(f"{n} {f[-1]:,.4g}" for n, f in result.figures.items())
                    say(
                        f"{case.name}, {row.title}, round {number + 1}: {shown} {row.unit}"
                        f" (others: {busy:.1f} cores)"
                    )
    return list(results.values())


def _where(case: Case, work: Work, stage: Stage) -> str:
    servers = [(n, s.port) for n, s in stage.subjects.items() if isinstance(s, Server)]
    ports = ", ".join(f"{name} has port {port}" for name, port in servers)
    return f"{case.name}, {work.rows[0].title}; {ports}"


def _raise_up(case: Case, stage: Stage, stack: contextlib.ExitStack) -> None:
    """Starts each server once, whatever names it goes by; strangers that do not start are left
    out."""
    started: dict[Any, Server | Loop] = {}
    for contender in case.contenders:
        key = (contender.module, contender.arguments, contender.python)
        with _tolerant(contender):
            if key not in started:
                started[key] = _start(case, contender, stack)
            stage.subjects[contender.name] = started[key]
    stage.contenders = [c for c in stage.contenders if c.name in stage.subjects]


def _start(case: Case, contender: Contender, stack: contextlib.ExitStack) -> Server | Loop:
    module, arguments = contender.module, contender.arguments
    if module == "loop":
        return stack.enter_context(looping(case.name, int(arguments[0]) if arguments else 1))
    return stack.enter_context(serving(module, case.name, arguments, contender.python))


@contextlib.contextmanager
def _tolerant(contender: Contender) -> Iterator[None]:
    """Lets a stranger fail."""
    try:
        yield
    except RuntimeError as error:
        if not contender.python:
            raise
        print(f"{contender.name}: {error}", file=sys.stderr, flush=True)


def _warm_up(case: Case, stage: Stage, seconds: float, results: dict[Any, Result]) -> None:
    for work in case.works:
        if not isinstance(work, Closed):
            continue
        for contender in stage.of(work.of):
            subject = stage.subjects[contender.name]
            with _tolerant(contender):
                request = (contender.request or work.request)()
                subject.drive(request, work.connections, seconds)
            if isinstance(subject, Loop) and work.connections > 1:
                results[work, work.row.title].note = f"loop: batches of {subject.best}"


def _busy(seconds: float) -> float:
    """How many cores are busy while no contender is driven; NaN where Linux is not there to say."""
    before, start = busy_cores(), time.perf_counter()
    time.sleep(seconds)
    return (busy_cores() - before) / (time.perf_counter() - start)


def _compare(case: Case, stage: Stage) -> None:
    """Sees that all servers give the same answer."""
    if case.request is None:
        return
    answers: dict[str, list[dict[str, Any]]] = {}
    for contender in stage.contenders:
        server = stage.subjects[contender.name]
        if isinstance(server, Server):
            request = (contender.request or case.request)()
            with _tolerant(contender):
                answers[contender.name] = server.ask(request, START if contender.python else 0)
    first = next(iter(answers.values()))
    for name, answer in answers.items():
        if not _alike(first, answer):
            raise RuntimeError(f"{name} answers {answer!r:.300}, others {first!r:.300}")


def _alike(one: Any, other: Any) -> bool:
    match one, other:
        case float(), float():
            return math.isclose(one, other, rel_tol=1e-3)
        case dict(), dict():
            return one.keys() == other.keys() and all(_alike(one[k], other[k]) for k in one)
        case list(), list():
            return len(one) == len(other) and all(map(_alike, one, other))
    return bool(one == other)
