"""The pool evaluator: networks of a batch learn together, batches are learned once, scores stay on one scale."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import torch

from nasfit.errors import StudyError, TrialFailure
from nasfit.search import evaluators, loop, pooled, shared_trials
from nasfit.search.loop import run_trials
from nasfit.search.setup import Setup
from nasfit.space import BlockChoices, SearchSpace
from nasfit.study import Trial, TrialState
from nasfit.training.shared_file import read_facts, read_shared
from nasfit.training.shared_scoring import Scored, ScoringJob

Opener = Callable[..., Setup]
BATCH = 3
TINY = SearchSpace("tiny", (BlockChoices((16, 24), (1, 2), 2), BlockChoices((32, 48), (1,), 2)), head_filters=64)


class Serial:
    """In place of a pool: this process, one call after the other."""

    workers = 1

    def run(self, function: Callable[[Any], Any], payloads: Iterable[Any], **_: object) -> Iterator[tuple[int, Any]]:
        for index, payload in enumerate(payloads):
            try:
                yield index, function(payload)
            except TrialFailure as failure:
                yield index, failure


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(evaluators.BATCH_SIZES, "pool", BATCH)
    monkeypatch.setattr(loop, "RANDOM_TRAINED", BATCH)
    monkeypatch.setattr(pooled, "ANCHORS", 2)


@pytest.fixture
def opened_pool(opened: Opener) -> Opener:
    def make(**changes: Any) -> Setup:
        setup = opened(proxy_images=320, budget_s=3600.0, **changes)
        return replace(setup, space=TINY, plan=replace(setup.plan, evaluator="pool"), pool=Serial())  # type: ignore[arg-type]

    return make


def accuracies(trials: Iterable[Trial]) -> dict[int, float | None]:
    return {trial.number: trial.accuracy for trial in trials if "train" in trial.seconds}


def test_batches_train_together_one_after_the_other_on_the_same_weights(opened_pool: Opener) -> None:
    setup = opened_pool(max_trials=2 * BATCH)
    trained = [event.trial for event in run_trials(setup) if "train" in event.trial.seconds]
    assert len(trained) == 2 * BATCH
    assert all(trial.state is TrialState.COMPLETE and trial.reward is not None for trial in trained)
    facts = read_facts(setup.study.path / pooled.SHARED_FILE)
    assert len(facts.first) == len(facts.learned) == BATCH
    assert not set(facts.first) & set(facts.learned)
    # Each network of the second batch paid for its share of the anchors too.
    share = pooled.shared_recipe(320, 1).images
    assert facts.images == share * (BATCH + BATCH + pooled.ANCHORS)


def test_a_batch_that_was_interrupted_in_training_learns_the_same_again(
    opened_pool: Opener, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    setup = opened_pool(max_trials=BATCH)
    whole = accuracies(event.trial for event in run_trials(setup))
    values = read_shared(setup.study.path / pooled.SHARED_FILE)[0].values
    setup.study.close()
    (tmp_path / "study").rename(tmp_path / "whole")

    setup = opened_pool(max_trials=BATCH)
    with monkeypatch.context() as patch:
        patch.setattr(pooled, "train_together", interrupt)
        with pytest.raises(KeyboardInterrupt):
            list(run_trials(setup))
    setup.study.close()
    setup = opened_pool(max_trials=BATCH)
    assert accuracies(event.trial for event in run_trials(setup)) == whole
    assert torch.equal(read_shared(setup.study.path / pooled.SHARED_FILE)[0].values, values)


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_batch_that_was_interrupted_in_scoring_is_not_learned_again(
    opened_pool: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = opened_pool(max_trials=BATCH)
    running = run_trials(setup)
    first = [event.trial for event in islice(running, 1)]
    running.close()
    content = (setup.study.path / pooled.SHARED_FILE).read_bytes()
    setup.study.close()
    setup = opened_pool(max_trials=BATCH)
    monkeypatch.setattr(pooled, "train_together", interrupt)
    rest = [event.trial for event in run_trials(setup)]
    assert len(accuracies([*first, *rest])) == BATCH
    assert (setup.study.path / pooled.SHARED_FILE).read_bytes() == content


def test_accuracies_of_later_batches_are_on_the_scale_of_the_first(
    opened_pool: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores rise with every batch, as they do when weights get better; a network's accuracy must not."""
    quality: dict[str, float] = {}

    def train_nothing(run: object, workers: int, start: Any, *_: object, **__: object) -> Any:
        weights, facts, _momentum = read_shared(start)
        return weights, replace(facts, images=facts.images + 1)

    def score(job: ScoringJob) -> Scored:
        gain = 0.5 * read_facts(job.shared).images  # type: ignore[arg-type]
        own = quality.setdefault(job.architecture, 0.2 * len(quality) - 1.0)
        return Scored(float(torch.sigmoid(torch.tensor(own + gain))), 1.0)

    monkeypatch.setattr(pooled, "train_together", train_nothing)
    for module in (pooled, shared_trials):
        monkeypatch.setattr(module, "run_scoring", score)
    setup = opened_pool(max_trials=4 * BATCH)
    trained = [event.trial for event in run_trials(setup) if "train" in event.trial.seconds]
    assert len(trained) == 4 * BATCH
    for trial in trained:
        expected = float(torch.sigmoid(torch.tensor(quality[trial.architecture] + 0.5)))
        assert trial.accuracy == pytest.approx(expected, abs=1e-4), trial.number


def test_a_network_that_diverges_fails_alone_also_after_an_interruption(
    opened_pool: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train_all_but_one(run: object, workers: int, start: Any, members: list[str], *_: object, **__: object) -> Any:
        weights, facts, _momentum = read_shared(start)
        return weights, replace(facts, failures={members[1]: "training loss is nan"})

    monkeypatch.setattr(pooled, "train_together", train_all_but_one)
    setup = opened_pool(max_trials=BATCH)
    running = run_trials(setup)
    (failed,) = (event.trial for event in islice(running, 1))
    running.close()
    assert (failed.state, failed.reason) == (TrialState.FAILED, "training loss is nan")
    setup.study.close()
    setup = opened_pool(max_trials=BATCH)
    rest = list(islice((event.trial for event in run_trials(setup)), BATCH - 1))
    assert [trial.state for trial in rest] == [TrialState.COMPLETE] * (BATCH - 1)


def test_a_study_whose_weights_are_gone_says_so(opened_pool: Opener) -> None:
    setup = opened_pool(max_trials=BATCH)
    list(run_trials(setup))
    setup.study.close()
    setup = opened_pool(max_trials=2 * BATCH)
    (setup.study.path / pooled.SHARED_FILE).unlink()
    with pytest.raises(StudyError, match="restore the file"):
        list(run_trials(setup))
