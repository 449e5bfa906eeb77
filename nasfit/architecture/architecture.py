"""What a network is: a stem, blocks of identical layers, a head. Frozen values with a strict text form."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nasfit.errors import ArchitectureError

SKIPS = ("identity", "pool", "none")
ACTIVATIONS = ("relu", "relu6", "hswish")
SE_FORMS = ("se", "hse")
MIN_RESOLUTION = 24

_OP = re.compile(r"conv|sepconv|mbconv[1-9]\d*(?:\.\d*[1-9])?")
_BLOCK = re.compile(
    rf"(?P<op>{_OP.pattern}) k(?P<kernel>\d+) s(?P<stride>\d+) "
    r"(?P<se_form>h?se)(?P<se_ratio>0|0\.\d+|1) (?P<skip>[a-z]+) f(?P<filters>\d+) n(?P<layers>\d+)"
    r"(?: (?P<activation>[a-z]+6?))?"
)
_INPUT = re.compile(r"in(?P<channels>\d+)@(?P<resolution>\d+) stem(?P<stem_filters>\d+)s(?P<stem_stride>\d+)")
_HEAD = re.compile(
    r"head(?P<head_filters>\d+)(?: hidden(?P<hidden_filters>[1-9]\d*))? out(?P<classes>\d+) (?P<activation>[a-z0-9]+)"
)


@dataclass(frozen=True)
class Block:
    """`layers` identical layers; only the first has `stride` and changes the number of channels.

    op: `conv` (k x k convolution), `sepconv` (depthwise k x k, then 1x1) or `mbconvN` (expansion by N, depthwise, 1x1);
    where N is no whole number, such as 4.5, the expanded channels are rounded to a multiple of 8 (MobileNetV3).
    kernel: odd, in pixels. stride: 1 or 2. se_ratio: 0 (no squeeze-and-excitation) or 0.001 to 1.
    skip: `identity` (added where stride is 1 and channels match), `pool` (3x3 average with the layer's stride, added
    where channels match) or `none`. filters: output channels. se_form: `se` (MnasNet: squeezed to a share of the
    layer's input channels, gated by a sigmoid) or `hse` (MobileNetV3: to a share of the channels it scales, rounded to
    a multiple of 8, gated by a hard sigmoid). activation: None for the network's. Raises ArchitectureError naming the
    value that is out of range.
    """

    op: str
    kernel: int
    stride: int
    se_ratio: float
    skip: str
    filters: int
    layers: int
    se_form: str = "se"
    activation: str | None = None

    def __post_init__(self) -> None:
        _require(bool(_OP.fullmatch(self.op)), "op", self.op, "conv, sepconv or mbconvN")
        _require(self.kernel % 2 == 1 and self.kernel >= 1, "kernel", self.kernel, "an odd size such as 3 or 5")
        _require(self.stride in (1, 2), "stride", self.stride, "1 or 2")
        _require(self.se_ratio == 0 or 0.001 <= self.se_ratio <= 1, "SE ratio", self.se_ratio, "0, or 0.001 to 1")
        _require(self.skip in SKIPS, "skip op", self.skip, ", ".join(SKIPS))
        _require(self.filters >= 1, "filters", self.filters, "1 or more")
        _require(self.layers >= 1, "layers", self.layers, "1 or more")
        forms = SE_FORMS if self.se_ratio else SE_FORMS[:1]
        _require(self.se_form in forms, "SE form", self.se_form, " or ".join(forms))
        if self.activation is not None:
            _require_activation(self.activation)

    @property
    def expansion(self) -> float:
        """Width of the depthwise stage over the input's; 1 for `sepconv` and for `conv`, which has no such stage."""
        return float(self.op.removeprefix("mbconv")) if self.op.startswith("mbconv") else 1.0

    def __str__(self) -> str:
        se = f"{self.se_form}{ratio_text(self.se_ratio)}"
        words = [self.op, f"k{self.kernel}", f"s{self.stride}", se, self.skip, f"f{self.filters}", f"n{self.layers}"]
        return " ".join(words if self.activation is None else [*words, self.activation])

    @classmethod
    def parse(cls, text: str) -> Block:
        """Inverse of `str`. Raises ArchitectureError naming the text that is not a block."""
        found = _match(_BLOCK, text, "block", "mbconv6 k3 s2 se0.25 identity f24 n2")
        return cls(
            op=found["op"],
            kernel=int(found["kernel"]),
            stride=int(found["stride"]),
            se_ratio=float(found["se_ratio"]),
            skip=found["skip"],
            filters=int(found["filters"]),
            layers=int(found["layers"]),
            se_form=found["se_form"],
            activation=found["activation"],
        )


