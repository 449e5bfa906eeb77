"""The loop of full trainings, on a toy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nasfit.errors import TrainingError, WeightsError
from nasfit.training.checkpoints import described_weights, packed_weights
from nasfit.training.full_training import BEST, LAST, Course, Training, full_training
from nasfit.training.optimizers import made_optimizer
from nasfit.training.schedules import Schedule
from nasfit.training.training_events import Began, Completed, EpochEnded, Saved, Stepped, TrainingEvent

Batch = tuple[Tensor, Tensor]
DESCRIBED = {"classes": "2", "architecture": "toy"}


def toy(
    optimizer: str = "sgd", *, steps: int = 12, average: float = 0.9, accumulate: int = 1, bad_step: int | None = None
) -> Training[Batch]:
    """Learns the sign of a sum; `bad_step` gets a picture that is not finite."""
    torch.manual_seed(3)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(128, 2),
    )
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def batches(epoch: int, first: int) -> Iterator[Batch]:
        for step in range(first, 4):
            for part in range(accumulate):
                generator = torch.Generator().manual_seed(1000 * epoch + 10 * step + part)
                images = torch.randn(16 // accumulate, 1, 4, 4, generator=generator)
                labels = (images.sum((1, 2, 3)) > 0).long()
                yield images * (torch.nan if bad_step == 4 * epoch + step else 1), labels

    def evaluate(weights: nn.Module) -> dict[str, float]:
        images = torch.randn(256, 1, 4, 4, generator=torch.Generator().manual_seed(7))
        weights.eval()
        with torch.no_grad():
            right = weights(images).argmax(1) == (images.sum((1, 2, 3)) > 0).long()
        return {"accuracy": float(right.float().mean())}

    return Training(
        network,
        made_optimizer(optimizer, network, weight_decay=1e-4, decay_biases=True),
        batches,
        lambda module, batch: nn.functional.cross_entropy(module(batch[0]), batch[1]),
        evaluate,
        Course(Schedule("cosine", 0.05, steps, 2), 4, 16 // accumulate, accumulate, average),
        DESCRIBED,
    )


def run(
    training: Training[Batch], folder: Path, *, stop_after: int | None = None, saved_every_s: float = 0
) -> list[TrainingEvent]:
    """Events up to the end, or to the save at a step, as if killed there; every step is saved."""
    start = folder / LAST
    events = []
    for event in full_training(
        training,
        keep=lambda name, content: (folder / name).write_bytes(content),
        start=start if start.exists() else None,
        saved_every_s=saved_every_s,
    ):
        events.append(event)
        if isinstance(event, Saved) and event.step == stop_after:
            break
    return events


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "rmsprop-tf"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_training_that_was_stopped_ends_with_the_same_bits(optimizer: str, accumulate: int, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir(), parts.mkdir()
    (completed,) = [e for e in run(toy(optimizer, accumulate=accumulate), whole) if isinstance(e, Completed)]
    for stop in (1, 3, 4, 6, 11):
        events = run(toy(optimizer, accumulate=accumulate), parts, stop_after=stop)
        assert events[-1] == Saved(stop)
    events = run(toy(optimizer, accumulate=accumulate), parts)
    assert events[0] == Began(11)
    assert events[-1] == completed
    for file in (LAST, BEST):
        found, expected = toy_state(parts / file), toy_state(whole / file)
        assert found.keys() == expected.keys()
        assert [name for name in found if not torch.equal(found[name], expected[name])] == []


def test_a_finished_training_only_tells_its_end(tmp_path: Path) -> None:
    run(toy(), tmp_path)
    assert [type(event) for event in run(toy(), tmp_path)] == [Began, Completed]


def test_a_training_learns_and_keeps_its_best_weights(tmp_path: Path) -> None:
    events = run(toy(steps=80), tmp_path, saved_every_s=100)
    completed = events[-1]
    assert isinstance(completed, Completed)
    assert completed.best["accuracy"] > 0.85
    assert len(completed.history) == 20
    assert [event for event in events if isinstance(event, Saved)] == [Saved(80)]
    assert completed.best == max(completed.history, key=lambda row: row["accuracy"])
    best = toy().network
    best.load_state_dict(described_weights(tmp_path / BEST, DESCRIBED))
    assert toy().evaluate(best)["accuracy"] == completed.best["accuracy"]
    assert any(isinstance(event, EpochEnded) and event.is_best for event in events)


def test_two_halves_of_a_batch_are_one_step_of_the_whole() -> None:
    """Up to batch norm, which a frozen norm leaves out."""
    ends = []
    for accumulate in (1, 2):
        training = toy(steps=1, accumulate=accumulate, average=0)
        layers = training.network
        assert isinstance(layers, nn.Sequential)
        layers[1], layers[5] = nn.Identity(), nn.Identity()
        one = torch.randn(16, 1, 4, 4, generator=torch.Generator().manual_seed(0))
        pieces = [(part, (part.sum((1, 2, 3)) > 0).long()) for part in one.chunk(accumulate)]
        changed = Training(**{**vars(training), "batches": lambda epoch, first, pieces=pieces: iter(pieces)})
        changed = Training(**{**vars(changed), "course": Course(Schedule("cosine", 0.05, 1), 1, 8, accumulate)})
        list(full_training(changed, keep=lambda name, content: None))
        ends.append(torch.cat([value.flatten() for value in layers.parameters()]))
    assert torch.allclose(*ends, atol=1e-6)


def test_a_loss_that_is_not_finite_stops_with_its_place_and_keeps_what_was_good(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"loss is nan in epoch 2, step 7 of 12, at learning rate 0\.0\d+;.*lower --lr"
    ):
        run(toy(bad_step=6), tmp_path)
    good = tmp_path / LAST
    assert all(bool(torch.isfinite(value).all()) for value in toy_state(good).values())
    assert json.loads(described(good)["facts"])["step"] == 6


def test_weights_that_a_step_spoilt_are_not_kept(tmp_path: Path) -> None:
    training = toy()
    step = training.optimizer.step

    def spoilt(*_: object) -> None:
        step()
        next(training.network.parameters()).data[0] = torch.inf

    training.optimizer.step = spoilt  # type: ignore[method-assign,assignment]
    with pytest.raises(TrainingError, match="weights are no longer finite in epoch 1, step 1"):
        run(training, tmp_path)
    assert not (tmp_path / LAST).exists()


def test_too_little_memory_names_a_smaller_batch(tmp_path: Path) -> None:
    training = toy()

    def exhausted(module: nn.Module, batch: Batch) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(TrainingError, match=r"16 examples at once.*--batch 8 --accumulate 2"):
        run(Training(**{**vars(training), "loss_of": exhausted}), tmp_path)


def test_steps_are_told_with_their_rate_and_what_is_left(tmp_path: Path) -> None:
    stepped = [event for event in run(toy(), tmp_path) if isinstance(event, Stepped)]
    assert [event.step for event in stepped] == list(range(1, 13))
    assert stepped[1].rate == pytest.approx(0.025)
    assert stepped[-1].left_s == 0
    assert stepped[0].examples_per_second > 0


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    run(toy(), tmp_path)
    whole = (tmp_path / LAST).read_bytes()
    for length in (0, 5, 200, len(whole) - 1):
        (tmp_path / LAST).write_bytes(whole[:length])
        with pytest.raises(WeightsError, match="is damaged or cut off"):
            run(toy(), tmp_path)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    run(toy(), tmp_path)
    other = Training(**{**vars(toy()), "described": {"classes": "12", "architecture": "toy"}})
    with pytest.raises(TrainingError, match="is of other classes: it has 2, wanted is 12"):
        run(other, tmp_path)
    other = Training(**{**vars(toy()), "described": {"classes": "2", "architecture": "larger"}})
    with pytest.raises(TrainingError, match="is of other architecture: it has toy, wanted is larger"):
        run(other, tmp_path)
    deeper = toy()
    assert isinstance(deeper.network, nn.Sequential)
    deeper.network.append(nn.Linear(2, 2))
    with pytest.raises(TrainingError, match="does not fit"):
        run(deeper, tmp_path)


def test_weights_of_another_network_or_none_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    with pytest.raises(WeightsError, match="no file"):
        described_weights(file, DESCRIBED)
    file.write_bytes(packed_weights(nn.Linear(2, 2), {}))
    with pytest.raises(TrainingError, match="does not say of which network"):
        described_weights(file, DESCRIBED)
    file.write_bytes(packed_weights(nn.Linear(2, 2), {**DESCRIBED, "classes": "3"}))
    with pytest.raises(TrainingError, match="other classes"):
        described_weights(file, DESCRIBED)


def described(file: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        return dict(opened.metadata())


def toy_state(file: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    state: dict[str, Tensor] = load_file(file)
    return state
