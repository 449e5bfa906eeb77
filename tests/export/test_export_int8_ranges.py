"""Programs run in float, ranges seen, and the numbers that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from export_networks import clothes, images, settled
from torch import nn

from nasfit.architecture import Architecture
from nasfit.errors import TrialFailure, UsageError
from nasfit.export import Program, trace_program
from nasfit.export.program import AveragePool, Convolution, Flatten, GlobalMean, Linear, Unary
from nasfit.export.program_running import run_program
from nasfit.export.quantization import Parameters, Quantization, calibrated, parameters_for, quantized_weight
from nasfit.models import build

Sampler = Callable[..., Iterator[Architecture]]
PADDED = (1, 2, 0, 1)


def settled_program(architecture: Architecture, **options: bool) -> tuple[nn.Module, Program]:
    torch.manual_seed(0)
    network = settled(build(architecture, **options)).eval()
    return network, trace_program(network, (architecture.channels, architecture.resolution, architecture.resolution))


def test_a_program_computes_what_its_module_does(any_architectures: Sampler) -> None:
    for architecture in any_architectures(15, seed=8):
        network, program = settled_program(architecture)
        pictures = clothes(3, architecture.channels, architecture.resolution)
        with torch.no_grad():
            expected_BK = network(pictures)
        got_BK = run_program(program, pictures)[program.outputs[0]]
        assert (got_BK - expected_BK).abs().max() < 1e-4 * expected_BK.abs().max(), str(architecture)


@pytest.mark.parametrize("counted", [True, False])
def test_uneven_padding_of_pools(counted: bool) -> None:
    program = Program("image", ("mean",), (AveragePool("image", "mean", (2, 3), (2, 1), PADDED, counted),))
    maps = images(1, 2, 5, 6)
    got = run_program(program, maps)["mean"]
    row, column = 0, 3  # the window has one row of padding above, and ends where the map does
    window = maps[0, :, 0:1, 3:6]
    expected = window.sum((1, 2)) / (6 if counted else 3)
    assert torch.allclose(got[0, :, row, column], expected)
    assert got.shape == (1, 2, 4, 5)


def test_changes_are_what_later_operators_read() -> None:
    program = Program("image", ("b",), (Unary("relu", "image", "a"), Unary("relu", "a", "b")))
    got = run_program(program, torch.ones(1, 1, 1, 1), lambda name, value: value * 2 if name == "a" else value)
    assert (got["a"].item(), got["b"].item()) == (2.0, 2.0)


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 6.0), (-1.3, 2.9), (-4.0, -1.0), (2.0, 3.0), (-1e-6, 1e-6), (0.0, 0.0)]
)
def test_zero_is_exact_and_the_range_is_covered(low: float, high: float) -> None:
    parameters = parameters_for(low, high)
    values = np.linspace(low, high, 1001, dtype=np.float32)
    stored = parameters.stored(values).astype(np.float32)
    real = (stored - parameters.zero_point) * np.float32(parameters.scale)
    assert np.abs(real - values).max() <= parameters.scale * 0.501 or low == high
    assert parameters.stored(np.zeros(1, np.float32))[0] == parameters.zero_point
    assert parameters.scale > 0
    assert -128 <= parameters.zero_point <= 127


def test_a_range_from_zero_clips_as_relu_does() -> None:
    assert parameters_for(0.0, 5.1) == Parameters(float(np.float32(5.1 / 255)), -128)


def test_weights_take_one_scale_a_channel() -> None:
    weight_OI = np.array([[0.5, -1.27], [100.0, 254.0], [0.0, 0.0]], np.float32)
    found = quantized_weight(Linear("a", "b", weight_OI, np.array([1.0, -2.0, 0.0], np.float32)), input_scale=0.5)
    assert found.values.tolist() == [[50, -127], [50, 127], [0, 0]]
    assert found.scale_O == pytest.approx([0.01, 2.0, 1.0])
    assert found.bias_O.tolist() == [200, -2, 0]
    assert (found.values.dtype, found.scale_O.dtype, found.bias_O.dtype) == (np.int8, np.float32, np.int32)


def test_a_silenced_channel_keeps_its_bias() -> None:
    weight_OIHW = np.array([1e-12, 1.0, 0.0], np.float32).reshape(3, 1, 1, 1)
    bias_O = np.array([3.0, 3.0, -3.0], np.float32)
    operator = Convolution("a", "b", weight_OIHW, bias_O, (1, 1), (0, 0, 0, 0), (1, 1), 1)
    found = quantized_weight(operator, input_scale=0.01)
    assert found.bias_O * found.scale_O * 0.01 == pytest.approx(bias_O, rel=1e-3)


def test_what_engines_ask_of_parameters() -> None:
    torch.manual_seed(0)
    architecture = Architecture.parse("in1@28 stem8s2 | mbconv3 k3 s1 se0.25 pool f8 n2 | head16 out5 relu6")
    _, program = settled_program(architecture)
    found = calibrated(program, clothes(8, 1, 28))
    assert set(found.tensors) == set(program.shapes)
    kinds = {type(operator): operator for operator in program.operators}
    gates = [operator for operator in program.operators if isinstance(operator, Unary)]
    assert len(gates) == 2
    assert all(found[gate.output] == Parameters(1 / 256, -128) for gate in gates)
    assert found[kinds[Flatten].output] == found[kinds[Flatten].inputs[0]]
    # The mean of a map spans far less than the map: in the map's own steps it would lose bits.
    means = [operator for operator in program.operators if isinstance(operator, GlobalMean)]
    assert all(found[mean.output].scale < found[mean.input].scale for mean in means)
    relus = [one for one in program.operators if isinstance(one, Convolution) and one.activation != "none"]
    assert len(relus) >= 6
    assert all(found[relu.output].zero_point == -128 for relu in relus)


def test_batches_of_pictures_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    _, program = settled_program(Architecture.parse("in1@28 stem8s2 | conv k3 s2 se0 none f8 n1 | head16 out5 relu"))
    pictures = clothes(7, 1, 28)
    whole = calibrated(program, pictures)
    monkeypatch.setattr("nasfit.export.quantization._PIXELS_AT_ONCE", 2 * 28 * 28)
    parts = calibrated(program, pictures)
    for name in whole.tensors:
        assert parts[name].scale == pytest.approx(whole[name].scale, rel=1e-5)
    assert calibrated(program, pictures[:1]) != whole


def test_pictures_that_do_not_fit() -> None:
    _, program = settled_program(Architecture.parse("in1@28 stem8s2 | conv k3 s2 se0 none f8 n1 | head16 out5 relu"))
    for wrong in (images(2, 3, 28, 28), images(2, 1, 32, 32), images(1, 28, 28), torch.zeros(0, 1, 28, 28)):
        with pytest.raises(UsageError, match=r"the network takes \(1, 28, 28\)"):
            calibrated(program, wrong)


def test_a_network_that_has_diverged() -> None:
    network, _ = settled_program(Architecture.parse("in1@28 stem8s2 | conv k3 s2 se0 none f8 n1 | head16 out5 relu"))
    network.classifier[2].weight.data.fill_(float("nan"))  # type: ignore[index]
    with pytest.raises(TrialFailure, match="not finite"):
        calibrated(trace_program(network, (1, 28, 28)), clothes(1, 1, 28))


def test_parameters_are_found_by_name() -> None:
    parameters = Parameters(0.5, 0)
    assert Quantization({"a": parameters})["a"] is parameters
