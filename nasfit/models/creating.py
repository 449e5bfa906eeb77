"""A published network by name, with weights of a file where one is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from nasfit.architecture import Architecture, fitted, published
from nasfit.errors import UsageError, WeightsError
from nasfit.models.foreign_names import FORMS, IMAGENET_MEAN, IMAGENET_STD, TENSORFLOW, Form, library_of
from nasfit.models.network import Network, build
from nasfit.models.weights_file import read_weights

_WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)


@dataclass(frozen=True)
class Created:
    """A network and how its pictures are prepared: mean and std per channel, of pixels in 0..1.

    crop: side of the centre square that it looks at, as a share of a picture's shorter side.
    source: whose weights they are: `torchvision`, `timm`, `timm with TensorFlow's weights`, `nasfit`, or None of fresh
    ones. metadata: what a file of nasfit says about itself.
    """

    network: Network
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    crop: float = 1.0
    source: str | None = None
    metadata: Mapping[str, str] | None = None


def create_model(
    name: str,
    *,
    num_classes: int = 1000,
    width: float = 1.0,
    resolution: int = 224,
    channels: int = 3,
    weights: str | Path | None = None,
    new_classifier: bool = False,
    same_padding: bool = False,
    dropout: float = 0.0,
) -> Network:
    """A published network as a torch module: images (B, channels, H, W) float, normalised -> logits (B, num_classes).

    name: `mnasnet-a1`, `mnasnet-b1`, `mnasnet-small`, `mobilenet-v2` or `mobilenet-v3-small`. width: multiplier of the
    filters, above 0. resolution: px it is described for; strides stay as published from 96 px up, and are adapted below
    (see `nasfit.architecture.fitted`). weights: a .safetensors file of nasfit, or the state dict, .safetensors or .pth,
    of the same network of torchvision (mnasnet0_5, 0_75, 1_0, 1_3 as mnasnet-b1; mobilenet_v2; mobilenet_v3_small) or
    of timm (semnasnet and its alias mnasnet_a1, mnasnet, mnasnet_small, mobilenetv2, mobilenetv3_small); logits equal
    theirs to 1e-5, tested with random weights for torchvision 0.29 and timm 1.0. None: fresh weights. new_classifier: a
    fresh last layer for num_classes, all other weights from the file. same_padding: TensorFlow's `SAME`; with weights,
    those are of a `tf_` network of timm. dropout: share of the head's features dropped in training.

    The module is in training mode, like any of torch's; its batch norm has nasfit's epsilon, 1e-3, and scales that make
    up for another one of the file's. Pictures are normalised as the library does: mean (0.485, 0.456, 0.406) and std
    (0.229, 0.224, 0.225), for timm's tf_ networks 0.5 throughout. Raises UnknownNameError, ArchitectureError,
    WeightsError for a file that is damaged, of another network, or of another number of classes.
    """
    return created(
        name,
        num_classes=num_classes,
        width=width,
        resolution=resolution,
        channels=channels,
        weights=None if weights is None else Path(weights),
        new_classifier=new_classifier,
        same_padding=same_padding,
        dropout=dropout,
    ).network


def created(
    name: str,
    *,
    num_classes: int = 1000,
    width: float = 1.0,
    resolution: int = 224,
    channels: int = 3,
    weights: Path | None = None,
    new_classifier: bool = False,
    same_padding: bool = False,
    dropout: float = 0.0,
) -> Created:
    """What `create_model` makes, with how its pictures are prepared. Takes and raises the same."""
    plain = fitted(published(name, width), resolution=resolution, channels=channels, classes=num_classes)
    if weights is None:
        if new_classifier:
            raise UsageError("new_classifier goes with weights; without them every layer is fresh")
        return Created(build(plain, dropout=dropout, same_padding=same_padding))
    state, metadata = read_weights(weights)
    file = _File(weights, state, metadata, name, width, same_padding)
    form = file.form
    network = build(
        plain if form is None else form.architecture(plain), dropout=dropout, same_padding=file.same_padding
    )
    wanted = network.state_dict()
    values = state if form is None else file.renamed(network, form)
    network.load_state_dict(file.fitting(values, wanted, new_classifier))
    if form is None:
        return Created(network, source="nasfit", metadata=metadata)
    return Created(network, form.mean, form.std, form.crop, file.library)


@dataclass(frozen=True)
class _File:
    """A file's weights, read as those of a published network of some width."""

    path: Path
    state: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    name: str
    width: float
    wants_same_padding: bool

    @property
    def same_padding(self) -> bool:
        """What its weights were trained with."""
        if self.form is None:
            return self.metadata.get("padding") == "same"
        return self.form.same_padding

    @property
    def library(self) -> str:
        """Who wrote it. Raises WeightsError."""
        library = library_of(list(self.state))
        if library is None:
            first = next(iter(self.state), "nothing")
            raise WeightsError(
                f"{str(self.path)!r} is no state dict of nasfit, torchvision or timm; it begins with {first!r}"
            )
        return TENSORFLOW if library == "timm" and self.wants_same_padding else library

    @property
    def form(self) -> Form | None:
        """How its library writes the network; None where that is nasfit. Raises WeightsError."""
        library = self.library
        if library == "nasfit":
            return None
        if (library, self.name) not in FORMS:
            there = ", ".join(name for owner, name in FORMS if owner == library)
            raise WeightsError(
                f"{str(self.path)!r} holds weights of {library}, which are read for {there}, not for {self.name}"
            )
        return FORMS[library, self.name]

    def renamed(self, network: Network, form: Form) -> dict[str, Tensor]:
        """Its weights under the names of `network`. Raises WeightsError where they are of another network."""
        ours = [(own, part) for own, part in network.named_modules() if isinstance(part, _WEIGHTED)]
        theirs = form.names(network.architecture)
        assert len(ours) == len(theirs), "a form names every module"
        known = dict(self.state)
        found: dict[str, Tensor] = {}
        for (own, part), their in zip(ours, theirs, strict=True):
            values = {}
            for kind in part.state_dict():
                value = known.pop(f"{their}.{kind}", None)
                if value is None and kind == "num_batches_tracked":
                    value = torch.tensor(0)  # files of before torch 0.4.1 have no such count
                if value is None:
                    raise self._another(f"it has no {their}.{kind}")
                values[kind] = value
            if isinstance(part, nn.BatchNorm2d):
                values["weight"] = _compensated(values, form.bn_epsilon, part.eps)
            elif isinstance(part, nn.Linear):
                values["weight"] = values["weight"].flatten(1)  # timm: a convolution of one pixel
            found |= {f"{own}.{kind}": value for kind, value in values.items()}
        if known:
            raise self._another(f"it also has {next(iter(known))}")
        return found

    def fitting(
        self, values: Mapping[str, Tensor], wanted: Mapping[str, Tensor], new_classifier: bool
    ) -> dict[str, Tensor]:
        """The values for a network whose own are `wanted`. Raises WeightsError where names or shapes differ."""
        last = [name for name in wanted if name.startswith("classifier.")][-2:]
        for name in wanted.keys() | values.keys():
            if name not in values or name not in wanted:
                raise self._another(f"it {'has' if name in values else 'lacks'} {name}")
            if name not in last and values[name].shape != wanted[name].shape:
                shapes = f"{tuple(values[name].shape)} where {tuple(wanted[name].shape)} is wanted"
                raise self._another(f"its {name} is {shapes}")
        classes, asked = len(values[last[-1]]), len(wanted[last[-1]])
        if new_classifier:
            return {name: wanted[name] if name in last else value.float() for name, value in values.items()}
        if classes != asked:
            raise WeightsError(
                f"{str(self.path)!r} knows {classes} classes, {asked} were asked for; ask for {classes}, or for a new "
                "classifier (new_classifier) to keep all other weights"
            )
        return {name: value if name.endswith("tracked") else value.float() for name, value in values.items()}

    def _another(self, difference: str) -> WeightsError:
        text = f"{str(self.path)!r} does not hold the weights of {self.name} at width {self.width:g}: {difference}"
        known = self._looks_like()
        return WeightsError(f"{text}; {f'it is {known}' if known else 'give the file of that network and width'}")

    def _looks_like(self) -> str | None:
        """The published network and width whose weights these are, as far as shapes tell."""
        if self.library == "nasfit":
            return self.metadata.get("architecture")
        for (library, name), form in FORMS.items():
            for width in _WIDTHS:
                if library == self.library and self._is(form, form.architecture(published(name, width))):
                    return f"{name} at width {width:g}"
        return None

    def _is(self, form: Form, architecture: Architecture) -> bool:
        names = form.names(architecture)[:-1]
        with torch.device("meta"):
            parts = [part for part in build(architecture).modules() if isinstance(part, _WEIGHTED)]
        shapes = {f"{name}.weight": part.weight.numel() for name, part in zip(names, parts, strict=False)}
        # A module more in the file than the network has, squeeze-and-excitation for one, is of another network.
        own = {name.rpartition(".")[0] for name in self.state}
        return len(own) == len(names) + 1 and all(
            name in self.state and self.state[name].numel() == size for name, size in shapes.items()
        )


_WEIGHTED = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)


def _compensated(values: Mapping[str, Tensor], theirs: float, ours: float) -> Tensor:
    """Scales of a batch norm that gives with epsilon `ours` what it gave with `theirs`."""
    variance = values["running_var"].double()
    return (values["weight"].double() * ((variance + ours) / (variance + theirs)).sqrt()).float()
