"""Trials without batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nasfit.objective import Reward
from nasfit.search import Settings, streaming
from nasfit.search.loop import run_trials
from nasfit.search.setup import Setup
from nasfit.search.streaming import streamed, streams
from nasfit.study import Proposal, Study, Trial, TrialState
from nasfit.training import Pace, TrainingJob, TrainingResult


class OneByOne:
    """Workers that end their trainings in the order begun; `begun` has all, `most` how many were at work at once."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.begun: list[str] = []
        self.most = 0

    def run(self, function: object, payloads: Iterator[TrainingJob], *, timeout_s: float | None = None) -> Any:
        source, at_work = enumerate(payloads), []
        while True:
            while len(at_work) < self.workers and (drawn := next(source, None)):
                at_work.append(drawn[0])
                self.begun.append(drawn[1].architecture)
            self.most = max(self.most, len(at_work))
            if not at_work:
                return
            yield at_work.pop(0), TrainingResult(0.5, (), 1.0, 1.0, "none")


class Search:
    """Proposes the texts given, one study."""

    def __init__(self, study: Study, workers: int, texts: list[str]) -> None:
        self.study, self.pool, self._texts = study, OneByOne(workers), texts
        self.asked: list[int] = []
        self.told: list[Trial] = []

    def run(self, most_repeats: int = 3) -> None:
        setup: Any = SimpleNamespace(
            plan=SimpleNamespace(evaluator="standalone", proxy_images=1, trial_s=1.0, pace=Pace()),
            data=SimpleNamespace(train=SimpleNamespace(labels_N=[0])),
            data_directory="",
            settings=Settings("none", 4.0),
            instrument=SimpleNamespace(device=SimpleNamespace(model_format="tflite")),
            pool=self.pool,
            study=self.study,
            reward=Reward("soft", 4.0),
        )
        for _ in streamed(setup, self._propose, lambda: len(self._texts), self._settle, most_repeats):
            pass

    def _propose(self, number: int) -> Iterator[Trial]:
        self.asked.append(number)
        texts, self._texts = self._texts[:number], self._texts[number:]
        known = {trial.architecture: trial for trial in self.study.trials() if trial.state is not TrialState.RUNNING}
        for trial in self.study.propose([Proposal((len(text),), text, 0) for text in texts]):
            if trial.architecture in known:
                yield replace(known[trial.architecture], number=trial.number, duplicate_of=0, finished="")
            elif trial.architecture == "slow":
                yield replace(trial, state=TrialState.PRUNED, latency_ms=9.0, reward=0.1)
            else:
                yield replace(trial, latency_ms=1.0)

    def _settle(self, trial: Trial) -> None:
        self.told += self.study.finish([trial])


@pytest.fixture
def search(tmp_path: Path) -> Iterator[Callable[[int, list[str]], Search]]:
    with Study.create(tmp_path / "study", {}) as study:
        yield lambda workers, texts: Search(study, workers, texts)


def test_all_workers_are_busy_and_few_networks_are_asked_for_at_once(search: Callable[..., Search]) -> None:
    one = search(8, [f"net {number}" for number in range(40)])
    one.run()
    assert one.pool.most == 8 and set(one.asked) == {2}
    assert sorted(one.pool.begun) == sorted({trial.architecture for trial in one.study.trials()})
    assert one.study.running() == [] and len(one.told) == 40


def test_what_is_asked_for_comes_after_what_ended_before_was_told(search: Callable[..., Search]) -> None:
    one = search(4, [f"net {number}" for number in range(12)])
    propose, order = one._propose, []
    one._propose = lambda number: order.append((len(one.told), len(one.pool.begun))) or propose(number)  # type: ignore[func-returns-value,assignment]
    one.run()
    assert order == [(max(0, begun - 3), begun) for begun in range(12)]


def test_what_is_not_worth_training_is_told_before_the_next_is_asked_for(search: Callable[..., Search]) -> None:
    one = search(4, ["slow", "net 1", "slow", "net 2"])
    one.run()
    assert [trial.architecture for trial in one.told] == ["slow", "slow", "net 1", "net 2"]
    assert one.pool.begun == ["net 1", "net 2"]


def test_a_network_at_work_is_not_trained_beside_itself(search: Callable[..., Search]) -> None:
    one = search(8, ["net", "net", "other", "net", *(f"net {number}" for number in range(9)), "net"])
    one.run()
    assert max(Counter(one.pool.begun).values()) == 1
    same = [trial for trial in one.study.trials() if trial.architecture == "net"]
    assert [trial.duplicate_of for trial in same] == [None, 0, 0, 0]
    assert {trial.accuracy for trial in same} == {0.5} and one.study.running() == []


def test_a_space_without_more_networks_ends_it(search: Callable[..., Search]) -> None:
    one = search(4, ["net", *["slow"] * 2, *["net"] * 50])
    one.run(most_repeats=5)
    assert len(one.study.trials()) < 15 and one.study.running() == []


def test_a_real_search_goes_so_with_many_workers_and_without_with_few(
    opened: Callable[..., Setup], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = opened(max_trials=16, budget_s=10_000.0)
    assert not streams(setup)
    monkeypatch.setattr(streaming, "FROM_WORKERS", 2)
    assert streams(setup)
    assert not streams(replace(setup, plan=replace(setup.plan, evaluator="pool")))
    events = list(run_trials(setup))
    trials = setup.study.trials()
    assert setup.study.running() == [] and len(events) == len(trials)
    trained = [trial.architecture for trial in trials if "train" in trial.seconds]
    assert len(trained) == len(set(trained)) == 16
    assert {trial.origin for trial in trials} == {"random", "evolution"}
    # One batch of random ones, then each by itself.
    assert len(setup.study.batches()) == len(trials)
