"""A training of hours: one loop for any task, which can be killed at any moment and goes on as if it had not been.

Whoever runs the generator gets events and decides what to show. Nothing here knows pictures or boxes: batches are what
`loss_of` understands, and `evaluate` says what weights are worth.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from nasfit.errors import TrainingError
from nasfit.models.quick import quickened
from nasfit.training.averaging import AveragedWeights
from nasfit.training.checkpoints import packed_state, packed_weights, restore_state
from nasfit.training.ranks import ALONE, Ranks
from nasfit.training.schedules import Schedule
from nasfit.training.training_events import Began, Completed, EpochEnded, Metrics, Row, Saved, Stepped, TrainingEvent

B = TypeVar("B")
# Puts a file of this name in its place, whole or not at all.
Keep = Callable[[str, bytes], object]
LAST, BEST = "last.safetensors", "best.safetensors"
SAVED_EVERY_S, TOLD_EVERY_S = 60.0, 1.0


@dataclass(frozen=True)
class Course:
    """The numbers that fix a training.

    schedule: of the learning rate; its steps are those of the training. steps_per_epoch: after so many the weights are
    evaluated. batch: examples that a process holds at once. accumulate: batches a step, whose gradients are averaged.
    average: decay of the weights' moving average, 0 for none. chosen_by: the metric that is highest for the best
    weights. seed: of dropout and all else that torch draws.
    """

    schedule: Schedule
    steps_per_epoch: int
    batch: int
    accumulate: int = 1
    average: float = 0.0
    chosen_by: str = "accuracy"
    seed: int = 0

    @property
    def steps(self) -> int:
        """Optimizer steps in all; the last epoch may be short."""
        return self.schedule.steps


@dataclass(frozen=True)
class Training(Generic[B]):
    """What is trained on what.

    network: on its device. optimizer: of its parameters; the schedule sets its rate. batches: from (epoch, step of that
    epoch) on, in order, `accumulate` a step, the same ones whenever asked, this process's share. loss_of: mean loss of
    a batch, a float32 scalar; it calls the module it is given, which may be a wrapped `network`. evaluate: metrics of
    the weights of a module. described: texts that tell this network from others; they are kept with its weights and
    must agree with a checkpoint's. compiled: compile the network instead of taking nasfit's quicker ways.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    batches: Callable[[int, int], Iterator[B]]
    loss_of: Callable[[nn.Module, B], Tensor]
    evaluate: Callable[[nn.Module], Metrics]
    course: Course
    described: Mapping[str, str]
    compiled: bool = False


