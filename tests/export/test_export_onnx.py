"""The direct ONNX writer against the module it writes."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import nasfit
from nasfit.architecture import Architecture, adapted, published
from nasfit.errors import TrialFailure
from nasfit.export import INPUT_NAME, check_parity, model_metadata, read_metadata, to_onnx
from nasfit.models import build

NETWORKS = ("mnasnet-a1", "mnasnet-b1", "mnasnet-small", "mobilenet-v2")
POOLED = "in3@32 stem8s2 | {} k5 s{} se0.25 pool f8 n2 | head16 out5 relu6"


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def settled(module: nn.Module, seed: int = 0) -> nn.Module:
    """Batch norms that do something, so that a wrong fold shows."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            size = part.num_features
            part.running_mean = torch.randn(size, generator=generator) * 0.1
            part.running_var = torch.rand(size, generator=generator) + 0.5
            part.weight.data = torch.rand(size, generator=generator) + 0.5
            part.bias.data = torch.randn(size, generator=generator) * 0.1
    return module


def images(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def operators(onnx_bytes: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(onnx_bytes).graph.node]


@pytest.mark.parametrize("name", NETWORKS)
def test_published_networks_give_the_same_numbers(name: str) -> None:
    network = settled(build(adapted(published(name), resolution=64, channels=3, classes=10)))
    written = to_onnx(network, (3, 64, 64))
    onnx.checker.check_model(onnx.load_from_string(written), full_check=True)
    assert check_parity(network, written, images(2, 3, 64, 64)) < 5e-5
    assert "BatchNormalization" not in operators(written)


@pytest.mark.parametrize("op", ["conv", "sepconv", "mbconv3"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("same_padding", [False, True])
def test_every_op_with_squeeze_and_pool_skip(op: str, stride: int, same_padding: bool) -> None:
    architecture = Architecture.parse(POOLED.format(op, stride))
    network = settled(build(architecture, dropout=0.5, same_padding=same_padding))
    written = to_onnx(network, (3, 32, 32))
    assert check_parity(network, written, images(2, 3, 32, 32)) < 1e-5
    assert "AveragePool" in operators(written)


class Calls(nn.Module):
    """Functions and methods instead of modules."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.linear = nn.Linear(4, 2, bias=False)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        first = self.conv(images_BCHW)
        kept = self.norm(torch.relu(first)) + functional.relu6(first)
        gate = torch.sigmoid(functional.adaptive_avg_pool2d(kept, 1))
        kept *= gate
        kept = functional.dropout(kept.add(kept.relu()), 0.3, self.training).mul(gate.sigmoid())
        flat: Tensor = self.linear(kept.mean((2, 3)) + torch.flatten(kept.mean([2, 3], keepdim=True), 1))
        return flat


def test_functions_and_methods() -> None:
    network = settled(Calls())
    written = to_onnx(network, (3, 9, 7))
    assert check_parity(network, written, images(2, 3, 9, 7)) < 1e-5
    # The norm reads a ReLU and the convolution has two readers: neither may be folded away.
    assert "BatchNormalization" in operators(written)


@pytest.mark.parametrize("include", [True, False])
def test_border_of_average_pooling(include: bool) -> None:
    network = nn.Sequential(nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=include), nn.Flatten())
    assert check_parity(network, to_onnx(network, (1, 7, 7)), images(1, 1, 7, 7) + 5.0) < 1e-6


def test_convolution_read_twice_keeps_its_own_output() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, images_BCHW: Tensor) -> Tensor:
            out: Tensor = self.conv(images_BCHW)
            return torch.flatten(self.norm(out) + out, 1)

    network = settled(Twice())
    assert check_parity(network, to_onnx(network, (3, 4, 4)), images(1, 3, 4, 4)) < 1e-6


def test_convolution_with_a_bias_folds_it_too() -> None:
    network = settled(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Flatten()))
    written = to_onnx(network, (3, 8, 8))
    assert operators(written) == ["Conv", "Flatten", "Identity"]
    assert check_parity(network, written, images(2, 3, 8, 8)) < 1e-6


def test_the_module_is_left_as_it_was() -> None:
    network = settled(build(Architecture.parse(POOLED.format("mbconv3", 1)))).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    written = to_onnx(network, (3, 32, 32))
    check_parity(network, written, images(1, 3, 32, 32))
    assert all(part.training for part in network.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_open_batch() -> None:
    import onnxruntime

    network = settled(build(Architecture.parse(POOLED.format("conv", 1)))).eval()
    session = onnxruntime.InferenceSession(to_onnx(network, (3, 32, 32), batch=None))
    batch = images(3, 3, 32, 32)
    got = session.run(None, {INPUT_NAME: batch.numpy()})[0]
    with torch.no_grad():
        np.testing.assert_allclose(got, network(batch).numpy(), rtol=1e-3, atol=1e-5)


def test_shapes_and_names_in_the_file() -> None:
    model = onnx.load_from_string(to_onnx(build(Architecture.parse(POOLED.format("conv", 1))), (3, 32, 32)))
    (image,), (logits,) = model.graph.input, model.graph.output
    assert (image.name, [size.dim_value for size in image.type.tensor_type.shape.dim]) == ("image", [1, 3, 32, 32])
    assert (logits.name, [size.dim_value for size in logits.type.tensor_type.shape.dim]) == ("logits", [1, 5])


def test_metadata_returns() -> None:
    told = model_metadata(architecture="in3@32 ...", mean=[0.5, 0.25], std=[1], classes=["Katze", "chien café"])
    read = read_metadata(to_onnx(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), (1, 2, 2), told))
    assert json.loads(read["mean"]) == [0.5, 0.25]
    assert json.loads(read["classes"]) == ["Katze", "chien café"]
    assert read["architecture"] == "in3@32 ..."
    assert read["nasfit_version"] == nasfit.__version__


class Branching(nn.Module):
    def forward(self, images_BCHW: Tensor) -> Tensor:
        return images_BCHW if images_BCHW.sum() > 0 else -images_BCHW


class TwoInputs(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b


class PlusOne(nn.Module):
    def forward(self, images_BCHW: Tensor) -> Tensor:
        return images_BCHW + 1.0


class TwoOutputs(nn.Module):
    def forward(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        return images_BCHW, images_BCHW


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.GELU()), r"'0.1'.*GELU"),
        (lambda: nn.AvgPool2d(3, ceil_mode=True), "ceil_mode"),
        (lambda: nn.AdaptiveAvgPool2d(7), "one pixel"),
        (lambda: nn.Flatten(0), "flatten from 0"),
        (lambda: nn.Conv2d(3, 4, 3, padding="same"), "padding 'same'"),
        (lambda: nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), "reflect"),
        (Branching, "cannot trace Branching"),
        (TwoInputs, "several inputs"),
        (TwoOutputs, "one tensor"),
        (PlusOne, "1.0 is not a tensor"),
    ],
)
def test_what_cannot_be_written_is_named(make: Callable[[], nn.Module], said: str) -> None:
    module = make()
    own_class = type(module).__module__ == __name__
    with pytest.raises(TrialFailure, match=said):
        to_onnx(module if own_class else nn.Sequential(module), (3, 8, 8))


def test_parity_raises_on_another_networks_file() -> None:
    network, other = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(TrialFailure, match="differs from the module"):
        check_parity(network, to_onnx(other, (1, 2, 2)), images(1, 1, 2, 2))


def test_parity_raises_on_shape_and_on_not_finite() -> None:
    network, wider = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    with pytest.raises(TrialFailure, match="shape"):
        check_parity(network, to_onnx(wider, (1, 2, 2)), images(1, 1, 2, 2))
    network[1].weight.data.fill_(float("inf"))
    with pytest.raises(TrialFailure, match="not finite"):
        check_parity(network, to_onnx(network, (1, 2, 2)), images(1, 1, 2, 2))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_stock_exporter_agrees(name: str) -> None:
    import onnxruntime

    network = settled(build(adapted(published(name), resolution=64, channels=3, classes=10))).eval()
    batch = images(1, 3, 64, 64)
    stock = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(network, (batch,), stock, input_names=[INPUT_NAME], dynamo=False)
    except ImportError as error:
        pytest.skip(f"torch's own exporter needs an optional package: {error}")
    ours, theirs = (
        onnxruntime.InferenceSession(data).run(None, {INPUT_NAME: batch.numpy()})[0]
        for data in (to_onnx(network, (3, 64, 64)), stock.getvalue())
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())
