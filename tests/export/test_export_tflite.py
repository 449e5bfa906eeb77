"""The direct TFLite writer: windows, layout, what runtimes find in the file."""

from __future__ import annotations

import itertools
import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from export_networks import clothes, images, settled
from torch import Tensor, nn

import nasfit
from nasfit.architecture import Architecture, adapted, published
from nasfit.errors import UsageError
from nasfit.export import check_parity, model_metadata, read_metadata, to_onnx, to_tflite
from nasfit.export.program import AveragePool
from nasfit.export.tflite_file import ALIGNMENT
from nasfit.export.tflite_windows import correction_HW, rule
from nasfit.models import build

POOLED = "in3@{} stem8s2 | {} k5 s{} se0.25 pool f8 n2 | head16 out5 relu6"


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def parity(module: nn.Module, shape: tuple[int, int, int], offset: float = 0.0) -> float:
    return check_parity(module, to_tflite(module, shape), images(2, *shape) + offset, model_format="tflite")


def operators(content: bytes) -> list[str]:
    """Kinds of the operators, in order."""
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    codes = [names[model.OperatorCodes(index).BuiltinCode()] for index in range(model.OperatorCodesLength())]
    return [codes[graph.Operators(index).OpcodeIndex()] for index in range(graph.OperatorsLength())]


def undelegated(content: bytes) -> bool:
    """Whether XNNPACK left LiteRT anything to run itself."""
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    parts = [part for part in interpreter._get_ops_details() if part["op_name"] == "DELEGATE"]
    whole = len(parts) == 1 and interpreter.get_input_details()[0]["index"] in parts[0]["inputs"]
    ends = [detail["index"] for detail in interpreter.get_output_details()]
    return not (whole and set(ends) <= set(parts[0]["outputs"]))


@pytest.mark.parametrize("name", ["mnasnet-a1", "mnasnet-b1", "mnasnet-small", "mobilenet-v2", "mobilenet-v3-small"])
def test_published_networks_give_the_same_numbers(name: str) -> None:
    network = settled(build(adapted(published(name), resolution=64, channels=3, classes=10)))
    content = to_tflite(network, (3, 64, 64))
    assert check_parity(network, content, clothes(2, 3, 64), model_format="tflite") < 1e-5
    assert not undelegated(content)