def full_training(
    training: Training[B],
    *,
    keep: Keep,
    start: Path | None = None,
    ranks: Ranks = ALONE,
    saved_every_s: float = SAVED_EVERY_S,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[TrainingEvent]:
    """Trains `training.network` in place, and ends with its last weights; the best ones are kept as BEST.

    keep: is given LAST about every `saved_every_s` and after the last step, and BEST whenever an epoch is the best so
    far. start: a LAST of the same training. ranks: every process runs this; the first evaluates and keeps. Same seed,
    threads and device: on a CPU the same weights, bit by bit, however often it was stopped.

    Raises TrainingError where the loss is no longer finite (LAST and BEST stay as they were before), where memory does
    not suffice, and for a checkpoint that does not fit.
    """
    return _Run(training, keep, ranks, saved_every_s, clock).events(start)


@dataclass
class _Progress:
    """All plain values of a checkpoint. loss_sum: of the epoch's steps so far."""

    step: int = 0
    loss_sum: float = 0.0
    history: list[Row] = field(default_factory=list)
    best: Row | None = None


@dataclass
class _Pace:
    """Seconds that this process's steps and its last evaluation took."""

    steps: int = 0
    seconds: float = 0.0
    evaluation_s: float = 0.0

    def left_s(self, course: Course, step: int) -> float:
        evaluations = -(-course.steps // course.steps_per_epoch) - step // course.steps_per_epoch
        return (course.steps - step) * self.seconds / max(1, self.steps) + evaluations * self.evaluation_s


class _Run(Generic[B]):
    """One process's part of a training."""

    def __init__(
        self, training: Training[B], keep: Keep, ranks: Ranks, saved_every_s: float, clock: Callable[[], float]
    ) -> None:
        self._training, self._course = training, training.course
        self._keep, self._ranks, self._saved_every_s, self._clock = keep, ranks, saved_every_s, clock
        decay = training.course.average
        self._average = AveragedWeights(training.network, decay) if decay else None
        self._progress, self._pace, self._saved_at = _Progress(), _Pace(), clock()

    def events(self, start: Path | None) -> Iterator[TrainingEvent]:
        training, course = self._training, self._course
        if start is not None:
            facts = restore_state(start, self._modules(), training.optimizer, training.described)
            self._progress = _Progress(**facts)
        progress = self._progress
        yield Began(progress.step)
        with nullcontext() if training.compiled else quickened(training.network):
            forward = self._ranks.wrapped(torch.compile(training.network) if training.compiled else training.network)  # type: ignore[arg-type]
            while progress.step < course.steps:
                yield from self._epoch(forward)
        if self._ranks.is_first:
            assert progress.best is not None, "a training has an epoch"
            yield Completed(tuple(progress.history), progress.best)

    def _epoch(self, forward: nn.Module) -> Iterator[TrainingEvent]:
        """From where the training is to the end of its epoch."""
        course, progress = self._course, self._progress
        epoch, first = divmod(progress.step, course.steps_per_epoch)
        end = min(course.steps, (epoch + 1) * course.steps_per_epoch)
        batches = self._training.batches(epoch, first)
        self._training.network.train()
        losses: list[Tensor] = []
        since = self._clock()
        while progress.step < end:
            losses.append(self._step(forward, batches))
            now = self._clock()
            is_due = self._ranks.is_first and now - self._saved_at >= self._saved_every_s
            if is_due or progress.step == end or now - since >= TOLD_EVERY_S:
                yield self._stepped(losses, self._clock() - since)
                losses.clear()
                if is_due and progress.step < end:
                    yield self._saved()
                since = self._clock()
        yield self._epoch_ended(epoch)
        if self._ranks.is_first and (progress.step == course.steps or self._is_due()):
            yield self._saved()

    def _step(self, forward: nn.Module, batches: Iterator[B]) -> Tensor:
        """One step of the optimizer; the mean loss of its batches."""
        course, step, optimizer = self._course, self._progress.step, self._training.optimizer
        for group in optimizer.param_groups:
            group["lr"] = course.schedule.rate(step)
        # Drawn anew for every step, so that there is no state to keep.
        drawn = np.random.SeedSequence([course.seed, step, self._ranks.rank]).generate_state(1, np.uint64)
        torch.manual_seed(int(drawn[0]))
        total = torch.zeros(())
        with _memory_told(course):
            optimizer.zero_grad(set_to_none=True)
            for part in range(course.accumulate):
                is_last = part == course.accumulate - 1
                with nullcontext() if is_last else self._ranks.unsynchronised(forward):
                    loss = self._training.loss_of(forward, next(batches)) / course.accumulate
                    loss.backward()  # type: ignore[no-untyped-call]
                total = total.to(loss.device) + loss.detach()
            optimizer.step()
        self._progress.step += 1
        if self._average is not None:
            self._average.update(self._progress.step)
        return total

    def _stepped(self, losses: list[Tensor], seconds: float) -> Stepped:
        """Raises TrainingError where a loss is not finite."""
        course, progress = self._course, self._progress
        values: list[float] = torch.stack(losses).tolist()
        for value, step in zip(values, range(progress.step - len(values), progress.step), strict=True):
            if not math.isfinite(value):
                raise self._diverged(f"the training loss is {value}", step)
            progress.loss_sum += value
        self._pace.steps += len(values)
        self._pace.seconds += seconds
        examples = len(values) * course.batch * course.accumulate * self._ranks.world
        return Stepped(
            progress.step,
            sum(values) / len(values),
            course.schedule.rate(progress.step - 1),
            examples / max(seconds, 1e-9),
            self._pace.left_s(course, progress.step),
        )

    def _epoch_ended(self, epoch: int) -> EpochEnded:
        course, progress = self._course, self._progress
        self._require_finite_weights()
        began = self._clock()
        weights = self._training.network if self._average is None else self._average.network
        metrics = self._training.evaluate(weights) if self._ranks.is_first else {}
        self._pace.evaluation_s = self._clock() - began
        row: Row = {"epoch": epoch + 1, "step": progress.step}
        row |= {"loss": progress.loss_sum / (progress.step - epoch * course.steps_per_epoch)}
        row |= {"rate": course.schedule.rate(progress.step - 1), **metrics}
        progress.loss_sum = 0.0
        progress.history.append(row)
        is_best = self._ranks.is_first and (
            progress.best is None or row[course.chosen_by] > progress.best[course.chosen_by]
        )
        if is_best:
            progress.best = row
            self._keep(BEST, packed_weights(weights, self._training.described))
        return EpochEnded(row, is_best)

    def _is_due(self) -> bool:
        return self._clock() - self._saved_at >= self._saved_every_s

    def _saved(self) -> Saved:
        self._require_finite_weights()
        training = self._training
        content = packed_state(self._modules(), training.optimizer, training.described, asdict(self._progress))
        self._keep(LAST, content)
        self._saved_at = self._clock()
        return Saved(self._progress.step)

    def _modules(self) -> dict[str, nn.Module]:
        modules: dict[str, nn.Module] = {"network": self._training.network}
        return modules if self._average is None else {**modules, "average": self._average.network}

    def _require_finite_weights(self) -> None:
        """A loss is of the weights before its step, which may have spoilt them."""
        sums = torch.stack([value.sum(dtype=torch.float64) for value in self._training.network.parameters()])
        if not bool(torch.isfinite(sums).all()):
            raise self._diverged("weights are no longer finite", self._progress.step - 1)

    def _diverged(self, what: str, step: int) -> TrainingError:
        rate, per_epoch = self._course.schedule.rate(step), self._course.steps_per_epoch
        return TrainingError(
            f"{what} in epoch {step // per_epoch + 1}, step {step + 1} of {self._course.steps}, at learning rate "
            f"{rate:.3g}; the checkpoints from before are kept. Begin anew elsewhere with a lower --lr"
        )


@contextmanager
def _memory_told(course: Course) -> Iterator[None]:
    try:
        yield
    except (torch.OutOfMemoryError, RuntimeError, MemoryError) as error:
        is_memory = isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate memory" in str(error)
        if not is_memory:
            raise
        half = max(1, course.batch // 2)
        raise TrainingError(
            f"out of memory with {course.batch} examples at once; the same training in smaller pieces: --batch {half} "
            f"--accumulate {-(-course.batch * course.accumulate // half)}"
        ) from error
