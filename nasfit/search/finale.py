"""The training of the finale: the best trials longer, then winners and baselines fully, each tested once.

Every finished piece of work is stored at once, so an interrupted finale goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from nasfit.architecture import Architecture, count
from nasfit.errors import StudyError, TrialFailure
from nasfit.search.documents import FINALS
from nasfit.search.entrants import Entrant, hopefuls, promotions
from nasfit.search.evaluate import proxy_job
from nasfit.search.events import FinaleStep
from nasfit.search.inherited import closest, digest, ready_parents, weights_of
from nasfit.search.plan import MOST_EPOCHS, PROMOTION_SHARE
from nasfit.search.setup import Setup
from nasfit.study import TrialState
from nasfit.training import Recipe, TrainingJob, recipe_for, run_training, training_speed

PROMOTED, PROMOTION_FACTOR = 5, 3.0
LEAST_EPOCHS = 1.0


def promoted(setup: Setup) -> Iterator[FinaleStep]:
    """Trains the best trials longer, with another seed: one short run too often picks the lucky."""
    best = hopefuls(setup)[: _affordable_promotions(setup)]
    if len(best) < 2:
        return
    wanted = [trial.architecture for trial in best if trial.architecture not in promotions(setup)]
    jobs = [proxy_job(setup, text, setup.settings.seed + 1, PROMOTION_FACTOR) for text in wanted]
    if setup.settings.final_start == "inherited":
        _forget_weights(setup, except_of=[trial.architecture for trial in best])
        kept = [str(setup.study.path / _promoted_weights(text)) for text in wanted]
        jobs = [replace(job, weights=weights) for job, weights in zip(jobs, kept, strict=True)]
    yield FinaleStep("promotion", len(best) - len(wanted), len(best))
    for done, (index, value) in enumerate(setup.pool.run(run_training, jobs), start=len(best) - len(wanted) + 1):
        if not isinstance(value, TrialFailure):
            setup.study.put_document("promotions", {**promotions(setup), wanted[index]: value.accuracy})
        yield FinaleStep("promotion", done, len(best))


def _affordable_promotions(setup: Setup) -> int:
    """At most `PROMOTED`, as the promotion's share of the budget allows."""
    # Trials of another evaluator are trained more briefly than alone.
    alone = setup.study.trials([TrialState.COMPLETE]) if setup.plan.evaluator == "standalone" else []
    seconds = [trial.seconds["train"] for trial in alone if "train" in trial.seconds]
    one_s = PROMOTION_FACTOR * (sum(seconds) / len(seconds) if seconds else setup.plan.trial_s)
    return min(PROMOTED, int(PROMOTION_SHARE * setup.settings.budget_s * setup.pool.workers / one_s))


def trained_fully(setup: Setup, chosen: list[Entrant], left_s: float) -> Iterator[FinaleStep]:
    """Trains all entrants on training and validation pictures by one recipe, and tests each once."""
    pictures = len(setup.data.train.labels_N) + len(setup.data.validation.labels_N)
    recipe = recipe_for(_final_images(setup, chosen, left_s, pictures), pictures)
    finals = _finals_here(setup, chosen)
    waiting = [entrant for entrant in chosen if entrant.name not in finals]
    waiting.sort(key=lambda entrant: -count(Architecture.parse(entrant.architecture)).madds)
    (setup.study.path / "models").mkdir(exist_ok=True)
    jobs = [
        TrainingJob(
            entrant.architecture,
            str(setup.data_directory),
            recipe,
            seed=setup.settings.seed,
            final=True,
            weights=str(setup.study.path / entrant.weights),
            precision=setup.settings.precision,
            model_format=setup.instrument.device.model_format,
            start=_head_start(setup, entrant),
            pace=setup.plan.pace,
        )
        for entrant in waiting
    ]
    yield FinaleStep(f"training on {recipe.images:,} pictures each", len(finals), len(chosen))
    for index, value in setup.pool.run(run_training, jobs):
        document = {"failed": str(value)} if isinstance(value, TrialFailure) else asdict(value)
        finals[waiting[index].name] = document
        setup.study.put_document(FINALS, finals)
        yield FinaleStep(f"training on {recipe.images:,} pictures each", len(finals), len(chosen))


def _finals_here(setup: Setup, chosen: list[Entrant]) -> dict[str, dict[str, Any]]:
    """What is trained already, without networks whose weights lie on another machine, where the last driver was."""
    known: dict[str, dict[str, Any]] = setup.study.document(FINALS) or {}
    weights = {entrant.name: setup.study.path / entrant.weights for entrant in chosen}
    return {name: found for name, found in known.items() if "failed" in found or weights[name].exists()}


def _promoted_weights(architecture: str) -> str:
    return f"models/promoted-{digest(architecture)}.safetensors"


def _forget_weights(setup: Setup, except_of: list[str]) -> None:
    """Removes those of earlier promotions, so that there are never more than of one."""
    models = setup.study.path / "models"
    models.mkdir(exist_ok=True)
    kept = {setup.study.path / _promoted_weights(text) for text in except_of}
    for file in set(models.glob("promoted-*.safetensors")) - kept:
        file.unlink()


def _head_start(setup: Setup, entrant: Entrant) -> str | None:
    """The trained weights nearest to a network that the search found, where it may start from any."""
    if setup.settings.final_start != "inherited" or entrant.origin != "found":
        return None
    files = {text: weights_of(text) for text in ready_parents(setup)}
    files |= {text: _promoted_weights(text) for text in promotions(setup)}
    files = {text: file for text, file in files.items() if (setup.study.path / file).exists()}
    return str(setup.study.path / files[closest(entrant.architecture, list(files))]) if files else None


def _final_images(setup: Setup, chosen: list[Entrant], left_s: float, pictures: int) -> int:
    """As many pictures as the rest of the budget allows; decided once, so that all entrants get the same."""
    known = setup.study.document("final_images")
    if known:
        return int(known)
    jobs = [
        TrainingJob(entrant.architecture, str(setup.data_directory), Recipe(images=0), seed=0, pace=setup.plan.pace)
        for entrant in chosen
    ]
    speeds = [value for _, value in setup.pool.run(training_speed, jobs) if not isinstance(value, TrialFailure)]
    if not speeds:
        raise StudyError("none of the final networks could be trained; see the FAILED trials of this study")
    affordable = 0.85 * left_s * setup.pool.workers / sum(1 / speed for speed in speeds)
    images = int(min(MOST_EPOCHS * pictures, max(affordable, LEAST_EPOCHS * setup.plan.proxy_images)))
    setup.study.put_document("final_images", images)
    return images
