"""Published networks with weights of other libraries: logits equal theirs, and what does not fit says why."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from nasfit.architecture import published
from nasfit.errors import UnknownNameError, UsageError, WeightsError
from nasfit.models import Network, build, create_model, created, load_network, save_network

Randomised = Callable[[nn.Module], None]


def torchvisions(name: str, **options: object) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module: nn.Module = torchvision.models.get_model(name, weights=None, **options)
    return module


def timms(name: str, **options: object) -> nn.Module:
    module: nn.Module = timm.create_model(name, pretrained=False, **options)
    return module


def logits(module: nn.Module, side: int) -> torch.Tensor:
    images_BCHW = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(side))
    with torch.no_grad():
        found: torch.Tensor = module.eval()(images_BCHW)
    return found


def written(module: nn.Module, file: Path) -> Path:
    if file.suffix == ".safetensors":
        save_file({name: value.contiguous() for name, value in module.state_dict().items()}, file)
    else:
        torch.save(module.state_dict(), file)
    return file


def assert_parity(theirs: nn.Module, file: Path, name: str, width: float, same_padding: bool = False) -> None:
    wanted = {side: logits(theirs, side) for side in (160, 224)}
    written(theirs, file)
    for side, wanted_BK in wanted.items():
        ours = create_model(name, width=width, resolution=side, weights=file, same_padding=same_padding)
        got_BK = logits(ours, side)
        assert torch.isfinite(wanted_BK).all()
        assert (wanted_BK[0] - wanted_BK[1]).abs().max() > 1e-3 * wanted_BK.abs().max(), "the input does not matter"
        assert (wanted_BK - got_BK).abs().max() <= 1e-5 * wanted_BK.abs().max()


TORCHVISION = [
    ("mnasnet0_5", "mnasnet-b1", 0.5),
    ("mnasnet0_75", "mnasnet-b1", 0.75),
    ("mnasnet1_0", "mnasnet-b1", 1.0),
    ("mnasnet1_3", "mnasnet-b1", 1.3),
    ("mobilenet_v2", "mobilenet-v2", 1.0),
    ("mobilenet_v3_small", "mobilenet-v3-small", 1.0),
]


@pytest.mark.parametrize(("theirs", "name", "width"), TORCHVISION)
def test_torchvision(theirs: str, name: str, width: float, randomised: Randomised, tmp_path: Path) -> None:
    module = torchvisions(theirs)
    randomised(module)
    assert_parity(module, tmp_path / "weights.pth", name, width)


TIMM = [
    ("mnasnet_a1", "mnasnet-a1", 1.0),
    ("semnasnet_075", "mnasnet-a1", 0.75),
    ("semnasnet_140", "mnasnet-a1", 1.4),
    ("mnasnet_100", "mnasnet-b1", 1.0),
    ("mnasnet_050", "mnasnet-b1", 0.5),
    ("mnasnet_small", "mnasnet-small", 1.0),
    ("mobilenetv2_100", "mobilenet-v2", 1.0),
    ("mobilenetv2_140", "mobilenet-v2", 1.4),
    ("mobilenetv2_035", "mobilenet-v2", 0.35),
    ("mobilenetv3_small_100", "mobilenet-v3-small", 1.0),
    ("mobilenetv3_small_050", "mobilenet-v3-small", 0.5),
]


@pytest.mark.parametrize(("theirs", "name", "width"), TIMM)
def test_timm(theirs: str, name: str, width: float, randomised: Randomised, tmp_path: Path) -> None:
    module = timms(theirs)
    randomised(module)
    assert_parity(module, tmp_path / "weights.safetensors", name, width)


@pytest.mark.parametrize(("theirs", "width"), [("tf_mobilenetv3_small_100", 1.0), ("tf_mobilenetv3_small_075", 0.75)])
def test_tensorflow_s_weights_in_timm(theirs: str, width: float, randomised: Randomised, tmp_path: Path) -> None:
    module = timms(theirs)
    randomised(module)
    assert_parity(module, tmp_path / "weights.safetensors", "mobilenet-v3-small", width, same_padding=True)
    made = created("mobilenet-v3-small", width=width, weights=tmp_path / "weights.safetensors", same_padding=True)
    assert made.mean == tuple(module.default_cfg["mean"])
    assert made.source == "timm with TensorFlow's weights"


@pytest.fixture
def b1(randomised: Randomised, tmp_path: Path) -> Path:
    """Weights of torchvision's B1 at half width, 7 classes."""
    module = torchvisions("mnasnet0_5", num_classes=7)
    randomised(module)
    return written(module, tmp_path / "b1.pth")


def test_a_new_classifier_keeps_all_other_weights(b1: Path) -> None:
    known = create_model("mnasnet-b1", width=0.5, num_classes=7, weights=b1)
    changed = create_model("mnasnet-b1", width=0.5, num_classes=3, weights=b1, new_classifier=True, dropout=0.2)
    for name, value in known.state_dict().items():
        same = torch.equal(value, changed.state_dict()[name])
        assert same is not name.startswith("classifier."), name
    assert changed.classifier[-1].out_features == 3
    assert changed.training


