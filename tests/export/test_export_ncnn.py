"""The direct ncnn writer: windows, vectors, copies for several readers, what others find in the file."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from export_networks import clothes, images, settled
from torch import Tensor, nn
from torch.nn import functional

import nasfit
from nasfit.architecture import Architecture, adapted, published
from nasfit.devices import worker_engines
from nasfit.errors import MissingExtraError, TrialFailure, UsageError
from nasfit.export import check_parity, export_model, ncnn_files, read_metadata, run_file, to_ncnn
from nasfit.models import build

needs_ncnn = pytest.mark.skipif(
    worker_engines.first_installed(("ncnn",)) is None, reason="ncnn is not installed; pip install 'nasfit[ncnn]'"
)
POOLED = "in3@{} stem8s2 | {} k5 s{} se0.25 pool f8 n2 | head16 out5 {}"
Sampler = Callable[..., Iterator[Architecture]]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def parity(module: nn.Module, shape: tuple[int, int, int], offset: float = 0.0) -> float:
    return check_parity(module, to_ncnn(module, shape), images(2, *shape) + offset, model_format="ncnn")


def layers(content: bytes) -> list[list[str]]:
    """Words of each layer, in order; that the counts at the top are right is checked by the way."""
    first, counts, *lines = ncnn_files(content)[0].decode().splitlines()
    assert first == "7767517"
    found = [line.split() for line in lines]
    assert [len(found), sum(int(words[3]) for words in found)] == [int(count) for count in counts.split()]
    return found


def kinds(content: bytes) -> list[str]:
    return [words[0] for words in layers(content)]


@needs_ncnn
@pytest.mark.parametrize("name", ["mnasnet-a1", "mnasnet-b1", "mnasnet-small", "mobilenet-v2", "mobilenet-v3-small"])
def test_published_networks_give_the_same_numbers(name: str) -> None:
    network = settled(build(adapted(published(name), resolution=64, channels=3, classes=10)))
    assert check_parity(network, to_ncnn(network, (3, 64, 64)), clothes(2, 3, 64), model_format="ncnn") < 1e-4


@needs_ncnn
@pytest.mark.parametrize("space", ["mnasnet", "mnasnet-7", "mnasnet-lean"])
def test_random_points_of_the_spaces(space: str, points: Sampler) -> None:
    for number, point in enumerate(points(20, seed=5, space=space)):
        resolution = (32, 33, 41, 64)[number % 4]
        architecture = adapted(point, resolution=resolution, channels=1 + 2 * (number % 2), classes=7)
        same_padding = resolution % 32 == 0 and number % 8 < 4
        network = settled(build(architecture, same_padding=same_padding), number)
        shape = (architecture.channels, resolution, resolution)
        pictures = clothes(2, architecture.channels, resolution, first=2 * number)
        assert check_parity(network, to_ncnn(network, shape), pictures, model_format="ncnn") < 1e-4, str(architecture)


@needs_ncnn
@pytest.mark.parametrize("op", ["conv", "sepconv", "mbconv3"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("resolution", "activation"), [(32, "relu6"), (37, "relu")])
def test_every_op_with_squeeze_and_pool_skip(op: str, stride: int, resolution: int, activation: str) -> None:
    network = settled(build(Architecture.parse(POOLED.format(resolution, op, stride, activation)), dropout=0.5))
    content = to_ncnn(network, (3, resolution, resolution))
    assert check_parity(network, content, images(2, 3, resolution, resolution), model_format="ncnn") < 1e-5
    assert "Sigmoid" in kinds(content) and "Reshape" not in kinds(content)
    assert ("-23310=2,0.0,6.0" in ncnn_files(content)[0].decode()) == (activation == "relu6")


@needs_ncnn
@pytest.mark.parametrize("channels", [4, 16])
def test_every_window(channels: int) -> None:
    for kernel, stride in itertools.product((1, 2, 3, 5), (1, 2, 3)):
        for padding, sides in itertools.product(range(kernel // 2 + 1), ((7, 8), (9, 10))):
            case = (kernel, stride, padding, sides)
            for counted in (True, False):
                pool = nn.AvgPool2d(kernel, stride, padding, count_include_pad=counted)
                assert parity(pool, (channels, *sides), offset=5.0) < 1e-6, (*case, counted)
            for groups in (1, 2, channels):
                conv = nn.Conv2d(channels, channels, kernel, stride, padding, groups=groups)
                assert parity(conv, (channels, *sides)) < 1e-5, (*case, groups)


@needs_ncnn
def test_sides_of_a_window_are_not_mixed_up() -> None:
    module = nn.Sequential(
        nn.ZeroPad2d((0, 1, 2, 3)), nn.Conv2d(3, 8, (3, 5), stride=(1, 2), padding=(1, 2)), nn.Conv2d(8, 8, (5, 1))
    )
    assert parity(module, (3, 11, 8)) < 1e-5
    assert parity(nn.AvgPool2d((3, 2), (2, 1), (1, 0), count_include_pad=False), (3, 8, 5), offset=3.0) < 1e-6
    assert parity(nn.Conv2d(6, 6, (3, 5), (2, 2), (1, 2), groups=6), (6, 10, 7)) < 1e-5
    assert parity(nn.Conv2d(4, 4, 3, dilation=(1, 2)), (4, 9, 10)) < 1e-5
    assert parity(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 6 * 3, 5)), (3, 8, 5)) < 1e-5


class Squeezed(nn.Module):
    """A mean over the map, (C, 1, 1), read by layers of all kinds and handed out."""

    def __init__(self) -> None:
        super().__init__()
        self.small = nn.Conv2d(6, 6, 1)
        self.grouped = nn.Conv2d(6, 6, 1, groups=6)
        self.wide = nn.Conv2d(6, 6, 3, padding=1)
        self.pool = nn.AvgPool2d(3, padding=1)
        self.last = nn.Linear(6, 3)

    def forward(self, maps_BCHW: Tensor) -> tuple[Tensor, ...]:
        mean = maps_BCHW.mean((2, 3), keepdim=True)
        small = functional.relu6(self.small(mean))
        both = torch.relu(small + mean)
        scaled = maps_BCHW * both
        as_map = self.grouped(small) * self.wide(mean)
        mixed = self.wide(torch.sigmoid(small)) + (torch.sigmoid(small) + as_map) + self.wide(as_map * both)
        vector = self.last(torch.flatten(self.pool(both), 1)) + self.last(maps_BCHW.mean((2, 3)))
        twice = functional.adaptive_avg_pool2d(small, 1)
        return scaled, small, mixed, vector, twice, maps_BCHW


@needs_ncnn
def test_means_are_read_and_handed_out_as_maps_and_as_vectors() -> None:
    # Six channels of six by six pixels: a vector spread along the wrong side would fit too.
    assert parity(Squeezed(), (6, 6, 6)) < 1e-5


class Shared(nn.Module):
    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        doubled = image + image
        return doubled, torch.sigmoid(doubled), doubled * image, doubled


@needs_ncnn
def test_each_reader_has_a_blob_of_its_own() -> None:
    content = to_ncnn(Shared(), (2, 3, 4))
    read = [blob for words in layers(content) for blob in words[4 : 4 + int(words[2])]]
    assert len(read) == len(set(read))
    assert check_parity(Shared(), content, images(2, 2, 3, 4), model_format="ncnn") < 1e-6


@needs_ncnn
def test_an_input_is_not_changed_by_layers_that_work_in_place(tmp_path: Path) -> None:
    path = tmp_path / "net"
    path.write_bytes(to_ncnn(nn.Sequential(nn.ReLU(), nn.Sigmoid()), (3, 8, 8)))
    net = worker_engines.Ncnn(str(path), 1)
    image = images(1, 3, 8, 8)
    net.bind(image.numpy())
    for _ in range(3):
        net.infer()
        np.testing.assert_allclose(net.output(), torch.sigmoid(torch.relu(image)), atol=1e-6)


@needs_ncnn
def test_the_two_files_are_those_that_ncnn_reads(tmp_path: Path) -> None:
    import ncnn

    network = settled(build(adapted(published("mnasnet-small"), resolution=32, channels=3, classes=7))).eval()
    for name, part in zip(("net.param", "net.bin"), ncnn_files(to_ncnn(network, (3, 32, 32))), strict=True):
        (tmp_path / name).write_bytes(part)
    net, picture = ncnn.Net(), clothes(1, 3, 32)
    assert net.load_param(str(tmp_path / "net.param")) == 0
    assert net.load_model(str(tmp_path / "net.bin")) == 0
    assert (net.input_names(), net.output_names()) == (["image"], ["logits"])
    extractor = net.create_extractor()
    extractor.input("image", ncnn.Mat(picture[0].numpy()).clone())
    got_K = np.array(extractor.extract("logits")[1])
    with torch.no_grad():
        expected_K = network(picture)[0].numpy()
    # Its default is 16 bits where the processor can.
    assert np.abs(got_K - expected_K).max() < 0.05 * np.abs(expected_K).max()


def test_activations_are_fused() -> None:
    network = build(adapted(published("mobilenet-v2"), resolution=32, channels=3, classes=10))
    found = kinds(to_ncnn(network, (3, 32, 32)))
    assert not {"ReLU", "Clip"} & set(found)
    convolutions = sum(isinstance(part, nn.Conv2d) for part in network.modules())
    assert found.count("Convolution") + found.count("ConvolutionDepthWise") == convolutions


def test_weights_carry_the_mark_of_raw_floats() -> None:
    linear = nn.Linear(2, 3)
    _, weights = ncnn_files(to_ncnn(nn.Sequential(nn.Flatten(), linear), (2, 1, 1)))
    assert weights[:4] == bytes(4)
    expected = torch.cat([linear.weight.flatten(), linear.bias]).detach().numpy()
    np.testing.assert_array_equal(np.frombuffer(weights[4:], "<f4"), expected)


def test_first_line_tells_metadata_and_shapes() -> None:
    network = build(adapted(published("mnasnet-small"), resolution=32, channels=1, classes=7))
    content = to_ncnn(network, (1, 32, 32), {"classes": "chien café\n"})
    head = json.loads(content.partition(b"\n")[0])
    assert (head["input"], head["outputs"]) == ({"image": [1, 1, 32, 32]}, {"logits": [1, 7]})
    assert read_metadata(content) == {"classes": "chien café\n", "nasfit_version": nasfit.__version__}
    assert content == to_ncnn(network.train(), (1, 32, 32), {"classes": "chien café\n"})


@pytest.mark.parametrize("content", [b"", b"7767517\n", b"{}\n", b'{"param_bytes": 1}\nab', b"[1]\n"])
def test_files_of_something_else(content: bytes) -> None:
    with pytest.raises(UsageError, match=f"{len(content)} bytes that are not an ncnn file"):
        ncnn_files(content)
    if content[:1] == b"{":
        with pytest.raises(UsageError, match="not an ncnn file"):
            read_metadata(content)


def test_a_file_that_was_cut() -> None:
    content = to_ncnn(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), (1, 2, 2))
    with pytest.raises(UsageError, match=r"\+ 44 bytes has \d+ instead; it was cut"):
        ncnn_files(content[:-1])


@needs_ncnn
def test_parity_notices_another_networks_file() -> None:
    network, other = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(TrialFailure, match="differs from the module"):
        check_parity(network, to_ncnn(other, (1, 2, 2)), images(1, 1, 2, 2), model_format="ncnn")


def test_int8_is_refused() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(UsageError, match="ncnn files are not written in int8; use one of onnx, tflite, or fp32"):
        export_model(network, (1, 2, 2), model_format="ncnn", precision="int8", calibration_BCHW=images(1, 1, 2, 2))


def test_where_ncnn_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_engines, "first_installed", lambda modules: None)
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    content = export_model(network, (1, 2, 2), model_format="ncnn")
    with pytest.raises(MissingExtraError, match=r"nasfit\[ncnn\]"):
        run_file(content, images(1, 1, 2, 2), model_format="ncnn")
