"""The log: its two forms, whose calls its lines are of, and what cannot get into it."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from live import Live, wait_until
from mothlight import logs
from mothlight.backend.batch import Calls
from mothlight.call import answering
from mothlight.calls.identity import public

MINE, BAD = "3f2b8c1d9e7a4650b1c2d3e4f5a69788", "4a69788f2b8c1d9e7a4650b1c2d3e4f5"

NOISY = f"{Path(__file__).parent.parent / 'services' / 'noisy.py'}:Noisy"


class Written:
    """A logger of its own, and what its handler has written."""

    def __init__(self, formatter: logging.Formatter) -> None:
        self.stream = io.StringIO()
        handler = logs.Handler(self.stream)
        handler.setFormatter(formatter)
        self.log = logging.Logger("shop")
        self.log.addHandler(handler)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


def test_a_record_as_json() -> None:
    written = Written(logs.Json())
    before = datetime.now(UTC)
    written.log.warning("got %d", 3, extra={"shelf": {"row": (1, 2.5), "free": None}})
    (line,) = written.objects
    assert before <= datetime.fromisoformat(line.pop("time")) <= datetime.now(UTC)
    assert line.pop("pid") > 0
    assert line == {
        "level": "warning",
        "logger": "shop",
        "message": "got 3",
        "shelf": {"row": [1, 2.5], "free": None},
    }


def test_times_are_those_of_rfc_3339() -> None:
    record = logging.makeLogRecord({"msg": "x", "created": 1_769_864_711.0})
    assert json.loads(logs.Json().format(record))["time"] == "2026-01-31T13:05:11.000000Z"


def test_a_worker_s_lines_say_whose_they_are() -> None:
    written = Written(logs.Json("Shop"))
    written.log.info("x")
    assert written.objects[0]["service"] == "Shop"
    written = Written(logs.Text("Shop"))
    written.log.info("x")
    assert f"INFO Shop[{os.getpid()}] x" in written.lines[0]


@pytest.mark.parametrize("form", [logs.Json, logs.Text])
def test_a_line_names_the_calls_that_it_was_logged_in(form: Callable[[], Any]) -> None:
    written = Written(form())
    with answering(Calls(["one"])):
        written.log.info("alone")
    with answering(Calls(["one", "two"])):
        written.log.info("together")
        written.log.info("told", extra={"calls": ["three"]})
    written.log.info("outside")
    if form is logs.Json:
        assert [(o.get("call"), o.get("calls")) for o in written.objects] == [
            ("one", None), (None, ["one", "two"]), ("three", None), (None, None),
        ]  # fmt: skip
    else:
        assert [line.split(" ", 2)[2] for line in written.lines] == [
            "alone (call one)", "together (call one, two)", "told (call three)", "outside",
        ]  # fmt: skip


def test_a_large_batch_is_not_listed_whole_for_people() -> None:
    written = Written(logs.Text())
    with answering(Calls([f"id{n}" for n in range(256)])):
        written.log.info("x")
    assert written.lines[0].endswith("x (call id0, id1, id2, id3, id4, id5, id6, id7 and 248 more)")


def test_an_exception_stands_in_its_record() -> None:
    as_json, as_text = Written(logs.Json()), Written(logs.Text())
    for written in (as_json, as_text):
        try:
            raise ValueError("no\nweights")
        except ValueError:
            written.log.exception("failed")
    (line,) = as_json.objects
    assert line["exception"].startswith("Traceback (most recent call last):")
    assert line["exception"].endswith("ValueError: no\nweights")
    first, *rest = as_text.lines
    assert first.endswith("ERROR failed")
    assert rest[-2:] == ["  ValueError: no", "  weights"]
    assert all(line.startswith("  ") for line in rest)


HOSTILE = "a\n13:05:11 ERROR forged\r\x1b[2J\x00\x85\u2028\u2029\u202e\ud800\x7f\t❤"


def test_no_text_from_outside_breaks_a_line() -> None:
    as_json, as_text = Written(logs.Json()), Written(logs.Text())
    for written in (as_json, as_text):
        written.log.info("got %s", HOSTILE, extra={"also": HOSTILE, HOSTILE: 1})
    assert len(as_json.lines) == 1
    assert as_json.stream.getvalue().isascii()
    line = as_json.objects[0]
    assert line["message"] == (
        "got a\n13:05:11 ERROR forged\\r\\x1b[2J\\x00\\x85\\u2028\\u2029\\u202e\\ud800\\x7f\t❤"
    )
    assert line["also"] in line["message"]
    first, *rest = as_text.lines
    assert first.endswith("INFO got a")
    assert rest == [
        "  13:05:11 ERROR forged\\r\\x1b[2J\\x00\\x85\\u2028\\u2029\\u202e\\ud800\\x7f\t❤"
    ]


def test_credentials_are_left_out() -> None:
    written = Written(logs.Json())
    written.log.info(
        "sent %s",
        {"Authorization": "Bearer eyJhbGciOi.J9-_x"},
        extra={
            "api_key": "k1", "headers": {"Cookie": "k2", "accept": "*/*"}, "access_token": "k3",
            "tokens": 17, "note": "Basic dXNlcjpwYXNz",
        },
    )  # fmt: skip
    text = written.stream.getvalue()
    assert not [secret for secret in ("eyJ", "k1", "k2", "k3", "dXN") if secret in text]
    line = written.objects[0]
    assert line["headers"] == {"Cookie": "[hidden]", "accept": "*/*"}
    assert line["tokens"] == 17
    assert line["message"] == "sent {'Authorization': 'Bearer [hidden]'}"


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError


def test_what_cannot_be_shown_loses_no_line() -> None:
    written = Written(logs.Json())
    endless: list[Any] = []
    endless += [endless, endless]
    written.log.info(
        "got %d", "x",
        extra={"a": float("nan"), "b": Unshowable(), "c": endless, "d": 10**5000, "e": {1: b"x"}},
    )  # fmt: skip
    (line,) = written.objects
    assert line["message"] == "got %d ('x',)"
    assert (line["a"], line["b"], line["d"]) == ("nan", "<Unshowable>", "<int>")
    assert line["e"] == {"1": "b'x'"}


def test_a_line_has_a_bound() -> None:
    for form in (logs.Json(), logs.Text()):
        written = Written(form)
        written.log.info("x" * 10_000_000, extra={"y": ["z"] * 10_000_000})
        assert len(written.stream.getvalue()) < 2 * logs.MAX_LENGTH
        assert "characters more" in written.stream.getvalue()


@pytest.fixture
def access() -> Iterator[Written]:
    written = Written(logs.Json())
    handler = written.log.handlers[0]
    logs.ACCESS.addHandler(handler)
    before = logs.ACCESS.level
    logs.ACCESS.setLevel(logging.INFO)
    yield written
    logs.ACCESS.removeHandler(handler)
    logs.ACCESS.setLevel(before)


def test_the_access_line(access: Written) -> None:
    logs.access(
        "id", "Shop", "Shop.sell", "ok", 0.0123456789,
        queued=0.001, computed=0.01, batch=8, trace="ab" * 16,
    )  # fmt: skip
    (line,) = access.objects
    del line["time"], line["pid"]
    assert line == {
        "level": "info",
        "logger": "mothlight.access",
        "message": "Shop.sell ok 12.3 ms, queued 1.0 ms, computed 10.0 ms, batch 8, "
        f"trace {'ab' * 16}",
        "call": "id",
        "service": "Shop",
        "method": "Shop.sell",
        "code": "ok",
        "seconds": 0.012346,
        "queued": 0.001,
        "computed": 0.01,
        "batch": 8,
        "trace": "ab" * 16,
    }
    logs.ACCESS.setLevel(logging.WARNING)
    logs.access("id", "Shop", "Shop.sell", "ok", 0.1)
    assert len(access.lines) == 1


# In processes of their own


def child(code: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True,
        **options,
    )  # fmt: skip


def test_a_program_s_own_set_up_is_kept() -> None:
    done = child(
        "import logging\n"
        "from mothlight import logs\n"
        "logging.basicConfig(format='mine %(message)s', level='ERROR')\n"
        "logs.set_up('json', 'debug')\n"
        "logging.error('x'); logging.info('y')\n"
    )
    assert done.stderr == "mine x\n"


def test_a_full_disk_loses_lines_and_nothing_else() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c",
             "import logging\n"
             "from mothlight import logs\n"
             "logs.set_up('text', 'info')\n"
             "for _ in range(1000): logging.info('x' * 100)\n"
             "print('went on')"],
            stdout=subprocess.PIPE, stderr=full, timeout=60, check=False,
        )  # fmt: skip
    assert done.stdout == b"went on\n"
    assert done.returncode in (0, 120), "120: Python itself could not flush stderr at its end"


def test_it_may_be_set_up_again() -> None:
    done = child(
        "import logging, warnings\n"
        "from mothlight import logs\n"
        "logs.set_up('text', 'info')\n"
        "logs.set_up('json', 'warning')\n"
        "logging.info('x'); logging.warning('y'); logging.getLogger('uvicorn').info('z')\n"
        "warnings.warn('old')\n"
    )
    first, second = map(json.loads, done.stderr.splitlines())
    assert first["message"] == "y"
    assert (second["logger"], second["level"]) == ("py.warnings", "warning")


def lines(server: Live) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.text().splitlines()]


def test_the_settings_reach_the_workers(serve: Callable[..., Live]) -> None:
    asked = {"MOTHLIGHT_LOG": "json", "MOTHLIGHT_ACCESS_LOG": "1"}
    server = serve(NOISY, environment=asked)
    with server.client() as client:
        keys = {"idempotency-key": MINE}
        forged = 'x\n{"level": "error"}'
        answer = client.post("/noisy/say", json=forged, headers=keys)
        assert answer.json() == forged
        keys = {"idempotency-key": BAD, "authorization": "Bearer abcdefghijkl"}
        assert client.post("/noisy/fail", json=1, headers=keys).status_code == 500
        assert (
            client.get("/noisy/count?most=3", headers={"accept": "text/plain"}).text == "0\n1\n2\n"
        )
    access = wait_until(
        lambda: [o for o in lines(server) if o["logger"] == "mothlight.access"][2:], "three lines"
    )
    found = lines(server)
    (worker,) = server.workers()
    (said,) = [o for o in found if o["message"] == f"said {forged}"]
    assert (said["call"], said["pid"], said["service"]) == (public(MINE), worker, "Noisy")
    assert said["characters"] == len(forged)
    (failed,) = [o for o in found if "exception" in o]
    assert (failed["call"], failed["method"], failed["pid"]) == (public(BAD), "Noisy.fail", worker)
    assert "ZeroDivisionError" in failed["exception"]
    told = {o["method"]: o for o in found if o["logger"] == "mothlight.access"}
    assert told["Noisy.say"]["call"] == public(MINE)
    assert told["Noisy.say"]["pid"] == server.process.pid
    assert told["Noisy.say"]["batch"] == 1
    assert 0 <= told["Noisy.say"]["computed"] <= told["Noisy.say"]["seconds"]
    assert told["Noisy.fail"]["code"] == "internal"
    assert access[0]["method"] == "Noisy.count"
    assert (access[0]["code"], access[0]["items"]) == ("ok", 3)
    for secret in ("abcdefghijkl", MINE, BAD):
        assert secret not in server.text()
    assert "debugged" not in server.text()


def test_the_level_reaches_the_workers_and_calls_are_not_logged_unless_asked_for(
    serve: Callable[..., Live],
) -> None:
    server = serve(NOISY, log_level="DEBUG")
    with server.client() as client:
        client.post("/noisy/say", json="x", headers={"idempotency-key": MINE})
    wait_until(lambda: f"said x (call {public(MINE)})" in server.text(), "the worker's line")
    assert f"debugged (call {public(MINE)})" in server.text()
    assert f"Noisy[{server.workers()[0]}]" in server.text()
    assert "mothlight.access" not in server.text()
    assert "Noisy.say ok" not in server.text()
