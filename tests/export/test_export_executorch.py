"""ExecuTorch files: made by its own exporter from a program, run by its own runtime."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from export_networks import clothes, images, settled
from torch import Tensor, nn

import nasfit
from nasfit.architecture import Architecture, adapted, published
from nasfit.errors import MissingExtraError, TrialFailure, UsageError
from nasfit.export import check_parity, export_model, read_metadata, run_file, to_executorch
from nasfit.export.executorch_writer import IDENTIFIER
from nasfit.models import build

needs_executorch = pytest.mark.skipif(
    importlib.util.find_spec("executorch") is None,
    reason="ExecuTorch is not installed; pip install 'nasfit[executorch]'",
)
POOLED = "in3@32 stem8s2 | mbconv3 k5 s2 se0.25 pool f8 n2 | head16 out5 relu6"
Sampler = Callable[..., Iterator[Architecture]]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def parity(module: nn.Module, shape: tuple[int, int, int], pictures: Tensor) -> float:
    return check_parity(module, to_executorch(module, shape), pictures, model_format="pte")


@needs_executorch
def test_squeeze_and_pool_skip_with_metadata() -> None:
    network = settled(build(Architecture.parse(POOLED), dropout=0.5))
    content = to_executorch(network, (3, 32, 32), {"classes": "chien café"})
    assert content[4:8] == IDENTIFIER
    assert check_parity(network, content, images(2, 3, 32, 32), model_format="pte") < 1e-5
    assert read_metadata(content) == {"classes": "chien café", "nasfit_version": nasfit.__version__}
    assert network.training


@needs_executorch
def test_same_padding_of_tensorflow() -> None:
    network = settled(build(Architecture.parse(POOLED.replace("pool", "none")), same_padding=True))
    assert parity(network, (3, 32, 32), images(2, 3, 32, 32)) < 1e-5


@needs_executorch
@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnasnet-a1", "mnasnet-b1", "mnasnet-small", "mobilenet-v2", "mobilenet-v3-small"])
def test_published_networks_give_the_same_numbers(name: str) -> None:
    network = settled(build(adapted(published(name), resolution=64, channels=3, classes=10)))
    assert parity(network, (3, 64, 64), clothes(2, 3, 64)) < 1e-4


@needs_executorch
@pytest.mark.slow
@pytest.mark.parametrize("space", ["mnasnet", "mnasnet-7"])
def test_random_points_of_the_spaces(space: str, points: Sampler) -> None:
    for number, point in enumerate(points(3, seed=5, space=space)):
        network = settled(build(adapted(point, resolution=32, channels=3, classes=7)), number)
        assert parity(network, (3, 32, 32), clothes(2, 3, 32)) < 1e-4


class Shared(nn.Module):
    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        doubled = image + image
        return doubled, torch.sigmoid(doubled).mean((2, 3)), doubled, image


@needs_executorch
def test_several_outputs() -> None:
    assert parity(Shared(), (2, 3, 4), images(2, 2, 3, 4)) < 1e-6


@needs_executorch
def test_windows() -> None:
    for module in (
        nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        nn.AvgPool2d((3, 2), (2, 1), (1, 0), count_include_pad=True),
        nn.Sequential(nn.ZeroPad2d((0, 1, 2, 3)), nn.Conv2d(3, 6, (3, 5), stride=(1, 2), groups=3), nn.ReLU6()),
    ):
        assert parity(module, (3, 11, 8), images(2, 3, 11, 8) + 3.0) < 1e-5, module


@needs_executorch
def test_a_file_that_is_another_networks() -> None:
    network, other = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(TrialFailure, match="differs from the module"):
        check_parity(network, to_executorch(other, (1, 2, 2)), images(1, 1, 2, 2), model_format="pte")


def test_int8_is_refused() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(UsageError, match="pte files are not written in int8"):
        export_model(network, (1, 2, 2), model_format="pte", precision="int8", calibration_BCHW=images(1, 1, 2, 2))


def test_where_executorch_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec

    def hide(name: str, package: str | None = None) -> Any:
        return None if name == "executorch" else real(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", hide)
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    for call in (
        lambda: export_model(network, (1, 2, 2), model_format="pte"),
        lambda: run_file(b"", images(1, 1, 2, 2), model_format="pte"),
        lambda: read_metadata(b"\0\0\0\0ET12"),
    ):
        with pytest.raises(MissingExtraError, match=r"nasfit\[executorch\]"):
            call()
