"""API keys: what stands in the file, who is let in, and what a change of the file does."""

from __future__ import annotations

import io
import logging
import os
import re
import stat
import sys
import threading
import tomllib
from collections.abc import Callable, Coroutine
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from desk import Desk

from mothlight import (
    ApiKeys,
    App,
    Credentials,
    DefinitionError,
    Principal,
    Unauthenticated,
    keys,
    logs,
)
from mothlight.cli import main
from mothlight.keys import create, read, revoke

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.toml"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock by which the file is looked at: ``clock.now``."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(keys, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def says(**headers: str) -> Credentials:
    return Credentials({k.replace("_", "-"): v for k, v in headers.items()}, "192.0.2.1", "/")


def bearer(key: str) -> Credentials:
    return says(authorization=f"Bearer {key}")


def loaded(path: Path) -> ApiKeys:
    hook = ApiKeys(path)
    hook.load()
    return hook


# The file


def test_at_rest_there_is_only_a_hash(path: Path) -> None:
    key, made = create(path, "phone", rate=2.5, concurrency=4)
    found = re.fullmatch(r"moth_([0-9a-f]{8})_([A-Za-z0-9_-]{43})", key)
    assert found
    text = path.read_text()
    assert found[2] not in text
    (entry,) = tomllib.loads(text)["keys"]
    assert entry["hash"] == sha256(found[2].encode()).hexdigest()
    assert (entry["id"], entry["name"], entry["rate"], entry["concurrency"]) == (
        found[1], "phone", 2.5, 4,
    )  # fmt: skip
    assert read(path) == made


@pytest.mark.skipif(sys.platform == "win32", reason="modes of files")
def test_the_file_is_its_owners_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        create(path, "phone")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o666)
        create(path, "desk")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640, "the group may go on reading; no more"
    finally:
        os.umask(before)


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    create(link, "phone")
    assert link.is_symlink() and len(read(path)) == 1


@pytest.mark.parametrize("name", ['Büro "x" \\ 7', "日本", "a.b@c", "'", "[[keys]]", "x" * 64])
def test_any_name_comes_back(path: Path, name: str) -> None:
    key, _ = create(path, name, rate=float("inf"))
    assert loaded(path)(bearer(key)) == Principal(name, float("inf"))


@pytest.mark.parametrize(
    "given",
    [
        {"name": ""},
        {"name": "x" * 65},
        {"name": "a\nb"},
        {"name": "\x9b31m"},
        {"name": "half \ud800"},
        {"name": "a", "rate": 0.0},
        {"name": "a", "rate": float("nan")},
        {"name": "a", "concurrency": 0},
    ],
)
def test_what_no_key_can_be(path: Path, given: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError):
        create(path, **given)
    assert not path.exists()


