"""Every network of a space is a window on the same weights."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from nasfit.architecture import Architecture, adapted
from nasfit.errors import ArchitectureError, UsageError
from nasfit.models import Network
from nasfit.models.quick import quickened
from nasfit.models.shared import SharedWeights, corners, shared_names
from nasfit.space import SPACES, SearchSpace, Tokens, named_space


def fitted(space: SearchSpace, tokens: Tokens) -> Architecture:
    return adapted(space.decode(tokens, 0.35), resolution=32, channels=3, classes=10, strides="early")


def drawn(space: SearchSpace, seed: int) -> Architecture:
    random = np.random.default_rng(seed)
    return fitted(space, tuple(int(random.integers(options)) for options in space.option_counts))


@pytest.fixture(scope="module", params=SPACES)
def space(request: pytest.FixtureRequest) -> SearchSpace:
    return named_space(request.param)


@pytest.fixture(scope="module")
def shared(space: SearchSpace) -> SharedWeights:
    torch.manual_seed(0)
    weights = SharedWeights.fresh(corners(space, partial(fitted, space)))
    # Every norm counts, those that start at zero too.
    weights.values.add_(0.01 * torch.randn_like(weights.values))
    return weights


@pytest.fixture
def images_BCHW() -> torch.Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.randn(4, 3, 32, 32, generator=random).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("seed", range(12))
def test_any_network_of_the_space_computes_what_an_ordinary_one_with_the_same_weights_does(
    space: SearchSpace, shared: SharedWeights, images_BCHW: torch.Tensor, seed: int
) -> None:
    architecture = drawn(space, seed)
    window, ordinary = shared.window(architecture), shared.extract(architecture)
    assert type(ordinary) is Network
    assert torch.equal(window(images_BCHW), ordinary(images_BCHW))
    assert torch.equal(window.eval()(images_BCHW), ordinary.eval()(images_BCHW))


def test_every_option_of_every_decision_is_represented(space: SearchSpace, shared: SharedWeights) -> None:
    lowest = [0] * len(space.option_counts)
    for place, options in enumerate(space.option_counts):
        for option in range(options):
            shared.window(fitted(space, (*lowest[:place], option, *lowest[place + 1 :])))


def test_gradients_land_in_the_slices_of_the_network_and_nowhere_else(
    space: SearchSpace, shared: SharedWeights, images_BCHW: torch.Tensor
) -> None:
    architecture = drawn(space, 3)
    window, ordinary = shared.window(architecture), shared.extract(architecture)
    shared.gradients.zero_()
    for network in (window, ordinary):
        network(images_BCHW).square().sum().backward()
    inside = 0
    for name, parameter in ordinary.named_parameters():
        gradient = window.get_parameter(name).grad
        assert parameter.grad is not None and gradient is not None
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-4, atol=1e-4 * float(parameter.grad.abs().max()))
        inside += int(torch.count_nonzero(gradient))
    assert inside == int(torch.count_nonzero(shared.gradients)) > 0
    shared.gradients.zero_()


def test_the_quick_ways_of_training_reach_the_same_slices(
    space: SearchSpace, shared: SharedWeights, images_BCHW: torch.Tensor
) -> None:
    window = shared.window(drawn(space, 5))
    shared.gradients.zero_()
    window(images_BCHW).square().sum().backward()
    plain = shared.gradients.clone()
    shared.gradients.zero_()
    with quickened(window):
        window(images_BCHW).square().sum().backward()
    # As a whole: an activation near zero falls on either side with another order of summation.
    assert (shared.gradients - plain).norm() < 0.01 * plain.norm()
    assert shared.gradients[plain == 0].abs().max() < 1e-4 * plain.abs().max()
    shared.gradients.zero_()


def test_what_one_network_learns_the_others_have(space: SearchSpace) -> None:
    weights = SharedWeights.fresh(corners(space, partial(fitted, space)))
    one, other = weights.window(drawn(space, 0)), weights.window(drawn(space, 1))
    with torch.no_grad():
        one.get_parameter("stem.0.weight").fill_(7.0)
    assert bool((other.get_parameter("stem.0.weight") == 7.0).all())
    assert bool((weights.extract(drawn(space, 2)).get_parameter("stem.0.weight") == 7.0).all())


def test_a_small_kernel_is_the_centre_and_a_small_expansion_the_first_channels() -> None:
    text = "in3@32 stem16s1 | mbconv{} k{} s1 se0.25 identity f{} n1 | head32 out10 relu"
    weights = SharedWeights.fresh([Architecture.parse(text.format(6, 5, 24))])
    large = weights.window(Architecture.parse(text.format(6, 5, 24)))
    small = weights.window(Architecture.parse(text.format(3, 3, 16)))
    slices = {
        "layers.0.body.0.weight": (slice(0, 48),),
        "layers.0.body.3.weight": (slice(0, 48), slice(None), slice(1, 4), slice(1, 4)),
        "layers.0.body.7.weight": (slice(0, 16), slice(0, 48)),
    }
    for name, expected in slices.items():
        assert torch.equal(small.get_parameter(name), large.get_parameter(name)[expected]), name
    # The skip of the small one is added, the large one has none: the batch norm that starts at zero is not shared.
    names = shared_names(small), shared_names(large)
    assert names[0]["layers.0.body.8.weight"] != names[1]["layers.0.body.8.weight"]
    assert not small.get_parameter("layers.0.body.8.weight").any()
    assert large.get_parameter("layers.0.body.8.weight").all()


def test_decay_is_for_kernels_and_matrices(shared: SharedWeights) -> None:
    starts = {name: value.storage_offset() for name, value in shared.named_values()}
    for name, value in shared.named_values():
        assert (starts[name] < shared.decayed) == (value.ndim > 1), name


def test_batch_norm_statistics_are_each_network_s_own(
    space: SearchSpace, shared: SharedWeights, images_BCHW: torch.Tensor
) -> None:
    trained, other = shared.window(drawn(space, 0)), shared.window(drawn(space, 0))
    trained.train()(images_BCHW)
    assert trained.get_buffer("stem.1.running_mean").any()
    assert not other.get_buffer("stem.1.running_mean").any()


def test_a_network_that_is_larger_is_refused() -> None:
    text = "in3@32 stem16s1 | mbconv3 k3 s1 se0 none f{} n{} | head32 out10 relu"
    weights = SharedWeights.fresh([Architecture.parse(text.format(16, 1))])
    for larger in (text.format(24, 1), text.format(16, 2)):
        with pytest.raises(ArchitectureError, match="the network needs weights"):
            weights.window(Architecture.parse(larger))


def test_weights_of_another_space_are_refused(space: SearchSpace, shared: SharedWeights) -> None:
    values = dict(shared.named_values())
    other = SharedWeights([adapted(drawn(space, 0), resolution=32, channels=3, classes=7)])
    with pytest.raises(UsageError, match="another space, width or data set"):
        other.load(values)
