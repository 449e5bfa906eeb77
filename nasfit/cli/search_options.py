"""The options of `nasfit search`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEVICE_HELP = "Where networks run: local, ssh://user@host, adb:SERIAL."
ENGINE_HELP = "litert, onnxruntime, or with an extra: openvino, ncnn, executorch."
STRATEGY_HELP = "guided, evolution, nsga2, ppo, ppo-paper, random; with the extra nasfit[optuna] also tpe and gp."

Data = Annotated[
    str,
    typer.Argument(
        help="A folder of pictures, ImageNet's too, of shards or Hugging Face files; hf:NAME; fashion-mnist[-small]."
    ),
]
TargetMs = Annotated[
    float | None, typer.Option(help="Latency limit of one inference on the device, ms. This or --front.")
]
Front = Annotated[
    tuple[float, float] | None,
    typer.Option(metavar="LOW HIGH", help="The most accurate network at every limit between two latencies, ms."),
]
Device = Annotated[
    str,
    typer.Option(help="Where latency is measured: local, ssh://user@host, adb:SERIAL; several alike: adb:A,adb:B."),
]
Engine = Annotated[str, typer.Option(help=ENGINE_HELP)]
Precision = Annotated[str, typer.Option(help="fp32, or int8 whose accuracy and latency then count.")]
MaxMb = Annotated[float | None, typer.Option(help="Bound on a network's peak memory on the device, MB.")]
MaxSize = Annotated[str | None, typer.Option(help="Bound on a network's file, such as 5MB or 800kB.")]
Predictor = Annotated[
    Path | None, typer.Option(help="Of `measure --build-predictor`: what it is sure is too slow is not measured.")
]
Budget = Annotated[str, typer.Option(help="Time for everything, such as 10m or 2h.")]
StudyPath = Annotated[
    Path | None, typer.Option(help="Directory of the study; the same command again goes on. Default: runs/NAME.")
]
Store = Annotated[
    str | None,
    typer.Option(help="Keep a new study in PostgreSQL, for many machines: postgresql://user@host/database."),
]
Ray = Annotated[
    str | None, typer.Option(help="Train on a Ray cluster: auto (the one this machine belongs to) or HOST:PORT.")
]
SPACE_HELP = "mnasnet-lean, mnasnet (as published), mnasnet-7; ablations: mnasnet-no-se, -flat, -mbconv3-k3 and others."
Space = Annotated[str, typer.Option(help=SPACE_HELP)]
Strategy = Annotated[str, typer.Option(help=STRATEGY_HELP)]
WarmStart = Annotated[Path | None, typer.Option(help="Earlier study of the same space; what it knows gives hints.")]
Stopping = Annotated[str, typer.Option(help="curve: a training that can no longer matter is ended; none: never.")]
Evaluator = Annotated[str, typer.Option(help="Where accuracies come from: auto, standalone, inherit, pool, supernet.")]
FinalStart = Annotated[
    str, typer.Option(help="Final training of the networks found: scratch, or inherited (their trials' weights).")
]
Hints = Annotated[
    str, typer.Option(help="What untrained networks tell the guided strategy: counts, scores (zero-cost) or none.")
]
Screen = Annotated[
    str, typer.Option(help="Zero-cost score that may drop proposals once it ranks well here: auto, a name, or none.")
]
RewardKind = Annotated[str, typer.Option(help="soft, hard or abs.")]
Alpha = Annotated[float | None, typer.Option(help="Exponent of the reward up to the target.")]
Beta = Annotated[float | None, typer.Option(help="Exponent (abs: factor) of the reward above the target.")]
CalibrateExponent = Annotated[
    bool, typer.Option("--calibrate-exponent", help="Fit the soft reward's exponent to the first batch.")
]
Width = Annotated[float | None, typer.Option(help="Width multiplier of the space. Default: calibrated.")]
Resolution = Annotated[int | None, typer.Option(help="Input size, px. Default: the pictures' own, up to 64.")]
Pictures = Annotated[int | None, typer.Option(help="Most training pictures, balanced by class. Default: all.")]
Stream = Annotated[bool, typer.Option("--stream", help="Keep no decoded pictures: decode whenever they are wanted.")]
Strides = Annotated[str | None, typer.Option(help="early or late halving of small inputs.")]
ProxyImages = Annotated[int | None, typer.Option(help="Pictures a trial trains on. Default: calibrated.")]
ProxyWish = Annotated[
    float, typer.Option(help="A long search first finds the shortest training that ranks with this tau; 0: never.")
]
TrainPrecision = Annotated[str | None, typer.Option(help="fp32 or bf16, of all trainings. Default: the faster here.")]
Progressive = Annotated[
    bool, typer.Option("--progressive", help="The first half of every training shows smaller images.")
]
Prune = Annotated[float, typer.Option(help="Networks slower than this many targets are not trained; 0 trains all.")]
Seed = Annotated[int, typer.Option(help="Of every draw.")]
Workers = Annotated[int | None, typer.Option(help="Training processes. Default: one a core.")]
MaxTrials = Annotated[int | None, typer.Option(help="Stop after this many trained trials.")]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Decode, calibrate, tell what the search would do with its time, and stop; the same command goes on.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
