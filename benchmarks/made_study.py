"""A study as a search writes it, without a search: random networks, made-up accuracies and latencies.

For what reads studies: pages, and how long they take.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import accumulate
from pathlib import Path

from nasfit.architecture import Architecture, adapted, count, published
from nasfit.devices import Description, Sample
from nasfit.latency import Measurement
from nasfit.latency.part_times import PartTimes
from nasfit.objective import Reward
from nasfit.report.architecture_drawing import drawn_parts
from nasfit.search import Contender, Plan, Result, Settings
from nasfit.search.documents import LATENCIES, PARTS
from nasfit.search.random_share import random_share
from nasfit.space import SearchSpace, named_space
from nasfit.study import LookedUp, Proposal, Study, Trial, TrialState
from nasfit.training import TrainingResult

TARGET_MS, CLASSES, IMAGES = 0.5, 10, 8_000
RANDOM, TOGETHER, LOOKS = 12, 500, 3
# Of trials, the others are trained.
PRUNED, FAILED, REPEATED = 0.25, 0.03, 0.02
DEVICE = Description(
    device="local: a made-up processor, 2 cores",
    engine="litert 2.0, 1 thread",
    cpu="a made-up processor",
    cores=2,
    threads=1,
    core=1,
    realtime=True,
    os="Linux",
    clock_step_ms=0.0002,
    governor=None,
    load_average=1.4,
    time="2026-01-01T00:00:00Z",
    clock_mhz=2600.0,
)


def made_study(path: Path, trials: int, *, finished: bool, seed: int = 0, store: str | None = None) -> None:
    """Writes a study of so many trials at a new directory; the last two run, unless its finale is over."""
    draw, space = random.Random(seed), named_space("mnasnet-lean")
    settings = Settings(data="./made-up-photos", target_ms=TARGET_MS, budget_s=3600.0)
    with Study.create(path, settings.as_json(), store=store) as study:
        plan = Plan(0.5, "late", 32, IMAGES, 800.0, 10.0, 0.06, 0.4, 1.5)
        study.put_document("plan", plan.as_json())
        left = trials
        while left:
            some = study.propose([*_proposals(draw, space, plan, min(left, TOGETHER), random_ones=left == trials)])
            left -= len(some)
            ended = some if left or finished else some[:-2]
            study.finish([_ended(draw, study, trial, settings) for trial in ended])
        study.lookups.add(_looks(draw, space, LOOKS * trials))
        study.put_document("looks", {"seconds": 90.0})
        for kind, seconds in {"calibration": 20.0, "search": 1500.0}.items():
            study.add_seconds(kind, seconds)
        if finished:
            _finale(draw, study)


def one_more(study: Study, *, accuracy: float = 0.5) -> Trial:
    """One of its RUNNING trials ends, trained, just within the limit."""
    latency_ms = 0.99 * TARGET_MS
    trial = replace(study.running()[0], state=TrialState.COMPLETE, accuracy=accuracy, latency_ms=latency_ms)
    return study.finish([replace(trial, reward=accuracy)])[0]


def _proposals(
    draw: random.Random, space: SearchSpace, plan: Plan, number: int, *, random_ones: bool
) -> Iterator[Proposal]:
    for place in range(number):
        tokens = tuple(draw.randrange(options) for options in space.option_counts)
        network = adapted(
            space.decode(tokens, plan.width),
            resolution=plan.resolution,
            channels=3,
            classes=CLASSES,
            strides=plan.strides,
        )
        origin = "random" if random_ones and place < RANDOM else "guided"
        yield Proposal(tokens, str(network), seed=0, origin=origin)


def _ended(draw: random.Random, study: Study, trial: Trial, settings: Settings) -> Trial:
    madds = count(Architecture.parse(trial.architecture)).madds
    latency_ms = madds / 3e7 * draw.lognormvariate(0.0, 0.15)
    luck = draw.random()
    if luck < FAILED:
        return replace(trial, state=TrialState.FAILED, reason="the loss is nan at step 17; a lower rate may help")
    key = f"made-up-{trial.number}"
    study.measurements[key] = _measurement(draw, latency_ms).to_dict()
    trial = replace(trial, latency_ms=latency_ms, measurement=key, seconds={"measure": 0.4})
    if latency_ms > settings.prune * TARGET_MS or luck < PRUNED:
        reason = f"{latency_ms:.3g} ms is more than {settings.prune:g} times the target of {TARGET_MS:g} ms"
        return replace(trial, state=TrialState.PRUNED, reward=0.1, reason=reason)
    accuracy = 0.75 - 0.5 * math.exp(-4 * latency_ms / TARGET_MS) + draw.gauss(0.0, 0.03)
    again = trial.number - 1 if luck > 1 - REPEATED and trial.number else None
    return replace(
        trial,
        state=TrialState.COMPLETE,
        accuracy=accuracy,
        reward=Reward("soft", TARGET_MS)(accuracy, latency_ms),
        duplicate_of=again,
        curve=tuple(
            (IMAGES * step // 20, 2.3 - 1.6 * accuracy * step / 20 + draw.gauss(0, 0.05)) for step in range(1, 21)
        ),
        seconds={**trial.seconds, "train": 9.0 + draw.random()},
        worker=f"here:{100 + trial.number % 2}",
    )


def _measurement(draw: random.Random, latency_ms: float) -> Measurement:
    samples = []
    for _ in range(16):
        cpu_ms = latency_ms * (1 + 0.01 * draw.expovariate(1.0))
        disturbed = draw.random() < 0.1
        wall_ms = cpu_ms * (1.3 if disturbed else 1.002)
        samples.append(Sample(wall_ms, cpu_ms, runs=4, probe_ms=0.1 * (1.5 if disturbed else 1 + 0.02 * draw.random())))
    return Measurement.of(samples, DEVICE, 0.4, difference=3e-7, size_bytes=400_000)


def _looks(draw: random.Random, space: SearchSpace, number: int) -> Sequence[LookedUp]:
    points = {tuple(draw.randrange(options) for options in space.option_counts) for _ in range(number)}
    return [LookedUp(point, draw.uniform(0.1, 1.0), 0.0) for point in points]


def _finale(draw: random.Random, study: Study) -> None:
    trials = [trial for trial in study.trials([TrialState.COMPLETE]) if (trial.latency_ms or 0.0) <= TARGET_MS]
    found = sorted(trials, key=lambda trial: -(trial.accuracy or 0.0))[:2]
    widths = {f"mobilenet-v2 x{width:g}": _mobilenet(width) for width in (0.25, 0.35)}
    networks = {f"found-{place}": trial.architecture for place, trial in enumerate(found, start=1)} | widths
    finals = {
        name: TrainingResult(0.80 - 0.02 * place, ((4_000, 2.0), (8_000, 1.2), (16_000, 0.8)), 800.0, 90.0, "cpu")
        for place, name in enumerate(networks)
    }
    contenders = [_contender(place, name, text) for place, (name, text) in enumerate(networks.items())]
    entrants = [{"name": one.name, "origin": one.origin, "architecture": one.architecture} for one in contenders]
    study.put_document(LATENCIES, {one.name: _measurement(draw, one.latency_ms).to_dict() for one in contenders})
    study.put_document(PARTS, _times(contenders[0]).as_json())
    study.put_document("promotions", {trial.architecture: trial.accuracy for trial in found})
    study.put_document("entrants", entrants)
    study.put_document("finals", {name: asdict(final) for name, final in finals.items()})
    for kind, seconds in {"promotion": 300.0, "final training": 1200.0, "final measuring": 15.0}.items():
        study.add_seconds(kind, seconds)
    random_ones, conditions = random_share(study.trials()), asdict(DEVICE)
    result = Result(tuple(contenders), 0, 48_000, random_ones, study.seconds(), {"nasfit": "made up"}, conditions)
    study.put_document("result", result.as_json())


def _times(contender: Contender) -> PartTimes:
    """Each part takes its share of the multiply-adds."""
    parts = drawn_parts(Architecture.parse(contender.architecture))
    shares = list(accumulate(part.madds_share for part in parts))
    cuts = [(ms, 0.99 * ms, 1.01 * ms) for ms in (contender.latency_ms * share for share in shares)]
    return PartTimes.of(contender.architecture, [part.name for part in parts], cuts)


def _mobilenet(width: float) -> str:
    network = published("mobilenet-v2", width)
    return str(adapted(network, resolution=32, channels=3, classes=CLASSES, strides="late"))


def _contender(place: int, name: str, architecture: str) -> Contender:
    counts = count(Architecture.parse(architecture))
    latency_ms = 0.4 + 0.05 * place
    return Contender(
        name=name,
        origin="found" if name.startswith("found") else "baseline",
        architecture=architecture,
        accuracy=0.80 - 0.02 * place,
        latency_ms=latency_ms,
        low_ms=0.998 * latency_ms,
        high_ms=1.003 * latency_ms,
        parameters=counts.parameters,
        madds=counts.madds,
        parity=3e-7,
        file=f"models/{name}.tflite",
        weights=f"models/{name}.safetensors",
        size_bytes=400_000,
        onnx=f"models/{name}.onnx",
        warnings=("drift: second half +3.9% against the first; heat or load changed, measure again",)
        if place == 1
        else (),
    )
