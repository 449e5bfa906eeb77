"""Where the curves of a full training go: TensorBoard's files always, MLflow and Weights & Biases where asked.

A training that goes on continues the run that it began there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from nasfit.errors import MissingExtraError, StudyError
from nasfit.study.files import write_whole
from nasfit.training import EpochEnded, Stepped, TrainingEvent

DIRECTORY = "tensorboard"
PROJECT = "nasfit"


class Curves(Protocol):
    """One place that values over steps go to."""

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Values by name."""

    def close(self) -> None:
        """Nothing more comes in this process."""


class TrainingLog:
    """Writes a training's events; what an interrupted run wrote to TensorBoard after `step` is left out of view.

    directory: of the training. names: of LOGS. facts: of the training, told once. Raises MissingExtraError.
    """

    def __init__(self, directory: Path, step: int, names: Sequence[str] = (), facts: Mapping[str, Any] | None = None):
        self._closing = ExitStack()
        self._curves: list[Curves] = []
        for made in (lambda: _TensorBoard(directory, step), *(_bound(name, directory, facts or {}) for name in names)):
            self._curves.append(made())
            self._closing.callback(self._curves[-1].close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def write(self, event: TrainingEvent) -> None:
        """Takes what can be drawn over steps."""
        match event:
            case Stepped():
                self._write({"loss": event.loss, "rate": event.rate, "speed": event.examples_per_second}, event.step)
            case EpochEnded():
                metrics = {name: value for name, value in event.row.items() if name not in ("epoch", "step")}
                self._write({f"epoch/{name}": value for name, value in metrics.items()}, int(event.row["step"]))

    def _write(self, values: dict[str, float], step: int) -> None:
        for curves in self._curves:
            curves.write(values, step)


class _TensorBoard:
    def __init__(self, directory: Path, step: int) -> None:
        # Imported here: a search does without.
        from tensorboardX import SummaryWriter

        self._place = directory / DIRECTORY
        self._writer = SummaryWriter(str(self._place), purge_step=step)

    def write(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        try:
            self._writer.close()
        except OSError as error:
            raise StudyError(
                f"cannot write {str(self._place)!r}: {error.strerror or error}; the checkpoints before are whole. Make "
                "room, then the same command goes on"
            ) from error


class _MLflow:
    """A run of the experiment `nasfit`, where MLFLOW_TRACKING_URI says."""

    def __init__(self, directory: Path, facts: Mapping[str, Any]) -> None:
        try:
            import mlflow
        except ImportError as error:
            raise MissingExtraError("--log mlflow", "mlflow") from error
        self._mlflow = mlflow
        mlflow.set_experiment(PROJECT)
        known = _known_run(directory, "mlflow")
        run = mlflow.start_run(run_id=known, run_name=None if known else directory.name)
        _keep_run(directory, "mlflow", run.info.run_id)
        mlflow.log_params({name: str(value)[:250] for name, value in facts.items()})

    def write(self, values: Mapping[str, float], step: int) -> None:
        self._mlflow.log_metrics(dict(values), step=step)

    def close(self) -> None:
        self._mlflow.end_run()


class _WandB:
    """A run of the project `nasfit`, as the environment or `wandb login` say."""

    def __init__(self, directory: Path, facts: Mapping[str, Any]) -> None:
        try:
            import wandb
        except ImportError as error:
            raise MissingExtraError("--log wandb", "wandb") from error
        known = _known_run(directory, "wandb")
        self._run = wandb.init(
            project=PROJECT, name=directory.name, id=known, resume="allow", dir=str(directory), config=dict(facts)
        )
        _keep_run(directory, "wandb", self._run.id)

    def write(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


LOGS: dict[str, Callable[[Path, Mapping[str, Any]], Curves]] = {"mlflow": _MLflow, "wandb": _WandB}


def _bound(name: str, directory: Path, facts: Mapping[str, Any]) -> Callable[[], Curves]:
    return lambda: LOGS[name](directory, facts)


def _known_run(directory: Path, name: str) -> str | None:
    file = directory / f"{name}-run.txt"
    return file.read_text(encoding="utf-8").strip() if file.is_file() else None


def _keep_run(directory: Path, name: str, run: str) -> None:
    write_whole(directory, f"{name}-run.txt", f"{run}\n".encode())
