"""The options of `nasfit train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Source = Annotated[
    str,
    typer.Argument(metavar="NETWORK", help="A published name, a text form, a block string or a study's directory."),
]
Recipe = Annotated[
    str | None, typer.Option(help="mnasnet (as published), modern, small-data, quick. Default: by data size.")
]
Epochs = Annotated[float | None, typer.Option(help="Passes over the pictures. Default: the recipe's.")]
Budget = Annotated[str | None, typer.Option(help="Time to fit the training into, such as 30m, instead of --epochs.")]
Batch = Annotated[int | None, typer.Option(help="Pictures that a process holds at once.")]
Accumulate = Annotated[
    int | None, typer.Option(help="Such batches a step. Default: as many as the recipe's step has pictures.")
]
Rate = Annotated[float | None, typer.Option(help="Highest learning rate. Default: the recipe's, by pictures a step.")]
Resolution = Annotated[
    int | None, typer.Option(help="Input size, px. Default: a study's; else the pictures' own, up to 224.")
]
Width = Annotated[float | None, typer.Option(help="Width multiplier of a published network.")]
Strides = Annotated[
    str, typer.Option(help="Which halvings a published network keeps on small pictures: late (accurate), early (fast).")
]
Pick = Annotated[str | None, typer.Option("--network", help="Of a study: found-2, or another name in its result.")]
Weights = Annotated[
    Path | None, typer.Option(help="Trained weights (.safetensors) of this or a similar network to start from.")
]
Balance = Annotated[bool, typer.Option("--balance", help="Rare classes weigh as much as frequent ones.")]
Stream = Annotated[
    bool | None, typer.Option("--stream/--no-stream", help="Decode pictures as wanted, or once. Default: by size.")
]
Device = Annotated[str | None, typer.Option(help="cpu or cuda. Default: a GPU where there is one.")]
Precision = Annotated[str | None, typer.Option(help="fp32 or bf16. Default: bf16 on a GPU that has it.")]
Compile = Annotated[bool, typer.Option("--compile", help="Use torch.compile, which pays on a GPU after minutes.")]
Log = Annotated[
    list[str] | None,
    typer.Option(help="mlflow or wandb (extras), beside TensorBoard's files; may be given twice."),
]
CheckpointEvery = Annotated[str, typer.Option(help="The most that a kill costs.")]
Out = Annotated[
    Path | None, typer.Option(help="Directory; the same command again goes on. Default: runs/train-NETWORK-DATA...")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print plan and estimated time; train nothing.")]
