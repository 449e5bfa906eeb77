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
from nasfit.cli.search_options import DEVICE_HELP, ENGINE_HELP
from nasfit.cli.settings_file import Config, PrintConfig, config_lines
from nasfit.errors import NasfitError

app = typer.Typer(
    name="nasfit",
    help="Finds the neural network that fits a device: searches, trains, and runs each candidate on the device itself.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

studies = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List studies, write their trials to files.")
app.add_typer(studies, name="study")

DEBUG = "--debug"
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


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
    what = " ".join(f"{type(error).__name__}: {error}".split())
    print(f"error: nasfit itself failed ({what}); what is recorded is kept", file=sys.stderr)
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
    config: Config = None,
    print_config: PrintConfig = False,
    dry_run: options.DryRun = False,
    json_: Json = False,
) -> None:
    """Search for the network that fits, train it, export it, and write a report.

    Example: nasfit search ./photos --target-ms 5 --budget 30m
    """
    from nasfit.cli.searching import run, settings_of

    settings = settings_of(context.params)
    if print_config:
        print("\n".join(config_lines(context)))
        return
    run(settings, study, store=store, ray=ray, dry_run=dry_run, as_json=json_)


@app.command()
def demo(
    budget: Annotated[str, typer.Option(help="Time for everything.")] = "6m",
    study: Annotated[Path, typer.Option(help="Directory of the study.")] = Path("runs/demo"),
) -> None:
    """Search this machine on the shipped pictures, with a limit below what MobileNetV2 x0.5 needs here."""
    from nasfit.cli.demo import run

    run(seconds(budget), study)


@app.command()
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
def train(
    context: typer.Context,
    network: training_options.Network,
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


@studies.command("show")
@app.command()
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
def compare(
    studies: Annotated[list[Path], typer.Argument(help="Directories of two studies or more.")],
    json_: Json = False,
) -> None:
    """Print what several studies came to, side by side, and what they were asked differently.

    Example: nasfit compare runs/photos-5ms-seed0 runs/photos-5ms-seed1
    """
    from nasfit.cli.comparing import run

    run(studies, as_json=json_)


@studies.command("ls")
def list_studies(
    directory: Annotated[Path, typer.Argument(help="Where to look, at any depth.")] = Path("runs"),
    json_: Json = False,
) -> None:
    """List studies: whether they run, how many trials, the best network under the limit.

    Example: nasfit study ls
    """
    from nasfit.cli.studies import list_studies as run

    run(directory, as_json=json_)


@studies.command()
def export(
    study: Annotated[Path, typer.Argument(help="Directory of a study.")],
    file: Annotated[Path, typer.Argument(help="To write: .csv, .jsonl (with raw latencies) or .parquet.")],
) -> None:
    """Write a study's trials for other tools. Works while it runs.

    Example: nasfit study export runs/demo demo.csv
    """
    from nasfit.cli.studies import export as run

    run(study, file)


@studies.command("to-optuna")
def to_optuna(
    study: Annotated[Path, typer.Argument(help="Directory of a study.")],
    storage: Annotated[str, typer.Argument(help="Optuna's, such as sqlite:///optuna.db.")],
    name: Annotated[str | None, typer.Option(help="Of the Optuna study. Default: the directory's.")] = None,
) -> None:
    """Copy a study's trials into an Optuna storage, for optuna-dashboard.

    Example: nasfit study to-optuna runs/demo sqlite:///optuna.db
    """
    from nasfit.cli.studies import to_optuna as run

    run(study, storage, name)


@studies.command()
def merge(
    into: Annotated[Path, typer.Argument(help="Directory of the new study.")],
    studies: Annotated[list[Path], typer.Argument(help="Directories of two studies or more.")],
) -> None:
    """Make one study of several that searched the same way: same data, device, limit, space, trial length.

    Example: nasfit study merge runs/all runs/monday runs/tuesday
    """
    from nasfit.cli.studies import merge as run

    run(into, studies)


@studies.command("import-optuna")
def import_optuna(
    storage: Annotated[str, typer.Argument(help="Optuna's, such as sqlite:///optuna.db.")],
    name: Annotated[str, typer.Argument(help="Of the Optuna study.")],
    study: Annotated[Path, typer.Argument(help="Directory of the new study.")],
    space: Annotated[str, typer.Option(help="That its parameters d00, d01, ... are points of.")] = "mnasnet-lean",
) -> None:
    """Make a study of an Optuna study's trials, to start a search from with --warm-start.

    Example: nasfit study import-optuna sqlite:///optuna.db demo runs/earlier
    """
    from nasfit.cli.studies import import_optuna as run

    run(storage, name, study, space)


@app.command()
def report(study: Annotated[Path, typer.Argument(help="Directory of a study.")]) -> None:
    """Write report.html and front.png of a study anew."""
    from nasfit.report import write_report

    print(write_report(study))


@app.command()
def count(
    network: Annotated[
        str, typer.Argument(help="mnasnet-a1, mobilenet-v3-small, another published network or a text form.")
    ],
    width: Annotated[float, typer.Option(help="Width multiplier of a published network.")] = 1.0,
    json_: Json = False,
) -> None:
    """Print parameters, multiply-adds and the block table of a network.

    Example: nasfit count mnasnet-a1
    """
    from nasfit.cli.counting import run

    run(network, width, as_json=json_)


@app.command()
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
    """List this machine, the phones adb knows and the hosts of ~/.ssh/config, with what each still needs."""
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
