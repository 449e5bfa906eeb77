"""A model card: what a network is, where its figures come from and how to load it, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nasfit.architecture import Architecture, count

_CONDITIONS = ("device", "engine", "core", "cores", "threads", "realtime", "governor", "load_average", "os", "time")
_UNKNOWN_LICENCE = "unknown"


@dataclass(frozen=True)
class CardFile:
    """A file beside the card. parity: its largest difference from the network, as `check_parity` measures it.

    checked_on: what both were shown, such as `16 training pictures`.
    """

    name: str
    model_format: str
    precision: str
    size_bytes: int
    parity: float
    checked_on: str


@dataclass(frozen=True)
class CardLatency:
    """Of one inference of `file`, batch 1, ms, with its 95 % interval, and under which conditions it was measured."""

    file: str
    latency_ms: float
    low_ms: float
    high_ms: float
    conditions: Mapping[str, object]


@dataclass(frozen=True)
class ModelCard:
    """What a card tells. Whatever is None is said to be unknown.

    origin: where the network comes from, one sentence. mean, std: per channel, of pixels in 0..1. crop: side of the
    centre square that it looks at, as a share of a picture's shorter side. inside: whether the files normalise. data:
    what it was trained on. recipe: how. accuracies: what was tested on what -> top-1, 0 to 1. weights: file beside the
    card. licence: of the weights, an SPDX name where it has one.
    """

    name: str
    architecture: Architecture
    origin: str
    files: tuple[CardFile, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: float = 1.0
    inside: bool = False
    classes: tuple[str, ...] | None = None
    data: str | None = None
    recipe: str | None = None
    accuracies: Mapping[str, float] | None = None
    latency: CardLatency | None = None
    weights: str | None = None
    licence: str | None = None
    remarks: tuple[str, ...] = ()


def model_card(card: ModelCard) -> str:
    """The card as Markdown, with a head that model hubs read."""
    return "\n".join(_lines(card)) + "\n"


def _lines(card: ModelCard) -> Iterator[str]:
    network, counts = card.architecture, count(card.architecture)
    yield from ("---", f"license: {card.licence or _UNKNOWN_LICENCE}", "library_name: nasfit")
    yield from ("pipeline_tag: image-classification", "---", "", f"# {card.name}", "", card.origin, "")
    yield from ("| | |", "|---|---|")
    yield f"| parameters | {counts.parameters:,} |"
    yield f"| multiply-adds | {counts.madds:,} |"
    yield f"| input | {network.channels} x {network.resolution} x {network.resolution} px, float32 |"
    yield f"| classes | {_classes(card)} |"
    yield f"| trained on | {card.data or 'unknown'} |"
    yield f"| recipe | {card.recipe or 'unknown'} |"
    yield f"| licence of the weights | {card.licence or 'unknown: ask whoever trained them'} |"
    yield from ("", "```text", str(network), "```", "", "## Accuracy", "")
    if card.accuracies:
        yield from ("| tested | top-1 |", "|---|---|")
        yield from (f"| {what} | {100 * value:.2f} % |" for what, value in card.accuracies.items())
    else:
        yield "Not tested."
    yield from ("", "## Latency", "", *_latency(card.latency), "", "## Files", "")
    yield from ("| file | format | precision | bytes | difference from the network | on |", "|---|---|---|---|---|---|")
    for file in card.files:
        told = (file.name, file.model_format, file.precision, f"{file.size_bytes:,}", f"{file.parity:.1e}")
        yield f"| {' | '.join(told)} | {file.checked_on} |"
    if card.weights is not None:
        yield from ("", f"Weights: `{card.weights}`, read by `nasfit.models.load_network`.")
    yield from ("", "## Use", "", *_use(card))
    if card.remarks:
        yield from ("", "## Remarks", "", *(f"* {remark}" for remark in card.remarks))


def _classes(card: ModelCard) -> str:
    number = card.architecture.classes
    if card.classes is None:
        return f"{number:,}, names unknown"
    return f"{number:,}: {', '.join(card.classes)}" if number <= 20 else f"{number:,}, named in the files' metadata"


def _latency(latency: CardLatency | None) -> Iterator[str]:
    if latency is None:
        yield "Not measured. A latency holds for one device, one engine and one state of both: `nasfit measure FILE`."
        return
    yield (
        f"{latency.latency_ms:.3g} ms for one picture with `{latency.file}` (95 % interval {latency.low_ms:.4g} to "
        f"{latency.high_ms:.4g} ms), measured so:"
    )
    yield ""
    told = {name.replace("_", " "): latency.conditions.get(name) for name in _CONDITIONS}
    short = {name: f"{value:.1f}" if isinstance(value, float) else value for name, value in told.items()}
    yield from (f"* {name}: {value}" for name, value in short.items() if value is not None)


def _use(card: ModelCard) -> Iterator[str]:
    network, file = card.architecture, card.files[0]
    share = "" if card.crop == 1 else f" ({card.crop:g} of its shorter side)"
    yield f"A picture's centre square{share}, brought to the input's size" + (
        "; the file normalises it." if card.inside else ", each channel normalised."
    )
    if file.model_format not in _RUN:
        yield from ("", f"`{file.name}` runs in {_ENGINES.get(file.model_format, file.model_format)}.")
        return
    scaled = "pixels" if card.inside else f"(pixels / 255 - {list(card.mean)}) / {list(card.std)}"
    yield from ("", "```python", "import numpy as np", "from PIL import Image, ImageOps")
    yield from _RUN[file.model_format][0]
    yield ""
    yield f'picture = Image.open("picture.jpg").convert("{"RGB" if network.channels == 3 else "L"}")'
    bleed = "" if card.crop == 1 else f", bleed={(1 - card.crop) / 2:g}"
    side = network.resolution
    yield f"picture = ImageOps.fit(picture, ({side}, {side}), Image.Resampling.BICUBIC{bleed})"
    yield f"pixels = np.asarray(picture, np.float32).reshape(1, {network.resolution}, {network.resolution}, -1)"
    yield f"image = np.asarray({scaled}, np.float32)"
    yield from (line.replace("FILE", file.name) for line in _RUN[file.model_format][1])
    yield from ("print(logits.argmax())", "```")


_RUN = {
    "tflite": (
        ("from ai_edge_litert.interpreter import Interpreter",),
        (
            'interpreter = Interpreter(model_path="FILE")',
            "interpreter.allocate_tensors()",
            'interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)',
            "interpreter.invoke()",
            'logits = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])',
        ),
    ),
    "onnx": (
        ("import onnxruntime",),
        (
            'session = onnxruntime.InferenceSession("FILE")',
            '(logits,) = session.run(None, {"image": image.transpose(0, 3, 1, 2)})',
        ),
    ),
}
_ENGINES = {"ncnn": "ncnn (channels first)", "pte": "ExecuTorch (channels first)"}
