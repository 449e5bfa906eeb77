"""What is built: shapes, skips, squeeze-and-excitation, padding, initialisation."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from nasfit.architecture import STRIDE_RULES, Architecture, Block, adapted, layers, published, scaled
from nasfit.errors import ArchitectureError
from nasfit.models import BN_EPSILON, BN_MOMENTUM, Network, SqueezeExcitation, build

TINY = Architecture.parse("in3@32 stem8s2 | mbconv3 k3 s1 se0.25 identity f8 n1 | head16 out10 relu")


def images(network: Architecture, batch: int = 2, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, network.channels, network.resolution, network.resolution, generator=generator)


def only_layer(block: str, resolution: int = 32) -> tuple[Network, torch.Tensor]:
    """A network of one layer in evaluation mode, and random maps as that layer sees them."""
    network = Architecture.parse(f"in3@{resolution} stem8s2 | {block} | head16 out10 relu")
    module = build(network).eval()
    return module, torch.randn(2, 8, layers(network)[0].resolution_in, layers(network)[0].resolution_in)


@pytest.mark.parametrize("rule", STRIDE_RULES)
def test_all_points_give_finite_logits_for_small_inputs(points, rule):
    for index, network in enumerate(points(40, seed=20, space="mnasnet-7")):
        small = adapted(scaled(network, 0.25), resolution=24 + index % 10, channels=1, classes=7, strides=rule)
        small = replace(small, head_filters=64)
        module = build(small)
        for mode in (True, False):
            logits_BK = module.train(mode)(images(small))
            assert logits_BK.shape == (2, 7)
            assert torch.isfinite(logits_BK).all(), str(small)


def test_any_architecture_runs_and_keeps_the_planned_map_sizes(any_architectures):
    for network in any_architectures(40, seed=21):
        module = build(network).eval()
        with torch.no_grad():
            maps_BCHW = module.stem(images(network))
            for layer, plan in zip(module.layers, layers(network), strict=True):
                assert maps_BCHW.shape[1:] == (plan.channels_in, plan.resolution_in, plan.resolution_in)
                maps_BCHW = layer(maps_BCHW)
                assert maps_BCHW.shape[1:] == (plan.channels_out, plan.resolution_out, plan.resolution_out)


def test_every_weight_learns():
    # All channels squeezed, so that some of them are alive whatever the seed.
    squeezed = replace(TINY.blocks[0], se_ratio=1.0)
    module = build(replace(TINY, stem_filters=24, blocks=(squeezed, Block("conv", 5, 2, 1.0, "pool", 24, 2))))
    module(images(TINY)).square().sum().backward()
    assert all(weights.grad is not None and weights.grad.abs().sum() > 0 for weights in module.parameters())


def test_an_identity_skip_adds_the_input():
    module, maps_BCHW = only_layer("mbconv3 k3 s1 se0.25 identity f8 n1")
    layer = module.layers[0]
    assert torch.equal(layer(maps_BCHW), layer.body(maps_BCHW) + maps_BCHW)


@pytest.mark.parametrize("resolution", [32, 33])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_pooled_skip_adds_the_mean_of_real_neighbours(stride, resolution):
    module, maps_BCHW = only_layer(f"mbconv3 k5 s{stride} se0 pool f8 n1", resolution)
    layer = module.layers[0]
    ones = functional.pad(torch.ones_like(maps_BCHW), (1, 1, 1, 1))
    padded = functional.pad(maps_BCHW, (1, 1, 1, 1))
    means = functional.avg_pool2d(padded, 3, stride) / functional.avg_pool2d(ones, 3, stride)
    assert torch.allclose(layer(maps_BCHW), layer.body(maps_BCHW) + means, atol=1e-5)


@pytest.mark.parametrize("block", ["mbconv3 k3 s2 se0 identity f8 n1", "sepconv k3 s1 se0 none f8 n1"])
def test_no_skip_adds_nothing(block):
    module, maps_BCHW = only_layer(block)
    assert torch.equal(module.layers[0](maps_BCHW), module.layers[0].body(maps_BCHW))


def kinds(module: nn.Module) -> list[str]:
    return [type(part).__name__ for part in module]


def test_layers_hold_their_stages_in_the_published_order():
    stage = ["Conv2d", "BatchNorm2d", "ReLU"]
    orders = {
        "conv k3 s1 se0.25 none f8 n1": [*stage, "SqueezeExcitation"],
        "sepconv k3 s1 se0.25 none f8 n1": [*stage, "SqueezeExcitation", "Conv2d", "BatchNorm2d"],
        "mbconv6 k3 s1 se0.25 none f8 n1": [*stage, *stage, "SqueezeExcitation", "Conv2d", "BatchNorm2d"],
        "mbconv6 k3 s1 se0 none f8 n1": [*stage, *stage, "Conv2d", "BatchNorm2d"],
    }
    for block, order in orders.items():
        module, _ = only_layer(block)
        assert kinds(module.layers[0].body) == order


def test_relu6_replaces_relu_everywhere_but_inside_squeeze():
    module = build(replace(TINY, activation="relu6"))
    inside = {part for se in module.modules() if isinstance(se, SqueezeExcitation) for part in se.modules()}
    assert inside
    outside = [part for part in module.modules() if part not in inside]
    assert sum(isinstance(part, nn.ReLU6) for part in outside) == 4
    assert not any(type(part) is nn.ReLU for part in outside)
    assert any(type(part) is nn.ReLU for part in inside)


def test_squeeze_and_excitation_by_hand():
    torch.manual_seed(0)
    module = SqueezeExcitation(6, 2)
    maps_BCHW = torch.randn(3, 6, 4, 4)
    means_BC = maps_BCHW.mean((2, 3))
    hidden = (means_BC @ module.reduce.weight[:, :, 0, 0].T + module.reduce.bias).relu()
    scale_BC = (hidden @ module.expand.weight[:, :, 0, 0].T + module.expand.bias).sigmoid()
    assert torch.allclose(module(maps_BCHW), maps_BCHW * scale_BC[:, :, None, None], atol=1e-6)


def tf_same(maps_BCHW: torch.Tensor, kernel: int, stride: int) -> torch.Tensor:
    """TensorFlow's rule as its documentation states it: total = max((ceil(n / s) - 1) * s + k - n, 0), less first."""
    side = maps_BCHW.shape[-1]
    total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
    return functional.pad(maps_BCHW, (total // 2, total - total // 2) * 2)


@pytest.mark.parametrize("op", ["conv", "sepconv"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_same_padding_follows_tensorflow(kernel, stride, op):
    network = Architecture.parse(f"in3@32 stem8s1 | {op} k{kernel} s{stride} se0 none f8 n1 | head16 out10 relu")
    module = build(network, same_padding=True)
    body = module.layers[0].body
    places = [place for place, part in enumerate(body) if isinstance(part, nn.Conv2d)]
    convolution = body[places[0]]
    maps_BCHW = torch.randn(1, 8, 32, 32)
    wanted = functional.conv2d(
        tf_same(maps_BCHW, kernel, stride), convolution.weight, stride=stride, groups=convolution.groups
    )
    assert torch.allclose(body[: places[0] + 1](maps_BCHW), wanted, atol=1e-6)


def test_same_padding_changes_even_maps_at_stride_2_only():
    def stem(stride: int, same_padding: bool) -> torch.Tensor:
        torch.manual_seed(0)
        module = build(replace(TINY, stem_stride=stride), same_padding=same_padding)
        return module.eval().stem(images(TINY))

    assert torch.equal(stem(1, True), stem(1, False))
    assert stem(2, True).shape == stem(2, False).shape
    assert not torch.allclose(stem(2, True), stem(2, False))


@pytest.mark.parametrize("text", ["in3@33 stem8s2 | {}", "in3@50 stem8s2 | {}"])
def test_same_padding_refuses_to_halve_odd_maps(text):
    network = Architecture.parse(text.format("sepconv k3 s2 se0 none f8 n1 | head16 out10 relu"))
    with pytest.raises(ArchitectureError, match="33 px" if "33" in text else "25 px"):
        build(network, same_padding=True)
    build(network)


def test_batch_norm_settings_reach_every_layer():
    norms = [part for part in build(TINY).modules() if isinstance(part, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(BN_EPSILON, BN_MOMENTUM)} == {(1e-3, 0.01)}
    other = build(TINY, bn_epsilon=1e-5, bn_momentum=0.1)
    assert {(n.eps, n.momentum) for n in other.modules() if isinstance(n, nn.BatchNorm2d)} == {(1e-5, 0.1)}


def test_dropout_acts_in_training_only():
    module = build(TINY, dropout=0.5)
    assert next(part.p for part in module.modules() if isinstance(part, nn.Dropout)) == 0.5
    features = torch.ones(64, 16, 1, 1)
    assert not torch.equal(module.train().classifier(features), module.eval().classifier(features))
    assert torch.equal(module.eval().classifier(features), module.eval().classifier(features))


def test_weights_start_as_published():
    torch.manual_seed(0)
    module = build(published("mnasnet-a1"))
    for name, part in module.named_modules():
        if isinstance(part, nn.Conv2d) and part.weight.numel() > 2000:
            fan_out = part.weight.shape[2] * part.weight.shape[3] * part.out_channels // part.groups
            assert part.weight.std().item() == pytest.approx(math.sqrt(2 / fan_out), rel=0.08), name
            assert abs(part.weight.mean().item()) < 0.1 * math.sqrt(2 / fan_out)
        if isinstance(part, nn.Conv2d):
            assert part.bias is None or not part.bias.any()
    linear = module.classifier[-1]
    assert linear.weight.abs().max().item() == pytest.approx(1 / math.sqrt(1280), rel=1e-3)
    assert not linear.bias.any()


def test_one_seed_gives_one_module():
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat([value.flatten() for value in build(TINY).parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))
