"""Detector -> torch module: a classification network's layers, torchvision's SSDLite head on six maps of them.

Shapes: B batch, C channels, H and W pixels, A default boxes, K classes and the background, which is class 0.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import SSDLiteHead
from torchvision.ops import Conv2dNormActivation

from nasfit.architecture import Detector
from nasfit.models.default_boxes import default_boxes
from nasfit.models.network import BN_EPSILON, BN_MOMENTUM, MobileLayer, Network, initialise

# Of torchvision's SSDLite: what detections must score, may overlap, and how many there may be.
LEAST_SCORE, MOST_OVERLAP, MOST_DETECTIONS = 0.001, 0.55, 300
CANDIDATES_PER_CLASS = 300
# Of its box coder: offsets of centres and sides times these are what is predicted; sides grow e^LARGEST_GROWTH times.
BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
LARGEST_GROWTH = math.log(1000 / 16)
_HEAD_STD = 0.03


def build_detector(
    detector: Detector, *, bn_epsilon: float = BN_EPSILON, bn_momentum: float = BN_MOMENTUM
) -> DetectorNetwork:
    """A freshly initialised module: images_BCHW (float, normalised) -> offsets and logits of each map.

    First the offsets of each map (B, 4 x boxes, side, side), the largest map first, then the logits of each (B, K x
    boxes, side, side). detector: as `detector_on` makes it. bn_epsilon, bn_momentum: as in `build`.
    """
    network = DetectorNetwork(detector)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps, module.momentum = bn_epsilon, bn_momentum
    return network


class DetectorNetwork(nn.Module):
    """Maps of the backbone and of extra layers, and predictors on each; what runs on a device.

    `backbone` has the parameters of a classification `Network` under the names they have there.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector
        self.backbone = DetectorMaps(detector)
        found = detector.maps()
        self.head = SSDLiteHead(
            [each.channels for each in found],
            [each.boxes for each in found],
            detector.classes + 1,
            partial(nn.BatchNorm2d, eps=BN_EPSILON, momentum=BN_MOMENTUM),
        )
        for part in self.modules():
            if isinstance(part, nn.ReLU6):
                # `quickened` gives expansions gradients of their own, whose results must not be overwritten.
                part.inplace = False

    def forward(self, images_BCHW: Tensor) -> tuple[Tensor, ...]:
        """For each map in order its offsets (B, 4 x boxes, side, side), then for each its logits (B, K x boxes, ...).

        The layout that every export format has; `flattened` joins them.
        """
        maps = list(self.backbone(images_BCHW).values())
        heads = (self.head.regression_head.module_list, self.head.classification_head.module_list)
        return tuple(predict(found) for head in heads for predict, found in zip(head, maps, strict=True))


class DetectorMaps(nn.Module):
    """The backbone's stem, layers and head convolution, then the extra layers."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        whole = Network(detector.backbone)
        initialise(whole)
        self.stem, self.layers, self.head = whole.stem, whole.layers, whole.head
        self.tap = detector.tap
        tapped = self.layers[self.tap]
        assert isinstance(tapped, MobileLayer)
        # Modules of the layer before its depthwise convolution: 1x1, batch norm, activation; none without expansion.
        self.expansion = 3 if _is_expansion(tapped.body[0]) else 0
        channels = (detector.backbone.head_filters, *detector.extra_filters)
        self.extra = nn.ModuleList(_extra(*pair) for pair in pairwise(channels))

    def forward(self, images_BCHW: Tensor) -> OrderedDict[str, Tensor]:
        """The maps by number, the largest first."""
        found, maps_BCHW = [], self.stem(images_BCHW)
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, MobileLayer)
            if number != self.tap:
                maps_BCHW = layer(maps_BCHW)
                continue
            inside_BCHW = maps_BCHW
            for step, part in enumerate(layer.body):
                if step == self.expansion:
                    found.append(inside_BCHW)
                inside_BCHW = part(inside_BCHW)
            maps_BCHW = inside_BCHW if layer.skip is None else inside_BCHW + layer.skip(maps_BCHW)
        maps_BCHW = self.head(maps_BCHW)
        found.append(maps_BCHW)
        for extra in self.extra:
            maps_BCHW = extra(maps_BCHW)
            found.append(maps_BCHW)
        return OrderedDict((str(number), each) for number, each in enumerate(found))


class DefaultBoxes(nn.Module):
    """Default boxes of a detector in the form that torchvision's SSD asks for them."""

    boxes_A4: Tensor

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        centres_A4 = torch.from_numpy(default_boxes(detector)) * detector.resolution
        corners = (centres_A4[:, :2] - centres_A4[:, 2:] / 2, centres_A4[:, :2] + centres_A4[:, 2:] / 2)
        self.register_buffer("boxes_A4", torch.cat(corners, dim=1), persistent=False)

    def forward(self, images: object, maps: list[Tensor]) -> list[Tensor]:
        """The same boxes (left, top, right, bottom; px) for each picture."""
        return [self.boxes_A4] * len(maps[0])


