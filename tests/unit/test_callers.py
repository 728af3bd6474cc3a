"""Where a request comes from, and whom that makes one caller."""

from __future__ import annotations

import pytest
from desk import Desk

from mothlight import App
from mothlight.errors import DefinitionError
from mothlight.protocols.callers import Callers
from mothlight.settings import Settings

OURS = Callers(None, Settings().proxies)
INGRESS = Callers(None, Settings(proxies="10.0.0.0/8, fd00::/8,192.0.2.1").proxies)  # type: ignore[arg-type]


def told(named: str, host: str = "127.0.0.1", callers: Callers = OURS) -> str:
    return callers.peer((host, 1), {b"x-forwarded-for": named.encode()})


def test_a_proxy_on_this_machine_is_believed() -> None:
    assert told("198.51.100.7, 203.0.113.9 ") == "203.0.113.9"
    assert told("203.0.113.9, 127.0.0.1") == "203.0.113.9", "two proxies on this machine"
    assert told("203.0.113.9:51234") == "203.0.113.9", "each connection has another port"
    assert told("[2001:db8::1]:51234") == told("[2001:db8::1]") == "2001:db8::1"
    assert told("2001:db8::1") == "2001:db8::1"
    assert told("127.0.0.1, ::1") == told(" , ") == told("[") == "127.0.0.1"
    assert told("203.0.113.9", "::ffff:127.0.0.1") == "203.0.113.9"
    assert len(told("a" * 9999, "::1")) == 64


def test_a_stranger_may_name_nobody() -> None:
    assert told("203.0.113.9", "192.0.2.7") == "192.0.2.7"
    assert told("203.0.113.9", "10.0.0.1") == "10.0.0.1"
    assert told("203.0.113.9", "") == "", "a Unix socket has no address"
    assert OURS.peer(None, {}) == ""
    assert OURS.peer(("127.0.0.1", 1), {}) == "127.0.0.1"


def test_proxies_elsewhere_are_believed_when_they_are_named() -> None:
    assert told("203.0.113.9", "10.1.2.3", INGRESS) == "203.0.113.9"
    assert told("203.0.113.9", "fd00::1%eth0", INGRESS) == "203.0.113.9"
    assert told("6.6.6.6, 203.0.113.9, 10.9.9.9", "192.0.2.1", INGRESS) == "203.0.113.9"
    assert told("203.0.113.9", "127.0.0.1", INGRESS) == "127.0.0.1", "no more than are named"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("", ""),
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1:1:2", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("not:an:address", "not:an:address"),
    ],
)
def test_who_has_a_network_is_one_caller(address: str, expected: str) -> None:
    assert OURS.network((address, 1), {}) == expected


def test_what_is_no_network_is_refused_by_name() -> None:
    with pytest.raises(DefinitionError, match=r"proxies: .*10\.0\.0\.0/33"):
        App(Desk, proxies="10.0.0.0/33")