@pytest.mark.parametrize("op", ["conv", "sepconv", "mbconv3"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("resolution", [32, 37])
def test_every_op_with_squeeze_and_pool_skip(op: str, stride: int, resolution: int) -> None:
    network = settled(build(Architecture.parse(POOLED.format(resolution, op, stride)), dropout=0.5))
    content = to_tflite(network, (3, resolution, resolution))
    assert check_parity(network, content, images(2, 3, resolution, resolution), model_format="tflite") < 1e-5
    assert "AVERAGE_POOL_2D" in operators(content)
    assert not undelegated(content)


def test_what_a_runtime_leaves_to_others_is_seen() -> None:
    # XNNPACK refuses pools of one pixel: the check above is able to fail.
    assert undelegated(to_tflite(nn.Sequential(nn.AvgPool2d(1, 2), nn.Sigmoid()), (3, 8, 8)))


WINDOWS = [
    (kernel, stride, padding)
    for kernel, stride in itertools.product((1, 2, 3, 5, 7), (1, 2, 3))
    for padding in range(kernel // 2 + 1)
]


@pytest.mark.parametrize("counted", [True, False])
def test_every_average_pool(counted: bool) -> None:
    for kernel, stride, padding in WINDOWS:
        pool = nn.AvgPool2d(kernel, stride, padding, count_include_pad=counted)
        for sides in ((7, 8), (9, 10)):
            difference = parity(pool, (2, *sides), offset=5.0)
            assert difference < 1e-6, (kernel, stride, padding, sides)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_every_convolution_window(groups: int) -> None:
    for kernel, stride, padding in WINDOWS:
        for dilation in (1, 2) if stride == 1 and kernel <= 3 else (1,):
            conv = nn.Conv2d(4, 8, kernel, stride, padding, dilation, groups)
            difference = parity(conv, (4, 9, 10))
            assert difference < 1e-5, (kernel, stride, padding, dilation)


def test_sides_of_a_window_are_not_mixed_up() -> None:
    module = nn.Sequential(
        nn.ZeroPad2d((0, 1, 2, 3)), nn.Conv2d(3, 8, (3, 5), stride=(1, 2), padding=(1, 2)), nn.Conv2d(8, 8, (5, 1))
    )
    assert parity(module, (3, 11, 8)) < 1e-5
    assert parity(nn.AvgPool2d((3, 2), (2, 1), (1, 0), count_include_pad=False), (3, 8, 5), offset=3.0) < 1e-6
    assert parity(nn.Conv2d(6, 6, (3, 5), (2, 2), (1, 2), groups=6), (6, 10, 7)) < 1e-5


def test_rule_of_a_window() -> None:
    assert rule((9, 9), (3, 3), (2, 2), (1, 1, 1, 1)) == "SAME"
    assert rule((8, 8), (3, 3), (2, 2), (1, 1, 1, 1)) == "PAD"
    assert rule((8, 8), (3, 3), (2, 2), (0, 1, 0, 1)) == "SAME"
    assert rule((9, 8), (3, 3), (2, 2), (1, 1, 1, 1)) == "PAD"
    assert rule((8, 8), (5, 5), (1, 1), (2, 2, 2, 2)) == "SAME"
    assert rule((8, 8), (3, 3), (2, 2), (0, 0, 0, 0)) == "VALID"


def test_correction_of_padded_means() -> None:
    pool = AveragePool("a", "b", (3, 3), (2, 2), (1, 1, 1, 1), counted=False)
    factors = correction_HW(pool, (4, 5))
    np.testing.assert_allclose(factors, [[9 / 4, 9 / 6, 9 / 4], [9 / 6, 1, 9 / 6]])


def test_features_of_a_flattened_map_keep_torchs_order() -> None:
    assert parity(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 6 * 3, 5)), (3, 8, 5)) < 1e-5
    one_pixel = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    assert "TRANSPOSE" not in operators(to_tflite(one_pixel, (3, 8, 8)))


def test_means_over_a_map_with_and_without_its_sides() -> None:
    class Means(nn.Module):
        def forward(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
            return images_BCHW.mean((2, 3)), images_BCHW.mean((2, 3), keepdim=True)

    assert parity(Means(), (3, 4, 5)) < 1e-6


class SameTwice(nn.Module):
    def forward(self, images_BCHW: Tensor) -> tuple[Tensor, ...]:
        doubled = images_BCHW + images_BCHW
        return images_BCHW, doubled, doubled


def test_outputs_are_tensors_of_their_own() -> None:
    # LiteRT's newer interface gives each end a buffer of its own: shared tensors leave some of them unwritten.
    compiled_model = pytest.importorskip("ai_edge_litert.compiled_model", reason="this LiteRT has the older interface")
    compiled = compiled_model.CompiledModel.from_buffer(to_tflite(SameTwice(), (3, 5, 4)))
    given, made = compiled.create_input_buffers(0), compiled.create_output_buffers(0)
    image = images(1, 5, 4, 3).numpy()
    given[0].write(image)
    compiled.run_by_index(0, given, made)
    for buffer, factor in zip(made, (1, 2, 2), strict=True):
        np.testing.assert_allclose(buffer.read(60, np.float32), factor * image.reshape(-1), rtol=1e-6)


def test_same_padding_needs_no_pads() -> None:
    architecture = adapted(published("mnasnet-a1"), resolution=64, channels=3, classes=10)
    network = settled(build(architecture, same_padding=True))
    content = to_tflite(network, (3, 64, 64))
    assert check_parity(network, content, clothes(2, 3, 64), model_format="tflite") < 1e-5
    assert "PAD" not in operators(content)
    assert "PAD" in operators(to_tflite(build(architecture), (3, 64, 64)))


def test_activations_are_fused() -> None:
    network = build(adapted(published("mobilenet-v2"), resolution=32, channels=3, classes=10))
    found = operators(to_tflite(network, (3, 32, 32)))
    assert not {"RELU", "RELU6"} & set(found)
    assert found.count("CONV_2D") + found.count("DEPTHWISE_CONV_2D") == sum(
        isinstance(part, nn.Conv2d) for part in network.modules()
    )


def test_signature_names_and_shapes() -> None:
    network = build(adapted(published("mnasnet-small"), resolution=32, channels=1, classes=7))
    interpreter = Interpreter(model_content=to_tflite(network, (1, 32, 32)))
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["image"], "outputs": ["logits"]}}
    (image,), (logits,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (image["name"], image["shape"].tolist(), image["dtype"]) == ("image", [1, 32, 32, 1], np.float32)
    assert (logits["shape"].tolist(), logits["dtype"]) == ([1, 7], np.float32)
    given = clothes(1, 1, 32)
    got = interpreter.get_signature_runner()(image=given.permute(0, 2, 3, 1).contiguous().numpy())["logits"]
    with torch.no_grad():
        np.testing.assert_allclose(got, network.eval()(given).numpy(), rtol=1e-3, atol=1e-5)


def test_operators_are_of_their_first_versions() -> None:
    network = build(Architecture.parse(POOLED.format(32, "mbconv3", 2)))
    model = schema.Model.GetRootAs(to_tflite(network, (3, 32, 32)), 0)
    codes = [model.OperatorCodes(index) for index in range(model.OperatorCodesLength())]
    assert len(codes) >= 9
    for code in codes:
        assert code.Version() == 1
        assert code.DeprecatedBuiltinCode() == code.BuiltinCode()


def test_weights_are_aligned() -> None:
    network = build(adapted(published("mnasnet-small"), resolution=32, channels=3, classes=7))
    content = to_tflite(network, (3, 32, 32), {"note": "three"})
    model = schema.Model.GetRootAs(content, 0)
    checked = 0
    for index in range(model.BuffersLength()):
        data = model.Buffers(index).DataAsNumpy()
        if isinstance(data, np.ndarray):
            offset = (
                data.__array_interface__["data"][0] - np.frombuffer(content, np.uint8).__array_interface__["data"][0]
            )
            assert offset % ALIGNMENT == 0
            # A flatbuffer's vector is preceded by its length.
            assert struct.unpack_from("<I", content, offset - 4) == (len(data),)
            checked += 1
    assert checked > 50


def test_metadata_returns_from_both_formats() -> None:
    told = model_metadata(architecture="in3@32 ...", mean=[0.5, 0.25], std=[1], classes=["Katze", "chien café"])
    told["empty"] = ""
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    for write in (to_onnx, to_tflite):
        read = read_metadata(write(network, (1, 2, 2), told))
        assert json.loads(read["classes"]) == ["Katze", "chien café"]
        assert read == {**told, "nasfit_version": nasfit.__version__}


@pytest.mark.parametrize("content", [b"", b"not a network at all", b"\xff" * 64])
def test_metadata_of_something_else(content: bytes) -> None:
    with pytest.raises(UsageError, match=f"{len(content)} bytes that are neither"):
        read_metadata(content)


def test_equal_modules_equal_files() -> None:
    network = build(adapted(published("mnasnet-small"), resolution=32, channels=3, classes=7))
    assert to_tflite(network, (3, 32, 32)) == to_tflite(network.train(), (3, 32, 32))
    assert network.training


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnasnet-a1", "mobilenet-v2"])
def test_another_reader_of_the_format_agrees(name: str, tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino", reason="OpenVINO, which reads TFLite files too, is not installed")
    network = settled(build(adapted(published(name), resolution=64, channels=3, classes=10))).eval()
    (tmp_path / "network.tflite").write_bytes(to_tflite(network, (3, 64, 64)))
    compiled = openvino.Core().compile_model(tmp_path / "network.tflite", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    picture = clothes(1, 3, 64)
    got = compiled(picture.permute(0, 2, 3, 1).contiguous().numpy())[0]
    with torch.no_grad():
        expected = network(picture).numpy()
    assert np.abs(got - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.slow
def test_the_engines_own_benchmark_runs_the_file(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("litert-benchmark")
    if not command.exists():
        pytest.skip("this version of ai-edge-litert has no litert-benchmark")
    network = build(adapted(published("mnasnet-a1"), resolution=64, channels=3, classes=10))
    (tmp_path / "network.tflite").write_bytes(to_tflite(network, (3, 64, 64)))
    options = ["--model", str(tmp_path / "network.tflite"), "--num_runs", "20", "--num_threads", "1"]
    done = subprocess.run([str(command), *options], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "Fully accelerated:     True" in done.stdout + done.stderr
