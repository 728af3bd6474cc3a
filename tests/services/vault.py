"""Services for the tests of principals, behind several ways to find out who calls."""

from __future__ import annotations

import asyncio

from noisy import Noisy
from trade import Trade
from users import TOKENS

from mothlight import App, Credentials, Principal, Unauthenticated

PRINCIPALS = {token: Principal(name) for name, token in TOKENS.items()}


def who(credentials: Credentials) -> Principal:
    return PRINCIPALS[credentials.bearer]  # careless: its KeyError quotes the token


async def who_later(credentials: Credentials) -> Principal:
    await asyncio.sleep(0)
    if credentials.bearer not in PRINCIPALS:
        raise Unauthenticated(reason="nobody has this token")
    return PRINCIPALS[credentials.bearer]


app = App(Trade, Noisy)
hooked = App(Trade, Noisy, authenticate=who)
hooked_async = App(Trade, Noisy, authenticate=who_later)
