"""The end of a search for detectors: what the training of its winner is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from nasfit.architecture import Architecture, detector_on
from nasfit.models import save_network
from nasfit.search.detector_search import inherited_backbone
from nasfit.search.detector_settings import DetectorSettings
from nasfit.search.detector_study import WINNER, DetectorSearchSettings
from nasfit.search.plan import SEARCH_SHARE

BACKBONE = "backbone.safetensors"


def winner_settings(settings: DetectorSearchSettings, backbone: Architecture, study: Path) -> DetectorSettings:
    """The training of `backbone` for the second half of the budget; what it inherits is written to the study first.

    Raises WeightsError, UsageError.
    """
    assert settings.budget_s is not None, "without a budget the winner is not trained"
    return DetectorSettings(
        architecture=str(backbone),
        data=settings.data,
        resolution=settings.resolution,
        budget_s=(1 - SEARCH_SHARE) * settings.budget_s,
        weights=_inherited(settings, backbone, study / WINNER / BACKBONE),
        batch=settings.batch,
        seed=settings.seed,
        device=settings.device,
        engine=settings.engine,
    )


def _inherited(settings: DetectorSearchSettings, backbone: Architecture, file: Path) -> str | None:
    if settings.weights is None:
        return None
    if not file.exists():
        # Of what cannot be inherited.
        torch.manual_seed(settings.seed)
        # How many classes a detector tells is nothing to its backbone.
        parent = inherited_backbone(detector_on(backbone, classes=1, resolution=settings.resolution), settings)
        assert parent is not None, "there are weights"
        told = {name: json.dumps(getattr(parent.normalisation, name)) for name in ("mean", "std")}
        file.parent.mkdir(exist_ok=True)
        save_network(parent.network, file, told)
    return str(file)
