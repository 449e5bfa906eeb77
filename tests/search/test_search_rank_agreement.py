from __future__ import annotations

import numpy as np
import pytest

from nasfit.latency.ranking_correlations import kendall
from nasfit.search.rank_agreement import RESAMPLES, agreement, mean_agreement


def test_tau_and_interval_are_those_of_networks_drawn_one_set_after_the_other() -> None:
    generator = np.random.default_rng(3)
    a, b = generator.integers(0, 6, 9).tolist(), generator.integers(0, 6, 9).tolist()
    found = agreement(a, b)
    assert found is not None and found.networks == 9
    assert found.tau == pytest.approx(kendall(a, b))
    draws = np.random.default_rng(0).integers(0, 9, (RESAMPLES, 9))
    taus = [tau for row in draws if np.isfinite(tau := kendall(np.array(a)[row], np.array(b)[row]))]
    assert (found.low, found.high) == pytest.approx((np.quantile(taus, 0.05), np.quantile(taus, 0.95)))


def test_more_certainty_asks_for_a_wider_interval_and_more_networks_give_a_narrower_one() -> None:
    generator = np.random.default_rng(0)
    b = generator.normal(size=80)
    a = b + generator.normal(size=80)
    few, many, sure = agreement(a[:12], b[:12]), agreement(a, b), agreement(a, b, outside=0.01)
    assert few and many and sure
    assert few.high - few.low > many.high - many.low
    assert sure.low < many.low < many.tau < many.high < sure.high


def test_several_orders_count_as_their_mean() -> None:
    b = [1.0, 2.0, 3.0, 4.0]
    both = mean_agreement([b, [4.0, 3.0, 2.0, 1.0]], b)
    assert both is not None and both.tau == pytest.approx(0.0)
    assert both.low == both.high == pytest.approx(0.0)


@pytest.mark.parametrize("a", [[], [1.0], [1.0, 1.0, 1.0]])
def test_no_order_no_agreement(a: list[float]) -> None:
    assert agreement(a, list(range(len(a)))) is None