def as_ssd(
    network: DetectorNetwork, *, mean: tuple[float, ...], std: tuple[float, ...], least_score: float = LEAST_SCORE
) -> nn.Module:
    """torchvision's SSD around the network's own modules: trained or moved, both are.

    Takes pictures (3, H, W) in 0..1 of the detector's size, and in training their boxes in px and labels from 1; gives
    losses in training, detections in evaluation. mean, std: per channel, of values in 0..1.
    least_score: of what is detected.
    """
    side = network.detector.resolution
    ssd: nn.Module = SSD(
        network.backbone,
        DefaultBoxes(network.detector),
        (side, side),
        network.detector.classes + 1,
        image_mean=list(mean),
        image_std=list(std),
        head=network.head,
        score_thresh=least_score,
        nms_thresh=MOST_OVERLAP,
        detections_per_img=MOST_DETECTIONS,
        topk_candidates=CANDIDATES_PER_CLASS,
    )
    return ssd


def flattened(outputs: tuple[Tensor, ...], classes: int) -> tuple[Tensor, Tensor]:
    """Offsets (B, A, 4) and logits (B, A, K) from what a `DetectorNetwork` gives; classes: K."""
    half = len(outputs) // 2
    return _joined(outputs[:half], 4), _joined(outputs[half:], classes)


def decoded(network: DetectorNetwork, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes (B, A, 4) in shares of the picture's sides, and scores (B, A, K) without the background.

    Liu et al. 2016, equation 2, solved for the box: what files give before suppression.
    """
    offsets_BA4, logits_BAK = flattened(network(images_BCHW), network.detector.classes + 1)
    boxes_A4 = torch.from_numpy(default_boxes(network.detector)).to(offsets_BA4)
    centres = offsets_BA4[..., :2] / BOX_WEIGHTS[0] * boxes_A4[:, 2:] + boxes_A4[:, :2]
    sides = (offsets_BA4[..., 2:] / BOX_WEIGHTS[2]).clamp(max=LARGEST_GROWTH).exp() * boxes_A4[:, 2:]
    return torch.cat([centres - sides / 2, centres + sides / 2], dim=-1), logits_BAK.softmax(-1)[..., 1:]


def _joined(maps: tuple[Tensor, ...], values: int) -> Tensor:
    flat = [each.permute(0, 2, 3, 1).reshape(len(each), -1, values) for each in maps]
    return torch.cat(flat, dim=1)


def _is_expansion(part: nn.Module) -> bool:
    return isinstance(part, nn.Conv2d) and part.kernel_size == (1, 1) and part.groups == 1


def _extra(channels_in: int, channels_out: int) -> nn.Sequential:
    norm = partial(nn.BatchNorm2d, eps=BN_EPSILON, momentum=BN_MOMENTUM)
    conv = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.ReLU6)
    narrow = channels_out // 2
    block = nn.Sequential(
        conv(channels_in, narrow, kernel_size=1),
        conv(narrow, narrow, kernel_size=3, stride=2, groups=narrow),
        conv(narrow, channels_out, kernel_size=1),
    )
    for part in block.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.normal_(part.weight, std=_HEAD_STD)
    return block
