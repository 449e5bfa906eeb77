"""Scores of an untrained network: guesses at its accuracy that cost a second, each by its paper's formula.

What they are worth differs from space to space and with the length of training, so nothing here says that a higher
score is better: whoever uses one looks at how it ranked networks that were trained.

Shapes: B batch, C channels, H and W pixels, K classes, R ReLUs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

from nasfit.architecture import Architecture, count
from nasfit.errors import TrialFailure, UsageError
from nasfit.models import MobileLayer, Network, build

# As in the code of the Zen-score's authors; its expectation is over this many draws of so many noise pictures.
ZEN_STEP, ZEN_BATCH, ZEN_DRAWS = 0.01, 16, 4

RECTIFIERS = (nn.ReLU, nn.ReLU6)


def counted(architecture: Architecture) -> dict[str, float]:
    """The two scores that need no network: `parameters` and `madds`, exact."""
    counts = count(architecture)
    return {"parameters": float(counts.parameters), "madds": float(counts.madds)}


def gradient_norm(network: nn.Module, images_BCHW: Tensor, labels_B: Tensor) -> float:
    """Norms of the loss's gradient, summed over the weights of convolutions and linear layers, 0 or more.

    Abdelfattah et al. 2021, "Zero-cost proxies for lightweight NAS", section 3.2: one minibatch, cross entropy.
    """
    return sum(float(gradient.norm()) for _, gradient in _gradients(network, images_BCHW, labels_B))


def snip(network: nn.Module, images_BCHW: Tensor, labels_B: Tensor) -> float:
    """Sum over the same weights of |weight x gradient|, 0 or more (Lee et al. 2019, SNIP; summed as in Abdelfattah)."""
    gradients = _gradients(network, images_BCHW, labels_B)
    return sum(float((weight.detach() * gradient).abs().sum()) for weight, gradient in gradients)


def synflow(network: nn.Module, images_CHW: tuple[int, int, int]) -> float:
    """Natural logarithm of the sum over parameters of parameter x gradient of R; needs no pictures.

    Tanaka et al. 2020, "Pruning neural networks without any data by iteratively conserving synaptic flow", equation 1:
    R is the sum of the outputs for an input of ones, all parameters at their absolute values, in double precision. As
    in Abdelfattah et al. batch norm is left out, here with the rectifiers, which pass what is positive. The logarithm
    (which changes no order) keeps the numbers readable.
    """
    linear = deepcopy(network).double().eval()
    _replaced(linear, (nn.BatchNorm2d, *RECTIFIERS))
    parameters = list(linear.parameters())
    with torch.no_grad():
        for parameter in parameters:
            parameter.abs_()
    linear(torch.ones(1, *images_CHW, dtype=torch.float64)).sum().backward()
    flow = sum(float((p.detach() * p.grad).sum()) for p in parameters if p.grad is not None)
    return math.log(flow) if flow > 0 else -math.inf


def naswot(network: nn.Module, images_BCHW: Tensor) -> float:
    """log |det K|, K_ij = number of ReLUs that are alike (both on or both off) for pictures i and j.

    Mellor et al. 2021, "Neural architecture search without training", equations 1 and 2: N_A - Hamming distance of the
    pictures' codes, whose bits are the ReLUs of the untrained network in training mode. -inf where two pictures have
    one code. Raises UsageError for a network without ReLUs.
    """
    alike_BB = torch.zeros(len(images_BCHW), len(images_BCHW), dtype=torch.float64)
    rectifiers = 0

    def add(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal rectifiers
        on_BR = (inputs[0] > 0).flatten(1).float()
        rectifiers += on_BR.shape[1]
        # Exact up to 2^24 ReLUs in one layer; both on, and both off.
        alike_BB.add_(on_BR @ on_BR.T + (1 - on_BR) @ (1 - on_BR).T)

    _forward(network, images_BCHW, RECTIFIERS, add)
    if not rectifiers:
        raise UsageError("NASWOT looks at ReLUs, and this network has none; take another score")
    return float(torch.linalg.slogdet(alike_BB).logabsdet)


def zen_score(network: Network, images_CHW: tuple[int, int, int], seed: int) -> float:
    """log E ||f(x) - f(x + 0.01 e)|| + sum over batch norms of log(root mean variance of a channel); x, e are noise.

    Lin et al. 2021, "Zen-NAS", algorithm 1: f are the maps before the global mean, skips left out, convolutions drawn
    from N(0, 1), norms with the minibatch's own statistics. The norm is over a picture's map; the mean over pictures
    and draws. Needs no pictures of the data.
    """
    generator = torch.Generator().manual_seed(seed)
    plain = deepcopy(network).train()
    for layer in plain.layers:
        assert isinstance(layer, MobileLayer)
        layer.skip = None
    with torch.no_grad():
        draws = [_zen_draw(plain, images_CHW, generator) for _ in range(ZEN_DRAWS)]
    change = sum(draw[0] for draw in draws) / ZEN_DRAWS
    return (math.log(change) if change > 0 else -math.inf) + sum(draw[1] for draw in draws) / ZEN_DRAWS


def zero_cost_scores(
    architecture: Architecture, images_BCHW: Tensor, labels_B: Tensor, *, seed: int, names: tuple[str, ...]
) -> dict[str, float]:
    """The named scores of a freshly initialised network; see `SCORES`.

    images_BCHW: normalised float32 pictures of the architecture's size, no two alike; labels_B: their classes. Same
    seed and threads, same scores. Raises TrialFailure where one is not finite.
    """
    scores: dict[str, float] = {}
    with torch.random.fork_rng(devices=[]):
        for name in names:
            if name in COUNTED:
                scores[name] = counted(architecture)[name]
                continue
            torch.manual_seed(seed)
            network = build(architecture).to(memory_format=torch.channels_last)
            scores[name] = _LOOKED_AT[name](network, images_BCHW, labels_B, seed)
            if not math.isfinite(scores[name]):
                raise TrialFailure(f"score {name} of {architecture} is {scores[name]}")
    return scores


_LOOKED_AT: dict[str, Callable[[Network, Tensor, Tensor, int], float]] = {
    "grad_norm": lambda network, images, labels, seed: gradient_norm(network, images, labels),
    "snip": lambda network, images, labels, seed: snip(network, images, labels),
    "synflow": lambda network, images, labels, seed: synflow(network, _shape(images)),
    "naswot": lambda network, images, labels, seed: naswot(network, images),
    "zen": lambda network, images, labels, seed: zen_score(network, _shape(images), seed),
}
COUNTED = ("parameters", "madds")
SCORES = (*COUNTED, *_LOOKED_AT)
"""All scores by name, those first that are counted without building a network."""


def _shape(images_BCHW: Tensor) -> tuple[int, int, int]:
    _, channels, height, width = images_BCHW.shape
    return channels, height, width


def _gradients(network: nn.Module, images_BCHW: Tensor, labels_B: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Weights of convolutions and linear layers with their gradients."""
    weights = [part.weight for part in network.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    loss = nn.functional.cross_entropy(network.train()(images_BCHW), labels_B)
    return list(zip(weights, torch.autograd.grad(loss, weights), strict=True))


def _forward(
    network: nn.Module,
    images_BCHW: Tensor,
    kinds: tuple[type[nn.Module], ...],
    seen: Callable[[nn.Module, tuple[Tensor, ...]], None],
) -> None:
    """One pass in training mode; `seen` is called with each part of these kinds and its inputs."""
    hooks = [part.register_forward_pre_hook(seen) for part in network.modules() if isinstance(part, kinds)]
    try:
        with torch.no_grad():
            network.train()(images_BCHW)
    finally:
        for hook in hooks:
            hook.remove()


def _zen_draw(network: Network, images_CHW: tuple[int, int, int], generator: torch.Generator) -> tuple[float, float]:
    """Mean change of the maps, and the sum of logarithms of the norms' scales, of one drawn network."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            part.weight.normal_(generator=generator)
    noise_BCHW, step_BCHW = (torch.randn(ZEN_BATCH, *images_CHW, generator=generator) for _ in range(2))
    scales: list[float] = []

    def add(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        variance_C = inputs[0].var(dim=(0, 2, 3), correction=0)
        scales.append(0.5 * math.log(float(variance_C.mean())))

    features = nn.Sequential(network.stem, network.layers, network.head)
    before_BCHW = features(noise_BCHW)
    _forward(features, noise_BCHW, (nn.BatchNorm2d,), add)
    after_BCHW = features(noise_BCHW + ZEN_STEP * step_BCHW)
    return float((before_BCHW - after_BCHW).flatten(1).norm(dim=1).mean()), sum(scales)


def _replaced(module: nn.Module, kinds: tuple[type[nn.Module], ...]) -> None:
    for name, child in module.named_children():
        if isinstance(child, kinds):
            setattr(module, name, nn.Identity())
        else:
            _replaced(child, kinds)
