"""A module as a program: what is folded into what, and that the numbers stay."""

from __future__ import annotations

import pytest
import torch
from export_networks import clothes, images, settled
from torch import Tensor, nn

from nasfit.architecture import adapted, published
from nasfit.export import Program, check_parity, output_names, to_onnx, to_tflite, trace_program
from nasfit.export.program import Binary, Convolution, Flatten, GlobalMean, Linear, Unary
from nasfit.models import build


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def kinds(program: Program) -> list[str]:
    return [
        type(operator).__name__
        if isinstance(operator, GlobalMean | Flatten)
        else f"{type(operator).__name__} {getattr(operator, 'kind', '')}{getattr(operator, 'activation', '')}"
        for operator in program.operators
    ]


def same_in_both(module: nn.Module, shape: tuple[int, int, int]) -> None:
    inputs = images(2, *shape)
    assert check_parity(module, to_onnx(module, shape), inputs) < 1e-5
    assert check_parity(module, to_tflite(module, shape), inputs, model_format="tflite") < 1e-5


def test_a_network_is_convolutions_sums_and_little_else() -> None:
    network = build(adapted(published("mnasnet-b1"), resolution=33, channels=1, classes=7))
    program = trace_program(network, (1, 33, 33))
    convolutions = sum(isinstance(part, nn.Conv2d) for part in network.modules())
    skips = sum(type(part).__name__ == "Identity" for part in network.modules())
    assert [type(operator) for operator in program.operators].count(Convolution) == convolutions
    assert len(program.operators) == convolutions + skips + 3
    assert [type(operator) for operator in program.operators[-3:]] == [GlobalMean, Flatten, Linear]
    assert program.shapes["image"] == (1, 33, 33)
    assert program.shapes[program.outputs[0]] == (7,)
    assert set(program.shapes) == {"image", *(operator.output for operator in program.operators)}


def test_tensors_have_the_shapes_that_torch_gives() -> None:
    seen: dict[str, tuple[int, ...]] = {}
    network = settled(build(adapted(published("mnasnet-a1"), resolution=45, channels=3, classes=10))).eval()
    hooks = [
        part.register_forward_hook(
            lambda _, __, out, name=name: seen.update({name.replace(".", "_"): tuple(out.shape[1:])})
        )
        for name, part in network.named_modules()
    ]
    network(clothes(1, 3, 45))
    for hook in hooks:
        hook.remove()
    program = trace_program(network, (3, 45, 45))
    compared = [name for name in program.shapes if name in seen]
    assert len(compared) > 40
    assert {name: program.shapes[name] for name in compared} == {name: seen[name] for name in compared}


@pytest.mark.parametrize(("activation", "name"), [(nn.ReLU, "relu"), (nn.ReLU6, "relu6")])
def test_activation_joins_the_operator_before(activation: type[nn.Module], name: str) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), activation(), nn.Flatten(), nn.Linear(144, 2))
    module.append(activation())
    program = trace_program(settled(module), (3, 8, 8))
    assert kinds(program) == [f"Convolution {name}", "Flatten", f"Linear {name}"]
    same_in_both(module, (3, 8, 8))


class ReadTwice(nn.Module):
    """Everything that could be folded is read by something else too."""

    def __init__(self) -> None:
        super().__init__()
        self.pad, self.conv, self.norm = nn.ZeroPad2d((0, 1, 2, 3)), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        padded = self.pad(images_BCHW)
        maps = self.conv(padded)
        normed = self.norm(maps)
        return torch.relu(normed) * padded + maps, normed


def test_what_others_read_is_not_folded_away() -> None:
    program = trace_program(settled(ReadTwice()), (3, 8, 6))
    assert kinds(program) == ["Convolution none"] * 3 + ["Unary relu", "Binary mulnone", "Binary addnone"]
    same_in_both(settled(ReadTwice()), (3, 8, 6))


class SumThenRelu(nn.Module):
    def forward(self, images_BCHW: Tensor) -> Tensor:
        return torch.relu(torch.relu(images_BCHW + images_BCHW)).sigmoid()


