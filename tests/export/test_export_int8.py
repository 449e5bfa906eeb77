"""Int8 files in both formats: every operator, random networks, whole delegation, and what a wrong scale does."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from export_networks import clothes, images, settled
from torch import Tensor, nn

from nasfit.architecture import Architecture, adapted, published, scaled
from nasfit.errors import TrialFailure, UsageError
from nasfit.export import check_parity, export_model, read_metadata, run_file, trace_program
from nasfit.export.onnx_int8 import write_onnx_int8
from nasfit.export.quantization import Quantization, calibrated
from nasfit.export.tflite_int8 import write_tflite_int8
from nasfit.models import build

Sampler = Callable[..., Iterator[Architecture]]
FORMATS = ("tflite", "onnx")
WRITERS = {"tflite": write_tflite_int8, "onnx": write_onnx_int8}


def int8(network: nn.Module, pictures_BCHW: Tensor, model_format: str) -> bytes:
    shape = tuple(pictures_BCHW.shape[1:])
    return export_model(
        network,
        (shape[0], shape[1], shape[2]),
        model_format=model_format,
        precision="int8",
        calibration_BCHW=pictures_BCHW,
    )


def difference(network: nn.Module, content: bytes, pictures_BCHW: Tensor, model_format: str, allowed: float) -> float:
    return check_parity(network, content, pictures_BCHW, allowed, model_format=model_format, precision="int8")


def test_random_points_of_the_space(points: Sampler) -> None:
    """Random weights carry errors on further than trained ones; beyond 0.3 the two have little in common."""
    found: dict[str, list[float]] = {name: [] for name in FORMATS}
    calibration, pictures = clothes(12, 1, 28), clothes(6, 1, 28, first=100)
    for number, point in enumerate(points(15, seed=5)):
        architecture = adapted(scaled(point, 0.25), resolution=28, channels=1, classes=10)
        torch.manual_seed(number)
        network = settled(build(architecture), number)
        program = trace_program(network, (1, 28, 28))
        quantization = calibrated(program, calibration)
        for model_format, write in WRITERS.items():
            content = write(program, quantization)
            found[model_format].append(difference(network, content, pictures, model_format, allowed=0.3))
    for model_format in FORMATS:
        print(model_format, " ".join(f"{one:.3f}" for one in sorted(found[model_format])))
        assert statistics.median(found[model_format]) < 0.06


def test_networks_outside_the_space(any_architectures: Sampler) -> None:
    for number, architecture in enumerate(any_architectures(10, seed=4)):
        torch.manual_seed(number)
        # A single logit may lie near zero, and its errors are large beside it.
        network = settled(build(replace(architecture, classes=10)), number)
        pictures = clothes(8, architecture.channels, architecture.resolution)
        for model_format in FORMATS:
            difference(network, int8(network, pictures, model_format), pictures, model_format, allowed=0.05)


class Scaled(nn.Module):
    """A map times one factor a channel."""

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.gate = nn.AdaptiveAvgPool2d(1), nn.Sigmoid()

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        scaled_BCHW: Tensor = maps_BCHW * self.gate(self.mean(maps_BCHW))
        return scaled_BCHW


class Steep(nn.Module):
    """Values beyond all bends of the hard activations."""

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        return maps_BCHW + maps_BCHW + maps_BCHW + maps_BCHW


class Summed(nn.Module):
    """A sum that no operator before it can take a ReLU in."""

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        return torch.relu(maps_BCHW + maps_BCHW) + maps_BCHW.relu()


class Mean(nn.Module):
    """Features without a map around them."""

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        return maps_BCHW.mean((2, 3))


def pool(stride: int, padding: int, counted: bool, kernel: int = 3) -> nn.Module:
    return nn.AvgPool2d(kernel, stride, padding, count_include_pad=counted)


SMALL: dict[str, Callable[[], nn.Module]] = {
    "pointwise": lambda: nn.Conv2d(4, 6, 1),
    "convolution": lambda: nn.Conv2d(4, 6, 3, padding=1),
    "stride": lambda: nn.Conv2d(4, 6, 5, stride=2, padding=2),
    "dilation": lambda: nn.Conv2d(4, 6, 3, padding=2, dilation=2),
    "groups": lambda: nn.Conv2d(4, 6, 3, padding=1, groups=2),
    "depthwise": lambda: nn.Conv2d(4, 4, 3, padding=1, groups=4),
    "depthwise stride": lambda: nn.Conv2d(4, 4, 5, stride=2, padding=2, groups=4),
    "two a channel": lambda: nn.Conv2d(4, 8, 3, padding=1, groups=4),
    "uneven zeros": lambda: nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(4, 4, 3, stride=2)),
    "relu": lambda: nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU()),
    "relu6": lambda: nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU6()),
    "relu alone": lambda: nn.ReLU(),
    "relu6 alone": lambda: nn.ReLU6(),
    "sigmoid": lambda: nn.Sigmoid(),
    "hard sigmoid": lambda: nn.Sequential(nn.Conv2d(4, 6, 3), Steep(), nn.Hardsigmoid()),
    "hard swish": lambda: nn.Sequential(nn.Conv2d(4, 6, 3), Steep(), nn.Hardswish()),
    "scaled": Scaled,
    "summed": Summed,
    "mean": Mean,
    "global mean": lambda: nn.AdaptiveAvgPool2d(1),
    "flatten": lambda: nn.Flatten(),
    "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(4 * 81, 7), nn.ReLU()),
    "pool": lambda: pool(1, 1, False),
    "pool stride": lambda: pool(2, 1, False),
    "pool counted": lambda: pool(2, 1, True),
    "pool unpadded": lambda: pool(2, 0, False, kernel=2),
    "pool of five": lambda: pool(3, 2, False, kernel=5),
}


@pytest.mark.parametrize("model_format", FORMATS)
@pytest.mark.parametrize("kind", SMALL)
def test_each_operator_is_right_to_a_few_steps(kind: str, model_format: str) -> None:
    """Rounding alone leaves 0.3 of a step; a wrong scale, zero point or border leaves many steps."""
    torch.manual_seed(0)
    network = SMALL[kind]().eval()
    inputs = images(16, 4, 9, 9) + 0.5
    difference(network, int8(network, inputs, model_format), inputs, model_format, allowed=0.02)


@pytest.mark.parametrize("model_format", FORMATS)
def test_ends_are_float32_and_so_are_their_names(model_format: str) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5))
    pictures = images(4, 3, 6, 6)
    content = export_model(
        network,
        (3, 6, 6),
        model_format=model_format,
        precision="int8",
        calibration_BCHW=pictures,
        metadata={"classes": "a b"},
    )
    assert read_metadata(content)["classes"] == "a b"
    if model_format == "onnx":
        session = onnxruntime.InferenceSession(content)
        image, logits = session.get_inputs()[0], session.get_outputs()[0]
        assert (image.name, image.type, image.shape) == ("image", "tensor(float)", [1, 3, 6, 6])
        assert (logits.name, logits.type, logits.shape) == ("logits", "tensor(float)", [1, 5])
        onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
        return
    runner = Interpreter(model_content=content).get_signature_runner("serving_default")
    image, logits = runner.get_input_details()["image"], runner.get_output_details()["logits"]
    assert (image["dtype"], image["shape"].tolist()) == (np.float32, [1, 6, 6, 3])
    assert (logits["dtype"], logits["shape"].tolist()) == (np.float32, [1, 5])


class TwoMaps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, stride=2), nn.Conv2d(4, 6, 3)

    def forward(self, images_BCHW: Tensor) -> tuple[Tensor, ...]:
        first = self.first(images_BCHW)
        return first, self.second(first), images_BCHW, first


@pytest.mark.parametrize("model_format", FORMATS)
def test_several_outputs_and_one_of_them_twice(model_format: str) -> None:
    torch.manual_seed(0)
    network, pictures = TwoMaps(), images(4, 3, 12, 12)
    difference(network, int8(network, pictures, model_format), pictures, model_format, allowed=0.02)


@pytest.mark.parametrize("name", ["mnasnet-a1", "mobilenet-v2", "mobilenet-v3-small"])
def test_engines_take_every_operator(name: str, tmp_path: Path) -> None:
    """In LiteRT one delegate from picture to logits, in ONNX Runtime not one operator left in float."""
    network = settled(build(adapted(published(name), resolution=64, channels=3, classes=10)))
    pictures = clothes(2, 3, 64)
    whole_in_litert(int8(network, pictures, "tflite"))
    whole_in_onnxruntime(int8(network, pictures, "onnx"), tmp_path)


def test_engines_take_skips_that_pool(tmp_path: Path) -> None:
    text = "in3@32 stem8s2 | mbconv3 k5 s2 se0.25 pool f8 n2 | sepconv k3 s1 se0 pool f8 n2 | head16 out5 relu"
    network, pictures = settled(build(Architecture.parse(text))), clothes(2, 3, 32)
    whole_in_litert(int8(network, pictures, "tflite"))
    whole_in_onnxruntime(int8(network, pictures, "onnx"), tmp_path)


def test_engines_take_a_mean_without_a_map(tmp_path: Path) -> None:
    network, pictures = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), Mean(), nn.Linear(8, 4)), images(2, 3, 9, 9)
    whole_in_litert(int8(network, pictures, "tflite"))
    whole_in_onnxruntime(int8(network, pictures, "onnx"), tmp_path)


def whole_in_litert(content: bytes) -> None:
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    kinds = [operator["op_name"] for operator in interpreter._get_ops_details()]
    assert kinds.count("DELEGATE") == 1
    # Operators that a delegate took stay in the list: it has read the first tensor and written the last.
    delegate = interpreter._get_ops_details()[kinds.index("DELEGATE")]
    assert interpreter.get_input_details()[0]["index"] in delegate["inputs"]
    assert interpreter.get_output_details()[0]["index"] in delegate["outputs"]


def whole_in_onnxruntime(content: bytes, folder: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "fused.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(folder / "fused.onnx").graph.node]
    assert kinds.count("QuantizeLinear") == kinds.count("DequantizeLinear") == 1
    others = {kind for kind in kinds if not kind.startswith("QLinear")}
    assert others <= {"QuantizeLinear", "DequantizeLinear", "QGemm", "Transpose", "Flatten"}


@pytest.mark.parametrize("groups", [1, 4])
def test_scales_in_the_tflite_file(groups: int) -> None:
    """XNNPACK works them out itself; the specification and other engines want them: bias = input * weight."""
    torch.manual_seed(0)
    network, pictures = nn.Conv2d(4, 8, 3, groups=groups), images(2, 4, 9, 9)
    interpreter = Interpreter(model_content=int8(network, pictures, "tflite"))
    details = {detail["name"]: detail for detail in interpreter.get_tensor_details()}
    told = {name: detail["quantization_parameters"] for name, detail in details.items()}
    (output,) = [name.removesuffix(".bias") for name in told if name.endswith(".bias")]
    weight, bias, picture = (told[name] for name in (f"{output}.weight", f"{output}.bias", "image.int8"))
    assert weight["quantized_dimension"] == (3 if groups == 4 else 0)
    assert weight["scales"] * picture["scales"] == pytest.approx(bias["scales"])
    assert details[f"{output}.bias"]["dtype"] == np.int32
    largest = network.weight.detach().abs().amax((1, 2, 3)).numpy()
    assert weight["scales"] == pytest.approx(largest / 127)
    assert not weight["zero_points"].any()
    assert not bias["zero_points"].any()


@pytest.mark.parametrize("model_format", FORMATS)
def test_the_file_is_a_quarter(model_format: str) -> None:
    network = settled(build(adapted(published("mnasnet-a1"), resolution=64, channels=3, classes=1000)))
    pictures = clothes(1, 3, 64)
    plain = export_model(network, (3, 64, 64), model_format=model_format)
    assert 0.25 < len(int8(network, pictures, model_format)) / len(plain) < 0.3


def fitted(module: nn.Module, pictures_BCHW: Tensor) -> nn.Module:
    """Batch norms with the statistics of these pictures, so that logits tell pictures apart."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
    with torch.no_grad():
        module.train()(pictures_BCHW)
    return module.eval()


