"""What the evaluators with shared weights have in common: the weights' file, and trials scored with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch

from nasfit.errors import StudyError, TrialFailure
from nasfit.models.shared import SharedWeights, corners
from nasfit.search.evaluate import answered, failed, patience_s
from nasfit.search.setup import Setup
from nasfit.study import Trial, TrialState
from nasfit.training.shared_file import SharedFacts, read_facts, shared_content
from nasfit.training.shared_rounds import Run
from nasfit.training.shared_scoring import Scored, ScoringJob, run_scoring

# The trials of one network; the first is evaluated, the others repeat it.
Group = Sequence[Trial]


def begun(setup: Setup, file: str) -> SharedFacts:
    """Facts of the study's shared weights in `file`, written freshly drawn at first.

    Raises StudyError where they are gone although trials were scored with them.
    """
    path = setup.study.path / file
    if not path.exists():
        if any(trial.state is TrialState.COMPLETE for trial in setup.study.trials()):
            raise StudyError(
                f"the shared weights {str(path)!r} are gone, and with them the scale of this study's accuracies; "
                f"restore the file, or begin a new study"
            )
        torch.manual_seed(setup.settings.seed)
        largest = corners(setup.space, setup.architecture)
        content = shared_content(SharedWeights.fresh(largest), SharedFacts(tuple(map(str, largest))))
        setup.study.write_file(file, content)
    return read_facts(path)


def patient_run(setup: Setup) -> Run:
    """The study's pool, where a worker that is stuck is ended."""
    return partial(setup.pool.run, timeout_s=patience_s(setup))


def scored(
    setup: Setup, groups: Sequence[Group], file: str, finish: Callable[[Trial, Scored], Trial]
) -> Iterator[Trial]:
    """Scores the network of each group; its trials finished, as they are done. finish: what a score makes of one."""
    jobs = [scoring_job(setup, first.architecture, file) for first, *_ in groups]
    for index, value in patient_run(setup)(run_scoring, jobs):
        first, *repeats = groups[index]
        trial = failed(first, str(value)) if isinstance(value, TrialFailure) else finish(first, value)
        yield trial
        yield from (answered(repeat, trial) for repeat in repeats)


def scoring_job(setup: Setup, architecture: str, file: str) -> ScoringJob:
    """The scoring of one network by the study's data and precision."""
    return ScoringJob(
        str(setup.study.path / file),
        architecture,
        str(setup.data_directory),
        seed=setup.settings.seed,
        precision=setup.settings.precision,
        model_format=setup.instrument.device.model_format,
    )
