"""The trainings of a proxy check, each kept in the study as it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from nasfit.errors import TrialFailure
from nasfit.search.proxy_design import Design, Training
from nasfit.search.shared_pool import Workers
from nasfit.study import Study
from nasfit.training import TrainingJob, run_training

# Key -> {"accuracy", "seconds"} or {"failed"}.
DOCUMENT = "proxy trainings"
Kept = dict[str, dict[str, Any]]


def known(study: Study) -> Kept:
    """What is done so far."""
    return dict(study.document(DOCUMENT) or {})


def trained(
    design: Design, study: Study, pool: Workers, job: Callable[[Training], TrainingJob]
) -> Iterator[tuple[int, int]]:
    """Does what is not done yet; yields (done, of all) at the start and after each, which is then on the disk."""
    kept = known(study)
    waiting = [training for training in design.trainings if training.key not in kept]
    everything = len(design.trainings)
    yield everything - len(waiting), everything
    if not waiting:
        return
    for index, value in pool.run(run_training, map(job, waiting)):
        if isinstance(value, TrialFailure):
            kept[waiting[index].key] = {"failed": str(value)}
        else:
            kept[waiting[index].key] = {"accuracy": value.accuracy, "seconds": value.seconds}
        study.put_document(DOCUMENT, kept)
        yield sum(training.key in kept for training in design.trainings), everything
