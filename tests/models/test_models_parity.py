"""Equal weights give equal logits: torchvision's and timm's networks against ours."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

from nasfit.architecture import Architecture, published
from nasfit.models import BN_EPSILON, build

EPSILON = 1e-5  # torch's own, which both libraries use but for torchvision's MobileNetV3


def assert_parity(theirs: nn.Module, ours: nn.Module, side: int, randomised, transferred) -> None:
    randomised(theirs)
    transferred(theirs, ours)
    images_BCHW = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted_BK, got_BK = theirs.eval()(images_BCHW), ours.eval()(images_BCHW)
    assert torch.isfinite(wanted_BK).all()
    assert wanted_BK.std() > 1e-3, "the comparison would be between constants"
    assert (wanted_BK[0] - wanted_BK[1]).abs().max() > 1e-3 * wanted_BK.abs().max(), "the input does not matter"
    assert (wanted_BK - got_BK).abs().max() <= 1e-5 * wanted_BK.abs().max()


TORCHVISION = [("mnasnet1_0", "mnasnet-b1"), ("mobilenet_v2", "mobilenet-v2")]


@pytest.mark.parametrize(
    ("theirs", "name", "epsilon"),
    [*((*names, EPSILON) for names in TORCHVISION), ("mobilenet_v3_small", "mobilenet-v3-small", BN_EPSILON)],
)
def test_torchvision(theirs, name, epsilon, randomised, transferred):
    models = pytest.importorskip("torchvision.models")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = models.get_model(theirs, weights=None)
    assert_parity(module, build(published(name), bn_epsilon=epsilon), 96, randomised, transferred)


def with_first_residual(network: Architecture) -> Architecture:
    """timm adds the residual that the published `small` declares away by its 16 input channels."""
    first = replace(network.blocks[0], skip="identity")
    return replace(network, blocks=(first, *network.blocks[1:]))


TIMM = [
    ("semnasnet_100", published("mnasnet-a1")),
    ("mnasnet_100", published("mnasnet-b1")),
    ("mnasnet_small", with_first_residual(published("mnasnet-small"))),
    ("mobilenetv2_100", published("mobilenet-v2")),
    ("mobilenetv3_small_075", published("mobilenet-v3-small", 0.75)),
]


@pytest.mark.parametrize("same_padding", [False, True], ids=["torch padding", "SAME padding"])
@pytest.mark.parametrize(("theirs", "network"), TIMM, ids=[name for name, _ in TIMM])
def test_timm(theirs, network, same_padding, randomised, transferred):
    timm = pytest.importorskip("timm")
    module = timm.create_model(theirs, pretrained=False, pad_type="same" if same_padding else "")
    ours = build(replace(network, resolution=96), bn_epsilon=EPSILON, same_padding=same_padding)
    assert_parity(module, ours, 96, randomised, transferred)


def test_the_published_small_has_no_residual_in_its_first_block(randomised, transferred):
    timm = pytest.importorskip("timm")
    with pytest.raises(AssertionError):
        assert_parity(
            timm.create_model("mnasnet_small", pretrained=False),
            build(published("mnasnet-small"), bn_epsilon=EPSILON),
            64,
            randomised,
            transferred,
        )
