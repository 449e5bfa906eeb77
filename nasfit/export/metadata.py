"""What an exported file says about itself: how to prepare a picture and what the logits mean."""

from __future__ import annotations

import json
from collections.abc import Sequence

import onnx


def model_metadata(
    *, architecture: str, mean: Sequence[float], std: Sequence[float], classes: Sequence[str]
) -> dict[str, str]:
    """Metadata for `to_onnx`; lists are JSON texts.

    architecture: its one-line text. mean, std: per channel, of pixels scaled to 0..1. classes: names in logit order.
    """
    return {
        "architecture": architecture,
        "mean": json.dumps([float(value) for value in mean]),
        "std": json.dumps([float(value) for value in std]),
        "classes": json.dumps(list(classes), ensure_ascii=False),
    }


def read_metadata(onnx_bytes: bytes) -> dict[str, str]:
    """The metadata stored in an ONNX file, as texts."""
    return {entry.key: entry.value for entry in onnx.load_from_string(onnx_bytes).metadata_props}
