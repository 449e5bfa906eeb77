"""Weights from a network of another architecture: the same function where it can be, something sensible everywhere."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch
from torch import nn

from nasfit.architecture import Architecture, adapted, published, scaled
from nasfit.errors import ArchitectureError
from nasfit.models import Inheritance, Network, build, inherited
from nasfit.space import SPACES, named_space

PARENT = (
    "in3@32 stem16s1 | sepconv k3 s1 se0 none f8 n1 | mbconv3 k3 s2 se0 identity f16 n2 | "
    "conv k3 s2 se0 identity f16 n2 | sepconv k3 s2 se0.25 identity f24 n2 | mbconv6 k3 s1 se0.25 pool f24 n1 | "
    "head64 out10 relu"
)
Randomised = Callable[[nn.Module], None]


@pytest.fixture
def parent(randomised: Randomised) -> Network:
    network = build(Architecture.parse(PARENT))
    randomised(network)
    return network.eval()


def child_of(parent: Network, text: str) -> tuple[Network, Inheritance]:
    network = build(Architecture.parse(text))
    inheritance = inherited(network, parent.architecture, parent.state_dict())
    network.load_state_dict(inheritance.state)
    return network.eval(), inheritance


def difference(child: Network, parent: Network) -> float:
    images_BCHW = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits_BK = parent(images_BCHW)
        return float((child(images_BCHW) - logits_BK).abs().max() / logits_BK.std())


def test_an_equal_network_inherits_everything(parent: Network) -> None:
    child, inheritance = child_of(parent, PARENT)
    assert inheritance.share == 1
    for name, value in parent.state_dict().items():
        assert torch.equal(child.state_dict()[name], value), name


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("k3", "k5"),
        ("f16", "f32"),
        ("f24", "f40"),
        ("f8", "f12"),
        ("stem16", "stem24"),
        ("head64", "head100"),
        ("mbconv3", "mbconv6"),
        ("se0 ", "se0.25 "),
        ("se0.25", "se0.5"),
        ("s2 se0 identity f16 n2 | conv", "s2 se0 identity f16 n4 | conv"),
        ("se0.25 identity f24 n2", "se0.25 identity f24 n3"),
    ],
)
def test_what_is_only_added_leaves_the_function_as_it_was(parent: Network, before: str, after: str) -> None:
    assert before in PARENT
    child, inheritance = child_of(parent, PARENT.replace(before, after))
    assert difference(child, parent) < 1e-5
    assert 0.2 < inheritance.share < 1


def test_all_at_once_leaves_the_function_as_it_was(parent: Network) -> None:
    text = PARENT
    for before, after in (("k3", "k5"), ("f24", "f32"), ("mbconv3", "mbconv6"), ("se0 none", "se0.5 none")):
        text = text.replace(before, after)
    child, _ = child_of(parent, text)
    assert difference(child, parent) < 1e-5


def test_what_was_added_learns(parent: Network) -> None:
    text = PARENT.replace("f24", "f32").replace(
        "mbconv3 k3 s2 se0 identity f16 n2", "mbconv6 k5 s2 se0.25 identity f16 n3"
    )
    child, _ = child_of(parent, text)
    child.train()
    optimizer = torch.optim.SGD(child.parameters(), lr=1e-3)
    for _ in range(2):  # behind a weight of zero nothing is felt before it has moved
        optimizer.zero_grad()
        child(torch.randn(8, 3, 32, 32)).square().mean().backward()
        optimizer.step()
    silent = [name for name, value in child.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert silent == []


@pytest.mark.parametrize(
    ("before", "after", "least"),
    [
        ("k3 s2 se0.25", "k5 s2 se0.25", 0.9),
        ("identity f16 n2", "identity f16 n1", 1.0),
        ("f24", "f16", 1.0),
        ("mbconv6", "mbconv3", 1.0),
        ("se0.25", "se0", 1.0),
        ("identity", "none", 1.0),
        ("sepconv k3 s2", "mbconv6 k3 s2", 0.3),
        ("conv k3 s2 se0 identity f16 n2 | sep", "mbconv3 k3 s2 se0 identity f16 n2 | sep", 0.3),
    ],
)
def test_how_much_is_inherited(parent: Network, before: str, after: str, least: float) -> None:
    assert before in PARENT
    _, inheritance = child_of(parent, PARENT.replace(before, after))
    assert least <= inheritance.share <= 1


def test_the_centre_of_a_kernel_and_the_weightiest_inner_channels_are_kept(parent: Network) -> None:
    wide, _ = child_of(parent, PARENT.replace("k3", "k5").replace("mbconv3", "mbconv6"))
    # The new inner channels, which reach no output, come first now.
    expand, norm, _, depthwise, its_norm, _, project, _ = wide.layers[1].body
    for value in (*expand.state_dict().values(), *norm.state_dict().values(), *depthwise.state_dict().values()):
        value.copy_(value.flip(0) if value.ndim else value)
    for value in its_norm.state_dict().values():
        value.copy_(value.flip(0) if value.ndim else value)
    project.weight.data.copy_(project.weight.flip(1))
    assert difference(wide, parent) < 1e-5
    small = build(parent.architecture)
    small.load_state_dict(inherited(small, wide.architecture, wide.state_dict()).state)
    assert difference(small.eval(), parent) < 1e-5


def test_of_channels_that_skips_add_up_the_same_are_kept(randomised: Randomised) -> None:
    text = PARENT.replace("se0.25", "se0").replace("mbconv6 k3 s1", "sepconv k3 s1")
    parent = build(Architecture.parse(text)).eval()
    randomised(parent)
    silent = torch.tensor([0, 3, 4, 9, 12, 13, 17, 22])
    # Layers 5 and 6 are the block of 24 filters, layer 7 adds its own pooled input to what it makes of it.
    norms = [part for layer in (5, 6, 7) for part in parent.layers[layer].body if isinstance(part, nn.BatchNorm2d)]
    for norm in norms[1:]:  # the first one is before the block's channels
        norm.weight.data[silent], norm.bias.data[silent] = 0, 0
    # By layer 7 alone, channels that the block before has filled would be the ones to drop.
    norms[-1].weight.data[silent] = 1e-9
    norms[-1].weight.data[[1, 2, 5, 6, 7, 8, 10, 11]] = 0
    child, _ = child_of(parent, text.replace("f24", "f16"))
    assert difference(child, parent) < 1e-5


def test_layers_of_another_kind_and_what_no_parent_has_stay_fresh(parent: Network) -> None:
    network = build(Architecture.parse(PARENT.replace("mbconv6 k3 s1", "sepconv k3 s1")))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = inherited(network, parent.architecture, parent.state_dict()).state
    last = [name for name in state if name.startswith("layers.7.body") and name.endswith("0.weight")]
    assert last and all(torch.equal(state[name], before[name]) for name in last)
    assert torch.equal(state["layers.6.body.0.weight"], parent.state_dict()["layers.6.body.0.weight"])
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items()), (
        "the child is as it was"
    )


@pytest.mark.parametrize("name", SPACES)
def test_every_network_of_a_space_inherits_from_every_other(name: str) -> None:
    space, draw = named_space(name), random.Random(0)

    def drawn() -> Architecture:
        point = [draw.randrange(options) for options in space.option_counts]
        width = draw.choice((0.25, 0.35, 0.5))
        return adapted(space.decode(point, width), resolution=24, channels=1, classes=3, strides="early")

    for _ in range(6):
        child, parent = build(drawn()), build(drawn())
        inheritance = inherited(child, parent.architecture, parent.state_dict())
        child.load_state_dict(inheritance.state)
        assert torch.isfinite(child(torch.randn(2, 1, 24, 24))).all()
        assert 0 < inheritance.share < 1


def test_a_published_network_inherits_from_a_point_of_the_space(parent: Network) -> None:
    shape = {"resolution": 24, "channels": 1, "classes": 3, "strides": "early"}
    child = build(adapted(published("mobilenet-v2", width=0.35), **shape))
    source = build(adapted(scaled(published("mnasnet-b1"), 0.35), **shape))
    assert 0.5 < inherited(child, source.architecture, source.state_dict()).share < 1


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("out10", "out3", "classes 10 cannot inherit from one with 3"),
        ("in3", "in1", "input channels 3 cannot inherit from one with 1"),
        ("sepconv k3 s1 se0 none f8 n1 | ", "", "blocks 5 cannot inherit from one with 4"),
    ],
)
def test_a_parent_that_does_not_fit_is_refused(before: str, after: str, message: str) -> None:
    other = build(Architecture.parse(PARENT.replace(before, after)))
    with pytest.raises(ArchitectureError, match=message):
        inherited(build(Architecture.parse(PARENT)), other.architecture, other.state_dict())


def test_weights_of_another_network_than_the_one_named_are_refused(parent: Network) -> None:
    other = Architecture.parse(PARENT.replace("f24", "f32"))
    with pytest.raises(ArchitectureError, match="are not those of"):
        inherited(build(other), other, parent.state_dict())
