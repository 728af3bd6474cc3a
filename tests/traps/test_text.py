"""Scenario 1 of the tutorial, Flask's /analyze: traps 1 to 9, as far as they are the server's."""

from __future__ import annotations

import ast
import concurrent.futures
import json
import os
import signal
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from live import Live, multipart, problem_of, request, wait_until

TESTS = Path(__file__).parents[1]
SOURCE = TESTS.parent / "src" / "mothlight"
TUTORIAL = TESTS / "services" / "tutorial.py"


@pytest.fixture(scope="module")
def texts(serve_all: Callable[..., Live]) -> Live:
    return serve_all(f"{TUTORIAL}:Texts", max_string=1000)


def score(server: Live, text: str) -> float:
    answer = httpx2.post(f"{server.url}/analyze", json={"text": text}, timeout=30)
    assert answer.status_code == 200, answer.text
    value = answer.json()["score"]
    assert isinstance(value, float)
    return value


# 1 and 8: the same text, the same score


@pytest.mark.demo
@pytest.mark.slow
def test_traps_1_and_8_every_worker_and_restart_scores_alike(serve: Callable[..., Live]) -> None:
    server = serve("mothlight.demo.app:Sentiment", workers=2)
    workers = server.workers()
    assert len(workers) == 2
    texts = ["What a lovely, clever film!", "A dull, endless mess.", "It rains."]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: (text, score(server, text)), texts * 16))
    by_text = {text: {s for t, s in found if t == text} for text in texts}
    # Batches of another size sum in another order: 1e-5 is what the model states.
    assert all(max(scores) - min(scores) < 1e-5 for scores in by_text.values()), by_text
    assert min(by_text[texts[0]]) > 0.7 and max(by_text[texts[1]]) < 0.3  # the text is used

    os.kill(workers[0], signal.SIGKILL)
    wait_until(lambda: len(set(server.workers()) - set(workers)) == 1, "another worker", 60)
    wait_until(
        lambda: server.metric("mothlight_workers", service="Sentiment") == 2, "it is ready", 60
    )
    for text in texts * 4:
        assert score(server, text) == pytest.approx(min(by_text[text]), abs=1e-5)


@pytest.mark.demo
@pytest.mark.slow
def test_trap_8_the_demo_networks_are_in_eval_mode() -> None:
    torch = pytest.importorskip("torch")
    from mothlight.demo import sentiment

    torch.set_num_threads(1)
    network = sentiment.load().network
    assert not any(module.training for module in network.modules())
    assert "cuda" not in {str(p.device) for p in network.parameters()}


# 2: bodies that are JSON, but not the message; and bodies that are not even JSON


@pytest.mark.parametrize(
    "body", ["null", "5", '"text"', '["text"]', "{}", '{"text": null}', '{"text": 5}', "[]", "true"]
)
def test_trap_2_json_that_is_no_message(texts: Live, body: str) -> None:
    answer = texts.send(request("POST", "/analyze", body.encode()))
    assert answer and answer.status == 422
    problem = answer.problem()
    assert problem["type"] == "InvalidRequest" and problem["code"] == "invalid_argument"
    assert problem["errors"] and all({"path", "message"} <= set(e) for e in problem["errors"])


@pytest.mark.parametrize("body", [b"", b"{", b"text", b'{"text": "a"', b"{'text': 'a'}", b"\xff"])
def test_trap_2_what_is_not_json_is_a_problem_in_json(texts: Live, body: bytes) -> None:
    answer = texts.send(request("POST", "/analyze", body))
    assert answer and answer.status == 400
    assert answer.problem()["type"] == "MalformedRequest"


def test_trap_2_a_missing_content_type_is_read_as_json(texts: Live) -> None:
    answer = texts.send(request("POST", "/analyze", b'{"text": "a"}', type=""))
    assert answer and answer.status == 200 and answer.type == "application/json"
    assert set(answer.json()) == {"score"}


