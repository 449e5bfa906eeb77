"""Full trainings: the same recipe by nasfit and by timm, and a found network beside MobileNets trained alike.

    python benchmarks/training.py                                   # against timm, Fashion-MNIST, three seeds
    python benchmarks/training.py --study runs/cifar10 --data ./cifar10 --budget 30m
    python benchmarks/training.py --quick --json

Against timm: MnasNet-A1 at a small width and 32 px, the published recipe over a few epochs (warm-up and falls shortened
alike), the same initial weights, pictures, steps and test pictures on both sides; timm's side is its training script
built from the parts it is built from. What differs: timm decays no biases, warms its average up by its own rule, and
crops pictures of 28 px where nasfit crops them resized to 37. Both sides run at once, a core each: only accuracies are
compared.

With --study: the network that the study hands over, by `nasfit train` for --budget, and its baselines over as many
epochs, one after another, then all files measured in one session.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

from facts import document
from training_sides import Job, timm_version, trained

from nasfit.architecture import Architecture, adapted, published
from nasfit.cli.quantities import seconds
from nasfit.devices import open_device
from nasfit.errors import TrialFailure
from nasfit.latency import THOROUGH, Candidate, Measurement, measure
from nasfit.search import Contender, FullFinished, FullPlanned, FullSettings, Result, run_full_training
from nasfit.study import Study
from nasfit.tasks import load
from nasfit.training import full_recipe, stored_side
from nasfit.workers import Pool, available_cores

SIDES = ("nasfit", "timm")
RESOLUTION, TESTED = 32, 10_000


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion-mnist", help="name or folder of pictures")
    parser.add_argument("--pictures", type=int, default=20_000, help="training pictures, against timm")
    parser.add_argument("--epochs", type=float, default=5.0, help="passes over them")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--width", type=float, default=0.5, help="of MnasNet-A1")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--study", type=Path, help="train its network beside published ones instead")
    parser.add_argument(
        "--budget", default="30m", help="of the training of its network; the others take as many epochs"
    )
    parser.add_argument("--networks", nargs="*", help="of its result; default: the winner, a baseline a family")
    parser.add_argument("--recipe", default="quick", help="of these trainings")
    parser.add_argument("--keep", type=Path, help="directory of these trainings, to go on in")
    parser.add_argument("--quick", action="store_true", help="400 pictures, one seed: tells nothing but that it runs")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the table to stderr")
    options = parser.parse_args()
    if options.quick:
        options.data, options.pictures, options.epochs, options.seeds = "fashion-mnist-small", 400, 1.0, 1
        options.width = 0.35
    with redirect_stdout(sys.stderr) if options.json else nullcontext():
        found = beside_published(options) if options.study else against_timm(options)
    if options.json:
        print(document(options, **found, timm=timm_version()))


def against_timm(options: argparse.Namespace) -> dict[str, Any]:
    """Accuracies of both sides by seed."""
    jobs = []
    with tempfile.TemporaryDirectory() as cache:
        own, kept = (
            load(options.data, cache=Path(cache), resolution=side)
            for side in (None, stored_side(full_recipe("mnasnet").test_crop, RESOLUTION))
        )
        network = adapted(
            published("mnasnet-a1", options.width),
            resolution=RESOLUTION,
            channels=own.channels,
            classes=len(own.classes),
        )
        tested = 400 if options.quick else TESTED
        for seed in range(options.seeds):
            for side in SIDES:
                places = (str(own.directory), str(kept.directory))
                job = Job(
                    side, str(network), *places, options.pictures, options.batch, options.epochs, seed, tested
                )  # fmt: skip
                jobs.append(job)
        print(f"{network}\n{options.pictures:,} pictures, {jobs[0].plan.steps:,} steps of {options.batch}")
        accuracies: dict[str, list[float]] = {side: [0.0] * options.seeds for side in SIDES}
        with Pool(min(available_cores(), len(jobs))) as pool:
            for place, value in pool.run(trained, jobs):
                if isinstance(value, TrialFailure):
                    raise value
                accuracies[jobs[place].side][jobs[place].seed] = value
                print(f"{jobs[place].side:8} seed {jobs[place].seed}: {value:.2%}", flush=True)
    for side in SIDES:
        print(f"{side:8} mean {statistics.fmean(accuracies[side]):.2%}, {spread(accuracies[side])}")
    return {"network": str(network), "steps": jobs[0].plan.steps, "accuracies": accuracies}


def spread(values: list[float]) -> str:
    """In points."""
    return f"standard deviation {100 * statistics.stdev(values):.2f} points" if len(values) > 1 else "one seed"


def beside_published(options: argparse.Namespace) -> dict[str, Any]:
    """Accuracy, latency, parameters of networks of the study's result, trained over as many epochs each."""
    with Study.open(options.study, read_only=True) as study:
        result = Result.from_json(study.document("result"))
    contenders = {contender.name: contender for contender in result.contenders}
    found: dict[str, dict[str, Any]] = {}
    candidates: dict[str, Candidate] = {}
    epochs: float | None = None
    with tempfile.TemporaryDirectory() as temporary:
        directory = options.keep or Path(temporary)
        for name in options.networks or chosen(result):
            out = directory / name.replace(" ", "-")
            found[name] = fully_trained(options, architecture_of(contenders[name]), out, epochs)
            epochs = found[name]["epochs"]
            candidates[name] = Candidate((out / found[name]["files"]["tflite"]).read_bytes())
            print(f"{name}: {found[name]['test']['accuracy']:.2%}", flush=True)
        measured = measure(open_device("local"), candidates, timing=THOROUGH)
    for name, row in found.items():
        latency = measured[name]
        row["search_accuracy"] = contenders[name].accuracy
        told = latency.to_dict() if isinstance(latency, Measurement) else {"failed": str(latency)}
        row["latency"] = {name: value for name, value in told.items() if not name.endswith("_samples_ms")}
        shown = f"{latency.latency_ms:.3g} ms" if isinstance(latency, Measurement) else str(latency)
        print(
            f"{name:24} {row['test']['accuracy']:.2%} (in the search {contenders[name].accuracy:.2%}), {shown}, "
            f"{row['parameters']:,} parameters, {row['epochs']:.3g} epochs"
        )
    return {"networks": found}


