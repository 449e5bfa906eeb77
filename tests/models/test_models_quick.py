"""What is computed quickly in training is what torch's own modules compute."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import functional

from nasfit.architecture import Architecture, adapted, scaled
from nasfit.models import build
from nasfit.models.depthwise import depthwise_conv2d, is_depthwise
from nasfit.models.expansion import expanded, is_expansion
from nasfit.models.quick import quickened

SIZES = [1, 2, 3, 4, 5, 6, 7, 9, 12]
SQUEEZED = Architecture.parse(
    "in3@24 stem8s2 | mbconv6 k5 s2 se0.25 none f8 n2 | mbconv3 k3 s1 se0 pool f8 n2 | conv k3 s1 se0 identity f8 n1 | "
    "sepconv k5 s2 se0 none f16 n1 | head32 out5 relu"
)


def gradients(out: torch.Tensor, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """In a direction that follows from the shape and is exact in bfloat16."""
    torch.manual_seed(1)
    return torch.autograd.grad(out, inputs, torch.randn(out.shape).bfloat16().to(out.dtype))


def distance(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Relative to the norm of what is wanted."""
    return float(
        (found.detach().double() - wanted.detach().double()).norm() / wanted.detach().double().norm().clamp_min(1e-9)
    )


@pytest.mark.parametrize(("precision", "error"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize(("kernel", "stride"), [*product((3, 5, 7), (1, 2))])
def test_depthwise_results_and_gradients_are_torchs(kernel, stride, precision, error):
    for height, width in [*zip(SIZES, SIZES, strict=True), (4, 7), (9, 2)]:
        torch.manual_seed(0)
        maps_BCHW = torch.randn(3, 16, height, width).to(precision).contiguous(memory_format=torch.channels_last)
        weight = torch.randn(16, 1, kernel, kernel, requires_grad=True)
        maps_BCHW.requires_grad_()
        out = depthwise_conv2d(maps_BCHW, weight, stride)
        exact = [value.detach().double().requires_grad_() for value in (maps_BCHW, weight)]
        wanted = functional.conv2d(*exact, stride=stride, padding=kernel // 2, groups=16)
        assert distance(out, wanted) < error
        for found, right in zip(gradients(out, maps_BCHW, weight), gradients(wanted, *exact), strict=True):
            assert distance(found, right) < error, (height, width)


@pytest.mark.parametrize(("kernel", "stride", "side"), [(3, 1, 2), (3, 2, 5), (5, 1, 3), (5, 2, 6), (7, 2, 4)])
def test_depthwise_passes_torchs_own_gradient_check(kernel, stride, side):
    torch.manual_seed(0)
    maps = torch.randn(2, 2, side, side, dtype=torch.double, requires_grad=True)
    weight = torch.randn(2, 1, kernel, kernel, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, w: depthwise_conv2d(x, w, stride), (maps, weight))


@pytest.mark.parametrize(
    ("conv", "known"),
    [
        (nn.Conv2d(8, 8, 5, 2, 2, groups=8, bias=False), True),
        (nn.Conv2d(8, 8, 5, 2, 2, groups=8), False),
        (nn.Conv2d(8, 8, 5, 2, 0, groups=8, bias=False), False),
        (nn.Conv2d(8, 8, 3, 3, 1, groups=8, bias=False), False),
        (nn.Conv2d(8, 8, (3, 5), 1, (1, 2), groups=8, bias=False), False),
        (nn.Conv2d(8, 8, 3, 1, 2, dilation=2, groups=8, bias=False), False),
        (nn.Conv2d(8, 16, 3, 1, 1, groups=8, bias=False), False),
        (nn.Conv2d(8, 8, 9, 1, 4, groups=8, bias=False), False),
    ],
)
def test_only_what_it_computes_counts_as_depthwise(conv, known):
    assert is_depthwise(conv) is known


@pytest.mark.parametrize("relu", [True, False])
def test_an_expansion_is_convolution_norm_and_relu(relu):
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(6, 20, 1, bias=False).double(), nn.BatchNorm2d(20, momentum=0.1).double()
    nn.init.uniform_(norm.weight, 0.5, 2.0)
    nn.init.normal_(norm.bias)
    # Far from zero mean, as sums with a skip are.
    maps = (torch.randn(4, 6, 5, 3, dtype=torch.double) * 2 + torch.arange(6.0)[:, None, None]).requires_grad_()
    plain = copy.deepcopy(norm)
    wanted = plain(conv(maps))
    wanted = functional.relu(wanted) if relu else wanted
    found = expanded(maps, conv, norm, relu=relu)
    assert torch.allclose(found, wanted)
    inputs = (maps, conv.weight)
    for mine, right in zip(
        gradients(found, *inputs, norm.weight, norm.bias),
        gradients(wanted, *inputs, plain.weight, plain.bias),
        strict=True,
    ):
        assert torch.allclose(mine, right)
    for name, value in norm.state_dict().items():
        assert torch.allclose(value, plain.state_dict()[name]), name


def test_what_narrows_is_no_expansion():
    assert is_expansion(nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16))
    assert not is_expansion(nn.Conv2d(16, 8, 1, bias=False), nn.BatchNorm2d(8))
    assert not is_expansion(nn.Conv2d(8, 16, 1, bias=False), nn.ReLU())
    assert not is_expansion(nn.Conv2d(8, 16, 1, stride=2, bias=False), nn.BatchNorm2d(16))


def _trained_once(network: nn.Module, quick: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Loss, gradients and statistics of one step in float64."""
    network = copy.deepcopy(network).double().to(memory_format=torch.channels_last).train()
    torch.manual_seed(3)
    images = torch.randn(4, 3, network.architecture.resolution, network.architecture.resolution).double()
    if quick:
        with quickened(network):
            loss = network(images).square().mean()
            loss.backward()
    else:
        loss = network(images).square().mean()
        loss.backward()
    grads = torch.cat([p.grad.flatten() for p in network.parameters()])
    return loss.detach(), grads, torch.cat([b.double().flatten() for b in network.buffers()])


def test_a_quickened_network_learns_the_same(points):
    networks = [
        adapted(scaled(n, 0.35), resolution=24, channels=3, classes=5, strides="late") for n in points(2, seed=5)
    ]
    for architecture in [SQUEEZED, replace(SQUEEZED, activation="relu6"), *networks]:
        module = build(architecture)
        for found, wanted in zip(_trained_once(module, True), _trained_once(module, False), strict=True):
            assert distance(found, wanted) < 1e-9, str(architecture)


def test_bfloat16_pictures_give_nearly_the_same_gradients_to_float32_weights():
    # Deeper ones are chaotic at the start.
    shallow = Architecture.parse("in3@24 stem8s2 | mbconv6 k5 s2 se0.25 none f16 n1 | head32 out5 relu")
    torch.manual_seed(0)
    network = build(shallow).to(memory_format=torch.channels_last).train()
    images, found = torch.randn(32, 3, 24, 24), []
    with quickened(network):
        for precision in (torch.float32, torch.bfloat16):
            network.zero_grad()
            logits = network(images.to(precision))
            assert logits.dtype == precision
            functional.cross_entropy(logits.float(), torch.arange(32) % 5).backward()
            assert {p.grad.dtype for p in network.parameters()} == {torch.float32}
            found.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
    assert 0 < distance(found[1], found[0]) < 0.1


def test_afterwards_every_module_is_torchs_own_again():
    network = build(SQUEEZED)
    before = [(type(part), dict(part.__dict__)) for part in network.modules()]
    with pytest.raises(RuntimeError), quickened(network):
        assert any("forward" in part.__dict__ for part in network.modules())
        raise RuntimeError
    for part, (kind, attributes) in zip(network.modules(), before, strict=True):
        assert type(part) is kind
        assert part.__dict__.keys() == attributes.keys()
        assert getattr(part, "inplace", False) is attributes.get("inplace", False)


def test_a_copy_made_meanwhile_has_weights_of_its_own():
    network = build(SQUEEZED).eval()
    images = torch.randn(1, 3, 24, 24)
    with quickened(network), torch.no_grad():
        copied, before = copy.deepcopy(network), network(images)
        for parameter in network.parameters():
            parameter.zero_()
        assert torch.equal(copied(images), before)
