from __future__ import annotations

import json
import random
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import pytest

from nasfit.errors import StudyError
from nasfit.search import Contender, RandomShare, Result, best_under, gain, speedup
from nasfit.search.random_share import random_share
from nasfit.study import Trial, TrialState


def contender(accuracy: float, latency_ms: float, name: str = "n", origin: str = "baseline") -> Contender:
    text = "a text"
    latencies = (latency_ms, latency_ms, latency_ms)
    return Contender(name, origin, text, accuracy, *latencies, 1, 2, 0.0, "o", "w", 9, warnings=("doubt",))


def trial(number: int, reward: float | None, **changes: Any) -> Trial:
    made = Trial(number, (number,), f"net {number}", 0, "random", TrialState.COMPLETE, reward, 1.0, reward)
    return replace(made, **changes)


def test_speedup_counts_the_most_accurate_matched_baseline_on_the_front() -> None:
    baselines = (contender(0.7, 1.0), contender(0.8, 2.0), contender(0.75, 9.0), contender(0.9, 4.0))
    found = contender(0.85, 0.5)
    # (0.75, 9 ms) is off the front: (0.8, 2 ms) is better in both.
    assert speedup(found, baselines) == pytest.approx(2.0 / 0.5)
    assert speedup(contender(0.8, 0.5), baselines) == pytest.approx(4.0)
    assert speedup(contender(0.6, 0.5), baselines) is None


def test_gain_counts_baselines_at_least_as_fast() -> None:
    baselines = (contender(0.7, 1.0), contender(0.65, 1.5), contender(0.8, 2.0))
    assert gain(contender(0.85, 2.0), baselines) == pytest.approx(0.05)
    assert gain(contender(0.68, 1.9), baselines) == pytest.approx(-0.02)
    assert gain(contender(0.9, 0.9), baselines) is None


def result() -> Result:
    both = (contender(0.9, 1.0, "found-1", "found"), contender(0.8, 2.0))
    return Result(both, 0, 100, RandomShare(3, 2, 0.5, None, 0.6), {"search": 1.0}, {"nasfit": "0"}, {"load": [1, 2]})


def test_a_result_survives_json() -> None:
    made = result()
    assert Result.from_json(json.loads(json.dumps(made.as_json()))) == made
    assert [c.name for c in made.found + made.baselines] == ["found-1", "n"]


@pytest.mark.parametrize("place", ["result", "contender", "random", "warnings", "missing"])
def test_a_result_of_another_version_is_refused(place: str) -> None:
    document = result().as_json()
    if place == "result":
        document["extra"] = 1
    elif place == "contender":
        document["contenders"][0]["extra"] = 1
    elif place == "random":
        document["random"]["extra"] = 1
    elif place == "warnings":
        del document["contenders"][0]["warnings"]
    else:
        del document["best"]
    with pytest.raises(StudyError, match="stored result"):
        Result.from_json(document)


def test_random_share_by_hand() -> None:
    rewards = [0.1, 0.2, 0.3, 0.4, 0.5]
    trials = [trial(number, reward) for number, reward in enumerate(rewards)]
    trials += [
        trial(5, 0.9, origin="evolution"),
        trial(6, 0.7, origin="evolution"),
        trial(7, 0.5, duplicate_of=4),
        trial(8, None, state=TrialState.FAILED, accuracy=None),
    ]
    share = random_share(trials)
    assert (share.trials, share.trained, share.best, share.found) == (7, 5, 0.5, 0.9)
    # Median 0.3; upper half 0.3, 0.4, 0.5; 7 trained networks, each counted once.
    spread = ((0.0 + 0.01 + 0.04) / 3) ** 0.5
    assert share.expected == pytest.approx(0.3 + spread * NormalDist().inv_cdf((7 - 0.375) / 7.25))


def test_random_share_of_too_few_expects_nothing() -> None:
    share = random_share([trial(number, 0.5) for number in range(4)])
    assert (share.trained, share.expected, share.low, share.verdict) == (4, None, None, None)
    assert random_share([]) == RandomShare(0, 0, None, None, None)


def test_the_interval_holds_the_best_of_random_search_as_often_as_it_says() -> None:
    draw, held, beyond = random.Random(0), 0, 0
    for _ in range(300):
        first = [draw.gauss(0.7, 0.05) for _ in range(12)]
        best = max(first + [draw.gauss(0.7, 0.05) for _ in range(48)])
        share = random_share([trial(n, reward) for n, reward in enumerate(first)] + later(48))
        assert share.low is not None and share.high is not None and share.expected is not None
        assert share.low < share.expected < share.high
        held += share.low <= best <= share.high
        beyond += best > share.high
    # 90 % promised; the fit to the upper half is wider than it need be for a true normal.
    assert 0.85 < held / 300 < 0.99
    assert beyond / 300 < 0.1


def later(number: int) -> list[Trial]:
    """Trials of a strategy that found nothing."""
    return [trial(100 + n, 0.1, origin="evolution") for n in range(number)]


def test_the_verdict_on_random_search_follows_the_interval() -> None:
    first = [trial(number, 0.5 + number / 100) for number in range(12)]
    share = random_share([*first, *later(48)])
    assert share == random_share([*first, *later(48)])
    assert share.number == 60
    low, high = share.low, share.high
    assert low is not None and high is not None
    found = {0.99 * low: "worse", (low + high) / 2: "unclear", 1.01 * high: "better"}
    assert {reward: replace(share, found=reward).verdict for reward in found} == found
    stopped = [replace(t, state=TrialState.STOPPED) for t in later(48)]
    assert random_share([*first, *stopped]).number == 60
    assert random_share([*first, *stopped]).found == first[-1].reward


def test_random_points_that_learnt_nothing_prove_nothing() -> None:
    share = random_share([*(trial(number, 0.1) for number in range(12)), trial(12, 0.9, origin="guided")])
    assert (share.expected, share.low, share.high, share.verdict) == (0.1, None, None, None)


def test_a_result_of_before_the_intervals_reads() -> None:
    document = result().as_json()
    for name in ("low", "high", "number"):
        del document["random"][name]
    assert Result.from_json(document) == result()


def test_best_under_takes_the_most_accurate_then_the_faster() -> None:
    trials = [
        trial(0, 0.8, latency_ms=1.0),
        trial(1, 0.9, latency_ms=2.01),
        trial(2, 0.8, latency_ms=0.9),
        trial(3, 0.99, latency_ms=0.5, state=TrialState.PRUNED),
    ]
    assert best_under(trials, 2.0) == trials[2]
    assert best_under(trials, 2.01) == trials[1]
    assert best_under(trials, 0.1) is None