@dataclass(frozen=True)
class Architecture:
    """One network: 3x3 stem convolution, blocks, 1x1 head convolution, global mean, linear classifier.

    stem_filters, head_filters: output channels of stem and head. stem_stride: 1 or 2. blocks: at least one. classes:
    outputs. resolution: side of the square input in pixels, at least 24. channels: of the input (1 grey, 3 colour).
    activation: `relu` (MnasNet), `relu6` (MobileNetV2) or `hswish` (MobileNetV3). hidden_filters: outputs of a linear
    layer with that activation between mean and classifier (MobileNetV3), 0 for none. Raises ArchitectureError naming
    the value that is out of range.
    """

    stem_filters: int
    stem_stride: int
    blocks: tuple[Block, ...]
    head_filters: int
    classes: int = 1000
    resolution: int = 224
    channels: int = 3
    activation: str = "relu"
    hidden_filters: int = 0

    def __post_init__(self) -> None:
        _require(self.stem_stride in (1, 2), "stem stride", self.stem_stride, "1 or 2")
        _require(self.resolution >= MIN_RESOLUTION, "resolution", self.resolution, f"{MIN_RESOLUTION} px or more")
        _require_activation(self.activation)
        _require(self.hidden_filters >= 0, "hidden filters", self.hidden_filters, "0 (none) or more")
        _require(len(self.blocks) >= 1, "blocks", len(self.blocks), "at least one")
        for what in ("stem_filters", "head_filters", "classes", "channels"):
            _require(getattr(self, what) >= 1, what.replace("_", " "), getattr(self, what), "1 or more")

    @property
    def backbone(self) -> Architecture:
        """Itself, as a `Detector` has one."""
        return self

    def __str__(self) -> str:
        hidden = f" hidden{self.hidden_filters}" if self.hidden_filters else ""
        ends = (
            f"in{self.channels}@{self.resolution} stem{self.stem_filters}s{self.stem_stride}",
            f"head{self.head_filters}{hidden} out{self.classes} {self.activation}",
        )
        return " | ".join([ends[0], *map(str, self.blocks), ends[1]])

    @classmethod
    def parse(cls, text: str) -> Architecture:
        """Inverse of `str`. Raises ArchitectureError naming the part that does not read."""
        parts = [part.strip() for part in text.split("|")]
        if len(parts) < 3:
            raise ArchitectureError(
                f"no architecture: {text!r}; expected 'in3@224 stem32s2 | BLOCK | ... | head1280 ...'"
            )
        first = _match(_INPUT, parts[0], "input and stem", "in3@224 stem32s2")
        last = _match(_HEAD, parts[-1], "head", "head1280 out1000 relu")
        return cls(
            stem_filters=int(first["stem_filters"]),
            stem_stride=int(first["stem_stride"]),
            blocks=tuple(Block.parse(part) for part in parts[1:-1]),
            head_filters=int(last["head_filters"]),
            classes=int(last["classes"]),
            resolution=int(first["resolution"]),
            channels=int(first["channels"]),
            activation=last["activation"],
            hidden_filters=int(last["hidden_filters"] or 0),
        )


def ratio_text(ratio: float) -> str:
    """The shortest decimal text that reads back as the same ratio: 0, 0.25, 1."""
    short = f"{ratio:g}"
    return short if float(short) == ratio else repr(float(ratio))


def _match(pattern: re.Pattern[str], text: str, what: str, example: str) -> re.Match[str]:
    found = pattern.fullmatch(text)
    if found is None:
        raise ArchitectureError(f"no {what}: {text!r}; expected the form {example!r}")
    return found


def _require_activation(activation: str) -> None:
    _require(activation in ACTIVATIONS, "activation", activation, ", ".join(ACTIVATIONS))


def _require(holds: bool, what: str, got: object, wanted: str) -> None:
    if not holds:
        raise ArchitectureError(f"{what} is {got!r}; it must be {wanted}")
