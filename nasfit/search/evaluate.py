"""Proposed trials -> finished trials: answer duplicates, measure, prune, train (perhaps in part), reward."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from nasfit.architecture import Architecture
from nasfit.errors import TrialFailure
from nasfit.latency import Measurement
from nasfit.latency.predictor import Estimate
from nasfit.search.estimating import surely_pruned
from nasfit.search.measuring import Measured, measured
from nasfit.search.settings import Settings
from nasfit.search.setup import Setup
from nasfit.search.stopping import Bar, bar_for
from nasfit.study import Trial, TrialState
from nasfit.training import TrainingJob, TrainingResult, recipe_for, run_training

# No trial of a healthy worker takes this many times the planned seconds.
PATIENCE = 20.0


def screened(setup: Setup, trials: Sequence[Trial]) -> Iterator[Trial]:
    """Measures RUNNING trials together, with the workers idle; nothing is stored here.

    Yields each with its latency: still RUNNING where it is worth training, PRUNED where it is slower than the limit
    allows, FAILED where it cannot run, and finished at once where an earlier trial has the same network.
    """
    known = {trial.architecture: trial for trial in setup.study.trials() if trial.state is not TrialState.RUNNING}
    fresh = []
    for trial in trials:
        if trial.architecture in known:
            yield answered(trial, known[trial.architecture])
        else:
            fresh.append(trial)
    networks = {trial.architecture: Architecture.parse(trial.architecture) for trial in fresh}
    slower = surely_pruned(setup, networks.values())
    latencies = measured(
        [network for text, network in networks.items() if text not in slower],
        setup.instrument,
        cache=setup.study.measurements,
        resources=setup.settings.max_mb is not None,
    )
    ended: dict[str, Trial] = {}
    for trial in fresh:
        if trial.architecture in ended:
            yield answered(trial, ended[trial.architecture])
            continue
        if trial.architecture in slower:
            looked_at = _estimated(setup, trial, slower[trial.architecture])
        else:
            looked_at = _with_latency(setup, trial, latencies[trial.architecture])
        if looked_at.state is not TrialState.RUNNING:
            ended[trial.architecture] = looked_at
        yield looked_at


def proxy_job(setup: Setup, architecture: str, seed: int, factor: float = 1.0) -> TrainingJob:
    """The study's proxy training of a network, `factor` times as long."""
    recipe = recipe_for(round(setup.plan.proxy_images * factor), len(setup.data.train.labels_N))
    return TrainingJob(
        architecture,
        str(setup.data_directory),
        recipe,
        seed,
        precision=setup.settings.precision,
        model_format=setup.instrument.device.model_format,
        pace=setup.plan.pace,
    )


Jobs = Callable[[Setup, str, int], TrainingJob]


def trained(setup: Setup, trials: Sequence[Trial], make: Jobs = proxy_job) -> Iterator[Trial]:
    """Trains measured trials, each network once, and yields them finished as they come; nothing is stored here.

    make: the training of one network, from its text and a seed.
    """
    # The longest first, so that no worker is left alone with a long one at the end.
    groups = by_network(sorted(trials, key=lambda trial: -(trial.latency_ms or 0.0)))
    yield from trained_in_groups(setup, groups.values(), make)


def trained_in_groups(setup: Setup, groups: Iterable[list[Trial]], make: Jobs) -> Iterator[Trial]:
    """As `trained`; groups: trials of one network, drawn as workers become free, and able to grow until it is done."""
    begun: list[tuple[list[Trial], Bar | None]] = []

    def jobs() -> Iterator[TrainingJob]:
        # Each bar is set by all that is known when its trial begins.
        for group in groups:
            whole = make(setup, group[0].architecture, group[0].seed)
            bar = _bar(setup, group[0], whole.recipe.images)
            begun.append((group, bar))
            yield whole if bar is None else replace(whole, stops=(bar.rule,))

    for index, value in setup.pool.run(run_training, jobs(), timeout_s=patience_s(setup)):
        (first, *repeats), bar = begun[index]
        finished = _with_accuracy(setup, first, value, bar)
        yield finished
        yield from (answered(trial, finished) for trial in repeats)


def patience_s(setup: Setup) -> float:
    """After so many seconds a training is taken for hung."""
    return max(120.0, PATIENCE * setup.plan.trial_s)


