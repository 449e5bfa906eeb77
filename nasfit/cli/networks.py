"""What is meant by NETWORK on the command line: a published name, a text form, a block string or a model file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nasfit.architecture import PUBLISHED, Architecture, fitted, published, read_block, read_blocks
from nasfit.devices import ENGINES, engine_named
from nasfit.errors import UnknownNameError, UsageError

_BLOCK_STRING = re.compile(r"r\d+_")
# As published: what block strings leave out.
_HEAD_FILTERS = 1280


@dataclass(frozen=True)
class Fitting:
    """How named networks are changed; None leaves them as they are published. A text form and a file are complete."""

    width: float | None = None
    resolution: int | None = None
    classes: int | None = None
    precision: str = "fp32"


@dataclass(frozen=True)
class Named:
    """A network of the command line. text: as typed. label: short, its own among those named together.

    Either an architecture, which is exported, or the content of a file, which runs as it is.
    """

    text: str
    label: str
    architecture: Architecture | None
    content: bytes | None


def named_networks(texts: Sequence[str], fitting: Fitting, engine: str) -> list[Named]:
    """The networks in the order given. Raises UsageError, UnknownNameError, ArchitectureError with what to do."""
    for text in texts:
        if texts.count(text) > 1:
            raise UsageError(f"network {text!r} is named twice; each must be another")
    labels = [_label(text, fitting, place) for place, text in enumerate(texts, start=1)]
    return [
        _named(text, label if labels.count(label) == 1 else text, fitting, engine)
        for text, label in zip(texts, labels, strict=True)
    ]


def _named(text: str, label: str, fitting: Fitting, engine: str) -> Named:
    if _is_file(text):
        return Named(text, label, None, _content(Path(text), fitting, engine))
    return Named(text, label, architecture_named(text, fitting), None)


def architecture_named(text: str, fitting: Fitting) -> Architecture:
    """A published network, a text form or a block string, fitted. Raises UsageError, UnknownNameError."""
    if "|" in text and not _BLOCK_STRING.match(text):
        if (fitting.width, fitting.resolution, fitting.classes) != (None, None, None):
            raise UsageError(
                "--width, --resolution and --classes go with published networks and block strings; a text form has "
                "its own width, input and classes: change them in the text"
            )
        return Architecture.parse(text)
    network = _from_blocks(text, fitting) if _BLOCK_STRING.match(text) else _from_name(text, fitting)
    return fitted(
        network,
        resolution=network.resolution if fitting.resolution is None else fitting.resolution,
        channels=network.channels,
        classes=network.classes if fitting.classes is None else fitting.classes,
    )


def _from_name(name: str, fitting: Fitting) -> Architecture:
    if name not in PUBLISHED:
        error = UnknownNameError("network", name, PUBLISHED)
        raise UsageError(f"{error} (a network may also be a text form, a block string or a model file)")
    return published(name, 1.0 if fitting.width is None else fitting.width)


def _from_blocks(text: str, fitting: Fitting) -> Architecture:
    if fitting.width is not None:
        raise UsageError("--width goes with published networks; a block string has filters of its own")
    stem_filters = read_block(text.replace("|", " ").split()[0])[1]
    return Architecture(stem_filters, 2, read_blocks(text, stem_filters), _HEAD_FILTERS)


def _is_file(text: str) -> bool:
    return "|" not in text and (Path(text).suffix.removeprefix(".") in _readers() or Path(text).is_file())


def _readers() -> dict[str, list[str]]:
    """Model format -> engines that read it."""
    found: dict[str, list[str]] = {}
    for engine in ENGINES.values():
        found.setdefault(engine.model_format, []).append(engine.name)
    return found


def _content(path: Path, fitting: Fitting, engine: str) -> bytes:
    readers = _readers().get(path.suffix.removeprefix("."))
    if readers is None:
        raise UsageError(f"{path} is no model file that an engine reads; they end in .{', .'.join(sorted(_readers()))}")
    if engine_named(engine).model_format != path.suffix.removeprefix("."):
        raise UsageError(
            f"{path} is a {path.suffix} file, which engine {engine} does not read; try --engine {readers[0]}"
        )
    if fitting != Fitting():
        raise UsageError(
            f"{path} is measured as it is; leave out --width, --resolution, --classes and --precision, or name a "
            "network that nasfit exports"
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; check the path") from error


def _label(text: str, fitting: Fitting, place: int) -> str:
    if _is_file(text):
        return Path(text).name
    if text in PUBLISHED:
        return text if fitting.width in (None, 1.0) else f"{text} x{fitting.width:g}"
    return f"network {place}"
