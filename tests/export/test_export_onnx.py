"""The direct ONNX writer against the module it writes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from export_networks import images, settled
from torch import Tensor, nn
from torch.nn import functional

from nasfit.architecture import Architecture, adapted, published
from nasfit.errors import TrialFailure
from nasfit.export import INPUT_NAME, check_parity, to_onnx, to_tflite
from nasfit.models import build

NETWORKS = ("mnasnet-a1", "mnasnet-b1", "mnasnet-small", "mobilenet-v2", "mobilenet-v3-small")
POOLED = "in3@32 stem8s2 | {} k5 s{} se0.25 pool f8 n2 | head16 out5 relu6"


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


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
    assert operators(written).count("Conv") == 2


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


class Branching(nn.Module):
    def forward(self, images_BCHW: Tensor) -> Tensor:
        return images_BCHW if images_BCHW.sum() > 0 else -images_BCHW


class TwoInputs(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b


class PlusOne(nn.Module):
    def forward(self, images_BCHW: Tensor) -> Tensor:
        return images_BCHW + 1.0


class NamedOutputs(nn.Module):
    def forward(self, images_BCHW: Tensor) -> dict[str, Tensor]:
        return {"maps": images_BCHW}


class Doubled(nn.Module):
    def forward(self, images_BCHW: Tensor) -> Tensor:
        return torch.add(images_BCHW, images_BCHW, alpha=2)


class AlwaysDropping(nn.Module):
    def forward(self, images_BCHW: Tensor) -> Tensor:
        return functional.dropout(images_BCHW, 0.5)


class RowMeans(nn.Module):
    def forward(self, images_BCHW: Tensor) -> Tensor:
        return images_BCHW.mean((3,))


class Misfit(nn.Module):
    def forward(self, images_BCHW: Tensor) -> Tensor:
        return images_BCHW + images_BCHW.mean((2, 3))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.GELU()), "'1'.*GELU"),
        (lambda: nn.AvgPool2d(3, ceil_mode=True), "ceil_mode"),
        (lambda: nn.AdaptiveAvgPool2d(7), "one pixel"),
        (lambda: nn.Flatten(0), "flatten from 0"),
        (lambda: nn.Conv2d(3, 4, 3, padding="same"), "padding 'same'"),
        (lambda: nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), "reflect"),
        (Branching, "cannot trace Branching"),
        (TwoInputs, "several inputs"),
        (NamedOutputs, "returns {'maps': .*a tuple of them"),
        (Doubled, "alpha 2"),
        (AlwaysDropping, "training=self.training"),
        (RowMeans, r"mean over \(3,\)"),
        (Misfit, r"Binary reads \(3, 8, 8\) or one that spreads over it, but its input is of shape \(3,\)"),
        (lambda: nn.ZeroPad2d(-1), "crops"),
        (lambda: nn.Conv2d(4, 4, 3), "Convolution reads a map of 4 channels, .*shape \\(3, 8, 8\\)"),
        (lambda: nn.Conv2d(3, 4, 9), r"map of \(9, 9\) px and more"),
        (lambda: nn.BatchNorm2d(3, track_running_stats=False), "without running statistics"),
        (lambda: nn.Linear(8, 4), r"reads a vector of 8, .*shape \(3, 8, 8\)"),
        (PlusOne, "1.0 is not a tensor"),
    ],
)
def test_what_cannot_be_written_is_named(make: Callable[[], nn.Module], said: str) -> None:
    module = make()
    for write in (to_onnx, to_tflite):
        with pytest.raises(TrialFailure, match=said):
            write(module, (3, 8, 8))


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
    theirs = onnxruntime.InferenceSession(stock.getvalue()).run(None, {INPUT_NAME: batch.numpy()})[0]
    ours = onnxruntime.InferenceSession(to_onnx(network, (3, 64, 64))).run(None, {INPUT_NAME: batch.numpy()})[0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())
    interpreter = Interpreter(model_content=to_tflite(network, (3, 64, 64)))
    image_NHWC = np.ascontiguousarray(batch.numpy().transpose(0, 2, 3, 1))
    ours = interpreter.get_signature_runner()(image=image_NHWC)["logits"]
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())