@pytest.mark.parametrize("kind", ["text/html", "application/xml", "text/plain", "nonsense", "/"])
def test_trap_2_another_content_type_is_415_with_what_is_taken(texts: Live, kind: str) -> None:
    answer = texts.send(request("POST", "/analyze", b'{"text": "a"}', type=kind))
    assert answer and answer.status == 415
    assert "application/json" in answer.problem()["supported"]


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [("GET", "/analyze", 405), ("POST", "/analyse", 404), ("DELETE", "/health/live", 405)],
)
def test_trap_2_wrong_paths_and_verbs_are_problems_too(
    texts: Live, verb: str, path: str, status: int
) -> None:
    answer = texts.send(request(verb, path))
    assert answer and answer.status == status
    answer.problem()
    if status == 405:
        assert answer.headers["allow"]


def test_trap_2_the_path_of_the_fault_is_told(texts: Live) -> None:
    answer = texts.send(request("POST", "/analyze", b'{"txt": "a"}'))
    assert answer
    assert [e["path"] for e in answer.problem()["errors"]] == ["text"]


def test_trap_2_a_form_is_taken_as_well(texts: Live) -> None:
    body, kind = multipart(('content-disposition: form-data; name="text"', b"fine"))
    answer = texts.send(request("POST", "/analyze", body, type=kind))
    assert answer and answer.status == 200
    encoded = request("POST", "/analyze", b"text=fine", type="application/x-www-form-urlencoded")
    other = texts.send(encoded)
    assert other and other.json() == answer.json()


# 3: scores that are no numbers


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_trap_3_a_score_that_is_not_finite_is_never_sent_as_json(texts: Live, value: str) -> None:
    """The one place where the status may be 500: it is the model that is broken."""
    answer = texts.send(request("POST", "/number", json.dumps({"text": value}).encode()))
    assert answer and answer.status == 500
    assert answer.problem()["code"] == "internal"
    assert "not a finite number" in texts.text()  # the log says what to mend
    assert "allow_inf_nan" in texts.text()


@pytest.mark.parametrize(("value", "shown"), [("nan", "NaN"), ("inf", "Infinity")])
def test_trap_3_where_it_is_declared_it_is_a_string(texts: Live, value: str, shown: str) -> None:
    answer = texts.send(request("POST", "/loose", json.dumps({"text": value}).encode()))
    assert answer and answer.status == 200
    assert answer.body == b'{"score":"%s"}' % shown.encode()


def test_trap_3_a_whole_number_is_sent_as_a_float(texts: Live) -> None:
    """Trap 14's half on the server: 1.0 goes out with its point, so that Dart reads a double."""
    answer = texts.send(request("POST", "/number", b'{"text": "1"}'))
    assert answer and answer.body == b'{"score":1.0}'


# 4: lengths


def test_trap_4_a_declared_length_is_kept(texts: Live) -> None:
    answer = texts.send(request("POST", "/analyze", b'{"text": "%s"}' % (b"x" * 201)))
    assert answer and answer.status == 422
    assert answer.problem()["errors"][0]["path"] == "text"
    empty = texts.send(request("POST", "/analyze", b'{"text": ""}'))
    assert empty and empty.status == 422


@pytest.mark.parametrize("form", ["json", "query", "multipart"])
def test_trap_4_an_undeclared_length_has_the_servers_bound(texts: Live, form: str) -> None:
    def ask(length: int) -> int:
        text = b"x" * length
        if form == "json":
            body, kind = b'{"text": "%s"}' % text, "application/json"
        elif form == "query":
            body, kind = b"text=" + text, "application/x-www-form-urlencoded"
        else:
            body, kind = multipart(('content-disposition: form-data; name="text"', text))
        answer = texts.send(request("POST", "/length", body, type=kind))
        assert answer
        if answer.status == 200:
            assert answer.json() == length
        else:
            assert answer.problem()["errors"][0]["path"] == "text"
        return answer.status

    assert ask(1000) == 200
    assert ask(1001) == 422


# 5: no debugger, no reloader, no development server


def test_trap_5_an_exception_tells_the_log_and_not_the_caller(texts: Live) -> None:
    answer = texts.send(request("POST", "/boom", b'{"text": "x"}'))
    assert answer and answer.status == 500
    problem = answer.problem()
    assert problem["code"] == "internal" and b"secret" not in answer.body
    assert answer.headers["call-id"] in texts.text()  # by which the log line is found
    assert "secret-4711" in texts.text()


