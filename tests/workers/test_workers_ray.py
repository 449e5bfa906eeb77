"""A Ray cluster of two nodes on this machine."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import worker_jobs as jobs

import nasfit
from nasfit.errors import MissingExtraError, TrialFailure, UsageError
from nasfit.workers import RayPool

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Plain:
    """Calls that travel as they are."""

    def packed(self, payload: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return payload[0], payload[1:]

    def unpacked(self, payload: Any, result: Any) -> Any:
        return result


@pytest.fixture
def pool(cluster: Any) -> Iterator[RayPool]:
    pool = RayPool(cluster.address)
    pool.packs(Plain())
    yield pool
    pool.close()


def results(pool: RayPool, number: int) -> dict[int, Any]:
    found: dict[int, Any] = {}
    while len(found) < number:
        found |= pool.finished()
    return found


def test_a_processor_has_one_call(pool: RayPool) -> None:
    assert pool.workers == pool.free == 2
    assert pool.start(7, None, (jobs.square, 3)) and pool.start(8, None, (jobs.square, 4))
    assert not pool.start(9, None, (jobs.square, 5))
    assert results(pool, 2) == {7: 9, 8: 16} and pool.free == 2


def test_a_failure_is_told_as_one(pool: RayPool) -> None:
    pool.start(1, None, (jobs.end, "trial"))
    pool.start(2, None, (jobs.end, "raise"))
    found = results(pool, 2)
    assert all(isinstance(value, TrialFailure) for value in found.values())
    assert str(found[1]) == "accuracy is not finite" and "KeyError" in str(found[2])


@pytest.mark.fault
def test_a_call_that_kills_its_process_is_given_up_and_others_go_on(pool: RayPool) -> None:
    pool.start(1, None, (jobs.end, "kill"))
    pool.start(2, None, (jobs.square, 4))
    found = results(pool, 2)
    assert found[2] == 16 and "lost it 4 times" in str(found[1])


def test_a_late_call_is_ended(pool: RayPool) -> None:
    pool.start(1, None, (jobs.end, "sleep"), timeout_s=1.0)
    assert "no result within 1 s" in str(results(pool, 1)[1])


def test_a_pause_waits_for_what_is_at_work(pool: RayPool) -> None:
    pool.start(1, None, (jobs.nap, 1.0))
    pool.pause()
    since = time.monotonic()
    assert 1 in dict(pool.finished()) and time.monotonic() - since < 0.5
    pool.resume()


def test_large_values_are_put_once(pool: RayPool) -> None:
    blob = pool.put(os.urandom(5_000_000))
    pool.start(1, None, (len, blob))
    assert results(pool, 1) == {1: 5_000_000}


@pytest.mark.fault
def test_a_lost_machine_costs_a_repetition(cluster: Any, pool: RayPool) -> None:
    node = cluster.add_node(num_cpus=1)
    while pool.workers < 3:
        time.sleep(0.1)
    for number in range(3):
        pool.start(number, None, (jobs.nap, 4.0))
    time.sleep(2.0)
    cluster.remove_node(node, allow_graceful=False)
    found = results(pool, 3)
    assert all(isinstance(value, int) for value in found.values())


def test_another_version_on_the_cluster_is_refused(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nasfit, "__version__", "99")
    with pytest.raises(UsageError, match="install the same version"):
        RayPool(cluster.address)


def test_without_a_cluster_or_ray_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    for address in ("127.0.0.1:1", "nonsense"):
        with pytest.raises(UsageError, match="ray start --head"):
            RayPool(address)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"nasfit\[ray\]"):
        RayPool("auto")
