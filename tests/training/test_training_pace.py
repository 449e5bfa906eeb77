"""Precision and progressive resolution of a training; memory that a worker keeps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nasfit.architecture import Architecture
from nasfit.errors import UnknownNameError
from nasfit.models import build
from nasfit.tasks import Split
from nasfit.training import Pace, Recipe, accuracy, train
from nasfit.training.memory import keep_memory

NETWORK = Architecture.parse("in1@24 stem8s2 | mbconv6 k5 s2 se0.25 none f16 n1 | head32 out2 relu")
RECIPE = Recipe(images=640, batch=32)
SCALE = {"mean": (0.5,), "std": (0.25,)}


def stripes(number: int, seed: int) -> Split:
    """Horizontal and vertical stripes under noise."""
    images = np.random.default_rng(seed).integers(0, 100, size=(number, 24, 24, 1), dtype=np.uint8)
    labels = np.arange(number, dtype=np.int64) % 2
    images[labels == 0, ::8] += 120
    images[labels == 1, :, ::8] += 120
    return Split(images, labels)


def trained(pace: Pace, recipe: Recipe = RECIPE, seen: list[tuple[int, ...]] | None = None) -> nn.Module:
    torch.manual_seed(0)
    network = build(NETWORK, bn_momentum=0.1)
    if seen is not None:
        network.register_forward_pre_hook(lambda _, given: seen.append((given[0].dtype, given[0].shape[-1])))
    train(network, stripes(200, 0), recipe, seed=0, pace=pace, device=torch.device("cpu"), **SCALE)
    return network


@pytest.mark.parametrize("pace", [Pace("bf16"), Pace(progressive=True), Pace("bf16", progressive=True)])
def test_every_pace_learns_what_can_be_learned(pace):
    network = trained(pace, RECIPE.lasting(1600))
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert accuracy(network, stripes(100, 9), device=torch.device("cpu"), **SCALE) > 0.9


def test_same_pace_same_weights_and_another_precision_others():
    short = RECIPE.lasting(96)
    first, again, exact = (trained(pace, short).state_dict() for pace in (Pace("bf16"), Pace("bf16"), Pace()))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], exact[name]) for name in first)


def test_a_progressive_training_shows_its_first_half_smaller():
    seen: list[tuple[int, ...]] = []
    trained(Pace("bf16", progressive=True), RECIPE.lasting(128), seen)
    assert seen == [(torch.bfloat16, 15)] * 2 + [(torch.bfloat16, 24)] * 2


def test_an_unknown_precision_is_an_error_with_a_hint():
    with pytest.raises(UnknownNameError, match="did you mean 'bf16'"):
        Pace("bfp16")


def test_memory_is_kept_where_the_c_library_can(monkeypatch):
    asked: list[tuple[int, int]] = []

    class Library:
        def mallopt(self, what: int, value: int) -> int:
            asked.append((what, value))
            return 1

    monkeypatch.setattr("ctypes.CDLL", lambda _: Library())
    assert keep_memory.__wrapped__()
    assert asked == [(-3, 2**30), (-1, 2**31 - 1)]
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    assert not keep_memory.__wrapped__()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_gpu_trains_in_either_precision(precision):
    torch.manual_seed(0)
    network, gpu = build(NETWORK, bn_momentum=0.1), torch.device("cuda")
    train(network, stripes(200, 0), RECIPE, seed=0, pace=Pace(precision), device=gpu, **SCALE)
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert accuracy(network, stripes(100, 9), device=gpu, **SCALE) > 0.9