def test_many_writers_lose_no_key(path: Path) -> None:
    made: list[str] = []

    def write(who: int) -> None:
        for number in range(5):
            made.append(create(path, f"{who}.{number}")[0])

    threads = [threading.Thread(target=write, args=(who,)) for who in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    hook = loaded(path)
    assert len({hook(bearer(key)).name for key in made}) == 30


def test_a_writer_that_fails_leaves_what_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, _ = create(path, "phone")
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(DefinitionError, match="No space left"):
        create(path, "desk")
    assert path.read_bytes() == before
    assert sorted(p.name for p in path.parent.iterdir()) == [".keys.toml.lock", "keys.toml"]
    assert loaded(path)(bearer(key)).name == "phone"


def test_a_file_has_a_bound(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create(path, "phone")
    before = path.read_bytes()
    monkeypatch.setattr(keys, "_MAX_BYTES", len(before) + 10)
    with pytest.raises(DefinitionError, match="more than"):
        create(path, "desk")
    assert path.read_bytes() == before
    path.write_bytes(before + b"#" * 100)
    with pytest.raises(DefinitionError, match="more than"):
        read(path)


def test_revoke_by_id_and_by_name(path: Path) -> None:
    first, _ = create(path, "phone")
    second, same = create(path, "phone")
    third, _ = create(path, "desk")
    assert [key.name for key in same] == ["phone", "phone"]
    hook = loaded(path)
    assert hook(bearer(first)) == hook(bearer(second)), "two keys of a name are one principal"
    revoke(path, first.split("_")[1])
    hook = loaded(path)
    assert hook(bearer(second)).name == "phone"
    with pytest.raises(Unauthenticated):
        hook(bearer(first))
    assert len(revoke(path, "phone")) == 1
    with pytest.raises(DefinitionError, match="has no key 'phone'"):
        revoke(path, "phone")
    assert loaded(path)(bearer(third)).name == "desk"


BROKEN = {
    "no TOML": "[[keys]",
    "not UTF-8": b"\xff\xfe",
    "no list": "keys = 5",
    "no key": "[[keys]]\nid = 'x'",
    "a key in place of a hash": (
        "[[keys]]\nid='00000000'\nname='a'\ncreated=2026-01-01T00:00:00Z\nhash='moth_SECRET'"
    ),
    "more": "[[key]]\nid = 'x'",
    "more in a key": (
        f"[[keys]]\nid='00000000'\nname='a'\ncreated=2026-01-01T00:00:00Z\nhash='{'0' * 64}'\nx=1"
    ),
    "an id twice": 2 * (
        f"[[keys]]\nid='00000000'\nname='a'\ncreated=2026-01-01T00:00:00Z\nhash='{'0' * 64}'\n"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_refused_with_the_mend(path: Path, what: str) -> None:
    text = BROKEN[what]
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DefinitionError, match=r"keys\.toml is no file of API keys") as caught:
        ApiKeys(path).load()
    assert "mothlight keys new" in str(caught.value)
    assert "SECRET" not in str(caught.value)
    with pytest.raises(DefinitionError):
        create(path, "phone")  # which would write over it


def test_a_missing_file_stops_the_start_before_a_model_is_loaded(path: Path, run: Run) -> None:
    app = App(Desk, workers=0, keys=path)  # what only reads the contract needs no keys
    with pytest.raises(DefinitionError, match="mothlight keys new NAME --file") as caught:
        run(app.start())
    assert str(path) in str(caught.value)
    assert not app.backend.is_ready


# Who is let in


def test_a_key_comes_as_bearer_or_as_x_api_key(path: Path) -> None:
    key, _ = create(path, "phone", rate=3.0)
    hook = loaded(path)
    expected = Principal("phone", 3.0)
    for credentials in (
        bearer(key),
        says(authorization=f"bEARER  {key} "),
        says(x_api_key=key),
        says(x_api_key=key, authorization="Basic eDp5"),
    ):
        assert hook(credentials) == expected


def test_trap_18_who_has_no_key_is_told_so_and_how_to_send_one(path: Path) -> None:
    create(path, "phone")
    for credentials in (says(), says(authorization="Basic eDp5"), says(authorization="Bearer ")):
        with pytest.raises(Unauthenticated, match="Authorization: Bearer") as caught:
            loaded(path)(credentials)
        assert caught.value.status == 401


def test_what_is_nearly_a_key_is_none(path: Path) -> None:
    key, _ = create(path, "phone")
    (entry,) = read(path)
    prefix, id, secret = key.split("_", 2)
    other = "A" if secret[-2] != "A" else "B"
    wrong = [
        key[:-1],
        key + "A",
        key.upper(),
        key.replace("moth_", "goth_"),
        f"{prefix}_{id}_{secret[:-2]}{other}{secret[-1]}",
        f"{prefix}_{'0' * 8}_{secret}",
        f"{prefix}_{id}_",
        f"{prefix}_{id}_{entry.hash[:43]}",
        entry.hash,
        secret,
        id,
        "moth",
        "_" * 57,
        "ÿ" * 57,
        "\ud800" * 57,
        "x" * 60_000,
    ]
    hook = loaded(path)
    assert hook(bearer(key)).name == "phone"
    reasons = set()
    for given in wrong:
        with pytest.raises(Unauthenticated) as caught:
            hook(bearer(given))
        reasons.add(caught.value.reason)
    assert len(reasons) == 1, "nobody learns whether an id is known"


def test_every_key_is_compared_in_constant_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _ = create(path, "phone")
    compared: list[tuple[bytes, bytes]] = []
    real = keys.compare_digest

    def watch(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return real(a, b)

    monkeypatch.setattr(keys, "compare_digest", watch)
    hook = loaded(path)
    unknown = f"moth_00000000_{'A' * 43}"
    for given in (f"{key[:14]}{'A' * 43}", unknown):  # a wrong secret; an id that nobody has
        with pytest.raises(Unauthenticated):
            hook(bearer(given))
    assert len(compared) == 2
    assert all(len(a) == len(b) == 32 for a, b in compared)
    assert compared[0][0] == compared[1][0] and compared[0][1] != compared[1][1]


# Changes of the file


def test_a_change_is_seen_without_a_restart(path: Path, clock: SimpleNamespace) -> None:
    first, _ = create(path, "phone")
    hook = loaded(path)
    second, _ = create(path, "desk")
    with pytest.raises(Unauthenticated):
        hook(bearer(second))  # too early: the file is looked at twice a second
    clock.now += 0.6
    assert hook(bearer(second)).name == "desk"
    revoke(path, "phone")
    clock.now += 0.6
    with pytest.raises(Unauthenticated):
        hook(bearer(first))
    assert hook(bearer(second)).name == "desk"


@pytest.mark.parametrize("how", ["broken", "gone", "a folder"])
def test_a_broken_file_keeps_what_was_and_is_logged_once(
    path: Path, clock: SimpleNamespace, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    key, _ = create(path, "phone")
    hook = loaded(path)
    whole = path.read_bytes()
    path.unlink()
    if how == "broken":
        path.write_text("[[keys")
    elif how == "a folder":
        path.mkdir()
    with caplog.at_level(logging.INFO, "mothlight"):
        for _ in range(5):
            clock.now += 0.6
            assert hook(bearer(key)).name == "phone"
        assert [r.levelname for r in caplog.records] == ["ERROR"]
        assert "still count" in caplog.text
        if how == "a folder":
            path.rmdir()
        path.write_bytes(whole)
        clock.now += 0.6
        assert hook(bearer(key)).name == "phone"
        assert [r.levelname for r in caplog.records] == ["ERROR", "INFO"]


def test_the_file_is_not_read_for_each_request(
    path: Path, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _ = create(path, "phone")
    hook = loaded(path)
    monkeypatch.setattr(keys, "read", None)
    for _ in range(100):
        clock.now += 0.1
        hook(bearer(key))


def test_a_hook_that_was_never_loaded_loads_itself(path: Path) -> None:
    key, _ = create(path, "phone")
    assert ApiKeys(path)(bearer(key)).name == "phone"


def test_without_its_file_a_hook_lets_nobody_in(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Unauthenticated):
        ApiKeys(path)(bearer(f"moth_00000000_{'A' * 43}"))
    assert "there is no file of API keys" in caplog.text


# The command line


def test_the_commands(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    assert main(["keys", "new", "phone", "--rate", "2.5", "--concurrency", "4"]) == 0
    out, err = capsys.readouterr()
    key = out.strip()
    assert loaded(path)(bearer(key)) == Principal("phone", 2.5, 4)
    assert "shown only now" in err and key not in err, "stdout has the key alone, for a pipe"
    assert main(["keys", "new", "phone"]) == 0
    assert "2 keys now; they are one caller" in capsys.readouterr().err
    assert main(["keys", "list"]) == 0
    out = capsys.readouterr().out
    assert out.count("phone") == 2 and "2.5 calls/s" in out and "4 at once" in out
    assert key[14:] not in out and read(path)[0].hash not in out
    assert main(["keys", "revoke", key.split("_")[1]]) == 0
    assert main(["keys", "revoke", "phone"]) == 0
    assert capsys.readouterr().out.count("revoked") == 2
    assert main(["keys", "list"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["keys", "revoke", "phone"]) == 2
    assert "has no key 'phone'" in capsys.readouterr().err


def test_the_commands_use_the_settings_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTHLIGHT_KEYS", str(tmp_path / "other.toml"))
    assert main(["keys", "list"]) == 2
    assert "other.toml" in capsys.readouterr().err
    assert main(["keys", "new", "phone"]) == 0
    assert (tmp_path / "other.toml").exists()
    monkeypatch.setenv("MOTHLIGHT_PORT", "many")
    assert main(["keys", "list"]) == 2
    assert "port: " in capsys.readouterr().err


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_key_that_a_model_logs_is_hidden(path: Path, form: str) -> None:
    key, _ = create(path, "phone")
    stream = io.StringIO()
    handler = logs.Handler(stream)
    handler.setFormatter(logs.Json() if form == "json" else logs.Text())
    logger = logging.Logger("model")
    logger.addHandler(handler)
    logger.warning("got %s", [key], extra={"given": f"x={key}"})
    logger.warning(key)
    assert stream.getvalue().count("[hidden]") == (3 if form == "json" else 2)
    assert key[14:] not in stream.getvalue()