def fully_trained(options: argparse.Namespace, architecture: str, out: Path, epochs: float | None) -> dict[str, Any]:
    """The result of one training. epochs: None for as many as the budget allows."""
    settings = FullSettings(
        options.data,
        architecture,
        is_fixed=True,
        recipe=options.recipe,
        epochs=epochs,
        budget_s=seconds(options.budget) if epochs is None else None,
        device="cpu",
    )
    for event in run_full_training(settings, out):
        if isinstance(event, FullPlanned):
            print(f"{event.plan.epochs:.3g} epochs", flush=True)
        elif isinstance(event, FullFinished):
            return event.result
    raise AssertionError("a training ends")


def architecture_of(contender: Contender) -> str:
    """Text form: of what was found as it is, of a published network as it is defined today."""
    if contender.origin == "found":
        return contender.architecture
    name, width, *early = contender.name.split(" ")
    own = Architecture.parse(contender.architecture)
    fitted = adapted(
        published(name, float(width.removeprefix("x"))),
        resolution=own.resolution,
        channels=own.channels,
        classes=own.classes,
        strides="early" if early else "late",
    )
    return str(fitted)


def chosen(result: Result) -> list[str]:
    """The network handed over, and of each family the baseline that was most accurate in the search."""
    best: dict[str, Contender] = {}
    for contender in result.baselines:
        family = contender.name.split(" ")[0]
        if family not in best or contender.accuracy > best[family].accuracy:
            best[family] = contender
    handed = result.contenders[result.best] if result.best is not None else result.found[0]
    return [handed.name, *(contender.name for contender in best.values())]


if __name__ == "__main__":
    main()