def answered(trial: Trial, original: Trial) -> Trial:
    """The trial with the values of an equal one."""
    return replace(
        trial,
        state=original.state,
        accuracy=original.accuracy,
        latency_ms=original.latency_ms,
        measurement=original.measurement,
        reward=original.reward,
        reason=original.reason,
        duplicate_of=original.number if original.duplicate_of is None else original.duplicate_of,
    )


def _with_latency(setup: Setup, trial: Trial, result: Measured) -> Trial:
    if not isinstance(result, Measurement):
        return failed(trial, str(result))
    trial = replace(
        trial,
        latency_ms=result.latency_ms,
        seconds={**trial.seconds, "measure": result.seconds},
        measurement=setup.instrument.key(Architecture.parse(trial.architecture)),
    )
    reason = over_limits(result, setup.settings)
    return trial if reason is None else _pruned(setup, trial, reason)


def _estimated(setup: Setup, trial: Trial, estimate: Estimate) -> Trial:
    trial = replace(trial, latency_ms=estimate.latency_ms)
    settings = setup.settings
    return _pruned(
        setup, trial, f"{estimate} is more than {settings.prune:g} times the target of {settings.target_ms:g} ms"
    )


def _pruned(setup: Setup, trial: Trial, reason: str) -> Trial:
    """Told to the strategy as what it is, an untrained network: accuracy at chance."""
    assert trial.latency_ms is not None, "measured or estimated before"
    chance = setup.reward(1 / len(setup.data.classes), trial.latency_ms)
    return replace(trial, state=TrialState.PRUNED, reward=chance, reason=reason)


def over_limits(measurement: Measurement, settings: Settings) -> str | None:
    """Why a network is not worth training, None where it is: too slow, too much memory, too large a file."""
    prune, target_ms = settings.prune, settings.target_ms
    if prune and measurement.latency_ms > prune * target_ms:
        return f"{measurement.latency_ms:.3g} ms is more than {prune:g} times the target of {target_ms:g} ms"
    return over_bounds(measurement.size_bytes, measurement.peak_memory_mb, settings)


def over_bounds(size_bytes: int, peak_memory_mb: float | None, settings: Settings) -> str | None:
    """Which bound on file or memory is broken, None where none is."""
    size_mb = size_bytes / 1e6
    if settings.max_size is not None and size_mb > settings.max_size:
        return f"the file has {size_mb:.3g} MB; --max-size allows {settings.max_size:g} MB"
    if settings.max_mb is not None and peak_memory_mb is not None and peak_memory_mb > settings.max_mb:
        return f"it needs {peak_memory_mb:.3g} MB of memory; --max-mb allows {settings.max_mb:g} MB"
    return None


def _bar(setup: Setup, trial: Trial, images: int) -> Bar | None:
    """Of a study that stops trainings: what the trial has to show on its way through `images`."""
    if setup.settings.stopping == "none":
        return None
    return bar_for(trial, setup.study.trials([TrialState.COMPLETE]), setup.goal, images)


def _with_accuracy(setup: Setup, trial: Trial, value: TrainingResult | TrialFailure, bar: Bar | None) -> Trial:
    if isinstance(value, TrialFailure):
        return failed(trial, str(value))
    state, accuracy, reason, rung = TrialState.COMPLETE, value.accuracy, "", None
    # With fewer pictures than a batch holds, a training is shorter than planned and may not come to the look.
    if bar is not None and value.looks:
        look = value.looks[0]
        rung = bar.rung(look)
        if value.stopped:
            state, accuracy, reason = TrialState.STOPPED, bar.expected(look), bar.reason(look)
    finished = completed(setup, trial, accuracy, value.seconds)
    return replace(finished, state=state, reason=reason, curve=value.curve, rung=rung, worker=value.worker)


def by_network(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    """Trials by their networks' texts, in order."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.architecture, []).append(trial)
    return groups


def completed(setup: Setup, trial: Trial, accuracy: float, train_s: float) -> Trial:
    """The trial with its accuracy (0 to 1), its reward and what that cost, s."""
    assert trial.latency_ms is not None, "measured before"
    return replace(
        trial,
        state=TrialState.COMPLETE,
        accuracy=accuracy,
        reward=setup.reward(accuracy, trial.latency_ms),
        seconds={**trial.seconds, "train": train_s},
    )


def failed(trial: Trial, reason: str) -> Trial:
    """The trial as one that could not be evaluated."""
    return replace(trial, state=TrialState.FAILED, reason=reason)
