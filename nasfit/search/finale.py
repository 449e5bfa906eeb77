"""The finale: promote the best trials, train winners and baselines fully, test once, export, measure again.

Every finished piece of work is stored at once, so an interrupted finale goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from nasfit.architecture import Architecture, count, published
from nasfit.errors import StudyError, TrialFailure
from nasfit.latency import Measurement, Timing, measure
from nasfit.objective import pareto_front
from nasfit.search.delivery import Delivered, delivered
from nasfit.search.evaluate import proxy_job
from nasfit.search.events import FinaleStep
from nasfit.search.measuring import measured
from nasfit.search.plan import PROMOTION_SHARE
from nasfit.search.result import Contender
from nasfit.search.setup import Setup
from nasfit.study import Trial, TrialState
from nasfit.training import Recipe, TrainingJob, recipe_for, run_training, training_speed

BASELINE_WIDTHS = (0.25, 0.35, 0.5, 0.75, 1.0)
FAR_SLOWER = 3.0  # baselines slower than this many targets tell nothing about the limit
AS_FAST = 1.2  # baselines by the cheaper stride rule are there to be as fast as the limit asks
PROMOTED, PROMOTION_FACTOR = 5, 3.0
FASTER = (0.7, 0.5)  # also trained: the best networks within these shares of the winner's latency
THOROUGH = Timing(precision=0.005, min_rounds=31, max_rounds=120)
MOST_EPOCHS = 60
LEAST_EPOCHS = 1.0


@dataclass(frozen=True)
class Entrant:
    """A network of the finale. origin: `found` or `baseline`."""

    name: str
    origin: str
    architecture: str


def promoted(setup: Setup) -> Iterator[FinaleStep]:
    """Trains the best trials under the limit longer, with another seed: one short run too often picks the lucky."""
    best = leaders(setup)[: _affordable_promotions(setup)]
    if len(best) < 2:
        return
    wanted = [trial.architecture for trial in best if trial.architecture not in promotions(setup)]
    jobs = [proxy_job(setup, text, setup.settings.seed + 1, PROMOTION_FACTOR) for text in wanted]
    yield FinaleStep("promotion", len(best) - len(wanted), len(best))
    for done, (index, value) in enumerate(setup.pool.run(run_training, jobs), start=len(best) - len(wanted) + 1):
        if not isinstance(value, TrialFailure):
            setup.study.put_document("promotions", {**promotions(setup), wanted[index]: value.accuracy})
        yield FinaleStep("promotion", done, len(best))


def _affordable_promotions(setup: Setup) -> int:
    """At most `PROMOTED`, as the promotion's share of the budget allows."""
    seconds = [trial.seconds["train"] for trial in setup.study.trials() if "train" in trial.seconds]
    one_s = PROMOTION_FACTOR * (sum(seconds) / len(seconds) if seconds else setup.plan.trial_s)
    return min(PROMOTED, int(PROMOTION_SHARE * setup.settings.budget_s * setup.pool.workers / one_s))


def promotions(setup: Setup) -> dict[str, float]:
    """Validation accuracy of the promoted networks by their text."""
    return dict(setup.study.document("promotions") or {})


def leaders(setup: Setup) -> list[Trial]:
    """Complete trials that meet the target, each network once, the most accurate first."""
    target_ms = setup.settings.target_ms
    meeting = {
        trial.architecture: trial
        for trial in setup.study.trials()
        if trial.state is TrialState.COMPLETE and trial.duplicate_of is None and (trial.latency_ms or 0.0) <= target_ms
    }
    return sorted(meeting.values(), key=lambda trial: (-(trial.accuracy or 0.0), trial.latency_ms or 0.0))


def entrants(setup: Setup) -> list[Entrant]:
    """The winner by promoted accuracy, the best of the clearly faster, and the baselines near the limit."""
    known = setup.study.document("entrants")
    if known:
        return [Entrant(**entrant) for entrant in known]
    found = [Entrant(f"found-{place}", "found", text) for place, text in enumerate(_winners(setup), start=1)]
    chosen = found + _baselines(setup)
    setup.study.put_document("entrants", [asdict(entrant) for entrant in chosen])
    return chosen


def _winners(setup: Setup) -> list[str]:
    candidates = leaders(setup) or _fastest(setup)
    long_run = promotions(setup)
    in_promotion = [trial for trial in candidates if trial.architecture in long_run]
    best = max(in_promotion or candidates[:1], key=lambda trial: long_run.get(trial.architecture, 0.0))
    winners = [best.architecture]
    for share in FASTER:
        faster = [t for t in candidates if (t.latency_ms or 0.0) <= share * (best.latency_ms or 0.0)]
        winners += [trial.architecture for trial in faster[:1]]
    return list(dict.fromkeys(winners))


