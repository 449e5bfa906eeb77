"""The exponent of the soft reward, fitted to what this study's first batch shows of accuracy against latency."""

from __future__ import annotations

from typing import Any

from nasfit.errors import UsageError
from nasfit.objective import calibrated_exponent
from nasfit.study import Study, TrialState

DOCUMENT = "exponent"
PUBLISHED = -0.07
# Beyond these, a few noisy points speak rather than a trade-off: at -0.3 half the latency is worth 23 % of accuracy.
STEEPEST, FLATTEST = -0.3, -0.02


def exponent_of(study: Study) -> float | None:
    """The calibrated exponent; None before the calibration, and of a study that does not calibrate."""
    stored = study.document(DOCUMENT)
    return None if stored is None else float(stored["exponent"])


def calibrate_exponent(study: Study) -> str:
    """Chooses the exponent from the trained trials and stores it, once and for all. Returns what to tell."""
    pairs = [
        (trial.accuracy, trial.latency_ms)
        for trial in study.trials([TrialState.COMPLETE])
        if trial.accuracy is not None and trial.latency_ms is not None and trial.duplicate_of is None
    ]
    document: dict[str, Any] = {"exponent": PUBLISHED, "fitted": None, "trials": len(pairs)}
    try:
        fitted = calibrated_exponent(pairs)
    except UsageError as error:
        document["reason"] = str(error)
    else:
        document |= {"exponent": min(max(fitted, STEEPEST), FLATTEST), "fitted": fitted}
    study.put_document(DOCUMENT, document)
    return exponent_text(document)


def exponent_text(document: dict[str, Any]) -> str:
    """The stored calibration in one sentence."""
    exponent, fitted = document["exponent"], document["fitted"]
    if fitted is None:
        return f"exponent of the reward: {exponent:g} as published, for {document['reason']}"
    text = f"exponent of the reward: {exponent:.3f}, fitted to the front of {document['trials']} trained trials"
    if fitted != exponent:
        text += f"; the fit itself gave {fitted:.3f}, outside {STEEPEST:g} to {FLATTEST:g}"
    return text