@pytest.mark.parametrize("model_format", FORMATS)
@pytest.mark.parametrize("factor", [1 / 8, 64])
def test_a_wrong_scale_is_found(model_format: str, factor: float) -> None:
    torch.manual_seed(0)
    pictures = clothes(16, 1, 28)
    text = "in1@28 stem8s2 | mbconv3 k3 s1 se0.25 none f8 n2 | head16 out5 relu"
    network = fitted(build(Architecture.parse(text)), pictures)
    program = trace_program(network, (1, 28, 28))
    found = calibrated(program, pictures)
    difference(network, WRITERS[model_format](program, found), pictures, model_format, 0.1)
    middle = "layers_1_body_2"
    broken = replace(found[middle], scale=found[middle].scale * factor)
    content = WRITERS[model_format](program, Quantization({**found.tensors, middle: broken}))
    with pytest.raises(TrialFailure, match="root mean square"):
        difference(network, content, pictures, model_format, 0.1)


def test_both_formats_round_alike() -> None:
    torch.manual_seed(0)
    text = "in1@28 stem8s2 | mbconv3 k3 s1 se0.25 none f8 n2 | head16 out5 relu"
    network, picture = settled(build(Architecture.parse(text))), clothes(1, 1, 28)
    contents = {name: int8(network, picture, name) for name in FORMATS}
    interpreter = Interpreter(model_content=contents["tflite"])
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture.numpy().transpose(0, 2, 3, 1))
    interpreter.invoke()
    in_litert_BK = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    in_onnxruntime_BK = run_file(contents["onnx"], picture, model_format="onnx")
    step = calibrated(trace_program(network, (1, 28, 28)), picture)["classifier_2"].scale
    assert np.abs(in_litert_BK - in_onnxruntime_BK).max() <= 2.01 * step


def test_pictures_are_needed_and_must_fit() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())
    with pytest.raises(UsageError, match="calibration_BCHW"):
        export_model(network, (3, 6, 6), model_format="tflite", precision="int8")
    with pytest.raises(UsageError, match="the network takes"):
        export_model(network, (3, 6, 6), model_format="tflite", precision="int8", calibration_BCHW=images(2, 3, 8, 8))