def _fastest(setup: Setup) -> list[Trial]:
    """Where nothing met the target: the front, fastest first."""
    complete = [trial for trial in setup.study.trials() if trial.state is TrialState.COMPLETE]
    if not complete:
        reasons = sorted({trial.reason or "" for trial in setup.study.trials()})
        raise StudyError(
            f"no trial was trained ({len(setup.study.trials())} tried); reasons: {'; '.join(reasons[:3])}. "
            f"Raise --budget or --target-ms, or lower --width"
        )
    return [complete[index] for index in pareto_front([(t.accuracy or 0.0, t.latency_ms or 0.0) for t in complete])]


def _baselines(setup: Setup) -> list[Entrant]:
    """MobileNetV2 near the limit, by the study's stride rule; by the cheaper rule too where that makes it as fast."""
    target_ms = setup.settings.target_ms
    own = {_baseline_name(width): setup.fitted(published("mobilenet-v2", width)) for width in BASELINE_WIDTHS}
    cheap = {}
    if setup.plan.strides == "late":
        cheap = {
            f"{_baseline_name(width)} early": setup.fitted(published("mobilenet-v2", width), strides="early")
            for width in BASELINE_WIDTHS
        }
    networks = {
        name: network for name, network in {**own, **cheap}.items() if name in own or network not in own.values()
    }
    latencies = measured(list(networks.values()), setup.device, cache=setup.study.measurements)
    kept: list[Entrant] = []
    for name, network in networks.items():
        latency = latencies[str(network)]
        reach = FAR_SLOWER if name in own else AS_FAST
        near = isinstance(latency, Measurement) and latency.latency_ms <= reach * target_ms
        if near or (name in own and len(kept) < 2):
            kept.append(Entrant(name, "baseline", str(network)))
    return kept


def _baseline_name(width: float) -> str:
    return f"mobilenet-v2 x{width:g}"


def trained_fully(setup: Setup, chosen: list[Entrant], left_s: float) -> Iterator[FinaleStep]:
    """Trains all entrants on training and validation pictures by one recipe, and tests each once."""
    pictures = len(setup.data.train.labels_N) + len(setup.data.validation.labels_N)
    recipe = recipe_for(_final_images(setup, chosen, left_s, pictures), pictures)
    finals = dict(setup.study.document("finals") or {})
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
            weights=str(setup.study.path / weights_name(entrant)),
        )
        for entrant in waiting
    ]
    yield FinaleStep(f"training on {recipe.images:,} pictures each", len(finals), len(chosen))
    for index, value in setup.pool.run(run_training, jobs):
        document = {"failed": str(value)} if isinstance(value, TrialFailure) else asdict(value)
        finals[waiting[index].name] = document
        setup.study.put_document("finals", finals)
        yield FinaleStep(f"training on {recipe.images:,} pictures each", len(finals), len(chosen))


def _final_images(setup: Setup, chosen: list[Entrant], left_s: float, pictures: int) -> int:
    """As many pictures as the rest of the budget allows; decided once, so that all entrants get the same."""
    known = setup.study.document("final_images")
    if known:
        return int(known)
    jobs = [
        TrainingJob(entrant.architecture, str(setup.data_directory), Recipe(images=0), seed=0) for entrant in chosen
    ]
    speeds = [value for _, value in setup.pool.run(training_speed, jobs) if not isinstance(value, TrialFailure)]
    if not speeds:
        raise StudyError("none of the final networks could be trained; see the FAILED trials of this study")
    affordable = 0.85 * left_s * setup.pool.workers / sum(1 / speed for speed in speeds)
    images = int(min(MOST_EPOCHS * pictures, max(affordable, LEAST_EPOCHS * setup.plan.proxy_images)))
    setup.study.put_document("final_images", images)
    return images


def contenders(setup: Setup, chosen: list[Entrant]) -> tuple[list[Contender], dict[str, Any]]:
    """Exports what was trained, checks each file against its module, and measures all files in one session."""
    finals: dict[str, Any] = setup.study.document("finals") or {}
    files: dict[str, Delivered] = {}
    for entrant in chosen:
        if "failed" not in finals[entrant.name]:
            files[entrant.name] = delivered(setup, entrant.architecture, weights_name(entrant))
    latencies = measure(setup.device, {name: file.content for name, file in files.items()}, timing=THOROUGH)
    found, conditions = [], {}
    for entrant in chosen:
        latency = latencies.get(entrant.name)
        if not isinstance(latency, Measurement):
            continue
        conditions = dict(latency.conditions)
        counts = count(Architecture.parse(entrant.architecture))
        found.append(
            Contender(
                name=entrant.name,
                origin=entrant.origin,
                architecture=entrant.architecture,
                accuracy=finals[entrant.name]["accuracy"],
                latency_ms=latency.latency_ms,
                low_ms=latency.low_ms,
                high_ms=latency.high_ms,
                parameters=counts.parameters,
                madds=counts.madds,
                parity=files[entrant.name].parity,
                onnx=files[entrant.name].name,
                weights=weights_name(entrant),
                warnings=tuple(latency.warnings),
            )
        )
    return found, conditions


def weights_name(entrant: Entrant) -> str:
    """Where an entrant's weights lie in the study directory."""
    return f"models/{entrant.name.replace(' ', '-')}.safetensors"
