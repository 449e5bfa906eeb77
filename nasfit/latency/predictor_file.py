"""A predictor's file."""

from __future__ import annotations

import json
from pathlib import Path

from nasfit.errors import UsageError
from nasfit.latency.predictor import Predictor


def read_predictor(path: Path) -> Predictor:
    """What `nasfit measure --build-predictor` wrote. Raises UsageError where the file holds no predictor."""
    try:
        return Predictor.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}; build one: nasfit measure --build-predictor"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{path} holds no predictor: {error}; build one: nasfit measure --build-predictor") from error
