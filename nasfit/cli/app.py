"""Commands and their options; what they do lives in the modules beside this one, imported when a command runs."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

import nasfit
from nasfit.cli import search_options as options
from nasfit.cli import training_options
from nasfit.cli.quantities import seconds
from nasfit.cli.search_options import DEVICE_HELP, ENGINE_HELP, Json
from nasfit.cli.settings_file import configurable
from nasfit.cli.study_commands import studies
from nasfit.errors import NasfitError

app = typer.Typer(
    name="nasfit",
    help="Finds the neural network that fits a device: searches, trains, and runs each candidate on the device itself.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(studies, name="study")

DEBUG = "--debug"


def main() -> None:
    """Runs the command line.

    Errors a user can mend end in one message and exit code 2, others in one and 1, Ctrl-C in 130. `--debug` shows where
    they come from.
    """
    # Several BLAS threads make the small matrices of a predictor slower, many times so on a busy machine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except Exception as error:
        sys.exit(_told(error))


def _told(error: Exception) -> int:
    """Says what went wrong; the exit code."""
    if DEBUG in sys.argv[1:]:
        traceback.print_exception(error)
    if isinstance(error, NasfitError):
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    from nasfit.extensions import culprit

    what = " ".join(f"{type(error).__name__}: {error}".split())
    package = culprit(error)
    who = "nasfit itself" if package is None else f"package {package}, which adds to nasfit,"
    print(f"error: {who} failed ({what}); what is recorded is kept", file=sys.stderr)
    print(f"  nasfit {DEBUG} ... shows where, for a report of this fault", file=sys.stderr)
    return 1


@app.callback(invoke_without_command=True)
def _top(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option(DEBUG, help="Show where an error comes from.")] = False,
) -> None:
    if version:
        print(f"nasfit {nasfit.__version__}")


@app.command()
@configurable
def search(
    context: typer.Context,
    data: options.Data,
    target_ms: options.TargetMs = None,
    front: options.Front = None,
    device: options.Device = "local",
    engine: options.Engine = "litert",
    precision: options.Precision = "fp32",
    max_mb: options.MaxMb = None,
    max_size: options.MaxSize = None,
    predictor: options.Predictor = None,
    budget: options.Budget = "10m",
    study: options.StudyPath = None,
    store: options.Store = None,
    ray: options.Ray = None,
    space: options.Space = "mnasnet-lean",
    strategy: options.Strategy = "guided",
    warm_start: options.WarmStart = None,
    stopping: options.Stopping = "none",
    hints: options.Hints = "none",
    screen: options.Screen = "none",
    evaluator: options.Evaluator = "auto",
    final_start: options.FinalStart = "scratch",
    reward: options.RewardKind = "soft",
    alpha: options.Alpha = None,
    beta: options.Beta = None,
    calibrate_exponent: options.CalibrateExponent = False,
    width: options.Width = None,
    resolution: options.Resolution = None,
    pictures: options.Pictures = None,
    stream: options.Stream = False,
    strides: options.Strides = None,
    proxy_images: options.ProxyImages = None,
    proxy_wish: options.ProxyWish = 0.8,
    train_precision: options.TrainPrecision = None,
    progressive: options.Progressive = False,
    prune: options.Prune = 1.1,
    seed: options.Seed = 0,
    workers: options.Workers = None,
    max_trials: options.MaxTrials = None,
    dry_run: options.DryRun = False,
    json_: Json = False,
) -> None:
    """Search for the network that fits, train it, export it, and write a report.

    Example: nasfit search ./photos --target-ms 5 --budget 30m
    """
    from nasfit.cli.searching import run, settings_of

    run(settings_of(context.params), study, store=store, ray=ray, dry_run=dry_run, as_json=json_)


@app.command()
def demo(
    budget: Annotated[str, typer.Option(help="Time for everything.")] = "6m",
    study: Annotated[Path, typer.Option(help="Directory of the study.")] = Path("runs/demo"),
    json_: Json = False,
) -> None:
    """Search this machine on the shipped pictures, with a limit below what MobileNetV2 x0.5 needs here.

    Example: nasfit demo --budget 10m
    """
    from nasfit.cli.demo import run

    run(seconds(budget), study, as_json=json_)


@app.command()
@configurable
def proxy(
    data: options.Data,
    budget: Annotated[str, typer.Option(help="Time for everything, where --full is not given.")] = "30m",
    wish: Annotated[float, typer.Option(help="Kendall's tau with the full training to reach.")] = 0.8,
    networks: Annotated[int, typer.Option(help="How many, spread over the space.")] = 8,
    budgets: Annotated[
        str | None, typer.Option(help="Pictures of the short trainings, such as 1000,2000,5000.")
    ] = None,
    full: Annotated[int | None, typer.Option(help="Pictures of the full training. Default: by --budget.")] = None,
    seeds: Annotated[int, typer.Option(help="Trainings of each kind; with 2 the full one is checked as well.")] = 1,
    space: options.Space = "mnasnet-lean",
    width: Annotated[float, typer.Option(help="Width multiplier of the space.")] = 0.35,
    resolution: options.Resolution = None,
    pictures: options.Pictures = None,
    stream: options.Stream = False,
    strides: Annotated[str, typer.Option(help="early or late halving of small inputs.")] = "late",
    study: Annotated[Path | None, typer.Option(help="Directory that keeps it. Default: runs/proxy-NAME.")] = None,
    seed: options.Seed = 0,
    workers: options.Workers = None,
    json_: Json = False,
) -> None:
    """Find how short a trial's training may be and still rank networks as a full training does.

    Example: nasfit proxy ./photos --budget 1h --wish 0.7
    """
    from nasfit.cli.proxy import pictures as numbers_of
    from nasfit.cli.proxy import run
    from nasfit.search import ProxySettings

    settings = ProxySettings(
        data=data,
        space=space,
        width=width,
        strides=strides,
        resolution=resolution,
        pictures=pictures,
        stream=stream,
        networks=networks,
        budgets=None if budgets is None else numbers_of(budgets),
        full=full,
        seeds=seeds,
        seed=seed,
        budget_s=seconds(budget),
        wish=wish,
        workers=workers,
    )
    run(settings, study, as_json=json_)


@app.command()
@configurable
def train(
    context: typer.Context,
    source: training_options.Source,
    data: options.Data,
    recipe: training_options.Recipe = None,
    epochs: training_options.Epochs = None,
    budget: training_options.Budget = None,
    batch: training_options.Batch = None,
    accumulate: training_options.Accumulate = None,
    lr: training_options.Rate = None,
    resolution: training_options.Resolution = None,
    width: training_options.Width = None,
    strides: training_options.Strides = "late",
    pick: training_options.Pick = None,
    weights: training_options.Weights = None,
    balance: training_options.Balance = False,
    pictures: options.Pictures = None,
    stream: training_options.Stream = None,
    device: training_options.Device = None,
    precision: training_options.Precision = None,
    compile_: training_options.Compile = False,
    seed: options.Seed = 0,
    log: training_options.Log = None,
    checkpoint_every: training_options.CheckpointEvery = "60s",
    out: training_options.Out = None,
    dry_run: training_options.DryRun = False,
    json_: Json = False,
) -> None:
    """Train a network fully, test it once, and export it.

    Example: nasfit train runs/photos-5ms-seed0 ./photos --budget 2h
    """
    from nasfit.cli.training import asked, run

    run(asked(context.params), out, only_plan=dry_run, as_json=json_)


@app.command("train-detector")
@configurable
def train_detector(
    network: Annotated[
        str, typer.Argument(metavar="NETWORK|STUDY", help="A published name, a text form, or a finished study.")
    ],
    data: Annotated[str, typer.Argument(help="Folder of Pascal VOC annotations or COCO files, or one COCO .json.")],
    epochs: Annotated[float | None, typer.Option(help="Passes over the training pictures.")] = None,
    budget: Annotated[str | None, typer.Option(help="Time for everything, instead of --epochs, such as 30m.")] = None,
    out: Annotated[Path | None, typer.Option(help="Directory of the training. Default: runs/NETWORK-on-DATA.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Backbone weights, .safetensors of a classification.")] = None,
    resolution: Annotated[int, typer.Option(help="Side of the detector's input, px.")] = 320,
    width: Annotated[float | None, typer.Option(help="Width multiplier of a published network.")] = None,
    batch: Annotated[int, typer.Option(help="Pictures held at once.")] = 16,
    accumulate: Annotated[int, typer.Option(help="Batches of one step.")] = 1,
    lr: Annotated[
        float | None,
        typer.Option(help="Learning rate for 16 pictures a step; grows with the root of their number. Default: 0.007."),
    ] = None,
    flip: Annotated[bool, typer.Option("--flip/--no-flip", help="Mirror half of the pictures.")] = True,
    seed: options.Seed = 0,
    device: Annotated[str, typer.Option(help=f"{DEVICE_HELP} `none` measures no latency.")] = "local",
    engine: Annotated[str, typer.Option(help=ENGINE_HELP)] = "litert",
    dry_run: training_options.DryRun = False,
    json_: Json = False,
) -> None:
    """Train a detector (SSDLite on a classification network), test it, export it, measure it.

    Example: nasfit train-detector mnasnet-a1 ./cards --budget 30m
    """
    from nasfit.cli.detector_training import backbone_of, run, with_backbone
    from nasfit.search.detector_settings import DetectorSettings

    found = backbone_of(network, width)
    settings = DetectorSettings(
        architecture=found.architecture,
        data=data,
        resolution=resolution,
        epochs=epochs,
        budget_s=None if budget is None else seconds(budget),
        weights=None if weights is None else str(weights),
        batch=batch,
        accumulate=accumulate,
        rate=lr,
        flip=flip,
        seed=seed,
        device=device,
        engine=None if device == "none" else engine,
    )
    run(with_backbone(settings, found), out, found.name, only_plan=dry_run, as_json=json_)


@app.command("search-detector")
@configurable
def search_detector(
    data: Annotated[str, typer.Argument(help="Folder of Pascal VOC annotations or COCO files, or one COCO .json.")],
    target_ms: Annotated[float, typer.Option(help="Limit on the detector's latency, ms.")],
    trials: Annotated[
        int | None, typer.Option(help="Detectors tried. Default: by --budget, without one 40; more goes on.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Time: half to search, half to train the winner. Default: search alone."),
    ] = None,
    proxy_epochs: Annotated[
        float | None, typer.Option(help="Length of a trial's training. Default: 4, on few pictures more.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Backbones inherit from this network of the space, .safetensors.")
    ] = None,
    device: options.Device = "local",
    engine: options.Engine = "litert",
    space: options.Space = "mnasnet-lean",
    width: Annotated[float, typer.Option(help="Width multiplier of the space.")] = 1.0,
    resolution: Annotated[int, typer.Option(help="Side of the detector's input, px.")] = 320,
    batch: Annotated[int, typer.Option(help="Pictures held at once.")] = 16,
    strategy: options.Strategy = "guided",
    study: options.StudyPath = None,
    seed: options.Seed = 0,
    json_: Json = False,
) -> None:
    """Search for the detector that fits a device: mAP for accuracy, the detector's own latency for latency.

    Example: nasfit search-detector ./cards --target-ms 20 --budget 2h
    """
    from nasfit.cli.detector_searching import run
    from nasfit.search.detector_study import DetectorSearchSettings

    settings = DetectorSearchSettings(
        data=data,
        target_ms=target_ms,
        trials=trials,
        budget_s=None if budget is None else seconds(budget),
        proxy_epochs=proxy_epochs,
        weights=None if weights is None else str(weights),
        device=device,
        engine=engine,
        space=space,
        width=width,
        resolution=resolution,
        batch=batch,
        strategy=strategy,
        seed=seed,
    )
    run(settings, study, as_json=json_)


@app.command()
@studies.command("show")
def show(
    study: Annotated[Path, typer.Argument(help="Directory of a study.")],
    json_: Json = False,
) -> None:
    """Print a study's front, the best network under the limit and its blocks. Works while it runs.

    Example: nasfit show runs/demo
    """
    from nasfit.cli.showing import run

    run(study, as_json=json_)


@app.command()
def dashboard(
    study: Annotated[Path, typer.Argument(help="Directory of a study.")],
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Of this machine. Default: 8420, or any free one where that is taken."),
    ] = None,
    json_: Json = False,
) -> None:
    """Show a study on a local page that follows it while it runs. Ctrl-C ends it.

    Example: nasfit dashboard runs/demo
    """
    from nasfit.cli.dashboard import run

    run(study, port, as_json=json_)


@app.command()
def compare(
    studies: Annotated[list[Path], typer.Argument(help="Directories of two studies or more.")],
    json_: Json = False,
) -> None:
    """Print what several studies came to, side by side, and what they were asked differently.

    Example: nasfit compare runs/photos-5ms-seed0 runs/photos-5ms-seed1
    """
    from nasfit.cli.comparing import run

    run(studies, as_json=json_)


@app.command()
def report(
    study: Annotated[Path, typer.Argument(help="Directory of a study.")],
    json_: Json = False,
) -> None:
    """Write report.html and front.png of a study anew. Works while it runs.

    Example: nasfit report runs/demo
    """
    from nasfit.cli.reporting import run

    run(study, as_json=json_)


@app.command()
def count(
    network: Annotated[
        str, typer.Argument(help="mnasnet-a1, mobilenet-v3-small, another published network or a text form.")
    ],
    width: Annotated[float | None, typer.Option(help="Width multiplier of a published network.")] = None,
    resolution: Annotated[int | None, typer.Option(help="Input size, px, instead of 224.")] = None,
    classes: Annotated[int | None, typer.Option(help="Number of classes instead of 1,000.")] = None,
    json_: Json = False,
) -> None:
    """Print parameters, multiply-adds and the block table of a network.

    Example: nasfit count mnasnet-a1 --width 0.5 --resolution 160
    """
    from nasfit.cli.counting import run
    from nasfit.cli.networks import Fitting

    run(network, Fitting(width, resolution, classes), as_json=json_)


@app.command("export")
@configurable
def export_network(
    source: Annotated[
        str, typer.Argument(help="A study, a full training, a .safetensors file of nasfit, a network's name or text.")
    ],
    network: Annotated[str | None, typer.Option(help="Of a study, such as found-2. Default: the winner.")] = None,
    format_: Annotated[str, typer.Option("--format", help="tflite, onnx, ncnn or executorch.")] = "tflite",
    precision: Annotated[str, typer.Option(help="fp32, or int8 (tflite, onnx), calibrated on pictures.")] = "fp32",
    preprocessing: Annotated[
        str, typer.Option(help="outside: the file takes normalised pictures; inside: pixels of 0 to 255.")
    ] = "outside",
    data: Annotated[
        str | None, typer.Option(help="Pictures to calibrate, check and test on. Default: a study's own.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Of a published network: .safetensors or .pth of nasfit, torchvision or timm.")
    ] = None,
    new_classifier: Annotated[
        bool, typer.Option("--new-classifier", help="Keep all weights but the last layer's, for other --classes.")
    ] = False,
    same_padding: Annotated[
        bool, typer.Option("--same-padding", help="TensorFlow's padding; the weights are of a tf_ network of timm.")
    ] = False,
    width: Annotated[float | None, typer.Option(help="Width multiplier of a published network.")] = None,
    resolution: Annotated[int | None, typer.Option(help="Input size, px, instead of 224.")] = None,
    classes: Annotated[int | None, typer.Option(help="Number of classes instead of 1,000.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write; the card is beside it. Default: by its name.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Measure the file there: local, ssh://user@host, adb.")] = None,
    engine: Annotated[str | None, typer.Option(help="That measures it. Default: the format's first.")] = None,
    licence: Annotated[str | None, typer.Option(help="Of the weights, for the card, such as apache-2.0.")] = None,
    json_: Json = False,
) -> None:
    """Write a network as the file that ships, check, test and measure it, and describe it in a model card.

    Example: nasfit export runs/demo --network found-2 --format onnx --precision int8
    """
    from nasfit.cli.export_sources import Wanted
    from nasfit.cli.exporting import Asked, run
    from nasfit.cli.networks import Fitting

    wanted = Wanted(network, weights, new_classifier, same_padding, Fitting(width, resolution, classes))
    asked = Asked(source, wanted, format_, precision, preprocessing, data, out, device, engine, licence)
    run(asked, as_json=json_)


@app.command()
def reproduce(
    table: Annotated[str, typer.Argument(help="imagenet, coco, scaling or ablation.")],
    device: Annotated[str, typer.Option(help=DEVICE_HELP)] = "local",
    engine: Annotated[str, typer.Option(help=ENGINE_HELP)] = "litert",
    latency: Annotated[bool, typer.Option("--latency/--no-latency", help="Measure the networks on the device.")] = True,
    quick: Annotated[bool, typer.Option("--quick", help="Measure for seconds, in one process.")] = False,
    data: Annotated[str | None, typer.Option(help="ImageNet's pictures, to test --weights on.")] = None,
    weights: Annotated[
        list[str] | None, typer.Option(metavar="NAME=FILE", help="Weights of a network of the table; may be repeated.")
    ] = None,
    json_: Json = False,
) -> None:
    """Print a table of the paper beside what nasfit counts, measures and tests of the same networks.

    Example: nasfit reproduce imagenet --data /data/imagenet --weights mnasnet-b1=mnasnet1_0.pth
    """
    from nasfit.cli.measuring import Place
    from nasfit.cli.reproducing import Asked, run

    place = Place(device, engine) if latency else None
    run(Asked(table, place, quick, data, tuple(weights or ())), as_json=json_)


@app.command()
@configurable
def measure(
    networks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NETWORK", help="Published names, text forms, block strings, or .tflite and .onnx files."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help=DEVICE_HELP)] = "local",
    engine: Annotated[str, typer.Option(help=ENGINE_HELP)] = "litert",
    precision: Annotated[str, typer.Option(help="fp32 or int8, of what is exported.")] = "fp32",
    width: Annotated[float | None, typer.Option(help="Width multiplier of published networks.")] = None,
    resolution: Annotated[int | None, typer.Option(help="Input size, px, instead of 224.")] = None,
    classes: Annotated[int | None, typer.Option(help="Number of classes instead of 1,000.")] = None,
    core: Annotated[int | None, typer.Option(help="CPU core to pin to. Default: the fastest.")] = None,
    threads: Annotated[int, typer.Option(help="Threads of one inference.")] = 1,
    realtime: Annotated[
        bool, typer.Option("--realtime/--no-realtime", help="Ask for real-time priority while timing.")
    ] = True,
    quick: Annotated[bool, typer.Option("--quick", help="Seconds instead of half a minute, in one process.")] = False,
    build_predictor: Annotated[
        bool, typer.Option("--build-predictor", help="Measure networks of a space and fit a latency predictor.")
    ] = False,
    predictor: Annotated[Path | None, typer.Option(help="Estimate with this predictor instead of measuring.")] = None,
    check_madds: Annotated[
        bool, typer.Option("--check-madds", help="Measure random networks: do multiply-adds rank latency here?")
    ] = False,
    space: Annotated[str | None, typer.Option(help="Space of these two. Default: mnasnet-lean.")] = None,
    budget: Annotated[str | None, typer.Option(help="Time for their measurements. Default: 10m and 2m.")] = None,
    out: Annotated[Path | None, typer.Option(help="File of the predictor, .json; measurements lie beside it.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Picture of --check-madds: .png, .svg or .pdf.")] = None,
    json_: Json = False,
) -> None:
    """Measure networks on a device, in turn, with intervals, ties and doubts.

    Example: nasfit measure mnasnet-a1 mobilenet-v2 --device ssh://pi@pi5
    """
    from nasfit.cli.measure_command import Asked, run
    from nasfit.cli.measuring import Place
    from nasfit.cli.networks import Fitting

    asked = Asked(tuple(networks or ()), quick, build_predictor, check_madds, predictor, space, budget, out, picture)
    place = Place(device, engine, core, threads, realtime)
    run(asked, place, Fitting(width, resolution, classes, precision), as_json=json_)


@app.command()
def devices(json_: Json = False) -> None:
    """List this machine, the phones adb knows and the hosts of ~/.ssh/config, with what each still needs.

    Example: nasfit devices --json
    """
    from nasfit.cli.listing_devices import run

    run(as_json=json_)


@app.command()
def doctor(
    device: Annotated[str, typer.Argument(help=DEVICE_HELP)] = "local",
    engine: Annotated[str, typer.Option(help=ENGINE_HELP)] = "litert",
    clean: Annotated[bool, typer.Option("--clean", help="Remove what nasfit put on the device, and end.")] = False,
    json_: Json = False,
) -> None:
    """Check a device step by step, then measure for half a minute how far its latencies can be trusted.

    Example: nasfit doctor adb
    """
    from nasfit.cli.doctor import run

    run(device, engine, clean=clean, as_json=json_)