def test_a_state_dict_beside_other_state_is_found(b1: Path, tmp_path: Path) -> None:
    state = torch.load(b1, weights_only=True)
    torch.save({"epoch": 3, "state_dict": {k: v.half() for k, v in state.items()}}, tmp_path / "inside.pth")
    found = create_model("mnasnet-b1", width=0.5, num_classes=7, weights=tmp_path / "inside.pth")
    assert found.stem[0].weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("mnasnet-b1", {"width": 0.5}, "knows 7 classes, 1000 were asked for; ask for 7, or for a new classifier"),
        ("mnasnet-b1", {"num_classes": 7}, "mnasnet-b1 at width 1: .*; it is mnasnet-b1 at width 0.5"),
        ("mnasnet-a1", {"num_classes": 7}, "read for mnasnet-b1, mobilenet-v2, mobilenet-v3-small, not for mnasnet-a1"),
        ("mobilenet-v2", {"num_classes": 7}, "does not hold .* mobilenet-v2 at width 1: .*; it is mnasnet-b1 at width"),
        ("mnasnet-b1", {"num_classes": 7, "width": 0.5, "channels": 1}, "its stem.0.weight is"),
        ("mnasnet-b", {}, "unknown network 'mnasnet-b'; did you mean 'mnasnet-b1'"),
    ],
)
def test_weights_of_something_else(b1: Path, name: str, options: dict[str, object], said: str) -> None:
    with pytest.raises((WeightsError, UnknownNameError), match=said):
        create_model(name, weights=b1, **options)  # type: ignore[arg-type]


def test_timm_s_a1_is_not_taken_for_b1(tmp_path: Path) -> None:
    file = written(timms("semnasnet_050"), tmp_path / "a1.safetensors")
    with pytest.raises(WeightsError, match=r"mnasnet-b1 at width 0.5: .*; it is mnasnet-a1 at width 0.5"):
        create_model("mnasnet-b1", width=0.5, weights=file)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_a_file_cut_off(b1: Path, tmp_path: Path, ending: str, share: float) -> None:
    whole = tmp_path / f"whole{ending}"
    state = torch.load(b1, weights_only=True)
    torch.save(state, whole) if ending == ".pth" else save_file(state, whole)
    cut = tmp_path / f"cut{ending}"
    cut.write_bytes(whole.read_bytes()[: int(share * whole.stat().st_size)])
    with pytest.raises(WeightsError, match=r"cannot read weights from .*cut.*the file is damaged or cut off") as raised:
        create_model("mnasnet-b1", width=0.5, num_classes=7, weights=cut)
    assert "\n" not in str(raised.value)


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    torch.save(torchvisions("mnasnet0_5"), tmp_path / "module.pth")
    torch.save({"best": 3}, tmp_path / "other.pth")
    torch.save({"encoder.weight": torch.zeros(3)}, tmp_path / "unknown.pth")
    for name, said in {
        "module.pth": "holds more than weights",
        "other.pth": "holds no state dict",
        "unknown.pth": "is no state dict of nasfit, torchvision or timm; it begins with 'encoder.weight'",
        "missing.pth": "there is no file",
    }.items():
        with pytest.raises(WeightsError, match=said) as raised:
            create_model("mnasnet-b1", weights=tmp_path / name)
        assert "\n" not in str(raised.value)


def test_a_new_classifier_without_weights_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="new_classifier goes with weights"):
        create_model("mnasnet-a1", new_classifier=True)


@pytest.mark.parametrize("same_padding", [False, True])
def test_a_network_survives_its_file(same_padding: bool, randomised: Randomised, tmp_path: Path) -> None:
    architecture = replace(published("mnasnet-a1", 0.35), resolution=96, classes=5)
    network = build(architecture, same_padding=same_padding)
    randomised(network)
    save_network(network, tmp_path / "network.safetensors", {"classes": "[1]"})
    again, metadata = load_network(tmp_path / "network.safetensors")
    assert isinstance(again, Network)
    assert not again.training
    assert metadata["classes"] == "[1]"
    assert again.architecture == architecture
    assert torch.equal(logits(network, 96), logits(again, 96))
    file = tmp_path / "network.safetensors"
    by_name = create_model("mnasnet-a1", width=0.35, num_classes=5, resolution=96, weights=file)
    assert torch.equal(logits(network, 96), logits(by_name, 96))
    with pytest.raises(WeightsError, match=r"not hold the weights of mnasnet-b1 at width 0.35: .*; it is in3@96 stem"):
        create_model("mnasnet-b1", width=0.35, num_classes=5, weights=file)


def test_a_file_without_its_architecture_needs_a_name(b1: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="does not say of which architecture"):
        load_network(b1)


def test_strides_stay_as_published_down_to_96_px() -> None:
    assert create_model("mnasnet-a1", resolution=96).architecture == replace(published("mnasnet-a1"), resolution=96)
    small = create_model("mnasnet-a1", resolution=32, num_classes=10).architecture
    assert small.classes == 10
    assert sum(block.stride == 2 for block in small.blocks) < 4
