"""The commands `nasfit study ...`; what they do lives in `studies.py`, imported when one runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nasfit.cli.search_options import Json

studies = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List studies, merge them, write their trials.")


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
    json_: Json = False,
) -> None:
    """Write a study's trials for other tools. Works while it runs.

    Example: nasfit study export runs/demo demo.csv
    """
    from nasfit.cli.studies import export as run

    run(study, file, as_json=json_)


@studies.command("to-optuna")
def to_optuna(
    study: Annotated[Path, typer.Argument(help="Directory of a study.")],
    storage: Annotated[str, typer.Argument(help="Optuna's, such as sqlite:///optuna.db.")],
    name: Annotated[str | None, typer.Option(help="Of the Optuna study. Default: the directory's.")] = None,
    json_: Json = False,
) -> None:
    """Copy a study's trials into an Optuna storage, for optuna-dashboard.

    Example: nasfit study to-optuna runs/demo sqlite:///optuna.db
    """
    from nasfit.cli.studies import to_optuna as run

    run(study, storage, name, as_json=json_)


@studies.command()
def merge(
    into: Annotated[Path, typer.Argument(help="Directory of the new study.")],
    studies: Annotated[list[Path], typer.Argument(help="Directories of two studies or more.")],
    json_: Json = False,
) -> None:
    """Make one study of several that searched the same way: same data, device, limit, space, trial length.

    Example: nasfit study merge runs/all runs/monday runs/tuesday
    """
    from nasfit.cli.studies import merge as run

    run(into, studies, as_json=json_)


@studies.command("import-optuna")
def import_optuna(
    storage: Annotated[str, typer.Argument(help="Optuna's, such as sqlite:///optuna.db.")],
    name: Annotated[str, typer.Argument(help="Of the Optuna study.")],
    study: Annotated[Path, typer.Argument(help="Directory of the new study.")],
    space: Annotated[str, typer.Option(help="That its parameters d00, d01, ... are points of.")] = "mnasnet-lean",
    json_: Json = False,
) -> None:
    """Make a study of an Optuna study's trials, to start a search from with --warm-start.

    Example: nasfit study import-optuna sqlite:///optuna.db demo runs/earlier
    """
    from nasfit.cli.studies import import_optuna as run

    run(storage, name, study, space, as_json=json_)
