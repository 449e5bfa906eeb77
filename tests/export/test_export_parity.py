"""Files against their modules: random networks on real pictures, in both formats, and the check itself."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain

import pytest
import torch
from export_networks import clothes, images, settled
from torch import nn

from nasfit.architecture import Architecture, adapted, scaled
from nasfit.errors import TrialFailure, UnknownNameError
from nasfit.export import check_parity, to_onnx, to_tflite
from nasfit.models import build
from nasfit.space import SPACES

Sampler = Callable[..., Iterator[Architecture]]

# A hundred float32 sums follow one another; of the 500 networks of the slow test all but four differ less than this.
TIGHT = 1e-5
WRITERS = {"onnx": to_onnx, "tflite": to_tflite}


def varied(architecture: Architecture, number: int) -> tuple[Architecture, bool]:
    """The point narrower, for another input, activation and padding rule; the second says TensorFlow's padding."""
    draw = random.Random(number)
    resolution = draw.choice((24, 28, 29, 32, 33, 35, 41, 64))
    architecture = scaled(architecture, draw.choice((0.25, 0.35, 0.5)))
    architecture = adapted(
        architecture,
        resolution=resolution,
        channels=draw.choice((1, 3)),
        classes=draw.choice((2, 10)),
        strides=draw.choice(("early", "late")),
    )
    architecture = replace(architecture, head_filters=draw.choice((64, 200)), activation=draw.choice(("relu", "relu6")))
    return architecture, resolution % 32 == 0 and draw.random() < 0.7


def same_in_both(architecture: Architecture, same_padding: bool, number: int) -> None:
    """Both formats give what the module gives, on two pictures.

    Random weights make a network now and then that float32 itself is too coarse for, in torch as in the engines: there
    a file may be ten times as far from the module as the module is from itself in float64.
    """
    torch.manual_seed(number)
    network = settled(build(architecture, same_padding=same_padding), number)
    shape = (architecture.channels, architecture.resolution, architecture.resolution)
    pictures = clothes(2, architecture.channels, architecture.resolution, first=2 * number % 2000)
    for model_format, write in WRITERS.items():
        difference = check_parity(network, write(network, shape), pictures, tolerance=1.0, model_format=model_format)
        if difference >= TIGHT:
            assert difference < 10 * rounding(network, pictures), (str(architecture), same_padding, model_format)


def rounding(network: nn.Module, pictures_BCHW: torch.Tensor) -> float:
    """Largest difference between the module in float32 and in float64, over the largest logit."""
    with torch.no_grad():
        coarse_BK = network.eval()(pictures_BCHW).double()
        fine_BK = copy.deepcopy(network).double()(pictures_BCHW.double())
    return ((coarse_BK - fine_BK).abs().max() / fine_BK.abs().max()).item()


def test_random_points_of_the_spaces(points: Sampler) -> None:
    found = chain.from_iterable(points(8, seed=1, space=space) for space in SPACES)
    for number, point in enumerate(found):
        architecture, same_padding = varied(point, number)
        same_in_both(architecture, same_padding, number)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
@pytest.mark.parametrize("space", SPACES)
def test_many_random_points_of_the_spaces(points: Sampler, space: str, part: int) -> None:
    for number, point in enumerate(points(25, seed=100 + part, space=space), start=25 * part):
        architecture, same_padding = varied(point, 1000 + number)
        same_in_both(architecture, same_padding, number)


def test_networks_outside_the_spaces(any_architectures: Sampler) -> None:
    for number, architecture in enumerate(any_architectures(20, seed=3)):
        same_in_both(architecture, False, number)


@pytest.mark.parametrize("model_format", WRITERS)
def test_parity_raises_on_another_networks_file(model_format: str) -> None:
    network, other = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    content = WRITERS[model_format](other, (1, 2, 2))
    with pytest.raises(TrialFailure, match="differs from the module"):
        check_parity(network, content, images(1, 1, 2, 2), model_format=model_format)


@pytest.mark.parametrize("model_format", WRITERS)
def test_parity_raises_on_shape_and_on_not_finite(model_format: str) -> None:
    write = WRITERS[model_format]
    network, wider = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    with pytest.raises(TrialFailure, match="shape"):
        check_parity(network, write(wider, (1, 2, 2)), images(1, 1, 2, 2), model_format=model_format)
    network[1].weight.data.fill_(float("inf"))
    with pytest.raises(TrialFailure, match="not finite"):
        check_parity(network, write(network, (1, 2, 2)), images(1, 1, 2, 2), model_format=model_format)


def test_int8_is_judged_by_the_mean_difference() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    content, inputs = to_onnx(network, (1, 2, 2)), images(8, 1, 2, 2)
    network[1].bias.data += torch.tensor([0.0, 0.01])
    with pytest.raises(TrialFailure, match="of the largest logit"):
        check_parity(network, content, inputs)
    with torch.no_grad():
        logits_BK = network(inputs)
    expected = (0.01**2 / 2) ** 0.5 / logits_BK.square().mean().sqrt().item()
    assert check_parity(network, content, inputs, precision="int8") == pytest.approx(expected, rel=1e-3)
    with pytest.raises(TrialFailure, match=r"root mean square .* more calibration pictures"):
        check_parity(network, content, inputs, tolerance=expected / 2, precision="int8")


class OneMap(nn.Module):
    def forward(self, images_BCHW: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (images_BCHW + images_BCHW,)


class TwoMaps(nn.Module):
    def forward(self, images_BCHW: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return images_BCHW + images_BCHW, images_BCHW * images_BCHW


@pytest.mark.parametrize("model_format", WRITERS)
def test_every_output_counts(model_format: str) -> None:
    inputs = images(1, 2, 3, 3)
    content = WRITERS[model_format](OneMap(), (2, 3, 3))
    assert check_parity(OneMap(), content, inputs, model_format=model_format) < 1e-6
    with pytest.raises(TrialFailure, match="gives 1 output, the module 2"):
        check_parity(TwoMaps(), content, inputs, model_format=model_format)


def test_unknown_format_and_precision() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(UnknownNameError, match="did you mean 'tflite'"):
        check_parity(network, b"", images(1, 1, 2, 2), model_format="tflit")
    with pytest.raises(UnknownNameError, match="did you mean 'int8'"):
        check_parity(network, b"", images(1, 1, 2, 2), precision="int4")