def test_one_activation_an_operator() -> None:
    assert kinds(trace_program(SumThenRelu(), (3, 4, 4))) == ["Binary addrelu", "Unary relu", "Unary sigmoid"]
    same_in_both(SumThenRelu(), (3, 4, 4))


def test_padding_joins_every_convolution_that_reads_it() -> None:
    class Padded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pad = nn.ZeroPad2d((0, 1, 2, 3))
            self.wide, self.narrow = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)

        def forward(self, images_BCHW: Tensor) -> Tensor:
            padded = self.pad(images_BCHW)
            return self.wide(padded) + self.narrow(padded)

    program = trace_program(Padded(), (3, 8, 8))
    first, second, _ = program.operators
    assert isinstance(first, Convolution) and isinstance(second, Convolution)
    assert first.padding == second.padding == (3, 4, 1, 2)
    assert first.input == second.input == "image"
    same_in_both(Padded(), (3, 8, 8))


def test_padding_before_a_pool_stays() -> None:
    module = nn.Sequential(nn.ZeroPad2d((1, 0, 0, 2)), nn.AvgPool2d(3, 2, 1, count_include_pad=False))
    assert len(trace_program(module, (3, 8, 8)).operators) == 2
    same_in_both(module, (3, 8, 8))


def test_norms_fold_in_a_row_and_not_through_an_activation() -> None:
    module = nn.Sequential(
        nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4)
    )
    program = trace_program(settled(module), (3, 5, 5))
    assert kinds(program) == ["Convolution none", "Convolution relu", "Convolution none"]
    same_in_both(module, (3, 5, 5))


class Backbone(nn.Module):
    """Two maps, as a detector reads them, and a head that nobody does."""

    def __init__(self) -> None:
        super().__init__()
        network = build(adapted(published("mnasnet-small"), resolution=40, channels=3, classes=10))
        self.stem, self.layers, self.head = network.stem, network.layers, network.head

    def forward(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        coarse = fine = self.stem(images_BCHW)
        for number, layer in enumerate(self.layers):
            coarse = layer(coarse)
            fine = coarse if number == 3 else fine
        self.head(coarse)
        return fine, coarse


def test_backbone_of_several_maps() -> None:
    backbone = settled(Backbone())
    program = trace_program(backbone, (3, 40, 40))
    assert output_names(program) == ("output_0", "output_1")
    assert len(program.outputs) == 2
    assert program.operators[-1].output == program.outputs[1]
    same_in_both(backbone, (3, 40, 40))


class SameTwice(nn.Module):
    def forward(self, images_BCHW: Tensor) -> list[Tensor]:
        doubled = images_BCHW + images_BCHW
        return [images_BCHW, doubled, doubled]


def test_the_picture_itself_and_a_tensor_twice_as_outputs() -> None:
    same_in_both(SameTwice(), (3, 5, 4))


class AwkwardNames(nn.Module):
    """Parts named as files name their inputs, outputs and weights."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.logits, self.output_0 = nn.Conv2d(3, 3, 1), nn.Sigmoid(), nn.Sigmoid()

    def forward(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        gate = self.logits(self.image(images_BCHW))
        return gate, self.output_0(gate)


def test_names_of_parts_and_of_the_file_keep_apart() -> None:
    assert set(trace_program(AwkwardNames(), (3, 4, 4)).shapes) >= {"image", "image.inside", "logits.inside"}
    same_in_both(AwkwardNames(), (3, 4, 4))


def test_smaller_operand_comes_second() -> None:
    class Gated(nn.Module):
        def forward(self, images_BCHW: Tensor) -> Tensor:
            return images_BCHW.mean((-1, -2), True) * images_BCHW

    *_, product = trace_program(Gated(), (3, 4, 4)).operators
    assert isinstance(product, Binary)
    assert product.inputs == ("image", "mean")
    same_in_both(Gated(), (3, 4, 4))


def test_flatten_of_a_vector_is_nothing_and_sigmoid_stays_alone() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sigmoid(), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Flatten())
    program = trace_program(module, (3, 4, 4))
    assert [type(operator) for operator in program.operators] == [Convolution, Unary, GlobalMean, Flatten]
    same_in_both(module, (3, 4, 4))
