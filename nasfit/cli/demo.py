"""`nasfit demo`: the main job on the shipped pictures."""

from __future__ import annotations

import sys
from pathlib import Path

from nasfit.architecture import adapted, published
from nasfit.cli.searching import run as run_search
from nasfit.devices import open_device
from nasfit.errors import StudyError, TrialFailure
from nasfit.search import Settings
from nasfit.search.measuring import Instrument, measured
from nasfit.study import Study

DATA, RESOLUTION, CLASSES = "fashion-mnist-small", 28, 10
SHARE = 0.6


def run(budget_s: float, path: Path, *, as_json: bool) -> None:
    """Searches for a network that needs at most 60 % of what MobileNetV2 x0.5 takes on this machine."""
    target_ms = _known_target(path) or _target()
    stream = sys.stderr if as_json else sys.stdout
    print(f"limit: {target_ms:g} ms, {SHARE:.0%} of what MobileNetV2 x0.5 takes on this machine", file=stream)
    run_search(Settings(data=DATA, target_ms=target_ms, budget_s=budget_s), path, as_json=as_json)


def _known_target(path: Path) -> float | None:
    if not path.exists():
        return None
    with Study.open(path, read_only=True) as study:
        return float(study.settings["target_ms"])


def _target() -> float:
    network = adapted(published("mobilenet-v2", 0.5), resolution=RESOLUTION, channels=1, classes=CLASSES)
    latency = measured([network], Instrument(open_device("local")))[str(network)]
    if isinstance(latency, TrialFailure):
        raise StudyError(f"this machine could not run MobileNetV2: {latency}")
    return float(f"{SHARE * latency.latency_ms:.2g}")
