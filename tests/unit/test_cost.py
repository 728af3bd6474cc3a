"""What batches cost, as it is learnt."""

from __future__ import annotations

import pytest

from mothlight.backend.cost import Cost


def learnt(*batches: tuple[int, float]) -> Cost:
    cost = Cost()
    for size, seconds in batches:
        cost.observe(size, seconds)
    return cost


def test_nothing_is_known_at_first() -> None:
    cost = Cost()
    assert not cost.is_known
    assert (cost.of(1), cost.of(64), cost.backlog(1000, 32)) == (0.0, 0.0, 0.0)
    assert cost.largest(32, 0.0) == 32, "what costs nothing fits"


def test_a_line_is_found() -> None:
    cost = learnt(*((n, 0.010 + 0.002 * n) for n in (1, 4, 8, 16, 2, 8)))
    for size in (1, 8, 32):
        assert cost.of(size) == pytest.approx(0.010 + 0.002 * size)
    assert cost.backlog(20, 8) == pytest.approx(2 * 0.026 + 0.018)
    assert cost.largest(32, 0.0301) == 10
    assert cost.largest(32, 1.0) == 32
    assert cost.largest(32, 0.001) == 1, "a prediction is no reason to refuse what is next"


def test_batches_of_one_size_scale_upwards_only() -> None:
    cost = learnt((8, 0.04), (8, 0.04), (8, 0.04))
    assert cost.of(8) == cost.of(1) == pytest.approx(0.04)
    assert cost.of(16) == pytest.approx(0.08)


def test_larger_batches_are_never_cheaper_and_small_ones_never_free() -> None:
    cost = learnt((1, 0.03), (8, 0.01), (1, 0.03), (8, 0.01))
    assert cost.of(8) >= cost.of(1) > 0
    steep = learnt((1, 0.001), (8, 0.1), (1, 0.001), (8, 0.1))
    assert steep.of(1) >= 0


def test_a_model_that_has_become_slower_is_noticed() -> None:
    cost = learnt(*[(4, 0.01)] * 200)
    for _ in range(60):
        cost.observe(4, 0.05)
    assert 0.04 < cost.of(4) <= 0.05
    cost = learnt(*[(4, 0.01)] * 200, (4, 5.0))
    assert cost.of(4) < 0.2, "one hiccup is not the rule"
