"""The evaluator `inherit`: a few parents, every trial a short training from another one."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

from nasfit.architecture import Architecture
from nasfit.errors import StudyError, TrialFailure
from nasfit.search import inherited
from nasfit.search.evaluate import screened
from nasfit.search.evaluators import evaluated
from nasfit.search.inherited import CHILD_SHARE, DIRECTORY, PARENTS, child_job, ready_parents, weights_of
from nasfit.search.kinship import kinship
from nasfit.search.loop import run_trials
from nasfit.search.setup import Setup
from nasfit.study import Proposal, Trial, TrialState

OTHERS = "in3@24 stem8s1 | {} k3 s2 se0 identity f{} n2 | sepconv k3 s2 se0 none f16 n1 | head32 out3 relu"


@pytest.fixture
def inheriting(opened) -> Any:  # type: ignore[no-untyped-def]
    """inheriting(**settings): a study that evaluates so."""

    def make(**settings: Any) -> Setup:
        setup = opened(**settings)
        return replace(setup, plan=replace(setup.plan, evaluator="inherit"))

    return make


def drawn(setup: Setup, number: int, start: int = 0) -> list[Trial]:
    """Measured trials of different networks."""
    counts = setup.space.option_counts
    points = [tuple((start + place) % options for options in counts) for place in range(number)]
    proposals = [Proposal(point, str(setup.architecture(point)), seed=0) for point in points]
    return [t for t in screened(setup, setup.study.propose(proposals)) if t.state is TrialState.RUNNING]


def test_every_trial_trains_as_long_from_a_parent_that_is_another_network(inheriting) -> None:  # type: ignore[no-untyped-def]
    setup = inheriting()
    finished = list(evaluated(setup, drawn(setup, 3)))
    assert {trial.state for trial in finished} == {TrialState.COMPLETE}
    parents = ready_parents(setup)
    assert set(parents) == {trial.architecture for trial in finished}
    assert {trial.curve[-1][0] for trial in finished} == {max(32, int(64 * CHILD_SHARE) // 32 * 32)}
    for text in parents:
        job = child_job(setup, text, 0)
        assert job.recipe.images == round(CHILD_SHARE * setup.plan.proxy_images)
        assert job.start in {str(setup.study.path / weights_of(other)) for other in parents if other != text}


def test_later_trials_are_no_parents(inheriting) -> None:  # type: ignore[no-untyped-def]
    setup = inheriting()
    setup.study.finish(list(evaluated(setup, drawn(setup, 2))))
    first = ready_parents(setup)
    files = {file.name: file.stat().st_mtime_ns for file in (setup.study.path / DIRECTORY).iterdir()}
    assert len(files) == len(first) == 2
    later = list(evaluated(setup, drawn(setup, 1, start=2)))
    assert later[0].state is TrialState.COMPLETE
    assert ready_parents(setup) == first
    assert {file.name: file.stat().st_mtime_ns for file in (setup.study.path / DIRECTORY).iterdir()} == files


def test_there_are_only_a_few_parents(inheriting, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(inherited, "PARENTS", 2)
    setup = inheriting()
    assert len(list(evaluated(setup, drawn(setup, 3)))) == 3
    assert len(ready_parents(setup)) == 2 < PARENTS


@pytest.mark.fault
def test_an_interrupted_study_trains_no_parent_twice(inheriting, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    setup = inheriting(max_trials=2)
    stored = setup.study.put_document

    class Killed(BaseException):
        pass

    def killed(name: str, value: Any) -> None:
        stored(name, value)
        if name == inherited.DOCUMENT and any(value.values()):
            raise Killed

    monkeypatch.setattr(setup.study, "put_document", killed)
    with pytest.raises(Killed):
        list(run_trials(setup))
    (done,) = ready_parents(setup)
    before = (setup.study.path / weights_of(done)).stat().st_mtime_ns
    setup.study.close()
    again = inheriting(max_trials=2)
    events = list(run_trials(again))
    assert {event.trial.state for event in events} == {TrialState.COMPLETE}
    assert len(ready_parents(again)) == 2
    assert (again.study.path / weights_of(done)).stat().st_mtime_ns == before


def test_a_parent_that_cannot_be_trained_is_done_without(inheriting, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    setup = inheriting()
    waiting = drawn(setup, 2)
    real = setup.pool.run

    def failing(function: Any, jobs: Any, **options: Any) -> Any:
        for index, value in real(function, jobs, **options):
            yield index, TrialFailure("no") if index < bad else value

    monkeypatch.setattr(setup.pool, "run", failing)
    bad = 1
    inherited._rear(setup, waiting)
    assert len(ready_parents(setup)) == 1
    bad = 0
    assert [trial.state for trial in evaluated(setup, waiting)] == [TrialState.COMPLETE] * 2
    bad = 2
    setup.study.put_document(inherited.DOCUMENT, None)
    with pytest.raises(StudyError, match="could be trained, the first because: no; search with --evaluator standalone"):
        list(evaluated(setup, waiting))


def test_trainings_are_stopped_as_alone(inheriting) -> None:  # type: ignore[no-untyped-def]
    setup = inheriting(proxy_images=512, stopping="curve")
    finished = list(islice(evaluated(setup, drawn(setup, 2)), 2))
    assert all(trial.rung is not None and trial.rung.images <= 0.6 * 512 * CHILD_SHARE for trial in finished)


def test_kinship_is_that_of_blocks() -> None:
    child = Architecture.parse(OTHERS.format("mbconv6", 24))
    alike = [OTHERS.format(*other) for other in (("mbconv6", 24), ("mbconv3", 24), ("mbconv3", 48), ("conv", 24))]
    values = [kinship(child, Architecture.parse(text)) for text in alike]
    assert values[0] == 1
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 4
    more = Architecture.parse(
        OTHERS.format("mbconv6", 24).replace("sepconv", "sepconv k3 s1 se0 none f16 n1 | sepconv")
    )
    assert kinship(child, more) == kinship(more, child) == 0


def test_a_parent_that_was_trained_on_another_machine_is_trained_again(inheriting) -> None:  # type: ignore[no-untyped-def]
    setup = inheriting()
    setup.study.finish(list(evaluated(setup, drawn(setup, 2))))
    file = setup.study.path / weights_of(ready_parents(setup)[0])
    content = load_file(file)
    file.unlink()
    list(evaluated(setup, drawn(setup, 1, start=2)))
    assert_close(load_file(file), content, rtol=0, atol=0)