@pytest.mark.parametrize(
    "path", ["/console", "/?__debugger__=yes&cmd=resource&f=debugger.js", "/analyze?__debugger__=1"]
)
def test_trap_5_there_is_no_debugger(texts: Live, path: str) -> None:
    answer = texts.send(request("GET", path))
    assert answer and answer.status in (404, 405)
    answer.problem()


def test_trap_5_the_model_is_loaded_once_in_each_worker(
    serve: Callable[..., Live], tmp_path: Path
) -> None:
    loads = tmp_path / "loads"
    server = serve(f"{TUTORIAL}:Texts", workers=2, environment={"LOADS": str(loads)})
    score(server, "fine")
    pids = [int(line) for line in loads.read_text().split()]
    assert sorted(pids) == sorted(server.workers())  # not in the front process, not twice


# 6: where it listens


def test_trap_6_it_listens_here_unless_told_otherwise(
    texts: Live, serve: Callable[..., Live]
) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", texts.port), 5)
    assert "--host 0.0.0.0 lets them in" in texts.text()  # and says how phones get in
    assert f"http://10.0.2.2:{texts.port}" in texts.text()
    opened = serve(f"{TUTORIAL}:Texts", host="0.0.0.0", workers=0)
    socket.create_connection(("127.0.0.2", opened.port), 5).close()
    assert "phones here" in opened.text()


@pytest.mark.slow
def test_trap_6_one_port_serves_all_three_scenarios(serve: Callable[..., Live]) -> None:
    server = serve(TUTORIAL)
    with server.client() as client:
        assert client.post("/analyze", json={"text": "a"}).status_code == 200
        assert client.post("/classify").status_code in (400, 422)
        assert client.get("/stream_numbers?count=1").status_code == 200


def test_trap_6_a_taken_port_is_said_so(texts: Live, tmp_path: Path) -> None:
    second = Live("", tmp_path / "log", command=("-m", "mothlight", "serve", f"{TUTORIAL}:Texts",
                                                 f"--port={texts.port}"))  # fmt: skip
    status = second.process.wait(30)
    second.stop()
    assert status not in (0, None)
    assert "in use" in second.text() and str(texts.port) in second.text()


# 7: threads


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.slow
def test_trap_7_the_workers_share_the_cores(serve: Callable[..., Live], workers: int) -> None:
    server = serve(f"{TUTORIAL}:Texts", workers=workers)
    with server.client() as client:
        threads = client.get("/threads").json()
    cores = os.cpu_count() or 1
    assert threads == max(1, cores // workers)


def test_trap_7_a_model_runs_one_call_at_a_time(serve: Callable[..., Live]) -> None:
    """Synchronous methods never meet in one object, and two workers really run side by side."""
    server = serve(f"{TUTORIAL}:Texts", workers=2)
    with concurrent.futures.ThreadPoolExecutor(4) as pool, server.client() as client:
        pids = list(pool.map(lambda _: client.post("/sleep", json=0.2).json(), range(4)))
    assert Counter(pids) == {pid: 2 for pid in server.workers()}


# 9: loading weights runs no code


def test_trap_9_nothing_here_unpickles() -> None:
    calls = []
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                name = ast.unparse(node.func)
                if name in ("torch.load", "pickle.load", "pickle.loads", "torch.jit.load"):
                    safe = any(
                        k.arg == "weights_only" and ast.unparse(k.value) == "True"
                        for k in node.keywords
                    )
                    calls.append((path.name, node.lineno, name, name == "torch.load" and safe))
    assert all(safe for *_, safe in calls), calls


# And with all that bad input behind it, it still answers.


def test_it_still_answers(texts: Live) -> None:
    assert score(texts, "fine") == sum(b"fine") % 1000 / 1000
    answer = texts.send(request("GET", "/health/ready"))
    assert answer and answer.status == 200
    with texts.client() as client:
        refused = client.post("/analyze", json={"text": "refuse this"})
    problem = problem_of(refused.status_code, refused.headers["content-type"], refused.content)
    assert (problem["type"], problem["text"]) == ("Refused", "refuse this")
